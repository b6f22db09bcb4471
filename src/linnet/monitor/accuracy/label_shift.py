"""Accuracy without labels under the other assumption: only the shares of the labels changed.

The shares of the true labels in the traffic are those that make its answers most likely, found
by the EM algorithm of Saerens, Latinne and Decaestecker 2002, Adjusting the Outputs of a
Classifier to New a Priori Probabilities, Neural Computation 14. With the validation accuracy of
each true label they give the accuracy. For single-label models.
"""

from collections import Counter
from collections.abc import Sequence
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from linnet.monitor.accuracy.answers import Answers
from linnet.monitor.accuracy.estimate import Estimate
from linnet.monitor.reference import Reference

Floats = NDArray[np.float64]

STEPS = 1000
PRECISION = 1e-7  # of a share, at which EM ends
SMOOTHING = 0.5  # added to each count of the confusion; labels without rows need it


def label_shares(likelihoods: Floats, weights: Floats, start: Floats) -> Floats:
    """The shares of the true labels, float (C,), that make observations most likely.

    Args:
        likelihoods: How likely each observation is under each label, up to a factor per
            observation, float (m, C).
        weights: How often each was seen, float (m,).
        start: The shares in validation, float (C,), none of them 0.
    """
    shares: Floats = start / start.sum()
    for _ in range(STEPS):
        joint = likelihoods * shares
        posterior = joint / joint.sum(axis=1, keepdims=True)
        after = weights @ posterior / weights.sum()
        moved = np.abs(after - shares).max()
        shares = after
        if moved < PRECISION:
            break
    return shares


def estimate_under_label_shift(
    reference: Reference, answers: Answers, labels: Sequence[str]
) -> Estimate | None:
    """The accuracy of the answered texts if only the shares of the true labels changed.

    It takes the probabilities if they are known, else the labels given.

    Args:
        reference: Of the bundle.
        answers: The traffic.
        labels: All labels in the model's order.

    Returns:
        None for a multi-label model, and where no text was answered.
    """
    if reference.confusion is None or len(answers) == 0 or answers.abstained.all():
        return None
    confusion = _confusion(reference, labels)
    rows = confusion.sum(axis=1)
    given_by_true = (confusion + SMOOTHING) / (rows + SMOOTHING * confusion.shape[1])[:, None]
    start = (rows + SMOOTHING) / (rows + SMOOTHING).sum()
    if answers.probabilities is None:
        likelihoods, weights = _likelihoods_of_given(given_by_true, answers, labels)
    else:
        likelihoods = np.maximum(answers.probabilities, 1e-9) / start
        weights = np.ones(len(answers))
    shares = label_shares(likelihoods, weights, start)
    right = np.diagonal(given_by_true)
    answered = 1 - given_by_true[:, -1]
    among = float(shares @ answered)
    value = float(shares @ right) / among
    # The accuracy is a ratio; near its value it moves as this difference does.
    moves = (right - value * answered) / among
    spread = given_by_true[:, -1] * value**2 + right * (1 - value) ** 2
    spread += (answered - right) * value**2 - (right - value * answered) ** 2
    variance = float((shares**2 * np.maximum(spread, 0) / (rows + 1)).sum()) / among**2
    variance += _variance_of_shares(likelihoods, weights, shares, moves)
    variance += value * (1 - value) / (len(answers) * among)
    return Estimate(value, sqrt(variance), int((~answers.abstained).sum()))


def _confusion(reference: Reference, labels: Sequence[str]) -> Floats:
    """Counts of true x given, float (C, C + 1); the last column is of those without an answer."""
    places: dict[str | None, int] = {label: k for k, label in enumerate(labels)}
    places[None] = len(labels)
    counts = np.zeros((len(labels), len(labels) + 1))
    for one in reference.confusion or ():
        counts[places[one.true], places[one.predicted]] += one.n
    return counts


def _likelihoods_of_given(
    given_by_true: Floats, answers: Answers, labels: Sequence[str]
) -> tuple[Floats, Floats]:
    places: dict[str | None, int] = {label: k for k, label in enumerate(labels)}
    counts = Counter(places.get(label, len(labels)) for label in answers.labels)
    seen = sorted(counts)
    return given_by_true[:, seen].T, np.array([counts[k] for k in seen], float)


def _variance_of_shares(
    likelihoods: Floats, weights: Floats, shares: Floats, moves: Floats
) -> float:
    """By the Fisher information of all shares but the last one."""
    scores = likelihoods / (likelihoods @ shares)[:, None]
    free = scores[:, :-1] - scores[:, -1:]
    information = free.T @ (free * weights[:, None])
    covariance = np.linalg.pinv(information, hermitian=True)
    slope = moves[:-1] - moves[-1]
    return max(0.0, float(slope @ covariance @ slope))

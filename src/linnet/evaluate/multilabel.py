"""Figures of a multi-label model, with their intervals.

Shapes: n rows, C labels; labels and predictions say which labels apply, bool (n, C); probabilities
are float (n, C) and each for itself. Knows nothing of models, files or texts.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from linnet.evaluate.intervals import VALUES_AT_ONCE, Estimate, percentile
from linnet.evaluate.metrics import SMALLEST_PROBABILITY

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class F1s:
    """F1 over all decisions, its mean over the labels, and that of each label, with intervals.

    Attributes:
        micro: Of all decisions taken together.
        macro: Mean of the labels' own; labels neither present nor predicted are left out.
        labels: Of each label, in the order of the ids.
    """

    micro: Estimate
    macro: Estimate
    labels: list[Estimate]


def bootstrap_f1s(
    labels: Bools, predictions: Bools, confidence_level: float, resamples: int, seed: int
) -> F1s:
    """F1 with intervals by resampling rows, so that labels of one row stay together."""
    columns = np.hstack([labels & predictions, labels, predictions])
    right, present, predicted = np.split(
        np.vstack([columns.sum(axis=0), resampled_sums(columns, resamples, seed)]), 3, 1
    )
    each = f1(right, present + predicted)
    every = f1(right.sum(axis=1), (present + predicted).sum(axis=1))
    seen = present + predicted > 0
    mean = each.sum(axis=1) / np.maximum(seen.sum(axis=1), 1)
    return F1s(
        percentile(float(every[0]), every[1:], confidence_level),
        percentile(float(mean[0]), mean[1:], confidence_level),
        [percentile(float(column[0]), column[1:], confidence_level) for column in each.T],
    )


def paired_micro_f1(
    labels: Bools, first: Bools, second: Bools, confidence_level: float, resamples: int, seed: int
) -> Estimate:
    """Micro F1 of the first predictions less that of the second, resampled together."""
    pairs = [(labels & some, labels, some) for some in (first, second)]
    columns = np.stack([part.sum(axis=1) for pair in pairs for part in pair], axis=1)
    sums = np.vstack([columns.sum(axis=0), resampled_sums(columns, resamples, seed)])
    gaps = f1(sums[:, 0], sums[:, 1] + sums[:, 2]) - f1(sums[:, 3], sums[:, 4] + sums[:, 5])
    return percentile(float(gaps[0]), gaps[1:], confidence_level)


def resampled_sums(columns: NDArray[Any], resamples: int, seed: int) -> Floats:
    """Sums of the columns over rows drawn with replacement.

    Equal rows are drawn together: the draw is multinomial over the different rows, at the cost of
        those.

    Args:
        columns: bool or int (n, k).
        resamples: Number of draws.
        seed: Of the draws.

    Returns:
        float64 (resamples, k).
    """
    keys = np.packbits(columns, axis=1) if columns.dtype == bool else columns
    _, first, counts = np.unique(keys, axis=0, return_index=True, return_counts=True)
    cells = columns[first].astype(np.float64)
    shares = counts / len(columns)
    draw = np.random.default_rng(seed).multinomial
    step = max(1, VALUES_AT_ONCE // len(cells))
    parts = [
        draw(len(columns), shares, min(step, resamples - start)).astype(np.float64) @ cells
        for start in range(0, resamples, step)
    ]
    return np.concatenate(parts)


def f1(right: NDArray[Any], present_and_predicted: NDArray[Any]) -> Floats:
    """F1 from counts, 2 right / (present + predicted); 0 of nothing."""
    return np.asarray(2 * right / np.maximum(present_and_predicted, 1))


def best_constant(labels: Bools) -> Bools:
    """The set of labels with the best micro F1 if every row gets it, bool (C,).

    It has at least one label.

    The best set of k labels is that of the k most frequent, so only those are tried.
    """
    counts = labels.sum(axis=0)
    order = np.argsort(-counts, kind="stable")
    sizes = np.arange(1, len(counts) + 1)
    best = int(np.argmax(2 * np.cumsum(counts[order]) / (sizes * len(labels) + counts.sum())))
    chosen = np.zeros(len(counts), dtype=bool)
    chosen[order[: best + 1]] = True
    return chosen


def average_precisions(probabilities: Floats, labels: Bools) -> list[float | None]:
    """Average precision of each label, which needs no threshold; None for a label that no row has.

    Without an interval: each resample would have to be sorted.
    """
    return [
        float(average_precision_score(labels[:, k], probabilities[:, k]))
        if labels[:, k].any()
        else None
        for k in range(labels.shape[1])
    ]


def log_losses(probabilities: Floats, labels: Bools) -> Floats:
    """Mean binary cross-entropy of each row's labels, in nats, float64 (n,)."""
    stated = np.where(labels, probabilities, 1 - probabilities)
    losses: Floats = -np.log(np.clip(stated, SMALLEST_PROBABILITY, 1.0)).mean(axis=1)
    return losses

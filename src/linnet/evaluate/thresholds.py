"""From which probability on a label applies, where a text may have any number of them.

A label's threshold is the one with the best F1 on the given rows. It is below 0.5 where the label
is rare: the best threshold of a calibrated model is half of its best F1 (Lipton, Elkan and
Naryanaswamy 2014, Optimal Thresholding of Classifiers to Maximize F1 Measure).

Where a model can't tell a rare label at all, the best F1 is that of always giving it, which would
bury the other labels of every text under it. So no threshold gives a label to more than
`MOST_GIVEN` times the rows that have it.

A label that fewer than `FEWEST` of the rows have gets the threshold that is best for all labels
together: one row more or less would move its own F1 by a tenth and its threshold with it, and 0.5
would silence it, as a model that rarely saw a label hardly ever is half sure of it.
"""

import numpy as np
from numpy.typing import NDArray

FEWEST = 10  # rows
MOST_GIVEN = 2
EVEN = 0.5
SMALLEST = 1e-6  # a threshold lies between 0 and 1, neither of them included
FOLDS = 5


def tune(probabilities: NDArray[np.float64], labels: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The threshold of each label.

    Args:
        probabilities: float (n, C).
        labels: Which labels apply, bool (n, C).

    Returns:
        float64 (C,), each between 0 and 1; 0.5 for all where hardly any label applies to any row.
    """
    together = (
        best_threshold(probabilities.ravel(), labels.ravel()) if labels.sum() >= FEWEST else EVEN
    )
    own = labels.sum(axis=0) >= FEWEST
    return np.array(
        [
            best_threshold(probabilities[:, k], labels[:, k]) if own[k] else together
            for k in range(probabilities.shape[1])
        ]
    )


def cross_decide(
    probabilities: NDArray[np.float64], labels: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Which labels apply by thresholds tuned on other rows, in five folds.

    What thresholds do on the rows they were tuned on flatters them; this doesn't.

    Args:
        probabilities: float (n, C), the rows in no order.
        labels: bool (n, C).

    Returns:
        bool (n, C).
    """
    fold = np.arange(len(labels)) % FOLDS
    decided = np.zeros_like(labels)
    for k in range(FOLDS):
        decided[fold == k] = probabilities[fold == k] >= tune(
            probabilities[fold != k], labels[fold != k]
        )
    return decided


def best_threshold(probabilities: NDArray[np.float64], applies: NDArray[np.bool_]) -> float:
    """The admissible threshold with the best F1; of equally good ones the highest.

    A threshold is half-way between two probabilities.

    Args:
        probabilities: Of one label, float (n,), at least one.
        applies: Whether it does, bool (n,).
    """
    order = np.argsort(-probabilities, kind="stable")
    descending = probabilities[order]
    right = np.cumsum(applies[order])
    given = np.arange(1, len(descending) + 1)
    below = np.append(descending[1:], 0.0)
    admissible = (descending > below) & (
        given <= MOST_GIVEN * right[-1]
    )  # rows of one probability are on one side
    scores = np.where(admissible, 2 * right / (given + right[-1]), 0.0)
    best = int(scores.argmax())
    above, under = (
        (descending[best], below[best]) if scores[best] > 0 else (1.0, descending[0])
    )  # else it is never given
    return float(np.clip((above + under) / 2, SMALLEST, 1 - SMALLEST))

"""Logits to probabilities to labels, for single-label and multi-label models.

Here alone the temperature divides and the thresholds decide. `task_of` chooses one of two classes
of the same shape, once per model; everything that differs between the two kinds is a method.

Shapes: n texts, C labels; logits and probabilities are float (n, C), and which labels apply is
bool (n, C).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Logits = NDArray[np.floating]
Thresholds = Sequence[float | None] | None

SMALLEST = 1e-6  # a threshold is between 0 and 1, neither of them included


@dataclass(frozen=True)
class SingleLabel:
    """Each text has one label: probabilities sum to 1, and only the most probable label applies."""

    multi_label: ClassVar[bool] = False
    labels_per_text: ClassVar[str] = "one label per text"

    def probabilities(self, logits: Logits, temperature: float | Floats = 1.0) -> Floats:
        """Softmax of the logits over a temperature; one for all rows, or float (n, 1)."""
        return softmax(logits / temperature)

    def decide(self, probabilities: Floats, thresholds: Thresholds) -> Bools:
        """Which labels apply: the most probable label, if it reaches its threshold.

        Args:
            probabilities: Of the labels.
            thresholds: The probability from which on each label applies. A label whose threshold
                is None never applies. None in place of them all: the most probable label applies.
        """
        return _reached(probabilities, thresholds) & _most_probable(probabilities)

    def log_odds(self, logits: Floats, label: int) -> Floats:
        """The log odds of one label against all others, float (n,), by scaled logits."""
        others = np.delete(logits, label, axis=1)
        most = others.max(axis=1, keepdims=True)
        odds: Floats = logits[:, label] - most[:, 0] - np.log(np.exp(others - most).sum(axis=1))
        return odds

    def agree(self, logits: Logits, others: Logits) -> Bools:
        """Whether two models' most probable labels are the same, bool (n,)."""
        return np.asarray(logits.argmax(axis=1) == others.argmax(axis=1))

    def applies(self, labels: NDArray[Any], count: int) -> Bools:
        """Which of `count` labels are true, by the label ids of a split, int (n,)."""
        return np.asarray(labels[:, None] == np.arange(count))

    def forced(self, probabilities: Floats, predictions: Bools) -> Bools:
        """Which labels apply if every text must be answered; `predictions` may abstain."""
        return _most_probable(probabilities)

    def right(self, predictions: Bools, labels: Bools) -> Bools:
        """Which texts have the right label, bool (n,), if each is given one."""
        return np.asarray((predictions & labels).any(axis=1))

    def answered(self, predictions: Bools) -> Bools:
        """Which texts have an answer, bool (n,): a text without a label has none."""
        return np.asarray(predictions.any(axis=1))

    def lowest_threshold(self, count: int) -> float:
        """The threshold that holds nothing back: the most probable of C labels has 1 / C."""
        return 1 / count


@dataclass(frozen=True)
class MultiLabel:
    """Each text has any of the labels, or none: each probability is separate from the others."""

    multi_label: ClassVar[bool] = True
    labels_per_text: ClassVar[str] = "several labels per text"

    def probabilities(self, logits: Logits, temperature: float | Floats = 1.0) -> Floats:
        """Sigmoid of the logits over a temperature; one for all rows, or float (n, 1)."""
        return sigmoid(logits / temperature)

    def decide(self, probabilities: Floats, thresholds: Thresholds) -> Bools:
        """Which labels apply: all that reach their thresholds; see `SingleLabel.decide`."""
        return _reached(probabilities, thresholds)

    def log_odds(self, logits: Floats, label: int) -> Floats:
        """The log odds of one label, float (n,), by scaled logits."""
        return logits[:, label]

    def agree(self, logits: Logits, others: Logits) -> Bools:
        """Whether the labels of a probability of at least 0.5 are the same, bool (n,)."""
        return np.asarray(((logits >= 0) == (others >= 0)).all(axis=1))

    def applies(self, labels: NDArray[Any], count: int) -> Bools:
        """Which of `count` labels are true: the labels of a split, bool (n, C)."""
        return labels

    def forced(self, probabilities: Floats, predictions: Bools) -> Bools:
        """The predictions: no label is an answer too."""
        return predictions

    def right(self, predictions: Bools, labels: Bools) -> Bools:
        """Which texts have all of their labels right, bool (n,)."""
        return np.asarray((predictions == labels).all(axis=1))

    def answered(self, predictions: Bools) -> Bools:
        """Which texts have an answer, bool (n,): all, as no label is an answer too."""
        return np.ones(len(predictions), bool)

    def lowest_threshold(self, count: int) -> float:
        """The threshold that holds nothing back."""
        return SMALLEST


Task = SingleLabel | MultiLabel


def task_of(multi_label: bool) -> Task:
    """The task of a model or a split, by the `multi_label` of its manifest or data card."""
    return MultiLabel() if multi_label else SingleLabel()


def softmax(logits: Logits) -> Floats:
    """Probabilities of rows of logits, in float64 so that they sum to 1 without overflow."""
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    probabilities: Floats = powers / powers.sum(axis=1, keepdims=True)
    return probabilities


def sigmoid(logits: Logits) -> Floats:
    """Probabilities of logits, each for itself, in float64; large logits don't overflow."""
    powers = np.exp(-np.abs(logits.astype(np.float64)))
    probabilities: Floats = np.where(logits >= 0, 1.0, powers) / (1.0 + powers)
    return probabilities


def _reached(probabilities: Floats, thresholds: Thresholds) -> Bools:
    labels = probabilities.shape[1]
    least = np.array(
        [np.inf if threshold is None else threshold for threshold in thresholds or [0.0] * labels]
    )
    return np.asarray(probabilities >= least)


def _most_probable(probabilities: Floats) -> Bools:
    labels = np.arange(probabilities.shape[1])
    return np.asarray(probabilities.argmax(axis=1)[:, None] == labels)

"""How good predictions are, by scikit-learn and SciPy where they have the figure.

Shapes: n rows, C classes; labels and predictions are class ids, int (n,); probabilities are float
(n, C) whose rows sum to 1. Knows nothing of models, files or texts.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics as sklearn_metrics

Floats = NDArray[np.floating]
Ints = NDArray[np.integer]

SMALLEST_PROBABILITY = float(
    np.finfo(np.float32).eps
)  # what keeps the logarithm of a float32 softmax finite


@dataclass(frozen=True, slots=True)
class ClassMetrics:
    """How good predictions are on one class; a share of nothing is 0.

    Attributes:
        precision: Share of the rows predicted to be of the class that are.
        recall: Share of the class's rows that are predicted to be of it.
        f1: Harmonic mean of the two.
        support: Rows of the class.
    """

    precision: float
    recall: float
    f1: float
    support: int


def accuracy(labels: NDArray[Any], predictions: NDArray[Any]) -> float:
    """Share of the rows predicted right; a multi-label row needs all of its labels right."""
    return float(sklearn_metrics.accuracy_score(labels, predictions))


def macro_f1(labels: Ints, predictions: Ints) -> float:
    """Mean of the classes' F1; classes neither present nor predicted are left out."""
    return float(sklearn_metrics.f1_score(labels, predictions, average="macro", zero_division=0))


def micro_f1(labels: NDArray[np.bool_], predictions: NDArray[np.bool_]) -> float:
    """F1 over every decision of a multi-label model:

    both bool (n, C); 0 of nothing.
    """
    return float(2 * (labels & predictions).sum() / max(labels.sum() + predictions.sum(), 1))


def per_class(labels: Ints, predictions: Ints, classes: int) -> list[ClassMetrics]:
    """Precision, recall, F1 and support of each class, in the order of the ids."""
    columns = sklearn_metrics.precision_recall_fscore_support(
        labels, predictions, labels=np.arange(classes), zero_division=0
    )
    return [
        ClassMetrics(float(precision), float(recall), float(f1), int(support))
        for precision, recall, f1, support in zip(*columns, strict=True)
    ]


def confusion_matrix(labels: Ints, predictions: Ints, classes: int) -> NDArray[np.int64]:
    """Count rows by label and prediction.

    Returns:
        int64 (C, C): rows are labels, columns are predictions.
    """
    matrix = sklearn_metrics.confusion_matrix(labels, predictions, labels=np.arange(classes))
    return np.asarray(matrix, dtype=np.int64)


def log_losses(probabilities: Floats, labels: Ints) -> NDArray[np.float64]:
    """Negative log-likelihood of each row's label, in nats.

    Returns:
        float64 (n,); their mean is the log loss.
    """
    chosen = np.asarray(probabilities, dtype=np.float64)[np.arange(len(labels)), labels]
    return -np.log(np.clip(chosen, SMALLEST_PROBABILITY, 1.0))


def log_loss(probabilities: Floats, labels: Ints) -> float:
    """Mean negative log-likelihood of the labels, in nats."""
    return float(log_losses(probabilities, labels).mean())


def expected_calibration_error(probabilities: Floats, labels: Ints, bins: int) -> float:
    """How far confidence is from accuracy, on average over the rows.

    Confidence is the probability of the predicted class. Bins are of equal width on [0, 1], closed
    on the right.

    Source: Guo et al. 2017, On Calibration of Modern Neural Networks, equation 3.

    Args:
        probabilities: float (n, C).
        labels: int (n,).
        bins: Number of bins.

    Returns:
        From 0, calibrated, to 1.
    """
    confidence = np.asarray(probabilities, dtype=np.float64).max(axis=1)
    correct = np.argmax(probabilities, axis=1) == labels
    gaps = np.bincount(
        confidence_bins(confidence, bins), weights=correct - confidence, minlength=bins
    )
    return float(np.abs(gaps).sum() / len(labels))


def confidence_bins(confidence: Floats, bins: int) -> NDArray[np.int64]:
    """The bin of each confidence: 0 for (0, 1/bins], up to bins - 1."""
    return np.clip(np.ceil(np.asarray(confidence) * bins).astype(np.int64) - 1, 0, bins - 1)

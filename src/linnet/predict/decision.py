"""Logits to probabilities to labels:

the one place where the temperature divides and the thresholds decide.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def to_probabilities(
    logits: NDArray[np.floating], temperature: float | NDArray[np.float64], multi_label: bool
) -> NDArray[np.float64]:
    """What is answered to logits, float64 of their shape (texts, labels).

    Args:
        logits: float (texts, labels).
        temperature: What they are divided by first; one for all rows, or float (texts, 1).
        multi_label: Whether the model is multi-label: then each probability is for itself,
            else they sum to 1.
    """
    scaled = logits / temperature
    return sigmoid(scaled) if multi_label else softmax(scaled)


def decide(
    probabilities: NDArray[np.float64], thresholds: Sequence[float | None] | None, multi_label: bool
) -> NDArray[np.bool_]:
    """Which labels apply.

    Args:
        probabilities: float (texts, labels).
        thresholds: The probability from which on each label is given; a label whose threshold is
            None never is. None in place of them all: nothing is held back.
        multi_label: Whether the model is multi-label; else only its most probable one can be
            given.

    Returns:
        bool (texts, labels).
    """
    labels = probabilities.shape[1]
    least = np.array(
        [np.inf if threshold is None else threshold for threshold in thresholds or [0.0] * labels]
    )
    given = probabilities >= least
    return (
        given
        if multi_label
        else given & (probabilities.argmax(axis=1)[:, None] == np.arange(labels))
    )


def softmax(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Probabilities of rows of logits, in float64 so that they sum to 1 without overflow."""
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    probabilities: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return probabilities


def sigmoid(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Probabilities of logits, each for itself, in float64; large logits don't overflow."""
    powers = np.exp(-np.abs(logits.astype(np.float64)))
    probabilities: NDArray[np.float64] = np.where(logits >= 0, 1.0, powers) / (1.0 + powers)
    return probabilities

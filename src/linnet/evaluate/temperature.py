"""The temperature that logits are divided by, so that probabilities are calibrated.

Source: Guo et al. 2017, On Calibration of Modern Neural Networks, section 4.2. It changes no answer
where a text has one label, as it keeps the order of the logits; where a text has any number, each
logit is divided alike.

Shapes: logits are float (n, C); labels are class ids, int (n,), or bool (n, C) if the task is
multi-label.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

FEWEST = 50  # rows
LOWEST = 0.1
HIGHEST = 10.0
PRECISION = 1e-4  # of the temperature's logarithm

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Temperature:
    """A temperature, and what is needed to judge it on rows that it was not fitted on.

    Attributes:
        value: What to divide logits by.
        crossed: For each row the temperature that the other half of the rows gives, float64 (n, 1);
            all 1 where 1 is kept.
        kept: Why it is 1, as a sentence; None where it was fitted.
    """

    value: float
    crossed: NDArray[np.float64]
    kept: str | None = None


def choose(logits: Floats, labels: NDArray[Any], seed: int) -> Temperature:
    """Fit a temperature, if it makes rows that it was not fitted on likelier.

    One half of the rows is judged by the temperature of the other, and the other way round; the one
    to serve is fitted on all rows.

    Args:
        logits: Of rows that the model has not learned from.
        labels: What is right.
        seed: Of the draw of the halves.
    """
    rows = len(logits)
    if rows < FEWEST:
        return _keep(rows, f"{rows} rows say too little of how sure is too sure; it takes {FEWEST}")
    if not _mistakes(logits, labels).any():
        return _keep(rows, "all rows are answered right, so that nothing says how sure is too sure")
    first = np.random.default_rng(seed).permutation(rows) % 2 == 0
    of_first, of_others, value = (
        fit(logits[some], labels[some]) for some in (first, ~first, slice(None))
    )
    crossed = np.where(first, of_others, of_first)[:, None]
    before = log_loss(logits, labels)
    after = log_loss(logits / crossed, labels)
    if after >= before:
        return _keep(
            rows,
            f"{value:.2f}, which fits best, does not lower the log loss of rows that it was not "
            f"fitted on ({before:.4f} to {after:.4f})",
        )
    return Temperature(value, crossed)


def _keep(rows: int, reason: str) -> Temperature:
    return Temperature(1.0, np.ones((rows, 1)), f"The temperature is left at 1: {reason}.")


def fit(logits: Floats, labels: NDArray[Any]) -> float:
    """The temperature from 0.1 to 10 with the lowest log loss.

    Rows that are all answered right give the lowest one.

    The loss is convex in the inverse of the temperature, and so has one minimum.
    """
    minimum = minimize_scalar(
        lambda power: log_loss(logits / np.exp(power), labels),
        bounds=(np.log(LOWEST), np.log(HIGHEST)),
        method="bounded",
        options={"xatol": PRECISION},
    )
    return float(np.exp(minimum.x))


def log_loss(logits: Floats, labels: NDArray[Any]) -> float:
    """Mean negative log-likelihood in nats:

    of each row's label, or of each decision on a row's labels.
    """
    logits = logits.astype(np.float64)
    if labels.ndim == 2:
        return float(np.logaddexp(0, np.where(labels, -logits, logits)).mean())
    return float(
        (np.logaddexp.reduce(logits, axis=1) - logits[np.arange(len(labels)), labels]).mean()
    )


def _mistakes(logits: Floats, labels: NDArray[Any]) -> NDArray[np.bool_]:
    return np.asarray(
        (logits >= 0) != labels if labels.ndim == 2 else logits.argmax(axis=1) != labels
    )

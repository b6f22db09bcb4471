"""Is a model that says 80 % right in 80 of 100 cases? Bins, and the part of chance.

Knows confidences, the probabilities of the predicted classes, and which predictions were right.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linnet.evaluate.intervals import Estimate, proportion
from linnet.evaluate.metrics import confidence_bins

MOST_DRAWS = 200_000_000  # of `one_vs_rest_limit`; some seconds
FEWEST_RESAMPLES = 100


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """The rows with a confidence in one range.

    Attributes:
        low: Start of the range, open.
        high: End of the range, closed.
        rows: How many rows.
        confidence: Their mean confidence.
        accuracy: The share of them predicted right, with its Wilson interval.
    """

    low: float
    high: float
    rows: int
    confidence: float
    accuracy: Estimate


def reliability_bins(
    confidence: NDArray[np.float64], correct: NDArray[np.bool_], bins: int, confidence_level: float
) -> list[ReliabilityBin]:
    """Group rows into bins of equal width of their confidence; bins without rows are left out.

    Args:
        confidence: float (n,).
        correct: bool (n,).
        bins: Number of bins on [0, 1].
        confidence_level: Of each bin's interval.
    """
    bin_of_row = confidence_bins(confidence, bins)
    rows = np.bincount(bin_of_row, minlength=bins)
    right = np.bincount(bin_of_row, weights=correct, minlength=bins)
    total = np.bincount(bin_of_row, weights=confidence, minlength=bins)
    return [
        ReliabilityBin(
            k / bins,
            (k + 1) / bins,
            int(rows[k]),
            float(total[k] / rows[k]),
            proportion(int(right[k]), int(rows[k]), confidence_level),
        )
        for k in range(bins)
        if rows[k]
    ]


def calibrated_limit(
    confidence: NDArray[np.float64], bins: int, confidence_level: float, resamples: int, seed: int
) -> float:
    """The expected calibration error that a perfectly calibrated model stays below.

    A mean of absolute gaps is above 0 by chance alone, and resampling rows adds to that chance, so
    that a bootstrap interval would miss the true error of a well-calibrated model. This draws, for
    each row, a right answer with the probability that the model stated, and looks at the error of
    those.

    Source: Bröcker and Smith 2007, Increasing the Reliability of Reliability Diagrams (consistency
    resampling).

    Args:
        confidence: float (n,).
        bins: Number of bins on [0, 1].
        confidence_level: Share of the draws below the limit.
        resamples: Number of draws.
        seed: Of the draws.
    """
    rng = np.random.default_rng(seed)
    bin_of_row = confidence_bins(confidence, bins)
    errors = np.empty(resamples)
    for i in range(resamples):
        gaps = np.bincount(
            bin_of_row, weights=(rng.random(len(confidence)) < confidence) - confidence
        )
        errors[i] = np.abs(gaps).sum() / len(confidence)
    return float(np.quantile(errors, confidence_level))


def one_vs_rest_error(
    probabilities: NDArray[np.float64], labels: NDArray[np.bool_], bins: int
) -> float:
    """The distance of each label's probability from its share of rows, averaged.

    The average is over rows and labels.

    Where labels are rare most probabilities are near 0, and so is this: compare it with
    `one_vs_rest_limit`.

    Source: Kull et al. 2019, Beyond temperature scaling, the classwise expected calibration error.

    Args:
        probabilities: float (n, C), each for itself.
        labels: bool (n, C).
        bins: Number of bins on [0, 1].
    """
    gaps = np.bincount(_cells(probabilities, bins), weights=(labels - probabilities).ravel())
    return float(np.abs(gaps).sum() / labels.size)


def one_vs_rest_limit(
    probabilities: NDArray[np.float64],
    bins: int,
    confidence_level: float,
    resamples: int,
    seed: int,
) -> float:
    """The one-vs-rest error that a perfectly calibrated model stays below; see `calibrated_limit`.

    Labels are drawn each for itself, and many rows of many labels with fewer resamples.
    """
    rng = np.random.default_rng(seed)
    cells = _cells(probabilities, bins)
    stated = probabilities.ravel()
    draws = int(np.clip(MOST_DRAWS // stated.size, min(FEWEST_RESAMPLES, resamples), resamples))
    errors = np.empty(draws)
    for i in range(draws):
        errors[i] = (
            np.abs(np.bincount(cells, weights=(rng.random(stated.size) < stated) - stated)).sum()
            / stated.size
        )
    return float(np.quantile(errors, confidence_level))


def _cells(probabilities: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    """A number for each bin of each label, int64 (n * C,)."""
    return (confidence_bins(probabilities, bins) + bins * np.arange(probabilities.shape[1])).ravel()

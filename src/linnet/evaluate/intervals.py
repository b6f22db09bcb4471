"""How sure a figure is: intervals of shares, of F1, of means, and of the difference of two models.

Knows counts and numbers alone. The bootstrap is the percentile method of Efron and Tibshirani 1993,
An Introduction to the Bootstrap, chapter 13.
"""

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import bdtr, ndtri
from scipy.stats import bootstrap

from linnet.wilson import wilson_interval

TINY = 1e-12  # in place of no variance at all
VALUES_AT_ONCE = 10_000_000  # bounds the memory of a bootstrap to some 100 MB


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and the two ends of its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two models on the same rows: how many both, one or none of them got right."""

    both: int
    only_first: int
    only_second: int
    neither: int

    @classmethod
    def count(cls, first: NDArray[np.bool_], second: NDArray[np.bool_]) -> "Agreement":
        """Count from each model's right answers, bool (n,)."""
        return cls(
            int((first & second).sum()),
            int((first & ~second).sum()),
            int((~first & second).sum()),
            int((~first & ~second).sum()),
        )


def proportion(successes: int, n: int, confidence_level: float) -> Estimate:
    """A share with its Wilson interval; a share of nothing is 0."""
    return Estimate(successes / n if n else 0.0, *wilson_interval(successes, n, confidence_level))


def share_or_none(successes: int, n: int, confidence_level: float) -> dict[str, float] | None:
    """A share with its Wilson interval, as a report has it; a share of nothing is None."""
    return asdict(proportion(successes, n, confidence_level)) if n else None


def bootstrap_mean(
    values: NDArray[np.float64], confidence_level: float, resamples: int, seed: int
) -> Estimate:
    """A mean, with its interval by resampling the rows."""
    if len(values) == 1:
        raise ValueError("A bootstrap needs at least two rows.")
    interval = bootstrap(
        (values,),
        np.mean,
        n_resamples=resamples,
        batch=max(1, VALUES_AT_ONCE // len(values)),
        confidence_level=confidence_level,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Estimate(float(values.mean()), float(interval.low), float(interval.high))


def bootstrap_f1(
    confusion: NDArray[np.int64], confidence_level: float, resamples: int, seed: int
) -> tuple[Estimate, list[Estimate]]:
    """Macro-F1 and each class's F1, with intervals by resampling the rows.

    F1 depends on the rows through the confusion matrix alone, and the matrix of rows drawn with
    replacement is a multinomial draw over its cells: so this is the bootstrap over rows, at the
    cost of the cells.

    Args:
        confusion: int (C, C), rows are labels, columns are predictions.
        confidence_level: Such as 0.95.
        resamples: Number of bootstrap resamples.
        seed: Of the draws.
    """
    n = int(confusion.sum())
    draws = np.random.default_rng(seed).multinomial
    shares = confusion.ravel() / n
    scores = np.stack(
        [f1_scores(draws(n, shares).reshape(confusion.shape)) for _ in range(resamples)]
    )
    observed = f1_scores(confusion)
    macro = percentile(float(np.nanmean(observed)), np.nanmean(scores, axis=1), confidence_level)
    columns = zip(np.nan_to_num(observed).tolist(), np.nan_to_num(scores).T, strict=True)
    return macro, [percentile(value, column, confidence_level) for value, column in columns]


def f1_scores(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """F1 of each class from a confusion matrix; NaN if neither present nor predicted."""
    rows = confusion.sum(axis=0) + confusion.sum(axis=1)
    scores = np.full(len(rows), np.nan)
    np.divide(2.0 * confusion.diagonal(), rows, out=scores, where=rows > 0)
    return scores


def paired_difference(agreement: Agreement, confidence_level: float) -> Estimate:
    """Accuracy of the first model less that of the second on the same rows.

    Newcombe's square-and-add interval: it joins the two Wilson intervals by the models'
    correlation, and holds its level also for few rows and for rare disagreement, where a bootstrap
    doesn't.

    Source: Newcombe 1998, Improved Confidence Intervals for the Difference between Binomial
    Proportions Based on Paired Data, Statistics in Medicine 17, method 10.

    Args:
        agreement: At least one row.
        confidence_level: Such as 0.95.
    """
    n = agreement.both + agreement.only_first + agreement.only_second + agreement.neither
    first = proportion(agreement.both + agreement.only_first, n, confidence_level)
    second = proportion(agreement.both + agreement.only_second, n, confidence_level)
    phi = _correlation(agreement, n)
    value = (agreement.only_first - agreement.only_second) / n
    below = _square_and_add(first.value - first.low, second.high - second.value, phi)
    above = _square_and_add(first.high - first.value, second.value - second.low, phi)
    return Estimate(value, value - below, value + above)


def largest_drop(agreement: Agreement, confidence_level: float) -> float:
    """The one-sided upper limit of the drop of accuracy from the first model to the second.

    It is negative where the second is shown to be the better one.

    The score interval of Tango, which holds its level also where the models hardly ever disagree,
    with half a row for continuity: without it, where nothing is known but that few rows differ, it
    is wrong up to 6.7 times in a hundred instead of 5 (`tests/evaluate/test_intervals.py` simulates
    it).

    Source: Tango 1998, Equivalence Test and Confidence Interval for the Difference in Proportions
    for the Paired-Sample Design, Statistics in Medicine 17.

    Args:
        agreement: At least one row.
        confidence_level: How often the true drop is below the limit, such as 0.95.
    """
    rows = agreement.both + agreement.only_first + agreement.only_second + agreement.neither
    critical = float(ndtri(confidence_level))
    low = (agreement.only_first - agreement.only_second) / rows
    if _drop_score(agreement.only_first, agreement.only_second, rows, 1.0) < critical:
        return 1.0
    limit: float = brentq(
        lambda drop: (
            _drop_score(agreement.only_first, agreement.only_second, rows, drop) - critical
        ),
        low,
        1.0,
    )
    return limit


def rows_to_show(agreement: Agreement, margin: float, confidence_level: float) -> int | None:
    """How many rows like these would bring `largest_drop` below a margin; None if none would.

    Args:
        agreement: At least one row.
        margin: Above 0.
        confidence_level: As for `largest_drop`.
    """
    rows = agreement.both + agreement.only_first + agreement.only_second + agreement.neither
    lost = agreement.only_first / rows
    won = agreement.only_second / rows
    if lost - won >= margin:
        return None
    critical = float(ndtri(confidence_level))
    needed = 1
    while _drop_score(lost * needed, won * needed, needed, margin) < critical:
        needed *= 2
    fewer = needed // 2
    while needed - fewer > 1:
        middle = (fewer + needed) // 2
        shown = _drop_score(lost * middle, won * middle, middle, margin) >= critical
        fewer, needed = (fewer, middle) if shown else (middle, needed)
    return needed


def most_disagreement(rows: int, margin: float, confidence_level: float) -> float:
    """The share of changed answers up to which `largest_drop` mostly passes equal models.

    With more it is above the margin more often than not.
    """
    return float(rows * (margin / ndtri(confidence_level)) ** 2)


def mcnemar_p(agreement: Agreement) -> float:
    """Exact two-sided p of "both models are equally often right".

    It uses the rows on which only one is right.

    Source: McNemar 1947, Note on the Sampling Error of the Difference between Correlated
        Proportions.
    """
    disagreements = agreement.only_first + agreement.only_second
    fewer = min(agreement.only_first, disagreements - agreement.only_first)
    return min(1.0, 2 * float(bdtr(fewer, disagreements, 0.5)))


def percentile(value: float, resampled: NDArray[np.float64], confidence_level: float) -> Estimate:
    """A figure, with the interval that the resampled figures, float (resamples,), span."""
    tail = (1 - confidence_level) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail]).tolist()
    return Estimate(value, low, high)


def _drop_score(lost: float, won: float, rows: int, drop: float) -> float:
    """By how many standard deviations the rows are below a drop.

    `lost` rows speak for it and `won` rows against.
    """
    a = 2 * rows
    c = -won * drop * (1 - drop)
    b = (2 * rows - lost + won) * drop - lost - won
    rarer = ((b * b - 4 * a * c) ** 0.5 - b) / (
        2 * a
    )  # the likeliest share of `won`, were the drop this one
    variance = rows * (2 * rarer + drop * (1 - drop))
    distance = rows * drop - (lost - won) - 0.5
    return float(distance / max(variance, TINY) ** 0.5)


def _correlation(agreement: Agreement, n: int) -> float:
    a = agreement.both
    b = agreement.only_first
    c = agreement.only_second
    d = agreement.neither
    product = (a + b) * (c + d) * (a + c) * (b + d)
    if product == 0:
        return 0.0
    covariance = float(a * d - b * c)
    if covariance > 0:  # Newcombe's continuity correction
        covariance = max(covariance - n / 2, 0.0)
    return float(covariance / product**0.5)


def _square_and_add(first: float, second: float, phi: float) -> float:
    return float(max(first**2 - 2 * phi * first * second + second**2, 0.0) ** 0.5)

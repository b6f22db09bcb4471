"""The interval of a share, for somebody who looks all the time and for somebody who looks once."""

from math import inf, lgamma, log, sqrt
from statistics import NormalDist

from linnet.monitor.evidence.mixture import last_inside

PRIOR = 0.5  # Jeffreys' prior, both for successes and for failures


def interval_at_any_look(successes: int, failures: int, alpha: float = 0.05) -> tuple[float, float]:
    """A confidence sequence of a share: it holds the truth at all looks together.

    It keeps each share that the Beta(1/2, 1/2) mixture has not rejected. The probability that
    the truth is ever outside is at most alpha.

    Source: Howard, Ramdas, McAuliffe and Sekhon 2021, Time-uniform, nonparametric, nonasymptotic
    confidence sequences, Annals of Statistics 49, section 3 (beta-binomial mixture).

    Args:
        successes: How many counted so far.
        failures: How many did not.
        alpha: The bound on the error rate.

    Returns:
        Low and high end; (0, 1) where nothing was counted.
    """
    n = successes + failures
    if n == 0:
        return 0.0, 1.0
    level = _log_beta(successes + PRIOR, failures + PRIOR) - _log_beta(PRIOR, PRIOR)

    def is_inside(share: float) -> bool:
        return level - _log_likelihood(successes, failures, share) < -log(alpha)

    share = successes / n
    return last_inside(is_inside, share, 0.0), last_inside(is_inside, share, 1.0)


def interval_of_one_look(successes: int, failures: int, alpha: float = 0.05) -> tuple[float, float]:
    """Wilson's score interval: right for one look that was fixed before.

    Source: Wilson 1927, Probable Inference, the Law of Succession, and Statistical Inference,
    Journal of the American Statistical Association 22.

    Args:
        successes: How many counted.
        failures: How many did not.
        alpha: The error rate.

    Returns:
        Low and high end; (0, 1) where nothing was counted.
    """
    n = successes + failures
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(1 - alpha / 2)
    share = successes / n
    centre = share + z * z / (2 * n)
    half_width = z * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    low = 0.0 if successes == 0 else (centre - half_width) / scale
    high = 1.0 if failures == 0 else (centre + half_width) / scale
    return low, high


def _log_likelihood(successes: int, failures: int, share: float) -> float:
    if (successes and share == 0.0) or (failures and share == 1.0):
        return -inf
    return (successes * log(share) if successes else 0.0) + (
        failures * log(1 - share) if failures else 0.0
    )


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)

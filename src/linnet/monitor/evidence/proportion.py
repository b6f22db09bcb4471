"""The interval of a share, for somebody who looks all the time and for somebody who looks once."""

from math import inf, lgamma, log

from linnet.monitor.evidence.mixture import last_inside
from linnet.wilson import wilson_interval

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
    """Wilson's score interval: right for one look that was fixed before; see `wilson_interval`.

    Args:
        successes: How many counted.
        failures: How many did not.
        alpha: The error rate.

    Returns:
        Low and high end; (0, 1) where nothing was counted.
    """
    return wilson_interval(successes, successes + failures, 1 - alpha)


def _log_likelihood(successes: int, failures: int, share: float) -> float:
    if (successes and share == 0.0) or (failures and share == 1.0):
        return -inf
    return (successes * log(share) if successes else 0.0) + (
        failures * log(1 - share) if failures else 0.0
    )


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)

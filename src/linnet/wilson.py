"""Wilson's interval of a share, for reports and for monitoring. Needs no other package."""

from math import sqrt
from statistics import NormalDist


def wilson_interval(successes: int, n: int, confidence_level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a share.

    It stays within [0, 1] and keeps its level near both ends. It is right for one look whose
    number of cases was fixed before.

    Source: Wilson 1927, Probable Inference, the Law of Succession, and Statistical Inference,
    Journal of the American Statistical Association 22.

    Args:
        successes: Cases that count.
        n: All cases.
        confidence_level: Such as 0.95.

    Returns:
        Low and high end; (0, 1) if there are no cases.
    """
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence_level) / 2)
    share = successes / n
    centre = share + z * z / (2 * n)
    half_width = z * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    low = 0.0 if successes == 0 else (centre - half_width) / scale
    high = 1.0 if successes == n else (centre + half_width) / scale
    return low, high

"""The logarithm of a weighted mean of evidence, and the search for the end of an interval."""

from collections.abc import Callable
from math import inf

import numpy as np
from numpy.typing import NDArray

BISECTIONS = 60  # halve the unit interval to less than 1e-18


def log_mean(log_values: NDArray[np.float64], weights: NDArray[np.float64] | None = None) -> float:
    """The logarithm of the weighted mean of the exponentials.

    Args:
        log_values: Float (n,); minus infinity is allowed. The mean of none is 0.
        weights: Float (n,), which sum to 1. None for equal weights.
    """
    if not len(log_values):
        return -inf
    if weights is None:
        weights = np.full(len(log_values), 1.0 / len(log_values))
    largest = float(log_values.max())
    if not np.isfinite(largest):
        return largest
    return largest + float(np.log(weights @ np.exp(log_values - largest)))


def last_inside(is_inside: Callable[[float], bool], inside: float, limit: float) -> float:
    """Bisect for the value between `inside` and `limit` at which `is_inside` becomes false.

    Args:
        is_inside: True near `inside`, and false from one place on.
        inside: A value for which it is true.
        limit: Where the search ends; returned if `is_inside` is true there.

    Returns:
        The nearest value found that is not inside, so that an interval is never too short.
    """
    if is_inside(limit):
        return limit
    outside = limit
    for _ in range(BISECTIONS):
        middle = (inside + outside) / 2
        if is_inside(middle):
            inside = middle
        else:
            outside = middle
    return outside

"""Exact confidence bounds of a share: how sure a finding in a sample is for all rows."""

import numpy as np
from scipy import special

LEVEL = 0.01  # chance of one or more false findings among all that were tested
SHARE = 0.95  # of the rows, at least, must have the label for it to be near-certain
ODDS = 5.0  # and its odds must be as many times those among all rows


def lower_bound(hits: np.ndarray, rows: np.ndarray, looked_at: int) -> np.ndarray:
    """One-sided Clopper-Pearson bound of a share, with Bonferroni's correction.

    Args:
        hits: int (n,).
        rows: Number of rows of each share, int (n,).
        looked_at: Number of shares that the level covers together.

    Returns:
        float (n,); 0 without a hit.
    """
    hits = np.asarray(hits, dtype=float)
    level = LEVEL / max(looked_at, 1)
    bound = special.betaincinv(np.maximum(hits, 1), rows - hits + 1, level)
    return np.asarray(np.where(hits > 0, bound, 0.0))


def is_near_certain(bound: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Whether a share of at least `bound` makes a label near-certain, bool (n,).

    Args:
        bound: Lower bounds of the shares, float (n,).
        base: Share of the label among all rows, float (n,).
    """
    return np.asarray((bound >= SHARE) & (bound * (1 - base) >= ODDS * base * (1 - bound)))

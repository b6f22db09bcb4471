"""How sure it is that what was seen of some rows holds for all: exact bounds of a share."""

import numpy as np
from scipy import special

LEVEL = 0.01  # chance of any false finding, all that were looked at together
SHARE = 0.95  # of the rows, at least, must have the label for it to be near-certain
ODDS = 5.0  # and its odds must be as many times those among all rows


def lower_bound(hits: np.ndarray, rows: np.ndarray, looked_at: int) -> np.ndarray:
    """One-sided Clopper-Pearson bound of a share, with Bonferroni's correction.

    Args:
        hits: int (n,).
        rows: Out of how many, int (n,).
        looked_at: How many shares the level is for, all together.

    Returns:
        float (n,); 0 where nothing hit.
    """
    hits = np.asarray(hits, dtype=float)
    level = LEVEL / max(looked_at, 1)
    bound = special.betaincinv(np.maximum(hits, 1), rows - hits + 1, level)
    return np.asarray(np.where(hits > 0, bound, 0.0))


def is_near_certain(bound: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Whether a share of at least `bound` settles a label that has the share `base` of all rows, bool (n,)."""
    return np.asarray((bound >= SHARE) & (bound * (1 - base) >= ODDS * base * (1 - bound)))

"""Which challenger a unit falls to. Knows nothing of models.

A unit is a request's key, or a text without one. A hash of the experiment and the unit is its place
in [0, 1), and each challenger has a slot there as long as its share. So an assignment needs no
store, and two experiments are independent of each other.

A slot only grows when its share grows. The first challenger's slot begins at 0 and grows up, the
second one's ends at 1 and grows down. Neither ever takes a unit from the other, because both
together have at most the whole. No such rule exists for three: a slot that ignores the other shares
must be the complement of each of the others. With more than two, the interval is therefore cut into
segments of equal length, one for two challengers. What a pair can't place in its segment goes into
the space that the other segments have left. Only units in such a place may move to another
challenger, when that one grows.
"""

import hashlib
from bisect import bisect_right
from collections.abc import Mapping, Sequence

from linnet.monitor.prediction_log.hashing import draw


class Slots:
    """The slots of the challengers of one experiment.

    Args:
        experiment: Its name, which salts the assignment.
        shares: Each challenger's share of all units; together at most 1. The order of names
            decides about their slots, not that of the mapping.
    """

    def __init__(self, experiment: str, shares: Mapping[str, float]):
        self._experiment = experiment
        self._pieces = _pieces([(name, shares[name]) for name in sorted(shares)])
        self._starts = [low for low, _, _ in self._pieces]

    def find(self, unit: str) -> str | None:
        """The challenger that a unit falls to; None: the champion."""
        if not self._pieces:
            return None
        place = draw(f"{self._experiment}\0{unit}")
        number = bisect_right(self._starts, place) - 1
        if number < 0:
            return None
        (_, high, name) = self._pieces[number]
        return name if place < high else None


def experiment_name(digests: Sequence[str]) -> str:
    """The name of an experiment that was given none: a hash of its challengers' digests."""
    return hashlib.blake2b("\0".join(sorted(digests)).encode(), digest_size=8).hexdigest()


def _pieces(shares: Sequence[tuple[str, float]]) -> list[tuple[float, float, str]]:
    """Start, end and challenger of each piece of the interval, in their order."""
    width = 1 / max(1, (len(shares) + 1) // 2)
    pieces = []
    gaps = []  # what each segment has left
    over = []  # shares for which their segment is too short
    for number, first in enumerate(range(0, len(shares), 2)):
        low = number * width
        high = low + width
        for place, (name, share) in enumerate(shares[first : first + 2]):
            length = min(share, high - low)
            piece = (low, low + length, name) if place == 0 else (high - length, high, name)
            pieces.append(piece)
            low, high = (piece[1], high) if place == 0 else (low, piece[0])
            over.append((name, share - length))
        gaps.append((low, high))
    for name, share in over:
        rest = share
        for number, (low, high) in enumerate(gaps):
            length = min(rest, high - low)
            pieces.append((low, low + length, name))
            gaps[number] = (low + length, high)
            rest -= length
    return sorted(piece for piece in pieces if piece[1] > piece[0])

"""Fair turns: no client that asks much keeps the others waiting. Knows nothing of texts or HTTP."""

from collections.abc import Iterable
from dataclasses import dataclass

# clients that have had more than their share, before those that no longer have are dropped
KEPT = 1000


@dataclass(eq=False, slots=True)
class Client:
    """Who asks, in one request.

    Attributes:
        share: Whose share of the service it uses: a key's id, or an address. All requests of one
            share wait for each other.
        begun: Texts of this request that a worker has begun to compute.
    """

    share: str = ""
    begun: int = 0


class Turns:
    """Whose turn it is: theirs who had the least work done, among those that wait.

    Goyal, Vin and Cheng 1996, "Start-time Fair Queuing: A Scheduling Algorithm for Integrated
    Services Packet Switching Networks". One number per share says how much it had. A share that
    comes, or comes again, begins with what the one served last had, so that nothing is saved up.
    """

    def __init__(self) -> None:
        self._had: dict[str, float] = {}
        self._floor = 0.0

    def next(self, waiting: Iterable[str]) -> str:
        """The share whose turn it is; of equal ones the first.

        Args:
            waiting: All shares that have work waiting, at least one.
        """
        share = min(waiting, key=self._had_by)
        self._floor = self._had_by(share)
        return share

    def charge(self, share: str, cost: float) -> None:
        """Count work that was begun for a share."""
        self._had[share] = self._had_by(share) + cost
        if len(self._had) > KEPT:
            self._had = {one: had for one, had in self._had.items() if had > self._floor}

    def clear(self) -> None:
        """Forget who had how much: call it when nothing waits."""
        if self._had:
            self._had = {}
            self._floor = 0.0

    @property
    def remembered(self) -> int:
        """How many shares have had more than the one that was served last, or did recently."""
        return len(self._had)

    def _had_by(self, share: str) -> float:
        return max(self._had.get(share, 0.0), self._floor)

"""A time of day to delete by: one wrong clock must not delete a whole log."""

import time
from collections.abc import Callable

DAY = 86_400.0


class SteadyClock:
    """The time of day. A jump ahead by more than a day is believed once it has lasted a day.

    Args:
        seen: The latest time that is known to have been, in seconds since 1970; None if none is.
        clock: Seconds since 1970.
        monotonic: Seconds that only grow.
    """

    def __init__(
        self,
        seen: float | None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ):
        self._clock = clock
        self._monotonic = monotonic
        now = clock()
        self._believed = now if seen is None else min(seen, now)
        self._at = monotonic()
        self._ahead_since: float | None = None

    def now(self) -> float:
        """Seconds since 1970."""
        told = self._clock()
        at = self._monotonic()
        expected = self._believed + at - self._at
        if told <= expected + DAY:
            self._ahead_since = None
        elif self._ahead_since is None:
            self._ahead_since = at
        lasted = self._ahead_since is not None and at - self._ahead_since >= DAY
        if lasted:
            self._ahead_since = None
        self._believed = told if self._ahead_since is None else expected
        self._at = at
        return self._believed

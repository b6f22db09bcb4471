"""Feedback that waits for the store, and those who wait for its fate."""

import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from linnet.errors import StorageError
from linnet.monitor.prediction_log.truth import REORDERED_SECONDS, Truth

MAX_FEEDBACK = 1000  # that waits
FEEDBACK_SECONDS = 5.0  # how long it waits for a store that fails


@dataclass(frozen=True, slots=True)
class Asked:
    """Feedback, the future that its giver waits for, and until when."""

    truth: Truth
    future: Future[bool]
    until: float


class WaitingFeedback:
    """Feedback in the order in which it came. The caller holds the lock of the log."""

    def __init__(self) -> None:
        self._asked: deque[Asked] = deque()
        self._time = 0.0

    def __len__(self) -> int:
        return len(self._asked)

    def now(self) -> float:
        """The time of new feedback: later than that before it, also after a small step back."""
        now = time.time()
        is_back = 0 <= self._time - now <= REORDERED_SECONDS
        self._time = self._time + 1e-6 if is_back else now
        return self._time

    def add(self, truth: Truth, future: Future[bool]) -> bool:
        """Let feedback wait; False if too much waits already."""
        if len(self._asked) >= MAX_FEEDBACK:
            return False
        self._asked.append(Asked(truth, future, time.monotonic() + FEEDBACK_SECONDS))
        return True

    def all(self) -> list[Asked]:
        """All that waits, the oldest first."""
        return list(self._asked)

    def remove(self, asked: Sequence[Asked]) -> None:
        """Remove the oldest, which are these."""
        for _ in asked:
            self._asked.popleft()

    def late(self, moment: float) -> list[Asked]:
        """What may not wait longer than until this moment of the monotonic clock."""
        return [one for one in self._asked if one.until <= moment]


def answer(asked: Sequence[Asked], known: Sequence[bool]) -> None:
    """Tell the givers of stored feedback whether its id is known."""
    for one, found in zip(asked, known, strict=True):
        if one.future.set_running_or_notify_cancel():
            one.future.set_result(found)


def refuse(asked: Sequence[Asked], message: str) -> None:
    """Tell the givers that their feedback was not stored."""
    for one in asked:
        if one.future.set_running_or_notify_cancel():
            one.future.set_exception(StorageError(message))

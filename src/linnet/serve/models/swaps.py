"""Swaps under way: few at once, each with a deadline, and given up when the service stops."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from linnet.serve.errors import APIError, DeadlineExceeded, NotReady

AT_ONCE = 2  # so that a candidate that hangs holds up no other; each needs memory for its models

T = TypeVar("T")


class Swaps:
    """Runs swaps. Of one event loop alone.

    Args:
        seconds: What one may take, the wait for its turn included.
    """

    def __init__(self, seconds: float):
        self._seconds = seconds
        self._room = asyncio.Semaphore(AT_ONCE)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._stopping = False

    async def run(self, swap: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The result of a swap, which cleans up behind itself where it is cancelled.

        Raises:
            APIError: The time is over, or the service stops.
        """
        if self._stopping:
            raise stopping()
        task = asyncio.create_task(self._in_turn(swap))
        self._tasks.add(task)
        try:
            await asyncio.wait([task], timeout=self._seconds)
        finally:
            task.cancel()  # nothing to one that is done
            self._tasks.discard(task)
        await asyncio.wait([task])
        if not task.cancelled():
            return task.result()
        if self._stopping:
            raise stopping()
        message = (
            f"The models were not ready within {self._seconds:g} s (serve.swap_timeout_seconds), "
            "so those at work go on. Allow more time, or put others to work."
        )
        raise DeadlineExceeded(message)

    async def stop(self) -> None:
        """Give up what is under way, and take no more."""
        self.give_up()
        if self._tasks:
            await asyncio.wait(set(self._tasks))

    def give_up(self) -> None:
        """As `stop`, without waiting until it has ended."""
        if not self._stopping:  # a second time would break off what cleans up
            self._stopping = True
            for task in self._tasks:
                task.cancel()

    async def _in_turn(self, swap: Callable[[], Coroutine[Any, Any, T]]) -> T:
        async with self._room:
            return await swap()


def stopping() -> APIError:
    """What is answered where the service stops first."""
    message = "The service is shutting down. Try again later."
    return NotReady(message)

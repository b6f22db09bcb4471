"""Texts are cleaned and encoded in their own thread, so that a long one blocks nobody."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Generic, TypeVar

from linnet.serve.models.fair import Turns

T = TypeVar("T")
R = TypeVar("R")
_Done = tuple[str, "asyncio.Future[R]", R | Exception | None]  # of a share; None: nobody waits
GATHER_SECONDS = 0.001  # that what is done may wait for more, before the loop is woken


class TokenizerThread(Generic[T, R]):
    """A thread that works off what it is given, each share in order and the shares in fair turns.

    The loop is woken once for all that is done meanwhile. `run_in_executor` wakes thread and loop
    for each, which costs more than reading a tweet does.

    Args:
        read: What the thread does with each.
    """

    def __init__(self, read: Callable[[T], R]):
        self._read = read
        # A share, work for it, the cost of that, and the future; None ends the thread.
        self._given: SimpleQueue[tuple[str, T, float, asyncio.Future[R]] | None] = SimpleQueue()
        self._since: dict[str, deque[float]] = {}  # of the loop alone; never an empty one
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="linnet-read", daemon=True)
        self._thread.start()

    def age(self, share: str = "") -> float:
        """Seconds that a share's oldest work has waited, or is being done; 0 if it has none."""
        since = self._since.get(share)
        return time.monotonic() - since[0] if since else 0.0

    def __call__(self, work: T, share: str = "", cost: float = 1.0) -> "asyncio.Future[R]":
        """Give work to the thread; the future resolves to what comes of it.

        Args:
            work: What to do.
            share: For whom it is done.
            cost: How much work it is, compared with other calls.
        """
        future: asyncio.Future[R] = self._loop.create_future()
        since = self._since.get(share)
        if since is None:
            since = self._since[share] = deque()
        since.append(time.monotonic())
        self._given.put((share, work, cost, future))
        return future

    def close(self) -> None:
        """End the thread when it has done what it was given."""
        self._given.put(None)

    def _run(self) -> None:
        lines: dict[str, deque[tuple[T, float, asyncio.Future[R]]]] = {}  # never an empty one
        turns = Turns()
        closed = False
        while not closed:
            closed = self._sort(lines, wait=True)
            done: list[_Done[R]] = []
            began = time.perf_counter()
            while lines:
                share = turns.next(lines) if len(lines) > 1 else next(iter(lines))
                work, cost, future = lines[share].popleft()
                if not lines[share]:
                    del lines[share]
                done.append((share, future, None if future.done() else self._do(work)))
                closed = self._sort(lines) or closed
                if len(lines) > (share in lines):
                    turns.charge(share, cost)  # as others wait
                elif not lines:
                    turns.clear()
                if time.perf_counter() - began > GATHER_SECONDS:
                    self._give(done)
                    done = []
                    began = time.perf_counter()
            self._give(done)

    def _sort(
        self,
        lines: dict[str, deque[tuple[T, float, "asyncio.Future[R]"]]],
        wait: bool = False,
    ) -> bool:
        """Put what was given into its share's line; says whether the thread is to end."""
        while wait or self._given.qsize():
            given = self._given.get()
            if given is None:
                return True
            share, work, cost, future = given
            line = lines.get(share)
            if line is None:
                line = lines[share] = deque()
            line.append((work, cost, future))
            wait = False
        return False

    def _do(self, work: T) -> R | Exception:
        try:
            return self._read(work)
        except Exception as error:
            return error
        except (
            BaseException
        ) as error:  # such as a panic of the tokenizer: it must not end the thread, and all reading
            return RuntimeError(f"{type(error).__name__}: {error}")

    def _give(self, done: "list[_Done[R]]") -> None:
        if done:
            with suppress(RuntimeError):  # the loop is closed, and nobody waits any more
                self._loop.call_soon_threadsafe(self._resolve, done)

    def _resolve(self, done: "list[_Done[R]]") -> None:
        for share, future, result in done:
            since = self._since[share]
            since.popleft()
            if not since:
                del self._since[share]
            if future.done():
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)  # type: ignore[arg-type]

"""Texts are cleaned and encoded in a thread of their own, so that a long one keeps no other request waiting."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")
GATHER_SECONDS = 0.001  # that what is done may wait for more, before the loop is woken


class Reader(Generic[T, R]):
    """A thread that works off what it is given, in order; the loop is woken once for all that is done meanwhile.

    `run_in_executor` wakes thread and loop for each, which costs more than reading a tweet does.

    Args:
        read: What the thread does with each.
    """

    def __init__(self, read: Callable[[T], R]):
        self._read = read
        self._waiting: deque[tuple[T, asyncio.Future[R], float]] = deque()
        self._given = threading.Semaphore(0)
        self._closed = False
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="linnet-read", daemon=True)
        self._thread.start()

    @property
    def age(self) -> float:
        """Seconds that the oldest work has waited, or is being done; 0 where there is none."""
        try:
            return time.monotonic() - self._waiting[0][2]
        except IndexError:  # the thread has just done it
            return 0.0

    def __call__(self, work: T) -> "asyncio.Future[R]":
        """Give work to the thread; the future resolves to what comes of it."""
        future: asyncio.Future[R] = self._loop.create_future()
        self._waiting.append((work, future, time.monotonic()))
        if len(self._waiting) == 1:
            self._given.release()
        return future

    def close(self) -> None:
        """End the thread when it has done what it was given."""
        self._closed = True
        self._given.release()

    def _run(self) -> None:
        while not self._closed:
            self._given.acquire()
            done: list[tuple[asyncio.Future[R], R | Exception]] = []
            since = time.perf_counter()
            while self._waiting:
                work, future, _ = self._waiting[0]
                if not future.done():
                    done.append((future, self._do(work)))
                self._waiting.popleft()  # only now: what is given while this is under way needs no waking
                if time.perf_counter() - since > GATHER_SECONDS:
                    self._give(done)
                    done, since = [], time.perf_counter()
            self._give(done)

    def _do(self, work: T) -> R | Exception:
        try:
            return self._read(work)
        except Exception as error:
            return error
        except (
            BaseException
        ) as error:  # such as a panic of the tokenizer: it must not end the thread, and all reading
            return RuntimeError(f"{type(error).__name__}: {error}")

    def _give(self, done: "list[tuple[asyncio.Future[R], R | Exception]]") -> None:
        if done:
            with suppress(RuntimeError):  # the loop is closed, and nobody waits any more
                self._loop.call_soon_threadsafe(_resolve, done)


def _resolve(done: "list[tuple[asyncio.Future[R], R | Exception]]") -> None:
    for future, result in done:
        if future.done():
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)

"""The way in for texts: room is checked, a thread reads them, and they wait for their arm."""

import asyncio
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from linnet.errors import TextError
from linnet.predict.stages import Encodings
from linnet.serve.errors import APIError, Overloaded
from linnet.serve.models.arms import Arm
from linnet.serve.models.fair import Client
from linnet.serve.models.items import ReadTexts, TextsToRead, read_texts
from linnet.serve.models.tokenizer_thread import TokenizerThread
from linnet.serve.models.workers import Answer, QueueFull

TEXT_COST = 200  # characters that cost about as much to read as a text does by itself

T = TypeVar("T")


class Intake:
    """Reads texts in a thread and puts them into the queues of their arms. Of one event loop.

    Args:
        max_wait_seconds: How long a share's oldest text may have waited for the thread.
    """

    def __init__(self, max_wait_seconds: float):
        self._max_wait_seconds = max_wait_seconds
        self._reader: TokenizerThread[TextsToRead, ReadTexts] = TokenizerThread(read_texts)

    def close(self) -> None:
        """End the thread when it has read what it was given."""
        self._reader.close()

    def check_room(self, arm: Arm, share: str) -> None:
        """Pass if a share's text has room, both at the thread and in the arm's queue.

        Raises:
            APIError: There is none, or the arm has no worker.
        """
        age = self._reader.age(share)
        if age > self._max_wait_seconds:
            raise _full(age)
        with_room(lambda: arm.pool.check(share))

    def read(
        self, texts: Sequence[str], arms: Sequence[Arm], share: str
    ) -> "asyncio.Future[ReadTexts]":
        """Read a share's texts, each for its arm."""
        return self._reader((texts, arms), share, sum(map(len, texts)) + TEXT_COST * len(texts))

    def put(
        self,
        read: ReadTexts,
        chosen: Sequence[Arm],
        waiting: "dict[int, asyncio.Future[Answer]]",
        client: Client,
    ) -> dict[Arm, APIError]:
        """Let the texts that can be used wait for their arms, each in `waiting` under its index.

        Returns:
            The arms that have no room for their texts, and why.
        """
        refused = {}
        for arm in dict.fromkeys(chosen):
            mine = [
                i
                for i, encoded in enumerate(read)
                if chosen[i] is arm and not isinstance(encoded, TextError)
            ]
            if mine:
                texts: list[Encodings] = [read[i] for i in mine]  # type: ignore[misc]
                try:
                    futures = with_room(partial(arm.pool.classify, texts, client))
                except APIError as refusal:
                    refused[arm] = refusal
                else:
                    waiting.update(zip(mine, futures, strict=True))
        return refused


def with_room(put: Callable[[], T]) -> T:
    """The result of a call that may find a queue full.

    Raises:
        APIError: It did.
    """
    try:
        return put()
    except QueueFull as full:
        raise _full(full.retry_after) from None


@contextmanager
def in_use(arms: Set[Arm]) -> Iterator[None]:
    """Keep models at work while the block runs, also where a swap puts others in their place."""
    for arm in arms:
        arm.pool.users += 1
    try:
        yield
    finally:
        for arm in arms:
            arm.pool.users -= 1


def _full(retry_after: float) -> APIError:
    seconds = max(1, round(retry_after + 0.5))
    message = (
        f"The service is full. Send the request again in {seconds} s, and fewer of them at once."
    )
    return Overloaded(message, seconds)

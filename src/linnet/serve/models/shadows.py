"""Shadows: models that see a share of the texts, and whose answers only the log and metrics get."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import partial
from typing import Any

from linnet.errors import TextError
from linnet.monitor.prediction_log.hashing import draw
from linnet.serve.errors import APIError, NotReady
from linnet.serve.models.arms import Arm
from linnet.serve.models.fair import Client
from linnet.serve.models.intake import Intake, in_use, with_room
from linnet.serve.models.items import Item, TextRequest, settled, to_item
from linnet.serve.models.workers import Answer


class Shadows:
    """Asks shadows about texts that another arm has answered.

    Args:
        intake: The way in for texts.
        on_item: Called once with the outcome of every text that a shadow was asked about.
    """

    def __init__(self, intake: Intake, on_item: Callable[[Item], None]):
        self._intake = intake
        self._on_item = on_item

    def ask(self, request: TextRequest, share: str) -> Iterator[Coroutine[Any, Any, None]]:
        """The work for each shadow that gets some of the texts; the caller runs it.

        Args:
            request: Whose texts another arm has answered.
            share: Whose texts they are.
        """
        for arm in request.arms.shadows:
            indices = [
                index
                for index, text in enumerate(request.texts)
                if draw(f"{arm.name} {text}") < arm.share
            ]
            if indices:
                yield self._ask(arm, request, indices, share)

    async def _ask(self, arm: Arm, request: TextRequest, indices: list[int], share: str) -> None:
        """Ask a shadow. If it has no room, or no answer, only the log and the metrics know."""
        left = dict.fromkeys(indices)  # not accounted yet
        try:
            # Before its texts cost the others the time to read them.
            self._intake.check_room(arm, share)
            with in_use({arm}):
                async for item in self._answers(arm, request, indices, share):
                    del left[item.index]
                    self._on_item(item)
        except asyncio.CancelledError:
            self._lose(arm, request, left, NotReady("The service stops."))
            raise
        except APIError as refusal:
            self._lose(arm, request, left, refusal)

    def _lose(
        self, arm: Arm, request: TextRequest, left: dict[int, None], refusal: APIError
    ) -> None:
        for index in left:
            self._on_item(to_item(request, index, arm, refusal, shadow=True))

    async def _answers(
        self, arm: Arm, request: TextRequest, indices: list[int], share: str
    ) -> AsyncIterator[Item]:
        client = Client(share)
        texts = [request.texts[index] for index in indices]
        read = await self._intake.read(texts, [arm] * len(texts), share)
        for index, encoded in zip(indices, read, strict=True):
            if isinstance(encoded, TextError):
                yield to_item(request, index, arm, encoded, shadow=True)
                continue
            outcome: Answer | APIError
            try:
                (future,) = with_room(partial(arm.pool.classify, [encoded], client))
                outcome = await settled(future)
            except APIError as refusal:
                outcome = refusal
            yield to_item(request, index, arm, outcome, encodings=encoded, shadow=True)

"""Shadows: models that see a share of the texts, and whose answers only the log and metrics get."""

from collections.abc import Callable, Coroutine, Iterator, Sequence
from functools import partial
from typing import Any

from linnet.errors import TextError
from linnet.serve.errors import APIError
from linnet.serve.models.arms import Arm, Arms, draw
from linnet.serve.models.fair import Client
from linnet.serve.models.intake import Intake, in_use, with_room
from linnet.serve.models.items import Item, settled, to_item
from linnet.serve.models.workers import Answer


class Shadows:
    """Asks shadows about texts that another arm has answered.

    Args:
        intake: The way in for texts.
        on_item: Called for every text with its item, the text, and True.
    """

    def __init__(self, intake: Intake, on_item: Callable[[Item, str, bool], None]):
        self._intake = intake
        self._on_item = on_item

    def ask(
        self, arms: Arms, texts: Sequence[str], identity: str, share: str
    ) -> Iterator[Coroutine[Any, Any, None]]:
        """The work for each shadow that gets some of the texts; the caller runs it.

        Args:
            arms: The models at work.
            texts: Of one request.
            identity: Of the request; an answer's id is this and the text's index.
            share: Whose texts they are.
        """
        for arm in arms.shadows:
            mine = [
                (index, text)
                for index, text in enumerate(texts)
                if draw(f"{arm.name} {text}") < arm.share
            ]
            if mine:
                yield self._ask(arm, mine, identity, share)

    async def _ask(self, arm: Arm, texts: list[tuple[int, str]], identity: str, share: str) -> None:
        """Ask a shadow. If it has no room, or no answer, only the log and the metrics know."""
        try:
            self._intake.check_room(arm, share)
        except APIError as refusal:  # before its texts cost the others the time to read them
            for index, text in texts:
                self._on_item(Item(f"{identity}-{index}", arm, 0, error=refusal), text, True)
            return
        with in_use({arm}):
            await self._ask_with_room(arm, texts, identity, share)

    async def _ask_with_room(
        self, arm: Arm, texts: list[tuple[int, str]], identity: str, share: str
    ) -> None:
        client = Client(share)
        read = await self._intake.read([text for _, text in texts], [arm] * len(texts), share)
        for (index, text), encoded in zip(texts, read, strict=True):
            if isinstance(encoded, TextError):
                continue  # the other arm's item says so
            outcome: Answer | APIError
            try:
                (future,) = with_room(partial(arm.pool.classify, [encoded], client))
                outcome = await settled(future)
            except APIError as refusal:
                outcome = refusal
            item = to_item(f"{identity}-{index}", arm, encoded, outcome)
            self._on_item(item, text, True)

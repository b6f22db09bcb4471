"""The texts of a request, each on its way to an answer or to the reason why there is none."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from linnet.errors import TextError
from linnet.predict.codec import Codec
from linnet.predict.stages import Encodings
from linnet.serve.errors import APIError
from linnet.serve.models.arms import Arm
from linnet.serve.models.workers import Answer

TextsToRead = tuple[Sequence[str], Sequence[Arm]]  # texts, and the arm of each
ReadTexts = list[Encodings | TextError]


@dataclass(frozen=True, slots=True)
class Item:
    """What became of one text of a request.

    Attributes:
        id: Names the answer, for feedback.
        arm: Who was asked.
        tokens: Of the text, as the model reads it.
        answer: The answer; None where there is an error.
        error: Why there is no answer.
    """

    id: str
    arm: Arm
    tokens: int
    answer: Answer | None = None
    error: TextError | APIError | None = None


def read_texts(work: TextsToRead) -> ReadTexts:
    """Each text as its arm's model reads it, or why it can't."""
    texts, arms = work
    read: list[Encodings | TextError | None] = [None] * len(texts)
    for arm in dict.fromkeys(arms):
        codec = arm.pool.codec
        cleaned = {}
        for index in (i for i, one in enumerate(arms) if one is arm):
            try:
                cleaned[index] = codec.clean(texts[index])
            except TextError as error:
                read[index] = TextError(error.reason, f"Text {index}: {error}", index)
        for index, encoded in zip(cleaned, _encoded(codec, list(cleaned.values())), strict=True):
            if isinstance(encoded, TextError):
                encoded = TextError(encoded.reason, f"Text {index}: {encoded}", index)
            read[index] = encoded
    return [one for one in read if one is not None]


def _encoded(codec: Codec, texts: list[str]) -> list[Encodings | TextError]:
    """The token ids of clean texts, or why there are none."""
    try:
        return [*codec.encode(texts)]
    except TextError as error:
        if len(texts) == 1:
            return [error]
        return [one for text in texts for one in _encoded(codec, [text])]


def to_item(name: str, arm: Arm, encoded: Encodings, found: Answer | APIError) -> Item:
    """What became of a text that a model was asked about."""
    tokens = len(encoded[0].ids)
    return (
        Item(name, arm, tokens, found)
        if isinstance(found, Answer)
        else Item(name, arm, tokens, error=found)
    )


async def settled(future: "asyncio.Future[Answer]") -> Answer | APIError:
    """The answer, or the failure in its place."""
    try:
        return await future
    except APIError as refusal:
        return refusal

"""The texts of a request, each on its way to an answer or to the reason why there is none."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from linnet.errors import TextError
from linnet.predict.stages import Encodings
from linnet.serve.errors import APIError
from linnet.serve.models.arms import Arm, Arms
from linnet.serve.models.workers import Answer

TextsToRead = tuple[Sequence[str], Sequence[Arm]]  # texts, and the arm of each
ReadTexts = list[Encodings | TextError]


# Frozen ones would take 3 us more for each text to make.
@dataclass(eq=False, slots=True)
class TextRequest:
    """A request of texts, and who is asked about each.

    Attributes:
        id: Names the request; an answer's id is this, "-" and the text's index.
        texts: Raw texts.
        arms: The models at work when it came, with their shares.
        chosen: The arm of each text.
        named: Whether the client named the arm, so that no share decided.
        key: What decided the arm in place of the text, such as a user's id.
    """

    id: str
    texts: Sequence[str]
    arms: Arms
    chosen: Sequence[Arm]
    named: bool = False
    key: str | None = None


@dataclass(eq=False, slots=True)
class Item:
    """The outcome of one text at one arm.

    Attributes:
        id: Names the answer, for feedback. A shadow's has the id of the answer that was returned.
        request: The request of the text.
        index: The text's place in it.
        arm: Who was asked.
        encodings: The text as the model reads it; empty if it was not read.
        seconds: From the text's place in the queue to its answer, or to when it was given up.
        answer: The answer; None if there is an error.
        error: Why there is no answer.
        shadow: Whether the answer is for the log alone.
    """

    id: str
    request: TextRequest
    index: int
    arm: Arm
    encodings: Encodings = ()
    seconds: float = 0.0
    answer: Answer | None = None
    error: TextError | APIError | None = None
    shadow: bool = False

    @property
    def text(self) -> str:
        """The raw text."""
        return self.request.texts[self.index]

    @property
    def unit(self) -> str:
        """What the arm was chosen by: the request's key, or the text."""
        key = self.request.key
        return self.text if key is None else key

    @property
    def tokens(self) -> int:
        """Of the text, as the model reads it; 0 if it was not read."""
        return len(self.encodings[0].ids) if self.encodings else 0

    @property
    def code(self) -> str:
        """The outcome: answered, abstained, or the failure's code."""
        if self.error is not None:
            return self.error.code
        assert self.answer is not None
        return "abstained" if self.answer.prediction.abstained else "answered"


def read_texts(work: TextsToRead) -> ReadTexts:
    """Each text as its arm's model reads it, or why it can't."""
    texts, arms = work
    outcomes: dict[int, Encodings | TextError] = {}
    for arm in dict.fromkeys(arms):
        places = [index for index, one in enumerate(arms) if one is arm]
        read = arm.pool.codec.read([texts[index] for index in places])
        for index, one in zip(places, read, strict=True):
            outcomes[index] = one.at(index) if isinstance(one, TextError) else one
    return [outcomes[index] for index in range(len(texts))]


def to_item(
    request: TextRequest,
    index: int,
    arm: Arm,
    outcome: Answer | APIError | TextError,
    *,
    encodings: Encodings = (),
    seconds: float = 0.0,
    shadow: bool = False,
) -> Item:
    """The outcome of a text; an answer says itself how long it took."""
    name = f"{request.id}-{index}"
    if isinstance(outcome, Answer):
        took = outcome.answered - outcome.entered
        return Item(name, request, index, arm, encodings, took, outcome, None, shadow)
    return Item(name, request, index, arm, encodings, seconds, None, outcome, shadow)


async def settled(future: "asyncio.Future[Answer]") -> Answer | APIError:
    """The answer, or the failure in its place."""
    try:
        return await future
    except APIError as refusal:
        return refusal

"""One request of texts, from its arrival to the outcome of each text.

Every text is accounted to its arm exactly once. If the request fails as a whole, the arm that
made it fail is told apart from the others: their texts get the code `other_text_failed`, so a
slow or full challenger never looks like a fault of the champion that shared its request.
"""

import asyncio
import time
from collections.abc import Callable

from linnet.errors import TextError
from linnet.serve.errors import CLIENT_LEFT, APIError, DeadlineExceeded, NotReady
from linnet.serve.models.arms import Arm
from linnet.serve.models.fair import Client
from linnet.serve.models.intake import Intake, in_use
from linnet.serve.models.items import Item, ReadTexts, TextRequest, settled, to_item
from linnet.serve.models.workers import Answer

OTHER_TEXT_FAILED = "other_text_failed"


class Answering:
    """Gets the answers to the texts of one request.

    Args:
        request: The request.
        intake: The way in for texts.
        client: Who asks.
        on_item: Called once with the outcome of each text, also if the request fails.
    """

    def __init__(
        self, request: TextRequest, intake: Intake, client: Client, on_item: Callable[[Item], None]
    ):
        self._request = request
        self._intake = intake
        self._client = client
        self._on_item = on_item
        self._refused: dict[Arm, APIError] = {}  # arms without room
        self._read: ReadTexts = []
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._since = 0.0  # when the texts were put into their queues; 0 before

    async def run(self, seconds: float) -> list[Item]:
        """The outcome of each text, in order, within so many seconds.

        Raises:
            APIError: There is no room, or the time is over; the texts are accounted.
        """
        try:
            answers = await self._answers(seconds)
        except BaseException as error:
            for item in self._lost(_failure(error)):
                self._on_item(item)
            raise
        finally:
            for future in self._waiting.values():
                future.cancel()  # of a client that left; nothing to those that are done
        request = self._request
        now = time.monotonic()
        items = []
        for index, (arm, encoded) in enumerate(zip(request.chosen, self._read, strict=True)):
            if isinstance(encoded, TextError):
                item = to_item(request, index, arm, encoded)
            else:
                took = now - self._since
                item = to_item(request, index, arm, answers[index], encodings=encoded, seconds=took)
            items.append(item)
            self._on_item(item)
        return items

    async def _answers(self, seconds: float) -> dict[int, Answer | APIError]:
        request = self._request
        share = self._client.share
        arms = dict.fromkeys(request.chosen)
        for arm in arms:
            try:
                self._intake.check_room(arm, share)
            except APIError as refusal:
                self._refused[arm] = refusal
        self._raise_refused()
        try:
            with in_use(arms.keys()):
                async with asyncio.timeout(seconds):
                    self._read = await self._intake.read(request.texts, request.chosen, share)
                    self._since = time.monotonic()
                    self._refused = self._intake.put(
                        self._read, request.chosen, self._waiting, self._client
                    )
                    self._raise_refused()
                    return {index: await settled(one) for index, one in self._waiting.items()}
        except TimeoutError:
            message = (
                f"No answer within {seconds:g} s. Try again later, or ask for more time with "
                "X-Request-Timeout."
            )
            raise DeadlineExceeded(message) from None

    def _raise_refused(self) -> None:
        for refusal in self._refused.values():
            raise refusal

    def _lost(self, failure: APIError) -> list[Item]:
        """The outcome of each text of a request that failed."""
        request = self._request
        waited = time.monotonic() - self._since if self._since else 0.0
        items = []
        for index, arm in enumerate(request.chosen):
            encoded = self._read[index] if self._read else ()
            if isinstance(encoded, TextError):
                items.append(to_item(request, index, arm, encoded))
                continue
            (outcome, seconds) = self._lost_outcome(index, arm, failure, waited)
            items.append(to_item(request, index, arm, outcome, encodings=encoded, seconds=seconds))
        return items

    def _lost_outcome(
        self, index: int, arm: Arm, failure: APIError, waited: float
    ) -> tuple[APIError, float]:
        """Why a text of a failed request has no answer, and the seconds that it took."""
        message = "Another text of the request made it fail."
        other = APIError(failure.status_code, OTHER_TEXT_FAILED, message)
        if self._refused:
            return self._refused.get(arm, other), waited
        future = self._waiting.get(index)
        # The future that a request waits for is cancelled with it.
        if future is None or not future.done() or future.cancelled():
            return failure, waited
        error = future.exception()
        if isinstance(error, APIError):
            return error, waited
        answer = future.result()
        outcome = other if isinstance(failure, DeadlineExceeded) else failure
        return outcome, answer.answered - answer.entered


def _failure(error: BaseException) -> APIError:
    """What a request failed with, as it is counted."""
    if isinstance(error, APIError):
        return error
    if isinstance(error, asyncio.CancelledError):
        if CLIENT_LEFT[1] in error.args:
            return APIError(*CLIENT_LEFT)
        return NotReady("The service stops.")
    return APIError(500, "internal_error", "This is a defect of Linnet.")

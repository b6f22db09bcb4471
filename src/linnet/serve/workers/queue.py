"""What waits for a worker: bounded by tokens and by time, taken oldest first together with what is about as long."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from linnet.predict import Prediction
from linnet.predict.batching import BATCH_COST, FEW, token_budget_batches
from linnet.predict.stages import Encodings

SMOOTHING = 0.1  # the weight of the latest batch in the speed that waits are estimated by
# Times the wait that is estimated the oldest may really have waited. At 1, a queue that was filled at once would let
# nothing in until it is empty.
LATE = 2
FEWEST = (
    3 * BATCH_COST
)  # tokens that a batch may have in any case: fewer cost mostly what a batch costs by itself
TELLING = 4  # times what a batch costs by itself its tokens must be, to tell how fast batches are


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one text.

    Attributes:
        prediction: The answer.
        entered: When it came, in seconds of `time.monotonic`.
        waited: Seconds in the queue.
        computed: Seconds that its batch took.
    """

    prediction: Prediction
    entered: float
    waited: float
    computed: float


@dataclass(eq=False, slots=True)
class Job:
    """Something to ask a worker.

    Attributes:
        tokens: How much work it is.
        encodings: Of a text to classify; several such jobs make one message.
        message: Of a job that goes alone, the message itself; None for a text to classify.
        entered: When it came, by the queue's clock.
        done: Resolves to an `Answer`, or to the reply where it went alone. Cancelled, it is not computed any more.
    """

    tokens: int
    encodings: Encodings = ()
    message: dict[str, Any] | None = None
    entered: float = 0.0
    done: "asyncio.Future[Any]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Full(Exception):
    """There is no room in a queue.

    Args:
        retry_after: Seconds after which there likely is.
    """

    def __init__(self, retry_after: float):
        super().__init__(f"no room in the queue for about {retry_after:.1f} s")
        self.retry_after = retry_after


class Queue:
    """Jobs in their order of arrival. Of one event loop alone.

    Args:
        max_tokens: Of all jobs together.
        max_wait: Seconds after which a job that comes now must be likely to have begun.
        max_batch_tokens: Of one batch, padding included; a longer text goes alone.
        clock: Seconds that never go back.

    Attributes:
        tokens: Of all jobs that wait.
        computing: Jobs that were taken, and are not computed yet.
    """

    def __init__(
        self,
        max_tokens: int,
        max_wait: float,
        max_batch_tokens: int,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._max_tokens, self._max_wait, self._max_batch_tokens = (
            max_tokens,
            max_wait,
            max_batch_tokens,
        )
        self._clock, self._jobs = clock, deque[Job]()
        self._filled, self._speed = asyncio.Event(), 0.0
        self.computing = self.tokens = 0

    def __len__(self) -> int:
        return len(self._jobs)

    @property
    def age(self) -> float:
        """Seconds that the oldest job has waited; 0 of an empty queue."""
        return self._clock() - self._jobs[0].entered if self._jobs else 0.0

    @property
    def wait(self) -> float:
        """Seconds that a job which comes now is likely to wait, by how fast the latest batches were; 0 if unknown."""
        return self.tokens / self._speed if self._speed else 0.0

    def check(self, tokens: int = 1) -> None:
        """Pass if there is room. An empty queue has room for anything, else a long list could never be answered.

        Raises:
            Full: There is none.
        """
        self._forget()
        wait = max(self.wait, self.age / LATE)
        if self._jobs and (self.tokens + tokens > self._max_tokens or wait > self._max_wait):
            raise Full(wait)

    def put(self, jobs: Sequence[Job]) -> None:
        """Let jobs wait, all or none of them.

        Raises:
            Full: There is no room.
        """
        tokens = sum(job.tokens for job in jobs)
        self.check(tokens)
        now = self._clock()
        for job in jobs:
            job.entered = now
        self._jobs.extend(jobs)
        self.tokens += tokens
        self._filled.set()

    async def take(self, workers: int = 1) -> list[Job]:
        """The next batch, once there is one: the oldest job and what is most like it in length, in the order of age.

        It leaves the others of so many workers their share of what waits. Whoever takes it says `computed` when it is.
        """
        while True:
            self._forget()
            if self._jobs:
                batch = self._batch(workers)
                self.computing += len(batch)
                return batch
            self._filled.clear()
            await self._filled.wait()

    def computed(self, jobs: Sequence[Job], seconds: float, workers: int) -> None:
        """Learn how long a batch took, where so many workers compute at once; a small one tells no speed."""
        self.computing -= len(jobs)
        tokens = sum(job.tokens for job in jobs)
        if tokens >= TELLING * BATCH_COST:
            speed = workers * tokens / max(seconds, 1e-6)
            self._speed += SMOOTHING * (speed - self._speed) if self._speed else speed

    def failed(self, jobs: Sequence[Job]) -> None:
        """Know that a batch won't be computed."""
        self.computing -= len(jobs)

    def fail(self, error: Exception) -> None:
        """Answer everything that waits with an error."""
        for job in self._jobs:
            if not job.done.done():
                job.done.set_exception(error)
        self._jobs.clear()
        self.tokens = 0

    def _forget(self) -> None:
        """Drop, from the front, jobs that nobody waits for any more."""
        while self._jobs and self._jobs[0].done.done():
            self.tokens -= self._jobs.popleft().tokens

    def _batch(self, workers: int) -> list[Job]:
        oldest = self._jobs[0]
        waiting = [job for job in self._jobs if not job.done.done()]
        chosen = (
            {oldest} if oldest.message is not None else set(self._like(oldest, waiting, workers))
        )
        self._jobs = deque(job for job in waiting if job not in chosen)
        self.tokens = sum(job.tokens for job in self._jobs)
        return [job for job in waiting if job in chosen]

    def _like(self, oldest: Job, waiting: Sequence[Job], workers: int) -> list[Job]:
        """The batch that a job is in where what waits is split at the least cost; of many the nearest in length."""
        texts = [job for job in waiting if job.message is None]
        share = max(sum(job.tokens for job in texts) // workers, FEWEST)
        if len(texts) > FEW:
            texts = sorted(texts, key=lambda job: abs(job.tokens - oldest.tokens))[
                :FEW
            ]  # stable: it is the first
        place = texts.index(oldest)
        batches = token_budget_batches(
            [job.tokens for job in texts], min(share, self._max_batch_tokens)
        )
        return next([texts[i] for i in batch] for batch in batches if place in batch)

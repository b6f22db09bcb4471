"""What waits for a worker:

bounded by tokens and by time, taken in fair turns together with what is about as long.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from linnet.predict import Prediction
from linnet.predict.batching import BATCH_COST, FEW, token_budget_batches
from linnet.predict.stages import Encodings
from linnet.serve.models.fair import Client, Turns

SMOOTHING = 0.1  # the weight of the latest batch in the speed that waits are estimated by
# Times the wait that is estimated the oldest may really have waited. At 1, a queue that was filled
# at once would let nothing in until it is empty.
LATE = 2
FEWEST = (
    3 * BATCH_COST
)  # tokens that a batch may have in any case: fewer cost mostly what a batch costs by itself
# Times as many tokens as one share may have waiting, that all shares together may.
ROOM_FOR_OTHERS = 2
TELLING = 4  # times what a batch costs by itself its tokens must be, to tell how fast batches are


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one text.

    Attributes:
        prediction: The answer.
        entered: When it came, in seconds of `time.monotonic`.
        waited: Seconds in the queue.
        computed: Seconds that its batch took.
        answered: When the answer was there, as `entered`.
    """

    prediction: Prediction
    entered: float
    waited: float
    computed: float
    answered: float


@dataclass(eq=False, slots=True)
class Job:
    """Something to ask a worker.

    Attributes:
        tokens: How much work it is.
        client: Who asks.
        texts: How many texts are computed for it.
        encodings: Of a text to classify; several such jobs make one message.
        message: Of a job that goes alone, the message itself; None for a text to classify.
        entered: When it came, by the queue's clock.
        taken: Whether a worker has begun it.
        done: Resolves to an `Answer`, or to the reply where it went alone. Cancelled, it is not
            computed any more.
    """

    tokens: int
    client: Client = field(default_factory=Client)
    texts: int = 1
    encodings: Encodings = ()
    message: dict[str, Any] | None = None
    entered: float = 0.0
    taken: bool = False
    done: "asyncio.Future[Any]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class QueueFull(Exception):
    """There is no room in a queue.

    Args:
        retry_after: Seconds after which there likely is.
    """

    def __init__(self, retry_after: float):
        super().__init__(f"no room in the queue for about {retry_after:.1f} s")
        self.retry_after = retry_after


class Queue:
    """Jobs in their order of arrival, and whose turn it is. Of one event loop alone.

    A share that has filled the queue leaves room for the others: up to as much again may be put by
    shares that have nothing in it, or little.

    Args:
        max_tokens: Of all jobs of a share together.
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
        self._max_tokens = max_tokens
        self._max_wait = max_wait
        self._max_batch_tokens = max_batch_tokens
        self._clock = clock
        self._jobs = deque[Job]()
        self._lines: dict[
            str, deque[Job]
        ] = {}  # the same by share; what is over leaves at the front
        self._held: dict[str, int] = {}  # tokens by share
        self._turns = Turns()
        self._filled = asyncio.Event()
        self._speed = 0.0
        self.computing = self.tokens = 0

    def __len__(self) -> int:
        return len(self._jobs)

    @property
    def age(self) -> float:
        """Seconds that the oldest job has waited; 0 of an empty queue."""
        return self._clock() - self._jobs[0].entered if self._jobs else 0.0

    @property
    def wait(self) -> float:
        """Seconds that a new job is likely to wait, by the speed of the latest batches.

        It is 0 if that is unknown.
        """
        return self.tokens / self._speed if self._speed else 0.0

    @property
    def tokens_by_share(self) -> dict[str, int]:
        """Tokens that wait, of each share that has some."""
        return dict(self._held)

    def check(self, tokens: int = 1, share: str = "") -> None:
        """Pass if there is room. An empty queue takes a job of any size.

        Args:
            tokens: Of what shall wait.
            share: Whose it is.

        Raises:
            QueueFull: There is none.
        """
        self._forget()
        if not self._jobs:
            return
        wait = self._wait_of(share)
        if wait > self._max_wait or not self._has_room(tokens, share):
            raise QueueFull(wait)

    def _wait_of(self, share: str) -> float:
        ahead = own = self._held.get(share, 0)
        if own != self.tokens:
            # Before it is a share's turn again, no other has had a batch more than it.
            most = own + self._max_batch_tokens
            ahead += sum(min(held, most) for one, held in self._held.items() if one != share)
        line = self._line(share)
        age = self._clock() - line[0].entered if line else 0.0
        return max(ahead / self._speed if self._speed else 0.0, age / LATE)

    def _has_room(self, tokens: int, share: str) -> bool:
        after = self.tokens + tokens
        if after <= self._max_tokens:
            return True
        own = self._held.get(share, 0)
        shares = len(self._held.keys() | {share})
        little = own == 0 or own + tokens <= self._max_tokens / (ROOM_FOR_OTHERS * shares)
        return little and shares > 1 and after <= ROOM_FOR_OTHERS * self._max_tokens

    def put(self, jobs: Sequence[Job]) -> None:
        """Let jobs of one client wait, all or none of them.

        Raises:
            QueueFull: There is no room.
        """
        if not jobs:
            return
        tokens = sum(job.tokens for job in jobs)
        share = jobs[0].client.share
        self.check(tokens, share)
        now = self._clock()
        for job in jobs:
            job.entered = now
        self._jobs.extend(jobs)
        self._lines.setdefault(share, deque()).extend(jobs)
        self._held[share] = self._held.get(share, 0) + tokens
        self.tokens += tokens
        self._filled.set()

    async def take(self, workers: int = 1) -> list[Job]:
        """Wait for the next batch: a job and those of like length, in order of age.

        The job is the oldest of the share whose turn it is. It leaves the others of so many workers
        their share of what waits. Whoever takes it says `computed` when it is.
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
        """Learn the speed from a batch; a small batch shows none."""
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
        self._lines.clear()
        self._held.clear()
        self._turns.clear()
        self.tokens = 0

    def _forget(self) -> None:
        """Drop, from the front, jobs that nobody waits for any more."""
        while self._jobs and self._jobs[0].done.done():
            job = self._jobs.popleft()
            self._leave(job.client.share, job.tokens)
        if not self._jobs:
            self._lines.clear()
            self._held.clear()
            self._turns.clear()

    def _leave(self, share: str, tokens: int) -> None:
        self.tokens -= tokens
        left = self._held.get(share, 0) - tokens
        if left > 0:
            self._held[share] = left
        else:
            self._held.pop(share, None)

    def _line(self, share: str) -> deque[Job] | None:
        """The jobs of a share, whose first one still waits; None if it has none."""
        line = self._lines.get(share)
        while line and (line[0].taken or line[0].done.done()):
            line.popleft()
        if not line:
            self._lines.pop(share, None)
            return None
        return line

    def _lead(self) -> Job:
        if len(self._lines) == 1:
            (share,) = self._lines
            line = self._line(share)
            assert line
            return line[0]
        lines = {share: line for share in list(self._lines) if (line := self._line(share))}
        return lines[self._turns.next(lines)][0]

    def _batch(self, workers: int) -> list[Job]:
        lead = self._lead()
        waiting = [job for job in self._jobs if not job.done.done()]
        chosen = {lead} if lead.message is not None else set(self._like(lead, waiting, workers))
        gone = [] if len(waiting) == len(self._jobs) else [j for j in self._jobs if j.done.done()]
        for job in gone:
            self._leave(job.client.share, job.tokens)
        self._jobs = deque(job for job in waiting if job not in chosen)
        begun: dict[str, int] = {}  # tokens by share
        for job in chosen:
            job.taken = True
            client = job.client
            client.begun += job.texts
            begun[client.share] = begun.get(client.share, 0) + job.tokens
        for share, tokens in begun.items():
            self._leave(share, tokens)
            self._turns.charge(share, tokens)
        return [job for job in waiting if job in chosen]

    def _like(self, lead: Job, waiting: Sequence[Job], workers: int) -> list[Job]:
        """The batch of a job if the queue is split at the least cost; of many jobs the closest."""
        texts = [job for job in waiting if job.message is None]
        least = max(sum(job.tokens for job in texts) // workers, FEWEST)
        budget = min(least, self._max_batch_tokens)
        if len(self._held) > 1:
            texts = self._own_first(lead, texts, budget)
        if len(texts) > FEW:
            # Stable, so that the job itself is the first, or among the first of its share.
            texts = sorted(texts, key=lambda job: abs(job.tokens - lead.tokens))[:FEW]
        place = texts.index(lead)
        batches = token_budget_batches([job.tokens for job in texts], budget)
        return next([texts[i] for i in batch] for batch in batches if place in batch)

    @staticmethod
    def _own_first(lead: Job, texts: Sequence[Job], budget: int) -> list[Job]:
        """What a job's batch is made of:

        its share's texts, and if they fill none, others that ride along.
        """
        share = lead.client.share
        own = [job for job in texts if job.client.share == share]
        own.sort(key=lambda job: abs(job.tokens - lead.tokens))
        if len(own) >= FEW or sum(job.tokens for job in own) >= budget:
            return own
        others = [job for job in texts if job.client.share != share]
        others.sort(key=lambda job: abs(job.tokens - lead.tokens))
        return [*own, *others[: FEW - len(own)]]

"""The workers of one bundle:

started, fed from one queue, watched, and started again when they die.
"""

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from linnet.bundle import Bundle
from linnet.config import ServeConfig
from linnet.errors import BundleError, LinnetError
from linnet.predict.codec import Codec
from linnet.predict.explain import ASKED
from linnet.predict.host import available_cores
from linnet.predict.peak import limit_bytes
from linnet.predict.plan import Choice
from linnet.predict.stages import Encodings
from linnet.serve.errors import APIError, NotReady
from linnet.serve.models.background import in_background
from linnet.serve.models.fair import Client
from linnet.serve.models.workers.queue import Answer, Job, Queue
from linnet.serve.models.workers.replies import dead_worker, failed_text, read_logits
from linnet.serve.models.workers.worker_client import Worker, WorkerDied

# seconds before a dead worker is started again, doubled each time
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 30.0
STEADY = 60.0  # seconds after which a worker that dies is one that works

logger = logging.getLogger("linnet.serve")


@dataclass(frozen=True, slots=True)
class Batch:
    """What was computed at once, for metrics:

    texts, their tokens, those with padding, and the seconds it took.
    """

    texts: int
    tokens: int
    padded_tokens: int
    seconds: float


class Pool:
    """Workers that share a queue.

    Args:
        bundle: A verified bundle.
        choice: How it is run; as many workers as it has sessions, of one session each.
        settings: The section `[serve]`.
        on_batch: Called for every batch.

    Attributes:
        bundle: The bundle given.
        codec: Its texts to token ids, and logits to predictions; once it was started.
        choice: As given, its threads and workers counted.
        queue: What waits.
        restarts: How often a worker died and was started again.
        users: How many requests count on it; it goes on until they have their answers.
    """

    codec: Codec

    def __init__(
        self,
        bundle: Bundle,
        choice: Choice,
        settings: ServeConfig,
        on_batch: Callable[[Batch], None] = lambda batch: None,
    ):
        workers = settings.workers or choice.plan.num_sessions
        threads = choice.plan.num_threads or max(1, available_cores() // workers)
        self.choice = replace(
            choice, plan=replace(choice.plan, num_sessions=workers, num_threads=threads)
        )
        self.bundle = bundle
        self.queue = Queue(
            settings.max_queue_tokens, settings.max_wait_seconds, choice.plan.max_batch_tokens
        )
        self.restarts = self.users = 0
        self._on_batch = on_batch
        plan = asdict(replace(self.choice.plan, num_sessions=1))
        self._order = {
            "bundle": os.path.abspath(bundle.path),
            "digest": bundle.digest,
            "plan": plan,
            "memory_bytes": limit_bytes(bundle, self.choice.plan, settings.worker_memory_mb),
        }
        self._reply_seconds = settings.worker_timeout_seconds
        self._workers: dict[int, Worker] = {}
        self._down: dict[int, str] = {}
        self._stamps = bundle.stamps()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, others: Sequence[Codec] = ()) -> None:
        """Start all workers, and go on when they are warm.

        Args:
            others: Codecs in use, whose tokenizers are used again where they are the same.

        Raises:
            BundleError: The bundle can't be run.
        """
        workers = [
            Worker(self._order, self._reply_seconds) for _ in range(self.choice.plan.num_sessions)
        ]
        starts = [asyncio.create_task(worker.start()) for worker in workers]
        reading = asyncio.create_task(in_background(lambda check: Codec(self.bundle, others)))
        try:
            await asyncio.gather(reading, *starts)
        except BaseException as error:
            for task in (reading, *starts):
                task.cancel()
            ends = await asyncio.gather(*starts, reading, return_exceptions=True)
            for worker, end in zip(workers, ends[:-1], strict=True):
                if end is None:
                    worker.kill()
            if isinstance(error, WorkerDied):
                raise BundleError(
                    f"A worker with {self.bundle.path} ended while it started: {error}."
                ) from None
            raise
        self.codec = reading.result()
        self._workers = dict(enumerate(workers))
        self._tasks = [
            asyncio.create_task(self._keep(number, worker)) for number, worker in enumerate(workers)
        ]

    async def stop(self, drain_seconds: float = 0.0) -> None:
        """End all workers when the waiting jobs are answered or the time is over.

        Jobs that still wait are refused.
        """
        end = time.monotonic() + drain_seconds
        try:
            while (
                (self.users or len(self.queue) or self.queue.computing)
                and self._workers
                and time.monotonic() < end
            ):
                await asyncio.sleep(0.01)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self.queue.fail(NotReady("The service is shutting down."))
        self._drop_tokenizers()

    def _drop_tokenizers(self) -> None:
        """Let go of the tokenizers in a thread: freeing a large vocabulary takes long."""
        if hasattr(self, "codec") and not self.users:
            threading.Thread(target=self.codec.tokenizers.clear, daemon=True).start()

    @property
    def pids(self) -> list[int]:
        """The processes of the workers that can answer."""
        return [worker.process.pid for worker in self._workers.values()]

    @property
    def changed(self) -> bool:
        """Whether weights that the workers map were written to:

        they then answer what no proven model would.
        """
        now = self.bundle.stamps()
        return any(
            name in now and now[name] != was and now[name][0] == was[0]
            for name, was in self._stamps.items()
        )

    @property
    def unready(self) -> str | None:
        """Why not all workers can answer as they should; None if they can."""
        if self.changed:
            return (
                f"The weights of {self.bundle.path} were written to while they are served. Put "
                f"the bundle into a new "
                "folder and that to work (POST /admin/models), or start the service again."
            )
        if not self._down:
            return None
        total = self.choice.plan.num_sessions
        reason = next(iter(self._down.values()))
        name = self.bundle.manifest.name
        return f"{len(self._down)} of {total} workers of {name} are being started again ({reason})."

    def classify(
        self, texts: Sequence[Encodings], client: Client | None = None
    ) -> "list[asyncio.Future[Answer]]":
        """Let texts of a client wait for an answer, all or none.

        Raises:
            QueueFull: There is no room.
            APIError: No worker is up.
        """
        client = client or Client()
        jobs = [
            Job(max(len(encodings[0].ids), 1), client, encodings=encodings) for encodings in texts
        ]
        self._put(jobs)
        return [job.done for job in jobs]

    def explain(
        self, text: str, encodings: Encodings, label: str | None, client: Client | None = None
    ) -> "asyncio.Future[dict[str, Any]]":
        """Let a client's text wait for what moved the answer; resolves to the worker's reply.

        Raises:
            QueueFull: There is no room.
            APIError: No worker is up.
        """
        tokens = ASKED * max(len(encodings[0].ids), 1)
        message = {"explain": text, "label": label}
        job = Job(tokens, client or Client(), ASKED, message=message)
        self._put([job])
        return job.done

    def check(self, share: str = "") -> None:
        """Pass if there is room for a share's text and someone to answer.

        Raises:
            QueueFull: There is no room.
            APIError: No worker is up.
        """
        self._check_up()
        self.queue.check(share=share)

    def _check_up(self) -> None:
        if not self._workers:
            reason = self.unready or "This model is no longer at work."
            raise NotReady(f"{reason} Try again later.")

    def _put(self, jobs: list[Job]) -> None:
        self._check_up()
        self.queue.put(jobs)

    async def _keep(self, number: int, worker: Worker) -> None:
        """Feed one worker for ever; when it dies, start another."""
        pause = FIRST_PAUSE
        while True:
            self._workers[number] = worker
            started = time.monotonic()
            try:
                self._down[number] = await self._until_gone(worker)
            finally:
                del self._workers[number]
                worker.kill()
            logger.error(
                "A worker of %s died (%s) and is started again",
                self.bundle.path,
                self._down[number],
            )
            if not self._workers:
                message = "No worker is left to answer; they are started again. Try again later."
                self.queue.fail(APIError(503, "worker_died", message, headers={"Retry-After": "1"}))
            pause = FIRST_PAUSE if time.monotonic() - started > STEADY else pause
            worker, pause = await self._start_again(number, pause)
            self.restarts += 1
            del self._down[number]

    async def _until_gone(self, worker: Worker) -> str:
        """Feed a worker for as long as it works; says why it does no more.

        One that nobody asks is seen to die, too.
        """
        feeding = asyncio.create_task(self._feed(worker))
        try:
            await asyncio.wait((feeding, worker.ended), return_when=asyncio.FIRST_COMPLETED)
        finally:
            feeding.cancel()
            (error,) = await asyncio.gather(feeding, return_exceptions=True)
        if isinstance(error, asyncio.CancelledError):
            return worker.how_it_ended
        if not isinstance(error, WorkerDied):
            logger.error("this is a defect of Linnet", exc_info=error)
        return str(error) or type(error).__name__

    async def _start_again(self, number: int, pause: float) -> tuple[Worker, float]:
        while True:
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
            worker = Worker(self._order, self._reply_seconds)
            try:
                await worker.start()
            except (LinnetError, WorkerDied) as error:
                self._down[number] = str(error)
                logger.error(
                    "A worker of %s can't be started: %s; next try in %.1f s",
                    self.bundle.path,
                    error,
                    pause,
                )
            else:
                return worker, pause

    async def _feed(self, worker: Worker) -> None:
        while True:
            jobs = await self.queue.take(len(self._workers))
            try:
                await self._compute(worker, jobs)
            except BaseException as error:
                self.queue.failed(jobs)
                for job in jobs:
                    if not job.done.done():
                        job.done.set_exception(dead_worker(error))
                raise

    async def _compute(self, worker: Worker, jobs: list[Job]) -> None:
        taken = time.monotonic()
        if jobs[0].message is not None:
            reply = await worker.ask(jobs[0].message)
            if not {"explanation", "error"} & reply.keys():
                raise WorkerDied(f"a reply that is no explanation: {reply!r:.40}")
            if not jobs[0].done.done():
                jobs[0].done.set_result(reply)
            self.queue.computed(jobs, time.monotonic() - taken, len(self._workers))
            return
        texts = [
            [(one.ids, one.truncated, one.unknown_share) for one in job.encodings] for job in jobs
        ]
        reply = await worker.ask({"texts": texts})
        now = time.monotonic()
        labels = len(self.bundle.manifest.labels)
        answered, failed, seconds = read_logits(reply, len(jobs), labels)
        for index, (job, prediction) in enumerate(
            zip(jobs, self.codec.decode(answered), strict=True)
        ):
            if job.done.done():
                continue
            if str(index) in failed:
                job.done.set_exception(failed_text(failed[str(index)]))
            else:
                waited = taken - job.entered
                job.done.set_result(Answer(prediction, job.entered, waited, seconds, now))
        tokens = [job.tokens for job in jobs]
        self._on_batch(Batch(len(jobs), sum(tokens), len(jobs) * max(tokens), seconds))
        self.queue.computed(jobs, time.monotonic() - taken, len(self._workers))

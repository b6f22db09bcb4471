"""Answers on their way into the store:

one thread writes, nobody waits for it, and what is lost is counted.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from linnet.config import PredictionLogConfig
from linnet.errors import (
    ConfigError,
    LinnetError,
    MissingExtraError,
    StorageError,
    UnusableLogError,
    UsageError,
)
from linnet.monitor.prediction_log.clock import DAY, SteadyClock
from linnet.monitor.prediction_log.epoch import Epoch
from linnet.monitor.prediction_log.failure import Failure, WaitingFailures
from linnet.monitor.prediction_log.hashing import KeyedHash, audited, hash_key_file, read_hash_key
from linnet.monitor.prediction_log.losses import Losses
from linnet.monitor.prediction_log.record import Record, storable
from linnet.monitor.prediction_log.store import Store
from linnet.monitor.prediction_log.truth import SOURCES, USER, Truth
from linnet.monitor.prediction_log.waiting_feedback import (
    Asked,
    WaitingFeedback,
    answer,
    refuse,
)

BATCH = 500
FLUSH_SECONDS = 0.5  # how long a record waits for others
MAX_CHARACTERS = 20_000_000  # of all texts that wait
MAX_EPOCHS = 100  # that wait
BACK_OFF_SECONDS = 0.1, 2.0  # after the first failure, doubled up to the second
UNUSABLE_SECONDS = 60.0  # between two looks at a store that only a person can help
STALL_SECONDS = 10.0  # a store that takes longer over one batch doesn't work
# how often, and how much at once, old rows are deleted
SWEEP_SECONDS = 600.0
SWEEP_ROWS = 1000

logger = logging.getLogger("linnet.monitor")


@dataclass(frozen=True, slots=True)
class LogStatus:
    """The status of the log. `recorded` is always `written`, `pending` and all of `lost`.

    Attributes:
        recorded: Records that were handed over.
        written: Of these, how many the store has.
        lost: How many were dropped, by reason: `full` (more than may wait), `failed` (the same
            while the store failed, or the log was closed before it could be written), `refused`
            (the store takes no such values).
        pending: How many wait.
        feedback: How many pieces of feedback wait.
        healthy: Whether the store works, and the log is not closed.
    """

    recorded: int
    written: int
    lost: dict[str, int]
    pending: int
    feedback: int
    healthy: bool


class PredictionLog:
    """The prediction log of one process. Any thread may call it.

    A store that can't be reached or used is no reason not to start: it is logged, and tried again;
    one that only a person can help is looked at once a minute.

    Args:
        settings: The section `[prediction_log]`; its `url` is not empty.

    Raises:
        ConfigError: The URL is neither SQLite's nor PostgreSQL's.
        MissingExtraError: psycopg is not installed.
    """

    def __init__(self, settings: PredictionLogConfig):
        self._settings = settings
        self._hash: KeyedHash | None = None
        self._changed = threading.Condition(
            threading.Lock()
        )  # guards all that follows but the store
        self._queue: deque[Record] = deque()
        self._asked = WaitingFeedback()
        self._failures = WaitingFailures()
        self._epochs: dict[int, Epoch] = {}  # that the store may not have
        self._characters = self._recorded = self._written = 0
        self._losses = Losses()
        self._end: float | None = None  # once it is closed: until when it may write
        self._busy_since: float | None = None
        self._failing_since: float | None = None
        self._delay = 0.0
        self._next_sweep = time.monotonic() if settings.retention_days else None
        self._clock: SteadyClock | None = None  # once the store was asked for its newest record
        self._failure: type[Exception] | None = None  # of what the log says now
        self._store: Store | None = None
        try:
            self._store = Store(settings.url)
        except (ConfigError, MissingExtraError):
            raise
        except (StorageError, UsageError) as error:
            self._stumble(error)
        self._read_hash_key()
        self._thread = threading.Thread(target=self._run, name="prediction-log", daemon=True)
        self._thread.start()

    def record(self, records: Sequence[Record]) -> None:
        """Hand over records, in microseconds. Never waits and never raises.

        What there is no room for is dropped and counted. The rest is in the store within a second,
        where that works and keeps up.
        """
        with self._changed:
            before = len(self._queue)
            self._recorded += len(records)
            works = self._failing_since is None and self._end is None
            room = self._settings.max_pending if self._end is None else 0
            for record in records:
                size = _characters(record)
                if len(self._queue) < room and self._characters + size <= MAX_CHARACTERS:
                    self._queue.append(record)
                    self._characters += size
                else:
                    self._losses.counts["full" if works else "failed"] += 1
            if not before or before < BATCH <= len(self._queue):
                self._changed.notify()

    def record_failures(self, failures: Sequence[Failure]) -> None:
        """Hand over texts that got no answer. Never waits and never raises.

        Of a flood only counts are kept; see `WaitingFailures`.
        """
        with self._changed:
            before = bool(self._failures)
            self._failures.add(failures)
            if not before:
                self._changed.notify()

    def record_epoch(self, epoch: Epoch) -> None:
        """Hand over which arms are at work with which shares. Never waits and never raises."""
        with self._changed:
            self._epochs.setdefault(epoch.epoch, epoch)
            if len(self._epochs) > MAX_EPOCHS:
                del self._epochs[next(iter(self._epochs))]
            self._changed.notify()

    def keeps_text(self, id: str) -> bool:
        """Whether the settings ask for the text of the record with this id."""
        texts = self._settings.texts
        return audited(id, self._settings.audit_rate) if texts == "audit" else bool(texts)

    def hash(self, text: str) -> int | None:
        """The keyed hash of a unit or of a text; None while the key can't be read."""
        return None if self._hash is None else self._hash(text)

    def feedback(
        self, id: str, label: str | Sequence[str], source: str = USER, annotator: str = ""
    ) -> Future[bool]:
        """Store what is true of the text with an id; of each source the latest counts.

        Args:
            id: The id of a record, which may still wait here. One that waits in another process is
                not known yet.
            label: The label that truly applies; of a multi-label model all that do.
            source: One of `SOURCES`.
            annotator: Who says so; "" where that is not known.

        Returns:
            Done once it is stored: True, or False where no record has the id. Its exception is a
            StorageError where the store could not be written within five seconds, or too much
            feedback waits; then the same may be sent again. While a server takes a connection and
            then says nothing, it is not done: wait for it with a timeout.

        Raises:
            TypeError: The id or a label is no string.
            ValueError: There is no such source.
        """
        if source not in SOURCES:
            raise ValueError(f"Expected one of {SOURCES}, got {source!r}.")
        labels = tuple(map(storable, [label] if isinstance(label, str) else label))
        name = storable(id)
        future: Future[bool] = Future()
        with self._changed:
            truth = Truth(name, source, labels, self._asked.now(), storable(annotator))
            refusal = None
            if self._end is not None:
                refusal = "The prediction log is closed. Send the feedback again later."
            elif self._failing_since is not None and self._failure is UnusableLogError:
                refusal = "The prediction log can't be used, so the feedback was not stored."
            elif self._asked.add(truth, future):
                self._changed.notify()
            else:
                refusal = (
                    f"{len(self._asked)} pieces of feedback wait to be stored. Send it again later."
                )
        if refusal:
            future.set_exception(StorageError(refusal))
        return future

    def status(self) -> LogStatus:
        """The status of the log now."""
        with self._changed:
            stalled = (
                self._busy_since is not None and time.monotonic() - self._busy_since > STALL_SECONDS
            )
            return LogStatus(
                recorded=self._recorded,
                written=self._written,
                lost=dict(self._losses.counts),
                pending=len(self._queue),
                feedback=len(self._asked),
                healthy=self._failing_since is None and not stalled and self._thread.is_alive(),
            )

    def close(self, timeout: float = 5.0) -> None:
        """Store what waits within so many seconds; count and log what could not be stored."""
        with self._changed:
            if self._end is None:
                self._end = time.monotonic() + timeout
            self._changed.notify()
        self._thread.join(timeout + 1.0)
        if self._thread.is_alive():
            logger.error(
                "The prediction log's store says nothing: %d predictions are left",
                self.status().pending,
            )

    def _read_hash_key(self) -> None:
        """Read the key of the hashes, or make it. Without it, predictions are still recorded."""
        file = hash_key_file(self._settings.url, self._settings.hash_key_file)
        try:
            self._hash = KeyedHash(read_hash_key(file))
        except (StorageError, UsageError) as error:
            logger.error(
                "%s Units and texts are not hashed, so experiments and repeated texts can't be "
                "counted. Correct it and restart.",
                error,
            )

    def _run(self) -> None:
        while self._wait():
            try:
                self._work()
            except LinnetError as error:
                self._stumble(error)
            except (
                Exception
            ) as error:  # a defect of ours must be seen, and must not end the log for good
                if self._failing_since is None:
                    logger.exception("A defect in the prediction log")
                self._stumble(error)
            finally:
                self._busy_since = None
        with self._changed:
            self._losses.counts["failed"] += len(self._queue)
            self._queue.clear()
            asked = self._asked.all()
            self._asked.remove(asked)
        refuse(
            asked,
            "The prediction log was closed before the feedback could be stored. Send it again "
            "later.",
        )
        self._log_losses()
        if self._store:
            if self._losses.owed():
                with suppress(LinnetError):
                    self._write_losses(self._store)
            self._store.close()

    def _wait(self) -> bool:
        """Sleep until there is something to do; False where nothing is left to do, or no time."""
        with self._changed:
            now = time.monotonic()
            end = self._end
            if self._failing_since is not None:
                left = self._delay if end is None else min(self._delay, end - now)
                self._changed.wait_for(lambda: self._end != end, max(left, 0.0))
            elif self._changed.wait_for(
                lambda: self._queue or self._failures or self._epochs or self._hurried(),
                self._idle_seconds(),
            ):
                self._changed.wait_for(
                    lambda: len(self._queue) >= BATCH or self._hurried(), FLUSH_SECONDS
                )
            waits = self._queue or self._asked or self._failures or self._epochs
            return self._end is None or (bool(waits) and time.monotonic() < self._end)

    def _idle_seconds(self) -> float | None:
        return None if self._next_sweep is None else max(0.0, self._next_sweep - time.monotonic())

    def _hurried(self) -> bool:
        return bool(self._asked) or self._end is not None

    def _work(self) -> None:
        """Write the waiting records, then the waiting feedback, so that it finds its records."""
        self._busy_since = time.monotonic()
        store = self._store = self._store or Store(self._settings.url)
        with self._changed:
            asked = self._asked.all()
            left = len(self._queue)
            epochs = list(self._epochs.values())
        for epoch in epochs:
            store.add_epoch(epoch)
            with self._changed:
                self._epochs.pop(epoch.epoch, None)
        while left > 0 and (self._end is None or time.monotonic() < self._end):
            left -= self._write(store, min(left, BATCH))
        if asked and left == 0:
            self._answer(store, asked)
        self._write_failures(store)
        self._write_losses(store)
        if self._idle_seconds() == 0.0 and self._end is None:
            self._sweep(store)
        self._recover(store)
        if self._losses.is_line_due():
            self._log_losses()

    def _write(self, store: Store, count: int) -> int:
        self._busy_since = time.monotonic()
        with self._changed:
            batch = list(islice(self._queue, count))
        refused = store.add(batch, bool(self._settings.texts))
        size = sum(map(_characters, batch))
        with self._changed:
            for _ in batch:
                self._queue.popleft()
            self._characters -= size
            self._written += len(batch) - refused
            self._losses.counts["refused"] += refused
        return len(batch)

    def _write_failures(self, store: Store) -> None:
        with self._changed:
            failures = self._failures.take()
        if not failures:
            return
        try:
            store.add_failures(failures)
        except LinnetError:
            with self._changed:
                self._failures.put_back(failures)
            raise

    def _write_losses(self, store: Store) -> None:
        with self._changed:
            owed = self._losses.owed()
        if owed:
            store.add_losses(time.time(), owed)
            with self._changed:
                self._losses.settle(owed)

    def _answer(self, store: Store, asked: list[Asked]) -> None:
        known = store.judge([one.truth for one in asked])
        self._recover(store)  # before those who asked go on
        with self._changed:
            self._asked.remove(asked)
        answer(asked, known)

    def _sweep(self, store: Store) -> None:
        self._clock = self._clock or SteadyClock(store.newest())
        before = self._clock.now() - self._settings.retention_days * DAY
        forgotten = store.forget(before, SWEEP_ROWS)
        pause = SWEEP_SECONDS if forgotten < SWEEP_ROWS else BACK_OFF_SECONDS[0]
        self._next_sweep = time.monotonic() + pause

    def _stumble(self, error: Exception) -> None:
        """Record a failure of the store, and refuse feedback that can't be stored in time."""
        now = time.monotonic()
        first = self._failing_since is None
        if self._store:
            self._store.close()
            self._store = None
        self._delay = BACK_OFF_SECONDS[0] if first else min(self._delay * 2, BACK_OFF_SECONDS[1])
        if isinstance(error, UnusableLogError):
            self._delay = UNUSABLE_SECONDS
        is_news = first or type(error) is not self._failure
        with self._changed:
            self._failure = type(error)
            self._failing_since = now if first else self._failing_since
            late = self._asked.late(now + self._delay)
            self._asked.remove(late)  # the first to come is the first that is late
        refuse(
            late,
            "The prediction log can't be written now, so the feedback was not stored. Send it "
            "again later.",
        )
        if is_news:
            logger.error(
                "%s Predictions are kept, %d at most, until it works",
                error,
                self._settings.max_pending,
            )

    def _recover(self, store: Store) -> None:
        if self._failing_since is not None:
            logger.warning(
                "%s works again, after %.1f s", store.name, time.monotonic() - self._failing_since
            )
            with self._changed:
                self._failing_since = None
            self._log_losses()

    def _log_losses(self) -> None:
        with self._changed:
            self._losses.log()


def _characters(record: Record) -> int:
    return len(record.text) if isinstance(record.text, str) else 0

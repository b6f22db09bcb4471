"""The prediction log in its database: written, read, shortened. `schema` has the tables."""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self

from numpy.typing import NDArray

from linnet.monitor.prediction_log import schema
from linnet.monitor.prediction_log.columns import COLUMNS, read_columns
from linnet.monitor.prediction_log.database import connect
from linnet.monitor.prediction_log.epoch import Epoch, epoch_to_row, row_to_epoch
from linnet.monitor.prediction_log.failure import (
    FAILURE_COLUMNS,
    Failure,
    failure_to_row,
    row_to_failure,
)
from linnet.monitor.prediction_log.record import (
    Entry,
    Record,
    storable,
    to_entry,
    to_record,
    to_row,
)
from linnet.monitor.prediction_log.truth import TRUTH_COLUMNS, Truth, row_to_truth, truth_to_row

PAGE = 500  # rows that are read at once
SETTLE_SECONDS = 60.0  # rows of other processes may arrive so late


def _insert(table: str, columns: Sequence[str], conflict: str = "") -> str:
    places = ", ".join("?" * len(columns))
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places}) {conflict}"  # noqa: S608


def _from_number(table: str, columns: Sequence[str]) -> str:
    wanted = ", ".join(columns)
    return f"SELECT number, {wanted} FROM {table} WHERE number > ? ORDER BY number LIMIT ?"  # noqa: S608


# A batch whose fate is unknown, as the connection broke while it was stored, is sent again.
INSERT = _insert("predictions", COLUMNS, "ON CONFLICT (id, arm) DO NOTHING")
KNOWN = "SELECT 1 FROM predictions WHERE id = ? LIMIT 1"
JUDGE = _insert("feedback", TRUTH_COLUMNS)
JUDGED = f"SELECT 1 FROM feedback WHERE {' AND '.join(f'{name} = ?' for name in TRUTH_COLUMNS)}"  # noqa: S608
FAIL = _insert("failures", FAILURE_COLUMNS)
LOSE = _insert("losses", ("time", "reason", "records"))
BEGIN_EPOCH = _insert("epochs", ("epoch", "time", "arms"), "ON CONFLICT (epoch) DO NOTHING")
NEWEST = "SELECT max(time) FROM predictions"
READ = f"""SELECT number, {", ".join(COLUMNS)} FROM predictions
    WHERE time < ? AND (time, number) > (?, ?) {{of_arm}} ORDER BY time, number LIMIT {PAGE}"""  # noqa: S608
OF_IDS = f"""SELECT {", ".join(TRUTH_COLUMNS)} FROM feedback WHERE id IN ({{ids}})
    ORDER BY number"""  # noqa: S608
RECORDS_OF_IDS = f"""SELECT number, {", ".join(COLUMNS)} FROM predictions
    WHERE id IN ({{ids}})"""  # noqa: S608
TRUTHS = _from_number("feedback", TRUTH_COLUMNS)
FAILURES = _from_number("failures", FAILURE_COLUMNS)
OLDEST = "SELECT number, id FROM predictions WHERE time < ? ORDER BY time, number LIMIT ?"
FORGET = "DELETE FROM predictions WHERE number = ?"
FORGET_FEEDBACK = (
    "DELETE FROM feedback WHERE id = ? "
    "AND NOT EXISTS (SELECT 1 FROM predictions p WHERE p.id = feedback.id)"
)
FORGET_OTHERS = """DELETE FROM {table} WHERE number IN
    (SELECT number FROM {table} WHERE time < ? ORDER BY time LIMIT ?)"""
# SQLite gives the next row of an empty table the number 1 again. A reader that knows how far it
# read must not find new rows under old numbers, so a row with the last number is there meanwhile.
KEEP_NUMBER = "UPDATE linnet_log SET last_forgotten = max(last_forgotten, ?)"
PLACEHOLDER = """INSERT INTO predictions (number, id, time, arm, digest, labels, probability,
    tokens, truncated, abstained, fast, shadow, latency_ms)
    SELECT last_forgotten, '', 0, '', '', '[]', 0, 0, FALSE, FALSE, FALSE, FALSE, 0
    FROM linnet_log WHERE last_forgotten > 0 AND NOT EXISTS (SELECT 1 FROM predictions)"""
NO_PLACEHOLDER = """DELETE FROM predictions WHERE id = '' AND arm = ''
    AND number = (SELECT last_forgotten FROM linnet_log)"""


class Store:
    """The prediction log in SQLite or PostgreSQL, for one thread at a time.

    Several processes may each have one. A log of an older format is brought to the present one.

    Args:
        url: `sqlite:///PATH`, a path, or `postgresql://...`.
        create: Whether a log that isn't there is made.

    Raises:
        ConfigError: The URL is neither.
        MissingExtraError: psycopg is not installed.
        UnusableLogError: What is there is no log that this version can use.
        UsageError: There is no log, or this user can't open it.
        StorageError: The database can't be reached.
    """

    def __init__(self, url: str, create: bool = True):
        self._database = connect(url, create)
        try:
            schema.prepare(self._database, create)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def name(self) -> str:
        """Which database it is, without a password."""
        return self._database.name

    def add(self, records: Sequence[Record], texts: bool = False) -> int:
        """Store records; those that are there already stay as they are.

        Args:
            records: Any number.
            texts: Whether their texts are stored too.

        Returns:
            How many could not be stored for what is in them. They don't keep the others back.

        Raises:
            StorageError: The database can't be written; the same call may be made again.
        """
        try:
            with self._database.transaction(), self._new_numbers():
                # One by one, so that the event loop's thread gets its turn between two.
                self._database.execute_many(INSERT, (to_row(record, texts) for record in records))
        except self._database.refusals:
            if len(records) == 1:
                return 1
            half = len(records) // 2
            return self.add(records[:half], texts) + self.add(records[half:], texts)
        return 0

    def judge(self, truths: Sequence[Truth]) -> list[bool]:
        """Store feedback next to what was said before; the latest of each source counts.

        Returns:
            For each, whether its id is known.

        Raises:
            StorageError: The database can't be written; the same call may be made again.
        """
        known = []
        with self._database.transaction():
            for truth in truths:
                known.append(bool(self._database.rows(KNOWN, [truth.id])))
                row = truth_to_row(truth)
                if known[-1] and not self._database.rows(JUDGED, row):
                    self._database.execute(JUDGE, row)
        return known

    def add_failures(self, failures: Iterable[Failure]) -> None:
        """Store texts that got no answer. Sent twice, they are counted twice.

        Raises:
            StorageError: The database can't be written.
        """
        with self._database.transaction():
            self._database.execute_many(FAIL, map(failure_to_row, failures))

    def add_losses(self, time: float, losses: Mapping[str, int]) -> None:
        """Store how many records were lost, by reason. Sent twice, they are counted twice.

        Raises:
            StorageError: The database can't be written.
        """
        with self._database.transaction():
            self._database.execute_many(LOSE, [(time, *loss) for loss in losses.items()])

    def add_epoch(self, epoch: Epoch) -> None:
        """Store an epoch; one that is there stays as it is.

        Raises:
            StorageError: The database can't be written.
        """
        with self._database.transaction():
            self._database.execute(BEGIN_EPOCH, epoch_to_row(epoch))

    def read(
        self, since: float = 0.0, until: float = math.inf, arm: str | None = None
    ) -> Iterator[Entry]:
        """Entries in the order of their time, joined with their feedback, a few hundred at a time.

        Nothing is locked between those, so a slow reader hinders no one. What is recorded meanwhile
        is not seen where its time has been read past already, or is newer than all there was at the
        start.

        Args:
            since: The first moment, seconds since 1970.
            until: The moment after the last.
            arm: Only this arm's.

        Raises:
            StorageError: The database can't be read.
        """
        newest = self.newest()
        if newest is None:
            return
        until = min(until, math.nextafter(newest, math.inf))
        sql = READ.format(of_arm="" if arm is None else "AND arm = ?")
        place = [since, 0]  # numbers begin with 1
        while rows := self._database.rows(
            sql, [until, *place, *([] if arm is None else [storable(arm)])]
        ):
            records = [to_record(row) for _, *row in rows]
            truths = self._truths_of({record.id for record in records})
            for (number, *_), record in zip(rows, records, strict=True):
                place = [record.time, number]
                yield to_entry(record, truths.get(record.id, []))

    def of_ids(self, ids: Sequence[str]) -> list[Record]:
        """The records with some ids, in the order in which they were stored.

        Raises:
            StorageError: The database can't be read.
        """
        found = []
        for start in range(0, len(ids), PAGE):
            some = [storable(identity) for identity in ids[start : start + PAGE]]
            sql = RECORDS_OF_IDS.format(ids=", ".join("?" * len(some)))
            found += self._database.rows(sql, some)
        return [to_record(row[1:]) for row in sorted(found, key=lambda row: row[0])]

    def columns(
        self, names: Sequence[str], after: int = 0, limit: int = 100_000
    ) -> dict[str, NDArray[Any] | list[Any]]:
        """Some columns of the predictions, in the order of their numbers.

        Processes that write at the same time may store a number after a larger one: read again
        from the last row that is older than the newest by `SETTLE_SECONDS`.

        Args:
            names: Attributes of `Record`, or `number`.
            after: Only rows with a larger number; numbers begin with 1 and never come twice.
            limit: Of rows.

        Returns:
            For each name an array (n,), or a list of strings or bytes. `labels` are JSON. A hash
            that is not known is 0, a surprise that is not known NaN.

        Raises:
            ValueError: There is no such column.
            StorageError: The database can't be read.
        """
        return read_columns(self._database, names, after, limit)

    def truths(self, after: int = 0, limit: int = 100_000) -> list[tuple[int, Truth]]:
        """Feedback in the order in which it was stored, with its numbers.

        Raises:
            StorageError: The database can't be read.
        """
        rows = self._database.rows(TRUTHS, [after, limit])
        return [(number, row_to_truth(row)) for number, *row in rows]

    def failures(self, after: int = 0, limit: int = 100_000) -> list[tuple[int, Failure]]:
        """Texts that got no answer, in the order in which they were stored, with their numbers.

        Raises:
            StorageError: The database can't be read.
        """
        rows = self._database.rows(FAILURES, [after, limit])
        return [(number, row_to_failure(row)) for number, *row in rows]

    def epochs(self) -> list[Epoch]:
        """All epochs, by the time at which they began.

        Raises:
            StorageError: The database can't be read.
        """
        rows = self._database.rows("SELECT epoch, time, arms FROM epochs ORDER BY time, epoch")
        return [row_to_epoch(row) for row in rows]

    def losses(self) -> dict[str, int]:
        """How many records were lost, by reason.

        Raises:
            StorageError: The database can't be read.
        """
        rows = self._database.rows("SELECT reason, sum(records) FROM losses GROUP BY reason")
        return {reason: int(records) for reason, records in rows}

    def newest(self) -> float | None:
        """When the latest record was answered, in seconds since 1970; None if there are none.

        Raises:
            StorageError: The database can't be read.
        """
        found: float | None = self._database.rows(NEWEST)[0][0]
        return found

    def forget(self, before: float, limit: int) -> int:
        """Delete the oldest records, with their feedback, and as old failures and losses.

        Args:
            before: Those of before this moment, seconds since 1970.
            limit: How many of each at most, so that nobody waits long.

        Returns:
            How many records were deleted.

        Raises:
            StorageError: The database can't be written.
        """
        old = self._database.rows(OLDEST, [before, limit])
        with self._database.transaction():
            self._database.execute_many(FORGET, [(number,) for number, _ in old])
            self._database.execute_many(FORGET_FEEDBACK, [(identity,) for _, identity in old])
            if self._database.reuses_numbers and old:
                self._database.execute(KEEP_NUMBER, [max(number for number, _ in old)])
            for table in ("failures", "losses"):
                self._database.execute(FORGET_OTHERS.format(table=table), [before, limit])
        return len(old)

    def close(self) -> None:
        """Close the connection."""
        self._database.close()

    @contextmanager
    def _new_numbers(self) -> Iterator[None]:
        """Rows that are stored in the block get numbers that none had before."""
        if self._database.reuses_numbers:
            self._database.execute(PLACEHOLDER)
            yield
            self._database.execute(NO_PLACEHOLDER)
        else:
            yield

    def _truths_of(self, ids: set[str]) -> dict[str, list[Truth]]:
        found = defaultdict(list)
        sql = OF_IDS.format(ids=", ".join("?" * len(ids)))
        for row in self._database.rows(sql, [*ids]):
            found[row[0]].append(row_to_truth(row))
        return found

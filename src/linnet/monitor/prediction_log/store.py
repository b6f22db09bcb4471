"""The tables of the prediction log:

written, read, shortened. The schema is a contract, described in docs/reference.md.
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Self

from linnet.errors import UnusableLogError, UsageError
from linnet.monitor.prediction_log.database import connect
from linnet.monitor.prediction_log.record import Entry, Record, storable, to_entry, to_row

VERSION = 1
PAGE = 500  # rows that are read at once
COLUMNS = [field.name for field in fields(Record)]

CREATE = [
    """CREATE TABLE predictions (
        number {number},
        id TEXT NOT NULL,
        time DOUBLE PRECISION NOT NULL,
        arm TEXT NOT NULL,
        digest TEXT NOT NULL,
        label TEXT,
        labels TEXT NOT NULL,
        probability DOUBLE PRECISION NOT NULL,
        tokens INTEGER NOT NULL,
        truncated BOOLEAN NOT NULL,
        abstained BOOLEAN NOT NULL,
        fast BOOLEAN NOT NULL,
        shadow BOOLEAN NOT NULL,
        latency_ms DOUBLE PRECISION NOT NULL,
        text TEXT,
        UNIQUE (id, arm)
    )""",
    "CREATE INDEX predictions_time ON predictions (time, number)",
    "CREATE TABLE feedback (id TEXT PRIMARY KEY, labels TEXT NOT NULL, time DOUBLE PRECISION NOT "
    "NULL)",
    "CREATE TABLE linnet_log (version INTEGER NOT NULL)",
]
# A batch whose fate is unknown, as the connection broke while it was stored, is sent again.
INSERT = f"""INSERT INTO predictions ({", ".join(COLUMNS)}) VALUES ({", ".join("?" * len(COLUMNS))})
    ON CONFLICT (id, arm) DO NOTHING"""  # noqa: S608 - our own names
KNOWN = "SELECT 1 FROM predictions WHERE id = ? LIMIT 1"
# Feedback that arrives in another order than it was given is at most so much older. If it is older
# than that, the clock was put back, and it is the latest all the same.
REORDERED_SECONDS = 60
JUDGE = f"""INSERT INTO feedback (id, labels, time) VALUES (?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET labels = excluded.labels, time = excluded.time
    WHERE excluded.time >= feedback.time OR excluded.time < feedback.time - {REORDERED_SECONDS}"""  # noqa: S608
NEWEST = "SELECT max(time) FROM predictions"
READ = f"""SELECT p.number, {", ".join(f"p.{column}" for column in COLUMNS)}, f.labels, f.time
    FROM predictions p LEFT JOIN feedback f ON f.id = p.id
    WHERE p.time < ? AND (p.time, p.number) > (?, ?) {{of_arm}} ORDER BY p.time, p.number LIMIT {PAGE}"""  # noqa: S608
OLDEST = "SELECT number, id FROM predictions WHERE time < ? ORDER BY time, number LIMIT ?"
FORGET = "DELETE FROM predictions WHERE number = ?"
FORGET_FEEDBACK = (
    "DELETE FROM feedback WHERE id = ? "
    "AND NOT EXISTS (SELECT 1 FROM predictions p WHERE p.id = feedback.id)"
)


@dataclass(frozen=True, slots=True)
class Feedback:
    """Feedback to a text: the labels that truly apply, and when, in seconds since 1970.

    The strings are `storable`.
    """

    id: str
    labels: tuple[str, ...]
    time: float


class Store:
    """The prediction log in SQLite or PostgreSQL, for one thread at a time.

    Several processes may each have one.

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
            self._settle(create)
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
            with self._database.transaction():
                # One by one, so that the event loop's thread gets its turn between two.
                self._database.execute_many(INSERT, (to_row(record, texts) for record in records))
        except self._database.refusals:
            if len(records) == 1:
                return 1
            half = len(records) // 2
            return self.add(records[:half], texts) + self.add(records[half:], texts)
        return 0

    def judge(self, feedback: Sequence[Feedback]) -> list[bool]:
        """Store feedback; of several about one id the latest counts.

        Returns:
            For each, whether its id is known.

        Raises:
            StorageError: The database can't be written; the same call may be made again.
        """
        known = []
        with self._database.transaction():
            for one in feedback:
                known.append(bool(self._database.rows(KNOWN, [one.id])))
                if known[-1]:
                    self._database.execute(
                        JUDGE, (one.id, json.dumps(one.labels, ensure_ascii=False), one.time)
                    )
        return known

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
        sql = READ.format(of_arm="" if arm is None else "AND p.arm = ?")
        place = [since, 0]  # numbers begin with 1
        while rows := self._database.rows(
            sql, [until, *place, *([] if arm is None else [storable(arm)])]
        ):
            for number, *row in rows:
                entry = to_entry(row)
                place = [entry.record.time, number]
                yield entry

    def newest(self) -> float | None:
        """When the latest record was answered, in seconds since 1970; None if there are none.

        Raises:
            StorageError: The database can't be read.
        """
        found: float | None = self._database.rows(NEWEST)[0][0]
        return found

    def forget(self, before: float, limit: int) -> int:
        """Delete the oldest records, with their feedback.

        Args:
            before: Those answered before this moment, seconds since 1970.
            limit: How many at most, so that nobody waits long.

        Returns:
            How many were deleted.

        Raises:
            StorageError: The database can't be written.
        """
        old = self._database.rows(OLDEST, [before, limit])
        if old:
            with self._database.transaction():
                self._database.execute_many(FORGET, [(number,) for number, _ in old])
                self._database.execute_many(FORGET_FEEDBACK, [(identity,) for _, identity in old])
        return len(old)

    def close(self) -> None:
        """Close the connection."""
        self._database.close()

    def _settle(self, create: bool) -> None:
        database = self._database
        if not database.has_table("linnet_log"):
            if not create:
                raise UsageError(
                    f"Expected a prediction log in {database.name}, but there is none. Check "
                    f"prediction_log.url."
                )
            self._create()
        missing = [name for name in ("predictions", "feedback") if not database.has_table(name)]
        versions = [version for (version,) in database.rows("SELECT version FROM linnet_log")]
        if missing or len(versions) != 1 or type(versions[0]) is not int or versions[0] < 1:
            wrong = f"it has no table {missing[0]!r}" if missing else "linnet_log holds no version"
            raise UnusableLogError(
                f"The prediction log {database.name} is damaged: {wrong}. Nothing was deleted. "
                "Restore a copy, move it aside, or name another log with prediction_log.url."
            )
        version = versions[0]
        if version > VERSION:
            raise UnusableLogError(
                f"Expected a prediction log of format {VERSION} or older in {database.name}; "
                f"it is of format {version}. A newer Linnet made it: update this one, "
                "or name another log with prediction_log.url."
            )

    def _create(self) -> None:
        database = self._database
        with database.transaction():
            database.execute(database.lock)
            if database.has_table("linnet_log"):  # another process was faster
                return
            for table in ("predictions", "feedback"):
                if database.has_table(table):
                    raise UnusableLogError(
                        f"{database.name} has a table {table!r} that is not Linnet's. Give the "
                        "prediction log a database or a schema of its own (prediction_log.url)."
                    )
            for statement in CREATE:
                database.execute(statement.format(number=database.number))
            database.execute("INSERT INTO linnet_log (version) VALUES (?)", [VERSION])

"""SQLite or PostgreSQL by URL, behind one face. All that differs between the two is here."""

import os
import shlex
import sqlite3
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linnet.errors import (
    ConfigError,
    LinnetError,
    MissingExtraError,
    StorageError,
    UnusableLogError,
    UsageError,
)
from linnet.links import followed

BUSY_SECONDS = 5.0  # how long SQLite waits for another process that writes
# What connecting and one statement may take, so that a dead network is noticed. A URL may say
# otherwise.
POSTGRES: dict[str, Any] = {
    "connect_timeout": 3,
    "tcp_user_timeout": 5000,
    "application_name": "linnet",
    "client_encoding": "UTF8",
}
STATEMENT_MS = 10_000
IDENTITY = "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
TABLES = (
    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
)
# Trying again helps with none of these: no such folder, no right to it, no database.
HOPELESS = {
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_PERM,
}


@dataclass(frozen=True, slots=True)
class Database:
    """An open connection. Not for two threads at once.

    Attributes:
        name: Which database, for messages: its path, or its URL without the password.
        connection: The driver's own, in its autocommit mode.
        placeholder: What stands for a value in its SQL.
        number: The type of a column of numbers that the database gives itself.
        counter: The same where a number is never given twice, also if the largest is deleted.
        bytes: The type of a column of bytes.
        find_table: The query for a table by its name.
        begin: The statement that begins a transaction that writes.
        lock: The statement that keeps other processes from creating the same tables until the
            transaction ends.
        unhurried: The statement that gives the rest of a transaction as long as it needs, but lets
            it wait for others only a few seconds.
        reuses_numbers: Whether a `number` is given twice if the largest is deleted.
        is_there: Whether what is written can still be found under the name: a file may have been
            moved or deleted.
        failures: What the driver raises.
        refusals: What is raised because of the values, not the database.
    """

    name: str
    connection: Any
    placeholder: str
    number: str
    counter: str
    bytes: str
    find_table: str
    begin: str
    lock: str
    unhurried: str
    reuses_numbers: bool
    is_there: Callable[[], bool]
    failures: tuple[type[Exception], ...]
    refusals: tuple[type[Exception], ...]

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows that a query gives; `?` stands for a value.

        Raises:
            StorageError: The database can't be read.
        """
        with self._as_storage_error("read"):
            found: list[tuple[Any, ...]] = self.connection.execute(
                self._dialect(sql), values
            ).fetchall()
            return found

    def execute(self, sql: str, values: Sequence[Any] = ()) -> None:
        """Run a statement, inside of a transaction."""
        self.connection.execute(self._dialect(sql), values)

    def execute_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement for each row, inside of a transaction."""
        self.connection.cursor().executemany(self._dialect(sql), rows)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of the block is stored, or nothing.

        Raises:
            StorageError: The database can't be written. Those of `refusals` pass.
        """
        if not self.is_there():
            raise StorageError(f"The prediction log {self.name} has been moved or deleted.")
        with self._as_storage_error("written"):
            self.connection.execute(self.begin)
            try:
                yield
                self.connection.execute("COMMIT")
            except BaseException:
                with suppress(
                    *self.failures
                ):  # it is gone already where the connection is, or where SQLite gave up
                    self.connection.execute("ROLLBACK")
                raise

    def has_table(self, name: str) -> bool:
        """Whether there is such a table."""
        return bool(self.rows(self.find_table, [name]))

    def close(self) -> None:
        """Close the connection, also a broken one."""
        with suppress(*self.failures):
            self.connection.close()

    def _dialect(self, sql: str) -> str:
        return sql.replace("?", self.placeholder)

    @contextmanager
    def _as_storage_error(self, done: str) -> Iterator[None]:
        try:
            yield
        except self.refusals:
            raise
        except self.failures as error:
            raise _unusable(self.name, error, done) from error


def connect(url: str, create: bool) -> Database:
    """Open a database.

    Args:
        url: `sqlite:///PATH`, a path, or `postgresql://...` as libpq reads it.
        create: Whether an SQLite file that isn't there is made.

    Raises:
        ConfigError: The URL is neither.
        MissingExtraError: psycopg is not installed.
        UnusableLogError: The file is damaged or another program's.
        UsageError: The file can't be opened, or the database is not of UTF-8; trying again would
            not help.
        StorageError: The database can't be reached now.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        return _sqlite(Path(url), create)
    if scheme == "sqlite" and rest.startswith("/") and len(rest) > 1:
        return _sqlite(Path(rest[1:]), create)
    if scheme in {"postgresql", "postgres"}:
        return _postgres(url)
    raise ConfigError(
        f"Expected sqlite:///PATH, a path, or postgresql://USER@HOST/DATABASE for the prediction "
        f"log; got {scheme}://..."
    )


def _sqlite(path: Path, create: bool) -> Database:
    path = path.absolute()
    connection = None
    try:
        if create:
            path.parent.mkdir(parents=True, exist_ok=True)
            _make_private(followed(path))
        _check_plain(path)
        if create and not os.access(path, os.W_OK):  # SQLite would say it at the first record
            raise PermissionError("this user may not write it, or its disk is read-only")
        connection = sqlite3.connect(
            f"{path.as_uri()}?mode={'rwc' if create else 'rw'}",
            uri=True,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
        _check_own(path, connection)
        if create:
            _write_ahead(connection)
        opened = path.stat()
    except (sqlite3.Error, OSError) as error:
        if connection:
            connection.close()
        raise _unusable(str(path), error, "opened") from error
    except UnusableLogError:
        if connection:
            connection.close()
        raise
    return Database(
        name=str(path),
        connection=connection,
        placeholder="?",
        number="INTEGER PRIMARY KEY",
        counter="INTEGER PRIMARY KEY AUTOINCREMENT",
        bytes="BLOB",
        find_table="SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?",
        begin="BEGIN IMMEDIATE",
        lock="SELECT 1",  # the transaction does that
        unhurried="SELECT 1",
        reuses_numbers=True,
        is_there=lambda: path.exists() and os.path.samestat(path.stat(), opened),
        failures=(sqlite3.Error,),
        refusals=(TypeError, ValueError, OverflowError, sqlite3.IntegrityError, sqlite3.DataError),
    )


def _make_private(path: Path) -> None:
    """Make an empty file for its owner alone if there is none.

    SQLite gives -wal and -shm the same rights.
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _check_plain(path: Path) -> None:
    """Refuse what SQLite could wait for, or not tell apart from a database that can't be opened."""
    mode = followed(path).stat().st_mode if path.exists() else stat.S_IFREG
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe, a device or a socket"
        raise UnusableLogError(
            f"Expected a prediction log at {path}, but {kind} is there. Name a file with "
            f"prediction_log.url."
        )


def _check_own(path: Path, connection: sqlite3.Connection) -> None:
    """Refuse another program's database before anything is written into it."""
    tables = [name for (name,) in connection.execute(TABLES)]
    if tables and "linnet_log" not in tables:
        raise UnusableLogError(
            f"{path} has a table {tables[0]!r} that is not Linnet's: it is another program's "
            "database. Give the prediction log a file of its own (prediction_log.url)."
        )


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Let readers and a writer not wait for each other, and what is stored outlive a power cut."""
    end = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            break
        except (
            sqlite3.OperationalError
        ) as error:  # for this SQLite itself doesn't wait: another process opens it too
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.01)
    connection.execute("PRAGMA synchronous = FULL")


def _postgres(url: str) -> Database:
    try:
        # Here, as it takes 0.4 s that a log in SQLite need not wait for.
        import psycopg  # noqa: PLC0415
        from psycopg.conninfo import conninfo_to_dict, make_conninfo  # noqa: PLC0415
    except ImportError:  # also where libpq is missing
        raise MissingExtraError("psycopg", "postgres") from None
    try:
        chosen = conninfo_to_dict(url)
    except psycopg.ProgrammingError:  # its message may quote the password
        raise ConfigError(
            "The URL of the prediction log is not one that PostgreSQL's libpq can read."
        ) from None
    name = f"postgresql://{chosen.get('host', '')}/{chosen.get('dbname', '')}"
    try:
        connection = psycopg.connect(make_conninfo(**POSTGRES | chosen), autocommit=True)
        connection.execute(f"SET statement_timeout = {STATEMENT_MS}")
    except psycopg.Error as error:
        raise _unusable(name, error, "reached") from error
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        connection.close()
        raise UsageError(
            f"Expected a database of encoding UTF8 for the prediction log; {name} is {encoding}, "
            "which lacks characters that labels and texts may have. Create one with ENCODING "
            "'UTF8' and name it with prediction_log.url."
        )
    return Database(
        name=name,
        connection=connection,
        placeholder="%s",
        number=IDENTITY,
        counter=IDENTITY,
        bytes="BYTEA",
        # Not to_regclass, which may remember for a while that a table of another process isn't
        # there.
        find_table="SELECT 1 FROM pg_class WHERE relname = ? AND pg_table_is_visible(oid)",
        begin="BEGIN",
        lock="SELECT pg_advisory_xact_lock(7596853116)",  # any number, the same for all
        unhurried="SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 5000",
        reuses_numbers=False,
        is_there=lambda: True,
        failures=(psycopg.Error,),
        refusals=(
            TypeError,
            ValueError,
            OverflowError,
            psycopg.IntegrityError,
            psycopg.DataError,
            psycopg.errors.ProgramLimitExceeded,
        ),
    )


def _unusable(name: str, error: Exception, done: str) -> LinnetError:
    reason = str(error).strip().partition("\n")[0]
    # The low byte is the error, the rest which of its kind.
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_CORRUPT:
        return UnusableLogError(
            f"The prediction log {name} is damaged: {reason}. Nothing was deleted. "
            f"Move it aside with `{aside(Path(name))}`."
        )
    if code in HOPELESS or isinstance(
        error, PermissionError | NotADirectoryError | FileExistsError
    ):
        damaged = code == sqlite3.SQLITE_NOTADB
        kind: type[UsageError] = UnusableLogError if damaged else UsageError
        return kind(
            f"Expected a prediction log that can be read and written at {name}, but it can't be "
            f"{done}: {reason}. Correct that, or name another with prediction_log.url."
        )
    return StorageError(f"The prediction log {name} can't be {done}: {reason}.")


def aside(path: Path) -> str:
    """The command that moves an SQLite file aside, with its -wal and -shm."""
    folder = shlex.quote(f"{path.parent / 'damaged'}")
    return f"mkdir -p {folder} && mv {shlex.quote(str(path))}* {folder}/"

"""The tables of the prediction log: made, checked, and brought to the present format.

The schema is a contract, described in docs/reference.md.
"""

from linnet.errors import StorageError, UnusableLogError, UsageError
from linnet.monitor.prediction_log.database import Database

VERSION = 2
TABLES = ("predictions", "feedback")  # of every format
TABLES_OF_2 = ("epochs", "failures", "losses")

FEEDBACK = """CREATE TABLE feedback (
        number {counter},
        id TEXT NOT NULL,
        source TEXT NOT NULL,
        labels TEXT NOT NULL,
        time DOUBLE PRECISION NOT NULL,
        annotator TEXT NOT NULL
    )"""
NEW_IN_2 = [
    FEEDBACK,
    "CREATE INDEX feedback_id ON feedback (id)",
    "CREATE TABLE epochs (epoch BIGINT PRIMARY KEY, time DOUBLE PRECISION NOT NULL, "
    "arms TEXT NOT NULL)",
    """CREATE TABLE failures (
        number {counter},
        time DOUBLE PRECISION NOT NULL,
        epoch BIGINT NOT NULL,
        arm TEXT NOT NULL,
        unit BIGINT,
        named BOOLEAN NOT NULL,
        shadow BOOLEAN NOT NULL,
        code TEXT NOT NULL,
        texts INTEGER NOT NULL
    )""",
    "CREATE INDEX failures_time ON failures (time)",
    "CREATE TABLE losses (number {counter}, time DOUBLE PRECISION NOT NULL, reason TEXT NOT NULL, "
    "records INTEGER NOT NULL)",
]
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
        epoch BIGINT NOT NULL DEFAULT 0,
        named BOOLEAN NOT NULL DEFAULT FALSE,
        unit BIGINT,
        text_hash BIGINT,
        words INTEGER NOT NULL DEFAULT 0,
        surprise DOUBLE PRECISION,
        probabilities {bytes},
        UNIQUE (id, arm)
    )""",
    "CREATE INDEX predictions_time ON predictions (time, number)",
    *NEW_IN_2,
    "CREATE TABLE linnet_log (version INTEGER NOT NULL, last_forgotten BIGINT NOT NULL DEFAULT 0)",
]
# Adding a column with a constant default rewrites no row, so a large log is ready at once. The new
# columns have defaults because a service of an older Linnet that is still at work names none.
FROM_1 = [
    "ALTER TABLE predictions ADD COLUMN epoch BIGINT NOT NULL DEFAULT 0",
    "ALTER TABLE predictions ADD COLUMN named BOOLEAN NOT NULL DEFAULT FALSE",
    "ALTER TABLE predictions ADD COLUMN unit BIGINT",
    "ALTER TABLE predictions ADD COLUMN text_hash BIGINT",
    "ALTER TABLE predictions ADD COLUMN words INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE predictions ADD COLUMN surprise DOUBLE PRECISION",
    "ALTER TABLE predictions ADD COLUMN probabilities {bytes}",
    "ALTER TABLE linnet_log ADD COLUMN last_forgotten BIGINT NOT NULL DEFAULT 0",
    "ALTER TABLE feedback RENAME TO feedback_of_format_1",
    *NEW_IN_2,
    "INSERT INTO feedback (id, source, labels, time, annotator) "
    "SELECT id, 'user', labels, time, '' FROM feedback_of_format_1 ORDER BY time",
    "DROP TABLE feedback_of_format_1",
]


def prepare(database: Database, create: bool) -> None:
    """Make the tables if there are none, and bring those of an older format to the present one.

    A log is of the old format or of the new one, also if the process is killed meanwhile.

    Args:
        database: The database.
        create: Whether a log that isn't there is made.

    Raises:
        UsageError: There is no log.
        UnusableLogError: It is damaged, of a newer format, or not Linnet's.
        StorageError: The database can't be read or written.
    """
    if not database.has_table("linnet_log"):
        if not create:
            raise UsageError(
                f"Expected a prediction log in {database.name}, but there is none. Check "
                f"prediction_log.url."
            )
        _create(database)
    if _checked_version(database) < VERSION:
        try:
            _migrate(database)
        except StorageError as error:
            raise StorageError(
                f"{error} It is of format 1 and becomes one of format {VERSION} when it is first "
                "opened, for which this user needs the right to alter its tables."
            ) from error


def _checked_version(database: Database) -> int:
    """The format of the log.

    Raises:
        UnusableLogError: It is damaged or of a newer format.
    """
    versions = [version for (version,) in database.rows("SELECT version FROM linnet_log")]
    if len(versions) != 1 or type(versions[0]) is not int or versions[0] < 1:
        raise _damaged(database, "linnet_log holds no version")
    version = versions[0]
    if version > VERSION:
        raise UnusableLogError(
            f"Expected a prediction log of format {VERSION} or older in {database.name}; "
            f"it is of format {version}. A newer Linnet made it: update this one, "
            "or name another log with prediction_log.url."
        )
    for table in (*TABLES, *(TABLES_OF_2 if version > 1 else ())):
        if not database.has_table(table):
            raise _damaged(database, f"it has no table {table!r}")
    return version


def _damaged(database: Database, wrong: str) -> UnusableLogError:
    return UnusableLogError(
        f"The prediction log {database.name} is damaged: {wrong}. Nothing was deleted. "
        "Restore a copy, move it aside, or name another log with prediction_log.url."
    )


def _create(database: Database) -> None:
    with database.transaction():
        database.execute(database.lock)
        if database.has_table("linnet_log"):  # another process was faster
            return
        for table in (*TABLES, *TABLES_OF_2):
            if database.has_table(table):
                raise UnusableLogError(
                    f"{database.name} has a table {table!r} that is not Linnet's. Give the "
                    "prediction log a database or a schema of its own (prediction_log.url)."
                )
        for statement in CREATE:
            _run(database, statement)
        database.execute("INSERT INTO linnet_log (version) VALUES (?)", [VERSION])


def _migrate(database: Database) -> None:
    with database.transaction():
        database.execute(database.lock)
        if _checked_version(database) == VERSION:  # another process was faster
            return
        database.execute(database.unhurried)
        for statement in FROM_1:
            _run(database, statement)
        database.execute("UPDATE linnet_log SET version = ?", [VERSION])


def _run(database: Database, statement: str) -> None:
    types = {"number": database.number, "counter": database.counter, "bytes": database.bytes}
    database.execute(statement.format(**types))

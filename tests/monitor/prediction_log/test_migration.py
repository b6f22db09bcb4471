"""A log of format 1, as the Linnet of that time made it, opens with nothing lost."""

import json
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from linnet.errors import StorageError, UnusableLogError
from linnet.monitor import Record, Store, Truth
from linnet.monitor.prediction_log.database import Database, connect

from ..conftest import NOW

FORMAT_1 = [
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
COLUMNS_1 = (
    "id time arm digest label labels probability tokens truncated abstained fast shadow "
    "latency_ms text"
).split()
INSERT_1 = (
    f"INSERT INTO predictions ({', '.join(COLUMNS_1)}) VALUES ({', '.join('?' * len(COLUMNS_1))}) "
    "ON CONFLICT (id, arm) DO NOTHING"
)
JUDGE_1 = "INSERT INTO feedback (id, labels, time) VALUES (?, ?, ?)"


def row_1(record: Record) -> list[object]:
    values = [getattr(record, name) for name in COLUMNS_1]
    values[5] = json.dumps(values[5], ensure_ascii=False)
    return values


def write_format_1(url: str, records: list[Record], said: dict[str, tuple[str, ...]]) -> None:
    database = connect(url, create=True)
    with database.transaction():
        for statement in FORMAT_1:
            database.execute(statement.format(number=database.number))
        database.execute("INSERT INTO linnet_log (version) VALUES (?)", [1])
        database.execute_many(INSERT_1, map(row_1, records))
        rows = [(name, json.dumps(labels), NOW + 3) for name, labels in said.items()]
        database.execute_many(JUDGE_1, rows)
    database.close()


def version(url: str) -> int:
    database = connect(url, create=False)
    found: int = database.rows("SELECT version FROM linnet_log")[0][0]
    database.close()
    return found


@pytest.fixture
def records(make_record: Callable[..., Record]) -> list[Record]:
    """Of every kind that format 1 knew."""
    changes: list[dict[str, object]] = [
        {"text": "Grüße 🐦 'quoted' \\ %s ?"},
        {"label": None, "labels": (), "abstained": True},
        {"labels": ("a", "b"), "truncated": True, "fast": True},
        {"arm": "next", "shadow": True, "id": make_record(0).id},
    ]
    return [make_record(number, **one) for number, one in enumerate(changes)]


@pytest.mark.parametrize("create", [True, False])
def test_a_log_of_format_1_opens_with_nothing_lost(url, records, create, make_record):
    said = {records[0].id: ("negative",), records[1].id: ()}
    write_format_1(url, records, said)
    with Store(url, create=create) as store:
        entries = list(store.read())
        assert [entry.record for entry in entries] == records
        assert [entry.truth for entry in entries] == [("negative",), (), None, ("negative",)]
        assert entries[1].truths == (Truth(records[1].id, "user", (), NOW + 3, ""),)
        found = store.columns(["epoch", "named", "unit", "words", "surprise", "probabilities"])
        assert found["epoch"].tolist() == [0] * 4 and found["unit"].tolist() == [0] * 4
        assert not found["named"].any() and found["probabilities"] == [None] * 4
        assert (store.failures(), store.epochs(), store.losses()) == ([], [], {})
        new = make_record(9, epoch=7, named=True, unit=-5, words=3, surprise=0.5)
        assert store.add([new]) == 0
        assert store.judge([Truth(records[0].id, "audit", ("positive",), NOW + 4)]) == [True]
    with Store(url) as store:
        assert [entry.record for entry in store.read()] == [*records, new]
        truths = {truth.source: truth.labels for truth in next(store.read()).truths}
        assert truths == {"user": ("negative",), "audit": ("positive",)}
    assert version(url) == 2


def test_a_service_of_the_old_linnet_that_is_at_work_goes_on_recording(url, records, make_record):
    write_format_1(url, records, {})
    old = connect(url, create=True)
    with Store(url) as store:
        with old.transaction():
            old.execute_many(INSERT_1, [row_1(make_record(5))])
        assert [entry.record for entry in store.read()] == [*records, make_record(5)]
    old.close()


OPEN = "import sys; from linnet.monitor import Store; Store(sys.argv[1]).close()"


def test_processes_that_open_it_at_once_change_it_once(url, make_record):
    records = [make_record(number) for number in range(2000)]
    write_format_1(url, records, {record.id: ("a",) for record in records})
    started = [
        subprocess.Popen([sys.executable, "-c", OPEN, url], stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    outcomes = [(process.communicate(timeout=120)[1], process.returncode) for process in started]
    assert [code for _, code in outcomes] == [0] * 3, outcomes
    with Store(url, create=False) as store:
        assert [entry.record for entry in store.read()] == records
        assert len(store.truths()) == len(records)


KILLED = """
import os, signal, sys
from linnet.monitor import Store
from linnet.monitor.prediction_log import database
execute = database.Database.execute
left = int(sys.argv[2])
def dying(self, sql, values=()):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    execute(self, sql, values)
database.Database.execute = dying
Store(sys.argv[1]).close()
"""


@pytest.mark.parametrize("steps", [4, 12, 19])
def test_killed_meanwhile_it_is_the_old_log_and_opens_again(url, records, steps):
    write_format_1(url, records, {records[0].id: ("negative",)})
    done = subprocess.run([sys.executable, "-c", KILLED, url, str(steps)], timeout=120)
    assert done.returncode == -9
    assert version(url) == 1
    with Store(url) as store:
        assert [entry.record for entry in store.read()] == records
        assert next(store.read()).truth == ("negative",)


def test_a_large_log_is_changed_in_a_moment(tmp_path, make_record):
    path = tmp_path / "log.db"
    write_format_1(str(path), [make_record(number) for number in range(50_000)], {})
    before = path.stat().st_size
    started = time.monotonic()
    Store(str(path)).close()
    assert time.monotonic() - started < 2  # it takes 0.02 s; writing the rows took a second
    assert path.stat().st_size < before * 1.05


def test_a_reader_without_the_right_to_alter_is_refused_in_a_sentence(postgres, records):
    import psycopg

    url = postgres.new_database()
    write_format_1(url, records, {})
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS reader")
        connection.execute("CREATE ROLE reader LOGIN")
        connection.execute("GRANT SELECT ON predictions, feedback, linnet_log TO reader")
    with pytest.raises(StorageError, match="of format 1 and becomes one of format 2"):
        Store(url.replace("linnet@", "reader@"), create=False)
    Store(url).close()
    assert version(url) == 2


def test_another_that_holds_the_tables_delays_the_change_for_seconds_only(postgres, records):
    import psycopg

    url = postgres.new_database()
    write_format_1(url, records, {})
    with psycopg.connect(url) as other:
        other.execute("SELECT count(*) FROM predictions")  # its transaction goes on
        with pytest.raises(StorageError, match="lock timeout"):
            Store(url)
    with Store(url) as store:
        assert [entry.record for entry in store.read()] == records


def test_a_log_that_another_process_changes_is_waited_for(tmp_path, records):
    path = tmp_path / "log.db"
    write_format_1(str(path), records, {})
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(0.3, other.execute, ["ROLLBACK"])
    timer.start()
    with Store(str(path)) as store:
        assert [entry.record for entry in store.read()] == records
    timer.join()
    other.close()


@pytest.mark.parametrize("table", ["epochs", "failures", "losses"])
def test_a_log_of_format_2_that_lacks_a_table_is_damaged(tmp_path, table):
    path: Path = tmp_path / "log.db"
    Store(str(path)).close()
    database: Database = connect(str(path), create=True)
    with database.transaction():
        database.execute(f"DROP TABLE {table}")
    database.close()
    with pytest.raises(UnusableLogError, match=f"it has no table '{table}'"):
        Store(str(path))

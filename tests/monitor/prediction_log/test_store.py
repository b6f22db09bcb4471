"""The tables, in SQLite and in PostgreSQL alike."""

import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings

from linnet.errors import ConfigError, MissingExtraError, StorageError, UsageError
from linnet.monitor import Store, Truth
from linnet.monitor.prediction_log.database import connect
from linnet.monitor.prediction_log.record import storable
from linnet.monitor.prediction_log.schema import VERSION
from linnet.monitor.prediction_log.store import PAGE

from ..conftest import NOW
from .test_record import HOSTILE


def execute(url: str, sql: str) -> None:
    database = connect(url, create=True)
    with database.transaction():
        database.execute(sql)
    database.close()


def test_records_are_read_in_order_of_time_with_their_feedback(url, make_record):
    records = [make_record(number) for number in range(2 * PAGE + 3)]
    with Store(url) as store:
        assert store.add(records[PAGE:]) == 0 and store.add(records[:PAGE]) == 0
        judged = [
            Truth(records[1].id, "user", ("negative",), NOW),
            Truth(records[2].id, "user", (), NOW + 1),
        ]
        assert store.judge(judged) == [True, True]
    with Store(url, create=False) as store:
        entries = list(store.read())
    assert [entry.record for entry in entries] == records
    assert [entry.truth for entry in entries[:4]] == [None, ("negative",), (), None]
    assert entries[2].truth_time == NOW + 1


def test_a_part_is_read_by_time_and_arm(url, make_record):
    arms = ["champion", "challenger"]
    records = [make_record(number, arm=arms[number % 2]) for number in range(10)]
    with Store(url) as store:
        store.add(records)
        assert [entry.record for entry in store.read(NOW + 2, NOW + 6)] == records[2:6]
        assert [entry.record for entry in store.read(since=NOW + 3, arm="challenger")] == records[
            3::2
        ]
        assert list(store.read(arm="\ud800")) == [] and list(store.read(until=NOW)) == []


def test_many_of_one_moment_are_each_read_once(url, make_record):
    records = [make_record(number, time=NOW) for number in range(2 * PAGE)]
    with Store(url) as store:
        store.add(records)
        assert [entry.record for entry in store.read()] == records


def test_reading_ends_though_writing_does_not(url, make_record):
    with Store(url) as store, Store(url) as writer:
        store.add([make_record(number) for number in range(PAGE + 1)])
        seen = 0
        for _ in store.read():
            writer.add([make_record(10_000 + seen)])
            seen += 1
    assert seen == PAGE + 1


def test_an_empty_log_is_read_as_nothing(url):
    with Store(url) as store:
        assert list(store.read()) == []


def test_the_answer_of_a_shadow_shares_its_feedback(url, make_record):
    answer = make_record(0)
    shadow = replace(answer, arm="next", label="negative", labels=("negative",), shadow=True)
    with Store(url) as store:
        store.add([answer, shadow])
        assert store.judge([Truth(answer.id, "user", ("negative",), NOW)]) == [True]
        assert [(entry.record, entry.truth) for entry in store.read()] == [
            (answer, ("negative",)),
            (shadow, ("negative",)),
        ]


def test_of_several_pieces_of_feedback_the_latest_counts(url, make_record):
    record = make_record(0)
    with Store(url) as store:
        store.add([record])
        said = [
            Truth(record.id, "user", ("b",), NOW + 5),
            Truth(record.id, "user", ("late",), NOW + 1),
        ]
        assert store.judge(said) == [True, True]
        assert [entry.truth for entry in store.read()] == [("b",)]
        store.judge([Truth(record.id, "user", ("c", "d"), NOW + 6)])
        assert [entry.truth for entry in store.read()] == [("c", "d")]


def test_feedback_counts_that_is_given_after_the_clock_was_put_back(url, make_record):
    record = make_record(0)
    with Store(url) as store:
        store.add([record])
        store.judge([Truth(record.id, "user", ("in 2030",), NOW + 10**8)])
        store.judge([Truth(record.id, "user", ("now",), NOW)])
        assert [entry.truth for entry in store.read()] == [("now",)]


def test_feedback_on_nothing_known_is_not_stored(url, make_record):
    with Store(url) as store:
        store.add([make_record(0)])
        assert store.judge(
            [Truth("nobody's", "user", ("a",), NOW), Truth("", "user", ("a",), NOW)]
        ) == [
            False,
            False,
        ]
        assert store.judge([]) == []
        assert [entry.truth for entry in store.read()] == [None]


def test_a_batch_sent_again_is_stored_once(url, make_record):
    records = [make_record(number) for number in range(5)]
    with Store(url) as store:
        store.add(records)
        store.add(records)
        assert [entry.record for entry in store.read()] == records


@pytest.mark.parametrize(
    "bad", [{"probability": float("nan")}, {"tokens": 2**63}, {"arm": None}, {"id": 7}]
)
def test_a_record_that_is_refused_keeps_no_other_back(url, make_record, bad):
    records = [make_record(number, **(bad if number in {0, 4, 5} else {})) for number in range(10)]
    with Store(url) as store:
        assert store.add(records) == 3
        assert [entry.record for entry in store.read()] == [
            records[number] for number in (1, 2, 3, 6, 7, 8, 9)
        ]


def test_an_id_too_long_for_an_index_is_refused_alone(postgres, make_record):
    import random

    endless = "".join(random.Random(0).choices("0123456789abcdef", k=100_000))
    with Store(postgres.new_database()) as store:
        assert store.add([make_record(0), make_record(1, id=endless), make_record(2)]) == 1
        assert len(list(store.read())) == 2


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50
)
@given(HOSTILE, HOSTILE)
def test_any_text_is_stored_beside_its_neighbours(url, make_record, text, label):
    with Store(url) as store:
        place = len(list(store.read()))
        records = [make_record(place + i) for i in range(3)]
        records[1] = replace(records[1], text=text, label=label, labels=(label,))
        assert store.add(records, texts=True) == 0
        assert store.judge(
            [Truth(records[1].id, "user", (storable(label), storable(text)), NOW)]
        ) == [True]
        entries = list(store.read(since=records[0].time))
        assert [entry.record.id for entry in entries] == [record.id for record in records]
        assert entries[1].record.text == storable(text) and entries[1].record.label == storable(
            label
        )
        assert entries[1].truth == (storable(label), storable(text))


def test_a_text_of_a_megabyte_is_stored(url, make_record):
    text = "🐦" * 250_000
    with Store(url) as store:
        store.add([make_record(0, text=text)], texts=True)
        assert next(store.read()).record.text == text


def test_the_oldest_are_forgotten_in_steps_with_their_feedback(url, make_record):
    records = [make_record(number) for number in range(10)]
    kept = replace(
        records[2], arm="next", time=NOW + 100, shadow=True
    )  # of the same id as one that goes
    with Store(url) as store:
        store.add([*records, kept])
        store.judge([Truth(record.id, "user", ("a",), NOW) for record in records])
        assert [store.forget(NOW + 5, 3) for _ in range(3)] == [3, 2, 0]
        assert [(entry.record, entry.truth) for entry in store.read()] == [
            *((record, ("a",)) for record in records[5:]),
            (kept, ("a",)),
        ]
    database = connect(url, create=False)
    assert database.rows("SELECT count(*) FROM feedback")[0][0] == 6
    database.close()


def test_a_newer_format_is_refused(url):
    Store(url).close()
    execute(url, f"UPDATE linnet_log SET version = {VERSION + 1}")
    with pytest.raises(UsageError, match=rf"of format {VERSION + 1}\. A newer Linnet made it"):
        Store(url)


def test_tables_of_somebody_else_are_left_alone(url):
    execute(url, "CREATE TABLE predictions (id TEXT)")
    with pytest.raises(UsageError, match="has a table 'predictions' that is not Linnet's"):
        Store(url)
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"))
        found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        connection.close()
        assert found == [("predictions",)]
        return
    database = connect(url, create=True)
    assert not database.has_table("linnet_log") and not database.has_table("feedback")
    database.close()


def test_reading_makes_no_log(url, tmp_path):
    with pytest.raises(UsageError, match="Expected a prediction log"):
        Store(url, create=False)
    assert not list(tmp_path.glob("log.db*"))


def test_processes_that_begin_at_once_make_one_log(url):
    code = "import sys; from linnet.monitor import Store; Store(sys.argv[1]).close()"
    started = [
        subprocess.Popen([sys.executable, "-c", code, url], stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    outcomes = [(process.communicate(timeout=120)[1], process.returncode) for process in started]
    assert [code for _, code in outcomes] == [0] * 4, outcomes
    with Store(url, create=False) as store:
        assert list(store.read()) == []


def test_a_file_that_another_process_is_opening_is_waited_for(tmp_path):
    path = tmp_path / "log.db"
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    timer = threading.Timer(0.3, other.execute, ["ROLLBACK"])
    timer.start()
    with Store(str(path)) as store:
        assert list(store.read()) == []
    timer.join()
    other.close()


def test_a_bare_path_is_sqlite_and_its_folder_is_made(tmp_path, make_record):
    path = tmp_path / "new folder" / "50%? a#b.db"
    with Store(str(path)) as store:
        store.add([make_record(0)])
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT arm, labels FROM predictions").fetchall() == [
            ("champion", '["positive"]')
        ]
        assert connection.execute("PRAGMA journal_mode").fetchall() == [("wal",)]
    connection.close()


@pytest.mark.parametrize(
    "url", ["mysql://host/log", "sqlite://", "sqlite:///", "sqlite://relative"]
)
def test_another_url_is_refused(url):
    with pytest.raises(ConfigError, match=r"Expected sqlite:///PATH, a path, or postgresql://"):
        Store(url)


def test_a_url_that_libpq_cannot_read_is_refused_without_its_password():
    with pytest.raises(ConfigError, match="libpq") as caught:
        Store("postgresql://linnet:hunter2@host:notaport:x/log?never=1")
    assert "hunter2" not in str(caught.value)


def test_the_password_is_in_no_message():
    with pytest.raises(
        StorageError, match=r"prediction log postgresql://127\.0\.0\.1/log can't be reached"
    ) as caught:
        Store("postgresql://linnet:hunter2@127.0.0.1:1/log")
    assert "hunter2" not in str(caught.value)


def test_without_psycopg_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtraError, match=r"linnet-text\[postgres\]"):
        Store("postgresql://linnet@host/log")


def test_what_is_no_database_is_refused(tmp_path):
    strange = tmp_path / "notes.txt"
    strange.write_text("not a database " * 100)
    with pytest.raises(
        UsageError, match=r"notes\.txt, but it can't be opened: file is not a database"
    ):
        Store(str(strange))
    with pytest.raises(UsageError, match="can't be opened"):
        Store(str(strange / "log.db"))
    with pytest.raises(
        UsageError, match=r"but a folder is there\. Name a file with prediction_log\.url"
    ):
        Store(str(tmp_path))


def test_a_database_that_lacks_characters_is_refused(postgres):
    import psycopg

    url = postgres.new_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    with pytest.raises(UsageError, match="is LATIN1, which lacks"):
        Store(postgres.url("latin"))


def test_a_missing_privilege_is_told(postgres):
    import psycopg

    url = postgres.new_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS guest")
        connection.execute("CREATE ROLE guest LOGIN")
    with pytest.raises(StorageError, match="permission denied"):
        Store(url.replace("linnet@", "guest@"))
    Store(url).close()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("GRANT SELECT ON predictions, feedback, linnet_log TO guest")
    with Store(
        url.replace("linnet@", "guest@"), create=False
    ) as store:  # may read, and needs no more
        assert list(store.read()) == []

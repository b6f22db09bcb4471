"""The way of a record into the store: never waited for, always counted."""

import logging
import sqlite3
import threading
import time
from concurrent.futures import wait
from dataclasses import replace

import pytest

from linnet.errors import ConfigError, StorageError
from linnet.monitor import PredictionLog, Record, Store
from linnet.monitor.prediction_log import log as module
from linnet.monitor.prediction_log import waiting_feedback

from ..conftest import wait_until


def stored(url: str) -> list[Record]:
    with Store(str(url), create=False) as store:
        return [entry.record for entry in store.read()]


def adds_up(log: PredictionLog) -> bool:
    status = log.status()
    return status.recorded == status.written + status.pending + sum(status.lost.values())


@pytest.fixture
def locked(tmp_path):
    """A log in SQLite into which another process, as it were, writes for as long as the test likes."""
    path = tmp_path / "log.db"
    Store(str(path)).close()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    yield path, connection
    connection.close()


def test_records_are_in_the_store_within_a_second(url, open_log, make_record):
    log = open_log(url)
    records = [make_record(number) for number in range(3)]
    started = time.monotonic()
    log.record(records)
    assert log.status().recorded == 3
    wait_until(lambda: log.status().written == 3)
    assert time.monotonic() - started < 5  # one, on a machine that nobody else keeps busy
    assert stored(url) == records and log.status().healthy and log.status().pending == 0


def test_many_records_do_not_wait_for_more(tmp_path, open_log, make_record, monkeypatch):
    monkeypatch.setattr(module, "FLUSH_SECONDS", 1000.0)
    log = open_log(tmp_path / "log.db")
    for number in range(module.BATCH):
        log.record([make_record(number)])
    wait_until(lambda: log.status().written == module.BATCH)


def test_closing_stores_what_waits(url, open_log, make_record):
    log = open_log(url)
    records = [make_record(number) for number in range(3 * module.BATCH + 7)]
    log.record(records)
    log.close(60.0)
    assert (
        stored(url) == records and log.status().written == len(records) and not log.status().healthy
    )
    log.record([make_record(0)])
    assert log.status().lost == {"full": 0, "failed": 1, "refused": 0} and adds_up(log)
    with pytest.raises(StorageError, match="is closed"):
        log.feedback(records[0].id, "a").result(0)
    log.close()


def test_feedback_finds_a_record_that_still_waits(url, open_log, make_record, monkeypatch):
    monkeypatch.setattr(module, "FLUSH_SECONDS", 1000.0)
    log = open_log(url)
    log.record([make_record(number) for number in range(30)])
    futures = [log.feedback(make_record(29).id, "negative"), log.feedback("nobody's", "negative")]
    futures.append(log.feedback(make_record(3).id, ["a", "b"]))
    assert [future.result(60) for future in futures] == [True, False, True]
    with Store(url, create=False) as store:
        truths = {entry.record.id: entry.truth for entry in store.read() if entry.truth is not None}
    assert truths == {make_record(29).id: ("negative",), make_record(3).id: ("a", "b")}


def test_hostile_feedback_hurts_nobody(url, open_log, make_record):
    log = open_log(url)
    log.record([make_record(0)])
    futures = [
        log.feedback(*given)
        for given in [("\ud800", "a"), ("\0", "a"), (make_record(0).id, "\0\udfff")]
    ]
    assert [future.result(60) for future in futures] == [False, False, True]
    with pytest.raises(TypeError):
        log.feedback(make_record(0).id, [5])
    assert log.status().healthy


def test_feedback_that_nobody_waits_for_any_more_does_not_end_the_log(
    locked, open_log, make_record
):
    path, other = locked
    log = open_log(path)
    log.record([make_record(0)])
    futures = [log.feedback(make_record(0).id, "a") for _ in range(2)]
    assert futures[0].cancel()
    other.execute("ROLLBACK")
    assert futures[1].result(60) is True
    assert log.feedback(make_record(0).id, "b").result(60) is True


def test_texts_are_stored_only_when_asked_for(url, open_log, make_record):
    log = open_log(url)
    log.record([make_record(0, text="a secret")])
    log.close()
    log = open_log(url, texts=True)
    log.record([make_record(1, text="a 🐦")])
    log.close()
    assert [record.text for record in stored(url)] == [None, "a 🐦"]


def test_a_hostile_record_costs_itself_alone(url, open_log, make_record, caplog):
    log = open_log(url, texts=True)
    strange = {
        1: {"probability": float("nan")},
        2: {"text": 5},
        3: {"text": "\0\ud800"},
        4: {"digest": None},
    }
    log.record([make_record(number, **strange.get(number, {})) for number in range(6)])
    log.close()
    assert [int(record.id[:-2], 16) for record in stored(url)] == [0, 3, 5]
    assert log.status().lost == {"full": 0, "failed": 0, "refused": 3} and adds_up(log)
    assert (
        "Predictions that were not recorded since the start: 0 full, 0 failed, 3 refused"
        in caplog.text
    )


def test_more_than_may_wait_is_dropped_and_counted(locked, open_log, make_record, caplog):
    path, other = locked
    log = open_log(path, max_pending=10)
    records = [make_record(number) for number in range(25)]
    log.record(records[:12])
    log.record(records[12:])
    status = log.status()
    assert (status.recorded, status.pending, status.lost["full"]) == (25, 10, 15) and adds_up(log)
    other.execute("ROLLBACK")
    wait_until(lambda: log.status().written == 10)
    log.record(records[20:])
    log.close()
    assert stored(path) == records[:10] + records[20:] and adds_up(log)
    assert caplog.text.count("15 full, 0 failed, 0 refused") == 1


def test_long_texts_are_bounded_too(locked, open_log, make_record, monkeypatch):
    monkeypatch.setattr(module, "MAX_CHARACTERS", 1000)
    path, other = locked
    log = open_log(path, texts=True)
    log.record([make_record(number, text="x" * 250) for number in range(6)])
    assert log.status().pending == 4 and log.status().lost["full"] == 2
    other.execute("ROLLBACK")
    wait_until(lambda: log.status().written == 4)
    log.record([make_record(number, text="x" * 250) for number in range(6, 10)])
    log.close()
    assert log.status().lost["full"] == 2 and log.status().written == 8


def test_feedback_is_bounded_too(locked, open_log, make_record, monkeypatch):
    monkeypatch.setattr(waiting_feedback, "MAX_FEEDBACK", 3)
    path, other = locked
    log = open_log(path)
    log.record([make_record(0)])
    futures = [log.feedback(make_record(0).id, "a") for _ in range(4)]
    with pytest.raises(
        StorageError, match=r"3 pieces of feedback wait to be stored\. Send it again later"
    ):
        futures[3].result(0)
    assert log.status().feedback == 3
    other.execute("ROLLBACK")
    assert [future.result(60) for future in futures[:3]] == [True] * 3


def test_threads_lose_nothing(url, open_log, make_record):
    log = open_log(url)

    def hand_over(first: int) -> None:
        for number in range(first, first + 1000, 10):
            log.record([make_record(number + i) for i in range(10)])
            assert adds_up(log)

    threads = [threading.Thread(target=hand_over, args=[1000 * i]) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close(60.0)
    assert (
        stored(url) == [make_record(number) for number in range(4000)]
        and log.status().written == 4000
    )


def test_old_records_are_deleted(tmp_path, open_log, make_record, monkeypatch):
    monkeypatch.setattr(module, "SWEEP_ROWS", 3)
    path, day = tmp_path / "log.db", module.DAY
    now = time.time()
    records = [make_record(number, time=now - (9.5 - number) * day) for number in range(10)]
    with Store(str(path)) as store:
        store.add(records)
    log = open_log(path, retention_days=2)
    wait_until(lambda: stored(path) == records[8:])
    log.record([replace(records[0], id="new", time=now)])
    log.close()
    assert len(stored(path)) == 3
    log = open_log(path, retention_days=0)
    time.sleep(0.05)
    log.close()
    assert len(stored(path)) == 3


def test_a_clock_that_jumps_ahead_deletes_no_log(tmp_path, open_log, make_record, monkeypatch):
    path, now = tmp_path / "log.db", time.time()
    records = [make_record(number, time=now - 60 + number) for number in range(10)]
    with Store(str(path)) as store:
        store.add(records)
    monkeypatch.setattr(
        "linnet.monitor.prediction_log.clock.time.time", lambda: now + 1000 * module.DAY
    )
    log = open_log(path, retention_days=2)
    wait_until(lambda: log._next_sweep > time.monotonic() + 100)
    log.close()
    assert stored(path) == records


def test_feedback_counts_though_the_clock_went_back_by_a_little(
    tmp_path, open_log, make_record, monkeypatch
):
    path, now = tmp_path / "log.db", time.time()
    log = open_log(path)
    record = make_record(0)
    log.record([record])
    for label, moment in (("first", now), ("second", now - 5)):
        monkeypatch.setattr(waiting_feedback.time, "time", lambda moment=moment: moment)
        assert log.feedback(record.id, label).result(60)
    log.close()
    with Store(str(path)) as store:
        assert [entry.truth for entry in store.read()] == [("second",)]


def test_an_idle_log_does_not_spin(tmp_path, open_log):
    log = open_log(tmp_path / "log.db", retention_days=1)
    wait_until(lambda: log._next_sweep > time.monotonic() + 100)
    before = time.process_time()
    time.sleep(0.5)
    assert time.process_time() - before < 0.25


def test_a_url_of_no_log_is_refused_at_the_start(open_log):
    with pytest.raises(ConfigError, match="log"):
        open_log("mysql://somewhere")


def test_a_defect_is_logged_and_does_not_end_the_log(
    tmp_path, open_log, make_record, monkeypatch, caplog
):
    caplog.set_level(logging.WARNING)
    log = open_log(tmp_path / "log.db")
    add = Store.add
    monkeypatch.setattr(Store, "add", lambda *_: 1 / 0)
    log.record([make_record(0)])
    wait_until(lambda: not log.status().healthy)
    assert log.status().pending == 1
    monkeypatch.setattr(Store, "add", add)
    wait_until(lambda: log.status().healthy)
    log.close()
    assert stored(tmp_path / "log.db") == [make_record(0)]
    assert "A defect in the prediction log" in caplog.text and "ZeroDivisionError" in caplog.text


def test_futures_are_done_when_the_log_is_closed(locked, open_log, make_record, monkeypatch):
    monkeypatch.setattr("linnet.monitor.prediction_log.database.BUSY_SECONDS", 0.1)
    path, _ = locked
    log = open_log(path)
    log.record([make_record(0)])
    future = log.feedback(make_record(0).id, "a")
    started = time.monotonic()
    log.close(0.5)
    assert time.monotonic() - started < 30
    done, _ = wait([future], 0)
    assert done and isinstance(future.exception(), StorageError)
    assert log.status().lost["failed"] == 1 and adds_up(log)

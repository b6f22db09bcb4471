"""What goes wrong in the night: PostgreSQL is stopped or hangs, the disk fills, the process is killed."""

import os
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from linnet.errors import StorageError
from linnet.monitor.prediction_log import log as module
from linnet.monitor.prediction_log import waiting_feedback

from ..conftest import wait_until
from .test_log import adds_up, stored

WRITER = """
import sys, tempfile, time
from linnet.config import PredictionLogConfig
from linnet.monitor import PredictionLog, Record

def make(number):
    of_label = "a", ("a",), 0.5, 23, False, False, False, False, 1.0
    return Record(f"{number:032x}-0", 1.76e9 + number, "champion", "d", *of_label)

log = PredictionLog(PredictionLogConfig(
    url=sys.argv[1], texts=False, audit_rate=0.0, hash_key_file=tempfile.mkdtemp() + "/key",
    max_pending=10_000, retention_days=0,
))
"""
ENDLESSLY = """
number = 0
while True:
    if log.status().pending < 5000:
        log.record([make(number + i) for i in range(100)])
        number += 100
    time.sleep(0.005)
    print(log.status().written, flush=True)
"""


def start(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_postgresql_is_stopped_and_started_again(
    postgres, open_log, make_record, mode, caplog, monkeypatch
):
    monkeypatch.setattr(waiting_feedback, "FEEDBACK_SECONDS", 1.0)
    monkeypatch.setattr(module, "BACK_OFF_SECONDS", (0.1, 0.3))
    url = postgres.new_database()
    log = open_log(url, max_pending=2000)
    number = 0

    def record(count: int) -> None:
        nonlocal number
        for _ in range(count // 10):
            log.record([make_record(number + i) for i in range(10)])
            number += 10
            time.sleep(0.0005)

    record(1000)
    postgres.stop(mode)
    try:
        record(1000)
        wait_until(lambda: not log.status().healthy)
        with pytest.raises(StorageError, match="can't be written now"):
            log.feedback(make_record(0).id, "a").result(60)
        assert log.status().lost == {"full": 0, "failed": 0, "refused": 0} and adds_up(log)
    finally:
        postgres.start()
    record(500)
    healthy: list[bool] = []
    answer = log.feedback(make_record(number - 1).id, "a")
    answer.add_done_callback(lambda _: healthy.append(log.status().healthy))
    assert answer.result(60) is True
    log.close(60.0)
    assert healthy == [True]
    assert (log.status().recorded, log.status().written) == (2500, 2500)
    assert stored(url) == [make_record(i) for i in range(2500)]
    assert [record.levelname for record in caplog.records if record.name == "linnet.monitor"] == [
        "ERROR",
        "WARNING",
    ]
    assert "Predictions are kept, 2000 at most" in caplog.text and "works again" in caplog.text


@pytest.mark.slow
def test_postgresql_crashes_again_and_again_under_writing(postgres, open_log, make_record):
    url = postgres.new_database()
    log = open_log(url, max_pending=100_000)
    ended = threading.Event()
    number = 0

    def record() -> None:
        nonlocal number
        while not ended.wait(0.001):
            log.record([make_record(number + i) for i in range(5)])
            number += 5

    thread = threading.Thread(target=record)
    thread.start()
    try:
        for _ in range(10):
            before = log.status().written
            wait_until(lambda before=before: log.status().written > before + 1000)
            postgres.stop("immediate")
            postgres.start()
    finally:
        ended.set()
        thread.join()
    log.close(60.0)
    assert log.status().written == number and adds_up(log)
    assert stored(url) == [make_record(i) for i in range(number)]


def test_above_the_bound_what_is_lost_while_postgresql_is_stopped_is_counted(
    postgres, open_log, make_record, caplog
):
    url = postgres.new_database()
    log = open_log(url, max_pending=100)
    postgres.stop()
    try:
        log.record([make_record(i) for i in range(50)])
        wait_until(lambda: not log.status().healthy)
        log.record([make_record(i) for i in range(50, 130)])
        assert log.status().lost == {"full": 0, "failed": 30, "refused": 0} and adds_up(log)
    finally:
        postgres.start()
    wait_until(lambda: log.status().healthy)
    assert stored(url) == [make_record(i) for i in range(100)]
    assert caplog.text.count("30 failed") == 1


def test_the_service_starts_while_postgresql_is_stopped(postgres, open_log, make_record):
    url = postgres.new_database()
    postgres.stop()
    try:
        log = open_log(url)
        assert not log.status().healthy
        log.record([make_record(0)])
    finally:
        postgres.start()
    wait_until(lambda: log.status().written == 1)
    assert log.status().healthy


def test_a_log_closed_while_postgresql_is_stopped_counts_what_it_loses(
    postgres, open_log, make_record, caplog
):
    log = open_log(postgres.new_database())
    postgres.stop()
    try:
        log.record([make_record(i) for i in range(7)])
        future = log.feedback(make_record(0).id, "a")
        log.close(0.3)
    finally:
        postgres.start()
    assert log.status().lost["failed"] == 7 and log.status().pending == 0 and adds_up(log)
    assert "0 full, 7 failed, 0 refused" in caplog.text
    with pytest.raises(StorageError):
        future.result(0)


def test_a_server_that_hangs_is_seen(postgres, open_log, make_record, monkeypatch):
    import psycopg

    monkeypatch.setattr(module, "STALL_SECONDS", 0.2)
    url = postgres.new_database()
    log = open_log(url)
    with psycopg.connect(url) as other:
        other.execute("LOCK TABLE predictions")
        log.record([make_record(0)])
        wait_until(lambda: not log.status().healthy)
        log.record([make_record(1)])
        assert log.status().pending == 2
        other.rollback()
    wait_until(lambda: log.status().written == 2)
    assert log.status().healthy


FULL = (
    WRITER
    + """
import resource
number = 0
def record(count):
    global number
    log.record([make(number + i) for i in range(count)])
    number += count

record(100)
assert log.feedback(make(99).id, "a").result(60)
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
refused = None
while refused is None:  # while its journal alone is full, closing it makes room
    record(100)
    refused = log.feedback(make(0).id, "a").exception(60)
assert type(refused).__name__ == "StorageError", refused
assert 0 < log.status().pending < number
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
assert log.feedback(make(number - 1).id, "b").result(60)
log.close(60)
facts = log.status()
assert facts.written == facts.recorded == number and not any(facts.lost.values()), facts
print(number)
"""
)


def test_a_file_that_may_not_grow_loses_nothing_below_the_bound(tmp_path):
    path = tmp_path / "log.db"
    with start(FULL, str(path)) as process:
        output = process.communicate(timeout=200)[0]
    assert process.returncode == 0
    assert [int(record.id[:-2], 16) for record in stored(path)] == list(range(int(output)))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_full_disk_loses_nothing_below_the_bound(tmp_path, open_log, make_record):
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    mounted = subprocess.run(command, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    try:
        log = open_log(disk / "log.db")
        (disk / "other").write_bytes(bytes(600_000))
        number = 0
        while log.status().healthy:
            log.record([make_record(number + i) for i in range(100)])
            number += 100
            time.sleep(0.01)
        assert log.status().pending > 0 and adds_up(log)
        assert stored(disk / "log.db") == [
            make_record(i) for i in range(log.status().written)
        ]  # it can be read
        (disk / "other").unlink()
        wait_until(lambda: log.status().healthy and log.status().pending == 0)
        log.close()
        assert log.status().written == number
        assert stored(disk / "log.db") == [make_record(i) for i in range(number)]
    finally:
        log.close(0.0)
        subprocess.run(["umount", str(disk)], check=True)


def test_a_killed_process_leaves_a_log_that_holds_a_prefix(url):
    for _ in range(3):
        written = 0
        with start(WRITER + ENDLESSLY, url) as process:
            assert process.stdout
            while written < 3000:
                written = int(process.stdout.readline())
            process.kill()
        numbers = [int(record.id[:-2], 16) for record in stored(url)]
        assert len(numbers) >= written and numbers == list(range(len(numbers)))
        if not url.startswith("postgresql"):
            connection = sqlite3.connect(url.removeprefix("sqlite:///"))
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            connection.close()


READER = """
import sys
from linnet.monitor import Store
with Store(sys.argv[1], create=False) as store:
    before = -1
    growths = 0
    while growths < 3:
        numbers = [int(entry.record.id[:-2], 16) for entry in store.read()]
        assert numbers == list(range(len(numbers))) and len(numbers) >= before, (len(numbers), before)
        growths += len(numbers) > before
        before = len(numbers)
"""


def test_two_processes_read_while_one_writes(url):
    with start(WRITER + ENDLESSLY, url) as writer:
        assert writer.stdout
        while int(writer.stdout.readline()) == 0:
            pass
        with start(READER, url) as first, start(READER, url) as second:
            while first.poll() is None or second.poll() is None:
                assert writer.stdout.readline()
        writer.kill()
    assert (first.returncode, second.returncode) == (0, 0)


def test_a_file_that_is_moved_away_is_begun_anew(tmp_path, open_log, make_record, caplog):
    path, aside = tmp_path / "log.db", tmp_path / "old.db"
    log = open_log(path)
    log.record([make_record(0)])
    wait_until(lambda: log.status().written == 1)
    for ending in ("", "-wal", "-shm"):
        Path(f"{path}{ending}").rename(f"{aside}{ending}")
    log.record([make_record(1)])
    log.close()
    assert stored(aside) == [make_record(0)] and stored(path) == [make_record(1)]
    assert "has been moved or deleted" in caplog.text and "works again" in caplog.text


def test_another_that_holds_the_file_for_long_delays_and_loses_nothing(
    tmp_path, open_log, make_record, monkeypatch
):
    monkeypatch.setattr("linnet.monitor.prediction_log.database.BUSY_SECONDS", 0.1)
    path: Path = tmp_path / "log.db"
    log = open_log(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    log.record([make_record(0)])
    wait_until(lambda: not log.status().healthy)
    other.execute("ROLLBACK")
    other.close()
    wait_until(lambda: log.status().written == 1)
    assert log.status().healthy

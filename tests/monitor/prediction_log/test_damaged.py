"""Damaged logs are told apart in a sentence, stay as they are, and keep nobody from starting."""

import os
import shlex
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from linnet.errors import StorageError, UnusableLogError
from linnet.monitor import Store
from linnet.monitor.prediction_log import database, log
from linnet.monitor.prediction_log.schema import VERSION

from ..conftest import wait_until


def execute(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def spoil(path: Path) -> None:
    """Write over all pages but the first, as a disk that lost power may."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(size - 4096))


def replace(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def strange(path: Path) -> None:
    path.unlink()
    execute(path, "CREATE TABLE notes (text TEXT)", "INSERT INTO notes VALUES (1)")


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "no version": (lambda path: execute(path, "DELETE FROM linnet_log"), "holds no version"),
    "text for a version": (
        lambda path: execute(path, "UPDATE linnet_log SET version = 'one'"),
        "holds no version",
    ),
    "two versions": (
        lambda path: execute(path, "INSERT INTO linnet_log (version) VALUES (1)"),
        "holds no version",
    ),
    "no table": (lambda path: execute(path, "DROP TABLE feedback"), "no table 'feedback'"),
    "a newer format": (
        lambda path: execute(path, f"UPDATE linnet_log SET version = {VERSION + 1}"),
        "A newer Linnet made it",
    ),
    "no database": (lambda path: replace(path, b"notes " * 1000), "file is not a database"),
    "a malformed image": (spoil, r"is damaged: database disk image is malformed\. Nothing was"),
    "a truncated file": (
        lambda path: os.truncate(path, 5000),
        r"is damaged: database disk image is malformed",
    ),
    "a folder": (folder, "but a folder is there"),
    "a pipe": (pipe, "but a pipe, a device or a socket is there"),
    "another program's": (strange, "table 'notes' that is not Linnet's"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_log_is_one_sentence_and_stays_as_it_is(
    tmp_path, damage, open_log, make_record, caplog, monkeypatch
):
    path = tmp_path / "logs" / "log.db"
    with Store(str(path)) as store:
        store.add([make_record(number) for number in range(100)])
    spoiler, sentence = DAMAGES[damage]
    spoiler(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(UnusableLogError, match=sentence) as caught:
        Store(str(path))
    assert len(str(caught.value).splitlines()) == 1
    if before is not None:
        assert path.read_bytes() == before

    monkeypatch.setattr(log, "UNUSABLE_SECONDS", 6.0)
    opened = open_log(path)
    assert not opened.status().healthy
    opened.record([make_record(7)])
    with pytest.raises(StorageError, match="can't be used"):
        opened.feedback("0" * 32 + "-0", "positive").result(1)
    assert opened.status().pending == 1
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 1 and str(caught.value) in told[0]
    opened.close(0.1)


def test_a_log_moved_aside_by_the_command_is_begun_again(
    tmp_path, open_log, make_record, monkeypatch
):
    path = tmp_path / "it's here" / "log.db"
    with Store(str(path)) as store:
        store.add([make_record(number) for number in range(100)])
    spoil(path)
    monkeypatch.setattr(log, "UNUSABLE_SECONDS", 0.1)
    with pytest.raises(UnusableLogError) as caught:
        Store(str(path))
    command = str(caught.value).partition("`")[2].rpartition("`")[0]
    assert command == database.aside(path)
    opened = open_log(path)
    opened.record([make_record(7)])
    subprocess.run(["sh", "-c", command], check=True)
    wait_until(lambda: opened.status().healthy and opened.status().written == 1)
    assert (path.parent / "damaged" / "log.db").stat().st_size > 4096
    assert shlex.split(command)[0] == "mkdir"


def test_an_empty_file_becomes_a_log(tmp_path, make_record):
    path = tmp_path / "log.db"
    path.touch()
    with Store(str(path)) as store:
        store.add([make_record(0)])
        assert [entry.record for entry in store.read()] == [make_record(0)]


def test_a_log_that_others_hold_is_no_reason_not_to_start(tmp_path, open_log, monkeypatch):
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    path = tmp_path / "log.db"
    Store(str(path)).close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StorageError, match="database is locked"):
        Store(str(path))
    opened = open_log(path)
    assert not opened.status().healthy
    other.close()
    wait_until(lambda: opened.status().healthy)


FULL = """
import resource, sys, tempfile
from linnet.config import PredictionLogConfig
from linnet.monitor import PredictionLog
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
log = PredictionLog(PredictionLogConfig(
    url=sys.argv[1], texts=False, audit_rate=0.0, hash_key_file=tempfile.mkdtemp() + "/key",
    max_pending=10, retention_days=0,
))
print(log.status().healthy)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
while not log.status().healthy: pass
log.close()
print(log.status().healthy)
"""


def test_a_full_disk_is_no_reason_not_to_start(tmp_path):
    path = tmp_path / "log.db"
    done = subprocess.run(
        [sys.executable, "-c", FULL, path], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.splitlines() == ["False", "False"], (
        done.stderr
    )  # a closed one is not healthy
    assert len(done.stderr.splitlines()) == 2  # that it failed, that it works again
    assert "can't be" in done.stderr and "works again" in done.stderr
    Store(str(path), create=False).close()


NO_RIGHT = """
import os, sys, tempfile
from linnet.config import PredictionLogConfig
from linnet.errors import UsageError
from linnet.monitor import PredictionLog, Store
if os.geteuid() == 0:  # who may read and write everything
    os.setuid(65534)
try:
    Store(sys.argv[1])
except UsageError as error:
    print(error)
log = PredictionLog(PredictionLogConfig(
    url=sys.argv[1], texts=False, audit_rate=0.0, hash_key_file=tempfile.mkdtemp() + "/key",
    max_pending=10, retention_days=0,
))
print(log.status().healthy)
log.close()
"""


@pytest.mark.parametrize("mode", [0o000, 0o400])
def test_a_file_that_may_not_be_written_is_no_reason_not_to_start(mode):
    with tempfile.TemporaryDirectory() as folder:  # pytest's own no other user may enter
        path = Path(folder, "log.db")
        Store(str(path)).close()
        path.chmod(mode)
        if os.geteuid() == 0:
            os.chown(folder, 65534, 65534)
            os.chown(path, 65534, 65534)
        done = subprocess.run(
            [sys.executable, "-c", NO_RIGHT, path], capture_output=True, text=True, timeout=60
        )
    message, healthy = done.stdout.splitlines()
    assert "can't be opened: this user may not write it, or its disk is read-only." in message
    assert healthy == "False"
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("umask", [0, 0o022, 0o077])
def test_a_log_is_its_owners_alone_from_its_first_moment(tmp_path, umask, make_record):
    path = tmp_path / "new" / "log.db"
    seen: list[tuple[str, int]] = []
    before = os.umask(umask)
    try:
        with Store(str(path)) as store:
            store.add([make_record(0, text="a secret")], texts=True)
            for file in path.parent.iterdir():
                seen.append((file.name, stat.S_IMODE(file.stat().st_mode)))
    finally:
        os.umask(before)
    assert sorted(seen) == [("log.db", 0o600), ("log.db-shm", 0o600), ("log.db-wal", 0o600)]
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o777 & ~umask

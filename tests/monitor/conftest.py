"""Records, settings, and a PostgreSQL of the tests' own, which they may stop and start."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from linnet.config import PredictionLogConfig
from linnet.monitor import PredictionLog, Record

NOW = 1_760_000_000.0


@pytest.fixture(scope="session")
def make_record() -> Callable[..., Record]:
    """The record with a number; later ones are of a later time."""

    def make(number: int, **changes: Any) -> Record:
        values: dict[str, Any] = {
            "id": f"{number:032x}-0",
            "time": NOW + number,
            "arm": "champion",
            "digest": "d" * 64,
        }
        values |= {"label": "positive", "labels": ("positive",), "probability": 0.875, "tokens": 23}
        values |= {
            "truncated": False,
            "abstained": False,
            "fast": False,
            "shadow": False,
            "latency_ms": 12.5,
        }
        return Record(**values | changes)

    return make


@pytest.fixture
def open_log(tmp_path: Path) -> Iterator[Callable[..., PredictionLog]]:
    """Opens a log that is closed at the end; settings may be named."""
    opened = []

    def make(url: str | Path, **changes: Any) -> PredictionLog:
        values: dict[str, Any] = {
            "texts": False,
            "audit_rate": 0.01,
            "hash_key_file": str(tmp_path / "hash.key"),
            "max_pending": 10_000,
            "retention_days": 0,
        }
        opened.append(PredictionLog(PredictionLogConfig(url=str(url), **values | changes)))
        return opened[-1]

    yield make
    for log in opened:
        log.close()


def wait_until(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"not within {seconds} seconds"
        time.sleep(0.01)


class Postgres:
    """A cluster in a folder of its own, reached through a socket there."""

    def __init__(self, programs: Path, folder: Path, user: str | None):
        self._programs, self._folder, self._user = programs, folder, user
        self._databases = 0
        self.run(
            "initdb",
            "--pgdata",
            folder / "data",
            "--username=linnet",
            "--auth=trust",
            "--no-sync",
            "--encoding=UTF8",
        )
        self.start()

    def run(self, program: str, *arguments: str | Path) -> None:
        """Run one of its programs, as a user that it accepts."""
        who: dict[str, Any] = (
            {"user": self._user, "group": self._user, "extra_groups": []} if self._user else {}
        )
        with (self._folder / "output").open("a") as output:
            command = [self._programs / program, *arguments]
            done = subprocess.run(
                command, stdout=output, stderr=output, cwd=self._folder, timeout=120, **who
            )
        assert done.returncode == 0, (self._folder / "output").read_text()

    def start(self) -> None:
        options = (
            f"-c listen_addresses= -c unix_socket_directories={self._folder} -c max_connections=30"
        )
        self.run(
            "pg_ctl",
            "start",
            "-w",
            "-D",
            self._folder / "data",
            "-o",
            options,
            "-l",
            self._folder / "server.log",
        )

    def stop(self, mode: str = "fast") -> None:
        self.run("pg_ctl", "stop", "-w", "-D", self._folder / "data", "-m", mode)

    def new_database(self) -> str:
        """The URL of an empty database."""
        import psycopg

        self._databases += 1
        name = f"test_{self._databases}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def url(self, database: str) -> str:
        return f"postgresql://linnet@/{database}?host={self._folder}"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A running PostgreSQL."""
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not folders:
        pytest.skip("no PostgreSQL server here: apt-get install postgresql")
    # Beside pytest's own folder, which no other user may enter; and a socket's path is short.
    folder = Path(tempfile.mkdtemp(prefix="linnet-"))
    user = "postgres" if os.geteuid() == 0 else None  # it refuses root
    if user:
        shutil.chown(folder, user, user)
    try:
        cluster = Postgres(folders[-1], folder, user)
        try:
            yield cluster
        finally:
            cluster.stop("immediate")
    finally:
        shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty store of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'log.db'}"
    cluster: Postgres = request.getfixturevalue("postgres")
    return cluster.new_database()

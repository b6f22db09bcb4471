"""A real service in a process of its own that tests may break, and texts whose answers are known and all different."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import linnet

from .load import Client, Expected
from .rows import RESULTS, keep, table

LINE = re.compile(r"Serving (\S+) \(([0-9a-f]{12})\) on (http://\S+:(\d+))\n")
PLAIN = {
    "predict.num_threads": 1,
    "prediction_log.url": "",
    "serve.port": 0,
    "serve.admin_without_keys": True,
}


class Running:
    """A service: its process, and what can be seen of it from outside."""

    def __init__(self, bundle: Path, overrides: dict[str, Any], **environment: str):
        flags = [
            part for name, value in overrides.items() for part in ("--set", f"{name}={toml(value)}")
        ]
        command = [sys.executable, "-m", "linnet.cli.main", "serve", str(bundle), *flags]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | environment,
        )
        self.said: list[str] = []
        # Read all the time, for a full pipe would stop the service.
        self._reader = threading.Thread(target=lambda: self.said.extend(self.process.stderr or ()))
        self._reader.start()
        self.port = 0

    def wait(self) -> None:
        """Pass once it listens."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        match = LINE.fullmatch(line)
        assert match, (line, "".join(self.said))
        self.port = int(match[4])

    def end(self, number: int = signal.SIGTERM, seconds: float = 60.0) -> int:
        """Send a signal, and wait; gives the exit code."""
        self.process.send_signal(number)
        code = self.process.wait(seconds)
        self.close()
        return code

    def close(self) -> None:
        """Leave nothing of it."""
        workers = self.workers
        self.process.kill()
        self.process.wait()
        for worker in workers:
            with_signal(
                worker, signal.SIGCONT
            )  # a stopped one would never see that the service has ended
        self._reader.join()
        assert self.process.stdout and self.process.stderr
        self.process.stdout.close()
        self.process.stderr.close()

    @property
    def log(self) -> str:
        """What it has said on standard error."""
        return "".join(self.said)

    @property
    def workers(self) -> list[int]:
        """The processes that it has started and that run."""
        if self.process.poll() is not None:
            return []
        found = []
        for children in Path(f"/proc/{self.process.pid}/task").glob("*/children"):
            found += [int(pid) for pid in children.read_text().split()]
        return sorted(filter(alive, found))

    @property
    def files(self) -> int:
        """How many files and sockets it has open."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    @property
    def threads(self) -> int:
        """How many threads it has."""
        return len(list(Path(f"/proc/{self.process.pid}/task").iterdir()))

    def memory(self, pid: int | None = None) -> int:
        """Resident bytes of it, or of one of its workers."""
        status = Path(f"/proc/{pid or self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024  # type: ignore[index]

    async def ready(self) -> bool:
        """Whether it says that it is."""
        return (await self.get("/readyz")).status == 200

    async def get(self, path: str) -> Any:
        """What it answers on a new connection."""
        client = Client(self.port)
        try:
            return await client.ask("GET", path)
        finally:
            client.close()

    async def metric(self, name: str, **labels: str) -> float:
        """The sum of what it counts under a name."""
        text = (await self.get("/metrics")).body.decode()
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        lines = [line for line in text.splitlines() if re.match(rf"{name}[ {{]", line)]
        return sum(
            float(line.rsplit(" ", 1)[1]) for line in lines if all(one in line for one in wanted)
        )

    async def swap(self, **arms: Any) -> Any:
        """Put other models to work: by their arms, a path or more settings."""
        settings = {
            arm: {"bundle": str(one)} if isinstance(one, Path) else one for arm, one in arms.items()
        }
        client = Client(self.port)
        try:
            return await client.ask("POST", "/admin/models", {"arms": settings})
        finally:
            client.close()


def toml(value: Any) -> str:
    """A setting's value, as the command line takes it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {toml(one)}" for name, one in value.items()) + "}"
    return json.dumps(value)


def with_signal(pid: int, number: int) -> bool:
    """Send a signal; False where there is no such process any more."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def alive(pid: int) -> bool:
    """Whether a process runs: one that has ended and is not yet waited for doesn't."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@contextmanager
def serving(bundle: Path, **overrides: Any) -> Iterator[Running]:
    """A service that listens.

    Args:
        bundle: Its champion.
        overrides: Settings, named with two underscores for the dot; variables of its environment
            in capitals.
    """
    environment = {name: value for name, value in overrides.items() if name.isupper()}
    settings = {
        name.replace("__", "."): value
        for name, value in overrides.items()
        if name not in environment
    }
    running = Running(bundle, PLAIN | settings, **environment)
    try:
        running.wait()
        yield running
    except BaseException:
        print(f"exit code {running.process.poll()}, and last said:", *running.said[-100:], sep="\n")
        raise
    finally:
        running.close()


ROWS = pytest.StashKey[list[dict[str, Any]]]()


@pytest.fixture
def note(request: pytest.FixtureRequest) -> Callable[[dict[str, Any]], None]:
    """Keeps the row of a long fault, for the table at the end and for the file of results."""
    rows = request.config.stash.setdefault(ROWS, [])

    def note(row: dict[str, Any]) -> None:
        rows.append(row)
        if RESULTS:
            keep([row], Path(RESULTS))

    return note


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table of the long faults."""
    if rows := terminalreporter.config.stash.get(ROWS, None):
        terminalreporter.section("long faults")
        terminalreporter.write_line(table(rows))


@pytest.fixture(scope="session")
def other(reseal: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that is less sure of everything."""
    return reseal(tmp_path_factory.mktemp("other") / "bundle", name="other", temperature=5.0)


@pytest.fixture(scope="session")
def expected(bundle: Path, other: Path) -> Expected:
    """What the two bundles say of texts of which no two have the same answer."""
    models = [linnet.load(path, verify=False, num_threads=1) for path in (bundle, other)]
    words = "good bad day film love hate very sun rain".split()
    texts = [
        " ".join(
            [
                words[number % 9],
                *(words[(number * k) % 7] for k in range(number % 17)),
                f"{number:x}",
            ]
        )
        for number in range(900)
    ]
    kept: list[str] = []
    last = [-1.0, -1.0]
    answers = [
        {text: one.probabilities for text, one in zip(texts, model.predict(texts), strict=True)}
        for model in models
    ]
    label = models[0].labels[0]
    for text in sorted(texts, key=lambda text: answers[0][text][label]):
        values = [one[text][label] for one in answers]
        if all(value > before + 1e-4 for value, before in zip(values, last, strict=True)):
            kept, last = [*kept, text], values
    assert len(kept) > 100
    kept = kept[::2] + kept[1::2]
    return {
        model.digest: {text: one[text] for text in kept}
        for model, one in zip(models, answers, strict=True)
    }


@pytest.fixture(scope="session")
def server(bundle: Path) -> Iterator[Running]:
    """A service of short patience, for tests that leave it as they found it."""
    with serving(
        bundle, serve__client_timeout_seconds=1.0, serve__worker_timeout_seconds=2.0
    ) as one:
        yield one

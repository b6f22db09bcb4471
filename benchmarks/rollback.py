"""How fast does a running service roll back a bad bundle, and what does that cost its clients?

    python benchmarks/rollback.py --bundle BUNDLE

A real `linnet serve` answers 8 clients that never pause, each request with a key of its own. Then
a challenger gets 5 % of the keys, and is bad in one of these ways:

- abstains: it gives no label to any text;
- hangs: its worker is stopped, so its texts are answered 504 when the time of the request is over;
- dies: its worker is killed 20 times per second.

A poller asks for the arms every 10 ms, to see when the share is 0. The answers of the clients are
replayed in their order through the same test that the service applies, which gives the moment of
the crossing event as its client saw it. Failed requests are compared with the assignment of their
keys. At last the service is started again with the same arms, and has to keep the share 0.
"""

import argparse
import http.client
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from linnet.bundle import Bundle, write_manifest
from linnet.files import canonical_json, write_text
from linnet.lineage import lineage
from linnet.monitor.evidence import EventCounts, log_evidence_of_any_harm, log_limit
from linnet.serve.models.slots import Slots, experiment_name

RESULTS = Path(__file__).parent / "results" / "rollback.json"
LINNET = [sys.executable, "-m", "linnet.cli.main"]
LINE = re.compile(r"Serving .* on http://\S+:(\d+)\n")
CLIENTS = 8
SHARE = 0.05
BEFORE, AFTER = 3.0, 3.0  # seconds of load before the challenger and after its roll-back
GIVEN_UP = 60.0  # seconds after which no roll-back is waited for
SECONDS = "2"  # that a client waits for an answer
POLL_SECONDS = 0.01
KILL_SECONDS = 0.05
BAD_WAYS = ("abstains", "hangs", "dies")


@dataclass
class Sent:
    """One request.

    Attributes:
        key: Its own.
        sent: When, in seconds of `time.monotonic`.
        answered: When the answer was there.
        outcome: answered, abstained, or a failure's code.
        arm: Who answered; None without an answer.
    """

    key: str
    sent: float
    answered: float
    outcome: str
    arm: str | None


@dataclass
class Service:
    """A service that runs."""

    process: psutil.Process
    port: int
    requests: list[Sent] = field(default_factory=list)

    def ask(self, method: str, path: str, content: Any = None) -> Any:
        """The answer on a connection of its own; JSON where it is."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=GIVEN_UP)
        try:
            body = None if content is None else json.dumps(content)
            connection.request(method, path, body, {"Content-Type": "application/json"})
            data = connection.getresponse().read()
        finally:
            connection.close()
        return data.decode() if path == "/metrics" else json.loads(data)

    def arm(self, name: str) -> dict[str, Any] | None:
        """What the service says of an arm."""
        arms = self.ask("GET", "/v1/models")["arms"]
        return next((arm for arm in arms if arm["arm"] == name), None)

    def texts_counted(self) -> int:
        """The sum of `linnet_texts_total`."""
        lines = self.ask("GET", "/metrics").splitlines()
        found = [line for line in lines if line.startswith("linnet_texts_total{")]
        return int(sum(float(line.rsplit(" ", 1)[1]) for line in found))


def main() -> None:
    """Measure, show and store."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bundle", type=Path, required=True, help="what `linnet export` wrote")
    parser.add_argument("--out", type=Path, default=RESULTS, help="the file of figures")
    arguments = parser.parse_args()
    drills = {}
    for way in BAD_WAYS:
        with tempfile.TemporaryDirectory() as folder:
            drills[way] = _drill(arguments.bundle.resolve(), Path(folder), way)
    results = {"share": SHARE, "clients": CLIENTS, "drills": drills, "lineage": lineage()}
    write_text(arguments.out, canonical_json(results))
    _show(results)


def _drill(bundle: Path, folder: Path, way: str) -> dict[str, Any]:
    bad = _bad_bundle(bundle, folder / "bad", way)
    arms = {
        "champion": {"bundle": str(bundle)},
        "bad": {"bundle": str(bad), "share": SHARE},
    }
    with _serving(bundle, folder) as service:
        with _clients(service):
            time.sleep(BEFORE)
            workers = set(service.process.children(recursive=True))
            service.ask("POST", "/admin/models", {"arms": arms})
            new = set(service.process.children(recursive=True)) - workers
            planted = time.monotonic()
            with _going_bad(way, service, workers, new):
                share_0 = _wait_for_share_0(service)
                time.sleep(AFTER)
        counted = service.texts_counted()
    figures = _figures(service, bad, planted, share_0)
    figures["texts_counted"] = counted
    settings = [f"serve.arms={{bad = {{bundle = {json.dumps(str(bad))}, share = {SHARE}}}}}"]
    with _serving(bundle, folder, settings) as again:
        arm = again.arm("bad")
        assert arm is not None
        figures["share_after_restart"] = arm["share"]
    return figures


def _bad_bundle(bundle: Path, folder: Path, way: str) -> Path:
    shutil.copytree(bundle, folder)
    manifest = Bundle.read(bundle).manifest
    fields = manifest.model_dump(exclude={"format", "files", "digest"})
    if way == "abstains":
        never = (0.9999999, *[None] * (len(manifest.labels) - 1))
        fields |= {"min_precision": 0.95, "thresholds": never}
    write_manifest(folder, **fields | {"name": "bad"})
    return folder


@contextmanager
def _serving(bundle: Path, folder: Path, more: list[str] | None = None) -> Iterator[Service]:
    settings = [
        "serve.port=0",
        "serve.admin_without_keys=true",
        "predict.num_threads=1",
        *(more or []),
    ]
    flags = [part for setting in settings for part in ("--set", setting)]
    with (folder / "service.log").open("a") as log:
        process = subprocess.Popen(
            [*LINNET, "serve", str(bundle), *flags],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert process.stdout
    try:
        match = LINE.fullmatch(process.stdout.readline())
        if not match:
            raise SystemExit((folder / "service.log").read_text())
        yield Service(psutil.Process(process.pid), int(match[1]))
    finally:
        for child in psutil.Process(process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                child.resume()
        process.terminate()
        process.wait(60)
        process.stdout.close()


@contextmanager
def _clients(service: Service) -> Iterator[None]:
    """Have clients ask while the block runs; what they sent is waited for."""
    ended = threading.Event()
    numbers = itertools.count()

    def ask_on() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=GIVEN_UP)
        while not ended.is_set():
            service.requests.append(_ask(connection, next(numbers)))
        connection.close()

    threads = [threading.Thread(target=ask_on) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def _ask(connection: http.client.HTTPConnection, number: int) -> Sent:
    key = f"user {number}"
    body = json.dumps({"texts": [f"what a lovely day, number {number}"], "key": key})
    headers = {"Content-Type": "application/json", "X-Request-Timeout": SECONDS}
    sent = time.monotonic()
    connection.request("POST", "/v1/predict", body, headers)
    content = json.loads(connection.getresponse().read())
    now = time.monotonic()
    if "error" in content:
        return Sent(key, sent, now, content["error"]["code"], None)
    answer = content["predictions"][0]
    if "error" in answer:
        return Sent(key, sent, now, answer["error"]["code"], None)
    return Sent(key, sent, now, "abstained" if answer["abstained"] else "answered", answer["arm"])


@contextmanager
def _going_bad(
    way: str, service: Service, others: set[psutil.Process], new: set[psutil.Process]
) -> Iterator[None]:
    """Make the workers of the challenger bad while the block runs."""
    if way == "hangs":
        for worker in new:
            worker.suspend()
    ended = threading.Event()

    def kill() -> None:
        while not ended.wait(KILL_SECONDS):
            for worker in set(service.process.children(recursive=True)) - others:
                with suppress(ProcessLookupError):
                    os.kill(worker.pid, signal.SIGKILL)

    thread = threading.Thread(target=kill)
    if way == "dies":
        thread.start()
    try:
        yield
    finally:
        ended.set()
        if way == "dies":
            thread.join()


def _wait_for_share_0(service: Service) -> float:
    end = time.monotonic() + GIVEN_UP
    while time.monotonic() < end:
        arm = service.arm("bad")
        if arm and arm["rolled_back"] and arm["share"] == 0:
            return time.monotonic()
        time.sleep(POLL_SECONDS)
    raise SystemExit(f"The challenger was not rolled back within {GIVEN_UP:g} s.")


def _figures(service: Service, bad: Path, planted: float, share_0: float) -> dict[str, Any]:
    experiment = experiment_name([Bundle.read(bad).digest])
    find = Slots(experiment, {"bad": SHARE}).find
    requests = sorted(service.requests, key=lambda one: one.answered)
    failed = [one for one in requests if one.arm is None]
    crossing = _crossing(requests, planted, find)
    bad_before = [one for one in requests if one.sent > planted and find(one.key)]
    events = [
        one.answered for one in bad_before if one.outcome != "answered" and one.answered <= share_0
    ]
    return {
        "requests": len(requests),
        "requests_per_second": len(requests) / (requests[-1].answered - requests[0].sent),
        "failed_of_the_bad_arm": sum(find(one.key) == "bad" for one in failed),
        "failed_of_others": sum(find(one.key) is None for one in failed),
        "failed_by_code": Counter(one.outcome for one in failed),
        "failed_sent_after_share_0": sum(one.sent > share_0 for one in failed),
        "bad_answers_sent_after_share_0": sum(
            one.arm == "bad" for one in requests if one.sent > share_0
        ),
        "bad_texts_until_share_0": len([one for one in bad_before if one.sent < share_0]),
        "seconds_from_first_event": share_0 - min(events),
        "seconds_from_crossing_event": share_0 - crossing,
    }


def _crossing(requests: list[Sent], planted: float, find: Callable[[str], str | None]) -> float:
    """When the client of the crossing event had its answer."""
    counts = {kind: EventCounts() for kind in ("failures", "abstained")}
    for one in requests:
        if one.sent < planted or one.outcome == "answered":
            continue
        kind = "abstained" if one.outcome == "abstained" else "failures"
        in_challenger = find(one.key) == "bad"
        counts[kind].add(SHARE, in_challenger)
        if in_challenger and log_evidence_of_any_harm(counts) >= log_limit(100):
            return one.answered
    return float("inf")


def _show(results: dict[str, Any]) -> None:
    table = Table(title=f"A bad bundle with {results['share']:.0%} of the keys")
    table.add_column("")
    for way in results["drills"]:
        table.add_column(f"it {way}", justify="right")
    names = list(next(iter(results["drills"].values())))
    for name in names:
        values = [drill[name] for drill in results["drills"].values()]
        table.add_row(name.replace("_", " "), *map(_shown, values))
    Console().print(table)


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.3f}"
    if isinstance(value, dict):
        return ", ".join(f"{count} {code}" for code, count in value.items()) or "none"
    return f"{value:,}"


if __name__ == "__main__":
    main()

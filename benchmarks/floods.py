"""Does one client that floods the service take it from the others?

    python benchmarks/floods.py --bundle BUNDLE

Four floods run at once against a real `linnet serve` with keys and `serve.probe_port`:

- bodies of 95,000 fields that no route knows, 0.9 MB each, over 8 connections that never pause;
- one text of 0.99 MB per second;
- trailers after a chunked body, at most 5 MiB per second, without a key;
- 2,200 connections that send no byte, without a key, opened again every 9 seconds.

The first two carry one key that may predict. Meanwhile /healthz is asked on the probe port and on
the service's own port. A well-behaved key sends five short texts per second, each in a request on
a new connection. The same is measured without the floods before.

The service runs on one processor core. The floods run on another with the lowest priority
(nice 19), so that they do not take the service's core. Those who measure share the floods' core.
They and the service have a high priority (nice -15) if the system grants it, as on a machine with
other work. A machine of one core can't do this.
"""

import argparse
import asyncio
import json
import os
import random
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from linnet.files import canonical_json, write_text
from linnet.lineage import lineage

RESULTS = Path(__file__).parent / "results" / "floods.json"
LINNET = [sys.executable, "-m", "linnet.cli.main"]
PROBES = 100
RATE = 5  # requests per second of the well-behaved key
URGENT = -15  # the niceness of the service and of those who measure
GIVEN_UP = 10.0  # seconds after which an answer is not waited for
WITHIN = 1.0  # seconds
IDLE, RENEWED = 2200, 9.0  # connections, and the seconds after which they are opened again
TRAILER_BYTES_PER_SECOND = 5 << 20
EXTRA_KEYS = ("{" + ",".join(f'"{k:x}":0' for k in range(95_000)) + "}").encode()
JSON = "application/json"


@dataclass(frozen=True)
class Target:
    """Where a service listens, and the key of the floods."""

    port: int
    key: str
    end: float  # of the floods, of `time.monotonic`


def main() -> None:
    """Measure, show and store."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bundle", type=Path, required=True, help="what `linnet export` wrote")
    parser.add_argument("--seconds", type=float, default=30.0, help="of each measurement (30)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="the file of figures")
    arguments = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise SystemExit("Expected two processor cores; got one. Run it on a larger machine.")
    os.sched_setaffinity(0, cores[1:2])
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, URGENT)
    with tempfile.TemporaryDirectory() as folder:
        victim, attacker = (_new_key(Path(folder), name) for name in ("victim", "attacker"))
        with _serving(arguments.bundle, Path(folder), cores[0]) as (process, port, probe_port):
            measure = partial(_measure, process, port, probe_port, victim, arguments.seconds)
            alone = measure()
            target = Target(port, attacker, time.monotonic() + arguments.seconds + 6)
            with _flooded(target, cores[1]) as sent:
                attacked = measure()
    results = {
        "seconds": arguments.seconds,
        "alone": alone,
        "attacked": attacked,
        "floods": sent,
        "lineage": lineage(),
    }
    write_text(arguments.out, canonical_json(results))
    _show(results)


def _new_key(folder: Path, name: str) -> str:
    command = [*LINNET, "keys", "add", name, "--scopes", "predict"]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.split()[0]


@contextmanager
def _serving(bundle: Path, folder: Path, core: int) -> Iterator[tuple[psutil.Process, int, int]]:
    """A service on one core: its process, its port, and its port for probes."""
    port, probe_port = _free_ports(2)
    settings = {
        "serve.port": port,
        "serve.probe_port": probe_port,
        "predict.num_threads": 1,
        "prediction_log.url": '""',
    }
    flags = [part for pair in settings.items() for part in ("--set", "{}={}".format(*pair))]
    process = subprocess.Popen(
        ["taskset", "--cpu-list", str(core), *LINNET, "serve", str(bundle.resolve()), *flags],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout
        if not process.stdout.readline().startswith("Serving"):
            raise SystemExit(f"{bundle} can't be served.")
        yield psutil.Process(process.pid), port, probe_port
    finally:
        process.terminate()
        process.wait(60)


def _free_ports(count: int) -> list[int]:
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in listeners]
    for one in listeners:
        one.close()
    return ports


def _measure(
    process: psutil.Process, port: int, probe_port: int, key: str, seconds: float
) -> dict[str, Any]:
    """What probes and a well-behaved key see for some seconds, and what the service takes."""
    probe = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    body = json.dumps({"texts": ["a lovely day"]}).encode()
    predict = (
        f"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\n"
        f"Content-Type: {JSON}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    ).encode() + body
    asked = {
        "/healthz, probe port": (probe_port, probe, PROBES),
        "/healthz, own port": (port, probe, PROBES),
        "/v1/predict, a well-behaved key": (port, predict, int(RATE * seconds)),
    }

    async def run() -> list[list[tuple[int, float]]]:
        works = [_ask_steadily(*one, seconds) for one in asked.values()]
        return await asyncio.gather(*works)

    before, began = process.cpu_times(), time.monotonic()
    found = asyncio.run(run())
    after, took = process.cpu_times(), time.monotonic() - began
    front = after.user + after.system - before.user - before.system
    return {
        "asked": {name: _summary(one) for name, one in zip(asked, found, strict=True)},
        "front_cpu_share": front / took,
        "front_rss_bytes": process.memory_info().rss,
    }


async def _ask_steadily(
    port: int, request: bytes, count: int, seconds: float
) -> list[tuple[int, float]]:
    """Status and seconds of requests at a steady rate, each on a new connection."""
    asked, began = [], time.monotonic()
    for number in range(count):
        await asyncio.sleep(began + number * seconds / count - time.monotonic())
        asked.append(asyncio.create_task(_ask(port, request)))
    return await asyncio.gather(*asked)


async def _ask(port: int, request: bytes) -> tuple[int, float]:
    """The status, 0 without an answer, and the seconds until all of it came."""
    began, status = time.monotonic(), 0
    with suppress(OSError, TimeoutError, IndexError, ValueError):
        async with asyncio.timeout(GIVEN_UP):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request)
            answer = await reader.read()
            writer.close()
            status = int(answer.split(maxsplit=2)[1])
    return status, time.monotonic() - began


def _summary(found: list[tuple[int, float]]) -> dict[str, Any]:
    seconds = sorted(took for status, took in found if status == 200)
    return {
        "asked": len(found),
        "within_1_s": sum(took <= WITHIN for took in seconds),
        "statuses": dict(Counter(str(status) for status, _ in found)),
        "median_seconds": statistics.median(seconds) if seconds else None,
        "longest_seconds": max(seconds, default=None),
    }


@contextmanager
def _flooded(target: Target, core: int) -> Iterator[dict[str, dict[str, int]]]:
    """All floods at work, once they have begun; what became of them is known afterwards."""
    sent: dict[str, dict[str, int]] = {}
    context = get_context("spawn")
    with ProcessPoolExecutor(len(FLOODS), context, initializer=_humble, initargs=(core,)) as pool:
        works = {name: pool.submit(flood, target) for name, flood in FLOODS.items()}
        time.sleep(4)
        yield sent
        sent.update({name: dict(work.result()) for name, work in works.items()})


def _humble(core: int) -> None:
    os.sched_setaffinity(0, [core])
    os.setpriority(os.PRIO_PROCESS, 0, 19)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, most), most))


def _flood_extra_keys(target: Target) -> Counter[str]:
    statuses: Counter[str] = Counter()

    def ask_on() -> None:
        while time.monotonic() < target.end:
            statuses[_post(target, EXTRA_KEYS)] += 1

    _at_once(ask_on, 8)
    return statuses


def _flood_long_texts(target: Target) -> Counter[str]:
    letters = random.Random(0).choices("abcdefghijklmnopqrstuvwxyz", k=990_000)
    text = " ".join("".join(letters[start : start + 99]) for start in range(0, 980_000, 99))
    body, statuses = json.dumps({"texts": [text]}).encode(), Counter[str]()
    with ThreadPoolExecutor(30) as pool:
        while time.monotonic() < target.end:
            work = pool.submit(_post, target, body)
            work.add_done_callback(lambda done: statuses.update([done.result()]))
            time.sleep(1)
    return statuses


def _flood_trailers(target: Target) -> Counter[str]:
    head = (
        b"POST /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n"
    )
    lines, counts = b"a:b\r\n" * 20_000, Counter[str]()
    while time.monotonic() < target.end:
        with suppress(OSError), socket.create_connection(("127.0.0.1", target.port)) as one:
            one.settimeout(5)
            counts["connections"] += 1
            one.sendall(head)
            while time.monotonic() < target.end:
                time.sleep(len(lines) / TRAILER_BYTES_PER_SECOND)
                one.sendall(lines)
                counts["bytes"] += len(lines)
    return counts


def _flood_idle(target: Target) -> Counter[str]:
    counts: Counter[str] = Counter()
    while time.monotonic() < target.end:
        held = []
        for _ in range(IDLE):
            with suppress(OSError):
                held.append(socket.create_connection(("127.0.0.1", target.port), timeout=2))
        counts["connections"] += len(held)
        time.sleep(max(min(RENEWED, target.end - time.monotonic()), 0))
        for one in held:
            one.close()
    return counts


FLOODS: dict[str, Callable[[Target], Counter[str]]] = {
    "fields that no route knows": _flood_extra_keys,
    "long texts": _flood_long_texts,
    "trailers": _flood_trailers,
    "idle connections": _flood_idle,
}


def _at_once(work: Callable[[], None], count: int) -> None:
    with ThreadPoolExecutor(count) as pool:
        for done in [pool.submit(work) for _ in range(count)]:
            done.result()


def _post(target: Target, body: bytes) -> str:
    """The status of a request, or the name of the failure."""
    headers = {"Content-Type": JSON, "X-API-Key": target.key}
    url = f"http://127.0.0.1:{target.port}/v1/predict"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=60) as one:
            one.read()
            return str(one.status)
    except urllib.error.HTTPError as error:
        error.read()
        return str(error.code)
    except OSError as error:
        return type(error).__name__


def _show(results: dict[str, Any]) -> None:
    """Print the table."""
    console = Console()
    table = Table("asked", "when", "answered within 1 s", "median", "longest")
    for when in ("alone", "attacked"):
        for name, one in results[when]["asked"].items():
            share = f"{one['within_1_s']} of {one['asked']}"
            figures = [one["median_seconds"], one["longest_seconds"]]
            shown = ["none" if one is None else f"{1000 * one:.0f} ms" for one in figures]
            table.add_row(name, when, share, *shown)
    console.print(table)
    for name, counts in results["floods"].items():
        console.print(f"{name}: {counts}", markup=False)
    for when in ("alone", "attacked"):
        one = results[when]
        share, size = 100 * one["front_cpu_share"], one["front_rss_bytes"] / 1e6
        console.print(f"{when}: the front took {share:.0f} % of its core and {size:.0f} MB")


if __name__ == "__main__":
    main()

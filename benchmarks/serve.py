"""How much does a service answer, beside those that people write, and what does it do when more comes than it can?

    python benchmarks/serve.py --run runs/accuracy [--peers-python PYTHON ...]     # wrk has to be installed

FastAPI and LitServe are in requirements-bench.txt; the other peers want other versions of what Linnet has, so each has
an environment of its own, which --peers-python names: pip install torch transformers and one of bentoml, ray[serve],
mlserver, or infinity-emb[server,torch] with click<8.2.

All servers answer with one model of DistilBERT-base's shape (random weights), started in turn on this machine and asked
the same tweets, one a request, by wrk. Each peer is written as its own documentation has it (benchmarks/peers), in
float32 as people leave it; Linnet serves what `linnet optimize` chose here. A ratio is of one round, the table shows
medians. Then, of Linnet alone: what one request costs beside the engine in the same process, and how it answers at 0.7,
2 and 10 times the rate that it sustained, asked at a fixed rate (benchmarks/load.py).
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from engine import make_base
from rich.console import Console
from rich.table import Table

import linnet
from linnet.data import read_split
from linnet.files import canonical_json, write_text
from linnet.lineage import lineage
from linnet.predict.optimize import optimize

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "serve.json"
CONNECTIONS = 32, 64
DEADLINE = 10.0  # serve.timeout_seconds
ONE = '{"text": TEXT}'
INFINITY = "from infinity_emb.cli import cli; cli()"
V2 = '{"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": [TEXT]}]}'
# A distribution, what Python runs, the route, and a body.
PEERS = {
    "fastapi": (
        "fastapi",
        ["-m", "uvicorn", "fastapi_pipeline:app", "--port", "PORT"],
        "/predict",
        ONE,
    ),
    "litserve": ("litserve", ["litserve_batch.py", "PORT"], "/predict", ONE),
    "bentoml": (
        "bentoml",
        ["-m", "bentoml", "serve", "bentoml_batch:Classify", "--port", "PORT"],
        "/predict",
        '{"text": [TEXT]}',
    ),
    "ray": ("ray", ["ray_batch.py", "PORT"], "/predict", ONE),
    "mlserver": ("mlserver", ["mlserver_batch.py", "PORT"], "/v2/models/classify/infer", V2),
    "infinity": (
        "infinity_emb",
        [
            "-c",
            INFINITY,
            "v2",
            "--model-id",
            "MODEL",
            "--engine",
            "torch",
            "--device",
            "cpu",
            "--no-bettertransformer",
            "--port",
            "PORT",
        ],
        "/classify",
        '{"input": [TEXT]}',
    ),
}
RATES = 0.7, 2.0, 10.0
# wrk runs this; it tells what became of the requests as JSON, on its last line.
LUA = """
local bodies, number = {}, 0
for line in io.lines("%s") do bodies[#bodies + 1] = line end
request = function()
  number = number + 1
  return wrk.format("POST", nil, {["Content-Type"] = "application/json"}, bodies[number %% #bodies + 1])
end
done = function(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format('{"seconds": %%f, "requests": %%d, "failed": %%d, "p50_ms": %%f, "p99_ms": %%f}',
    summary.duration / 1e6, summary.requests, errors.status + errors.connect + errors.read + errors.write
    + errors.timeout, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    arguments = _parser().parse_args(argv)
    if arguments.engine:
        print(json.dumps(_engine(arguments.engine, arguments.splits)))
        return
    splits = arguments.splits or arguments.run / "splits"
    results: dict[str, Any] = {
        "cores": os.cpu_count(),
        "seconds": arguments.seconds,
        "lineage": lineage(),
    }
    with tempfile.TemporaryDirectory() as folder:
        place = (
            arguments.bundle.parent
            if arguments.bundle
            else make_base(arguments.run, splits, Path(folder))
        )
        found = optimize(place / "bundle", "throughput", arguments.budget)
        results["plan"] = found["plan"]
        texts = read_split(splits, "test").texts[:4000]
        servers, results["peers"] = _servers(place, arguments.peers, arguments.peers_python)
        results["rounds"] = [
            {name: _closed(servers[name], name, texts, arguments.seconds) for name in servers}
            | {"engine": _in_process(place, splits)}
            for _ in range(arguments.rounds)
        ]
        results["open"] = _open(servers["linnet"], texts, results["rounds"], arguments.seconds)
    write_text(arguments.out, canonical_json(results))
    _show(results)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--run",
        type=Path,
        metavar="DIR",
        help="a run of Linnet's, for its tweets and its tokenizer",
    )
    parser.add_argument(
        "--splits", type=Path, metavar="DIR", help="other splits than the run's own"
    )
    parser.add_argument(
        "--bundle", type=Path, help="serve this one, beside which its checkpoint lies, instead"
    )
    parser.add_argument("--seconds", type=float, default=8, help="of each measurement (8)")
    parser.add_argument(
        "--rounds", type=int, default=3, metavar="N", help="runs of each, in turns (3)"
    )
    parser.add_argument(
        "--budget", type=float, default=60, metavar="SECONDS", help="of linnet optimize (60)"
    )
    parser.add_argument(
        "--peers", nargs="*", default=list(PEERS), choices=PEERS, help="beside which (all)"
    )
    parser.add_argument(
        "--peers-python",
        nargs="+",
        default=[sys.executable],
        metavar="PYTHON",
        help="each has some peers installed",
    )
    parser.add_argument(
        "--out", type=Path, default=RESULTS, metavar="FILE", help="the figures, as JSON"
    )
    parser.add_argument("--engine", type=Path, help=argparse.SUPPRESS)
    return parser


def _servers(
    place: Path, peers: Sequence[str], pythons: Sequence[str]
) -> tuple[dict[str, tuple[list[str], str, str]], dict[str, str]]:
    """Name to the command, the route, and the body; PORT and TEXT stand for the port and a text, quoted as JSON.

    Peers' versions are beside them.
    """
    os.environ["MODEL"] = str(place / "checkpoint")
    linnet_serves = [
        sys.executable,
        "-m",
        "linnet.cli.main",
        "serve",
        str(place / "bundle"),
        "--port",
        "PORT",
    ]
    found = {"linnet": (linnet_serves, "/v1/predict", '{"texts": [TEXT]}')}
    versions = {}
    for name in peers:
        distribution, arguments, route, body = PEERS[name]
        ask = f"import {distribution}; from importlib.metadata import version; print(version({distribution!r}))"
        for python in pythons:
            asked = subprocess.run([python, "-c", ask], capture_output=True, text=True)
            if asked.returncode == 0:
                command = [part.replace("MODEL", str(place / "checkpoint")) for part in arguments]
                found[name], versions[name] = (
                    ([python, *command], route, body),
                    asked.stdout.split()[-1],
                )
                break
        else:
            print(
                f"{name} is not installed for {', '.join(pythons)}, and left out", file=sys.stderr
            )
    return found, versions


@contextmanager
def _serving(server: tuple[list[str], str, str], text: str) -> Iterator[tuple[str, psutil.Process]]:
    """A server that answers: its URL and process."""
    command, route, shape = server
    port = 18_500 + int(time.time() * 10) % 1000
    with tempfile.TemporaryDirectory() as log:
        process = subprocess.Popen(
            [part.replace("PORT", str(port)) for part in command],
            cwd=log if "linnet.cli.main" in command else HERE / "peers",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ
            | {"BENTOML_DO_NOT_TRACK": "True", "DO_NOT_TRACK": "1", "RAY_USAGE_STATS_ENABLED": "0"},
        )
        try:
            url, deadline = f"http://127.0.0.1:{port}{route}", time.monotonic() + 120
            while True:
                try:
                    _post(url, shape, text)
                    break
                except OSError:
                    if process.poll() is not None or time.monotonic() > deadline:
                        raise SystemExit(f"{' '.join(command)} does not answer") from None
                    time.sleep(0.2)
            yield url, psutil.Process(process.pid)
        finally:
            children = (
                psutil.Process(process.pid).children(recursive=True)
                if process.poll() is None
                else []
            )
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
            for child in children:
                if child.is_running():
                    child.kill()


def _body(shape: str, text: str) -> str:
    return shape.replace("TEXT", json.dumps(text))


def _post(url: str, shape: str, text: str) -> None:
    request = urllib.request.Request(
        url, _body(shape, text).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        answer.read()


def _closed(
    server: tuple[list[str], str, str], name: str, texts: Sequence[str], seconds: float
) -> dict[str, Any]:
    """What a server answers to so many connections that each ask again when they are answered."""
    found: dict[str, Any] = {}
    with _serving(server, texts[0]) as (url, _), tempfile.TemporaryDirectory() as folder:
        bodies = Path(folder) / "bodies"
        bodies.write_text(
            "\n".join(_body(server[2], text) for text in texts) + "\n", encoding="utf-8"
        )
        script = Path(folder) / "ask.lua"
        script.write_text(LUA % bodies)
        for connections in (CONNECTIONS[0], *((1,) if name == "linnet" else ()), *CONNECTIONS):
            wrk = ["wrk", "-t1", f"-c{connections}", f"-d{round(seconds)}s", "--timeout", "30s"]
            command = [*wrk, "-s", str(script), url]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            match = re.search(r"\{.*\}", done.stdout)
            assert match, done.stdout + done.stderr
            figures = json.loads(match[0])
            figures["per_second"] = (figures["requests"] - figures["failed"]) / figures["seconds"]
            found[str(connections)] = figures  # the first, which warms up, is overwritten
    print(f"{name}: {found}", file=sys.stderr, flush=True)
    return found


def _in_process(place: Path, splits: Path) -> dict[str, float]:
    """The same plan without a service, in a process of its own."""
    command = [sys.executable, __file__, "--engine", str(place / "bundle"), "--splits", str(splits)]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True
    )
    found: dict[str, float] = json.loads(done.stdout)
    print(f"in process: {found}", file=sys.stderr, flush=True)
    return found


def _engine(bundle: Path, splits: Path) -> dict[str, float]:
    texts = read_split(splits, "test").texts[:4000]
    classifier = linnet.load(bundle)
    classifier.predict(texts[:200])
    started = time.perf_counter()
    classifier.predict(texts[:2000])
    found = {"per_second": 2000 / (time.perf_counter() - started)}
    alone = []
    for text in texts[2000:2300]:
        started = time.perf_counter()
        classifier.predict([text])
        alone.append((time.perf_counter() - started) * 1000)
    return found | {"p50_ms": statistics.median(alone)}


def _open(
    server: tuple[list[str], str, str],
    texts: Sequence[str],
    rounds: list[dict[str, Any]],
    seconds: float,
) -> list[dict[str, Any]]:
    """What becomes of requests at rates of the one sustained, and of the memory."""
    sustained = statistics.median(
        each["linnet"][str(CONNECTIONS[-1])]["per_second"] for each in rounds
    )
    found = []
    with _serving(server, texts[0]) as (url, process):
        bodies = "\n".join(_body(server[2], text) for text in texts).encode()
        for rate in RATES:
            command = [
                sys.executable,
                str(HERE / "load.py"),
                url,
                str(rate * sustained),
                str(seconds),
            ]
            done = subprocess.run(command, input=bodies, stdout=subprocess.PIPE, check=True)
            answers = json.loads(done.stdout)["answers"]
            times = {
                kind: sorted(ms for status, ms in answers if status == kind) for kind in (200, 429)
            }
            memory = sum(
                one.memory_info().rss for one in (process, *process.children(recursive=True))
            )
            entry = {
                "times_sustained": rate,
                "asked_per_second": rate * sustained,
                "sent": len(answers),
                "answered": len(times[200]),
                "shed": len(times[429]),
                "failed": sum(status not in (200, 429) for status, _ in answers),
                "answered_p50_ms": _percentile(times[200], 0.5),
                "answered_p99_ms": _percentile(times[200], 0.99),
                "shed_p99_ms": _percentile(times[429], 0.99),
                "resident_bytes": memory,
            }
            found.append(entry)
            print(entry, file=sys.stderr, flush=True)
            time.sleep(2)
    return found


def _percentile(values: list[float], share: float) -> float | None:
    return values[min(int(share * len(values)), len(values) - 1)] if values else None


def _show(results: dict[str, Any]) -> None:
    rounds = results["rounds"]
    table = Table(
        title=f"{results['cores']} cores, medians of {len(rounds)} rounds", title_justify="left"
    )
    for header in (
        "",
        *(f"{n} connections: requests/s" for n in CONNECTIONS),
        "p99",
        *("Linnet is" for _ in CONNECTIONS),
    ):
        table.add_column(header, justify="right" if header else "left")
    for name in rounds[0]:
        if name == "engine":
            continue
        cells = [f"{_median(rounds, name, str(n), 'per_second'):,.1f}" for n in CONNECTIONS]
        p99 = f"{_median(rounds, name, str(CONNECTIONS[-1]), 'p99_ms'):,.0f} ms"
        times = [
            statistics.median(
                each["linnet"][str(n)]["per_second"] / max(each[name][str(n)]["per_second"], 1e-9)
                for each in rounds
            )
            for n in CONNECTIONS
        ]
        table.add_row(name, *cells, p99, *(f"{one:.1f}x" for one in times))
    Console().print(table)
    shares = {
        n: statistics.median(
            each["linnet"][str(n)]["per_second"] / each["engine"]["per_second"] for each in rounds
        )
        for n in CONNECTIONS
    }
    more = statistics.median(
        each["linnet"]["1"]["p50_ms"] - each["engine"]["p50_ms"] for each in rounds
    )
    lone = _median(rounds, "linnet", "1", "p50_ms")
    engine = statistics.median(each["engine"]["per_second"] for each in rounds)
    print(
        f"The engine in process, all texts in one list: {engine:,.0f} texts/s; over HTTP "
        + ", ".join(
            f"{100 * share:.0f} % of it with {n} connections" for n, share in shares.items()
        )
        + "."
    )
    print(
        f"One request alone: {lone:.2f} ms (p50), {more:+.2f} ms beside the engine's own. Plan: {results['plan']}."
    )
    table = Table(title="At a fixed rate", title_justify="left")
    for header in (
        "times",
        "sent",
        "answered",
        "shed",
        "failed",
        "answered p50",
        "p99",
        "shed p99",
        "resident",
    ):
        table.add_column(header, justify="right")
    for row in results["open"]:
        numbers = [f"{row[key]:,}" for key in ("sent", "answered", "shed", "failed")]
        times = [
            "" if row[key] is None else f"{row[key]:,.0f} ms"
            for key in ("answered_p50_ms", "answered_p99_ms", "shed_p99_ms")
        ]
        table.add_row(
            f"{row['times_sustained']}",
            *numbers,
            *times,
            f"{row['resident_bytes'] / 2**20:,.0f} MiB",
        )
    Console().print(table)
    times = results["open"][0]["answered_p99_ms"] / lone
    print(f"p99 at 0.7 is {times:.1f} times a request alone. The deadline is {DEADLINE:g} s.")


def _median(rounds: list[dict[str, Any]], name: str, connections: str, key: str) -> float:
    return statistics.median(each[name][connections][key] for each in rounds)


if __name__ == "__main__":
    main()

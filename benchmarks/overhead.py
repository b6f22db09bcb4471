"""What does a request cost in one source tree of Linnet, compared with another?

    python benchmarks/overhead.py --before TREE --model NAME BEFORE_BUNDLE AFTER_BUNDLE
        [--model ...] --texts FILE                              # wrk has to be installed

TREE is a checkout of the older commit (`git worktree add TREE COMMIT`); this checkout is the newer.
--before-python names the Python of an environment where the older one is installed, if the
packages of the newer do not do.
Each tree exports its own bundle from the same checkpoint, as formats differ (`linnet export`). Both
services are started once for each round, one after the other, in turns that change. wrk asks each
over 16 connections with one text per request, a line of FILE.

The processor time of the front per request is the figure for a busy machine. Requests per second
and the processor time of the workers are shown too. A ratio is of one round, the table shows their
medians: newer over older.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from linnet.files import canonical_json, write_text
from linnet.lineage import lineage

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "overhead.json"
FIGURES = {
    "front_seconds": "the front's processor time per request",
    "all_seconds": "the whole service's processor time per request",
    "per_second": "requests per second",
}
CONNECTIONS = 16
WARM_UP_SECONDS = 1
LUA = """
local bodies, number = {}, 0
for line in io.lines("%s") do bodies[#bodies + 1] = line end
request = function()
  number = number + 1
  local headers = {["Content-Type"] = "application/json"}
  return wrk.format("POST", nil, headers, bodies[number %% #bodies + 1])
end
done = function(summary, latency, requests)
  local errors = summary.errors
  local failed = errors.status + errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format("%%d %%d %%f", summary.requests, failed, summary.duration / 1e6))
end
"""


def main() -> None:
    """Measure, show and store."""
    arguments = _parser().parse_args()
    trees = {"before": arguments.before.resolve(), "after": ROOT}
    pythons = {"before": arguments.before_python, "after": sys.executable}
    results: dict[str, Any] = {
        "commits": {name: _commit(tree) for name, tree in trees.items()},
        "seconds": arguments.seconds,
        "models": {},
        "lineage": lineage(),
    }
    with tempfile.TemporaryDirectory() as folder:
        script = _script(Path(folder), arguments.texts)
        for name, before, after in arguments.model:
            bundles = {"before": Path(before).resolve(), "after": Path(after).resolve()}
            rounds = []
            for number in range(arguments.rounds):
                order = sorted(trees, reverse=bool(number % 2))
                services = {when: (pythons[when], trees[when], bundles[when]) for when in order}
                rounds.append(
                    {
                        when: _measure(service, script, arguments.seconds)
                        for when, service in services.items()
                    }
                )
            results["models"][name] = {"rounds": rounds, "load_average": os.getloadavg()[0]}
            write_text(arguments.out, canonical_json(results))
    _show(results)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--before", type=Path, required=True, help="the older source tree")
    parser.add_argument(
        "--model",
        nargs=3,
        action="append",
        required=True,
        metavar=("NAME", "BEFORE", "AFTER"),
        help="a model's name, and its bundle as each tree exported it; may be repeated",
    )
    parser.add_argument("--texts", type=Path, required=True, help="one text per line")
    parser.add_argument("--before-python", default=sys.executable, help="runs the older tree")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=6, help="of each measurement (6)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="the file of figures")
    return parser


def _commit(tree: Path) -> str:
    command = ["git", "-C", str(tree), "rev-parse", "HEAD"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _script(folder: Path, texts: Path) -> Path:
    """What wrk runs: it asks with each text in turn."""
    lines = texts.read_text(encoding="utf-8").splitlines()
    bodies = folder / "bodies"
    bodies.write_text("".join(json.dumps({"texts": [line]}) + "\n" for line in lines if line))
    script = folder / "ask.lua"
    script.write_text(LUA % bodies)
    return script


def _measure(service: tuple[str, Path, Path], script: Path, seconds: int) -> dict[str, float]:
    """What one service takes for a request, in seconds, and how many it answers per second."""
    with _serving(*service) as (process, url):
        _ask(url, script, WARM_UP_SECONDS)
        workers = process.children(recursive=True)
        before = [_spent(one) for one in (process, *workers)]
        requests, took = _ask(url, script, seconds)
        after = [_spent(one) for one in (process, *workers)]
    spent = [end - start for start, end in zip(before, after, strict=True)]
    return {
        "front_seconds": spent[0] / requests,
        "all_seconds": sum(spent) / requests,
        "per_second": requests / took,
    }


def _spent(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _ask(url: str, script: Path, seconds: int) -> tuple[int, float]:
    """How many requests were answered, and in how many seconds."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(script), url]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    requests, failed, took = done.stdout.splitlines()[-1].split()
    if int(failed):
        raise SystemExit(f"{failed} of {requests} requests failed.")
    return int(requests), float(took)


@contextmanager
def _serving(python: str, tree: Path, bundle: Path) -> Iterator[tuple[psutil.Process, str]]:
    """A service from a source tree: its process and its URL."""
    settings = ["serve.port=0", "predict.num_threads=1", "serve.workers=1"]
    flags = [part for one in settings for part in ("--set", one)]
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [python, "-m", "linnet.cli.main", "serve", str(bundle), *flags],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(tree / "src")},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            assert process.stdout
            found = re.search(r"http://\S+", process.stdout.readline())
            if found is None:
                raise SystemExit(f"{tree} can't serve {bundle}.")
            yield psutil.Process(process.pid), f"{found[0]}/v1/predict"
        finally:
            process.terminate()
            process.wait(60)


def _ratios(rounds: Sequence[dict[str, dict[str, float]]], figure: str) -> list[float]:
    return [one["after"][figure] / one["before"][figure] for one in rounds]


def _show(results: dict[str, Any]) -> None:
    """Print the table."""
    table = Table("model", "figure", "before", "after", "ratio", "of the rounds")
    for name, model in results["models"].items():
        for figure, words in FIGURES.items():
            ratios = _ratios(model["rounds"], figure)
            medians = [
                statistics.median(one[when][figure] for one in model["rounds"])
                for when in ("before", "after")
            ]
            unit = "{:,.0f}" if figure == "per_second" else "{:.3f} ms"
            scale = 1 if figure == "per_second" else 1000
            shown = [unit.format(scale * one) for one in medians]
            spread = f"{min(ratios):.3f} to {max(ratios):.3f}"
            table.add_row(name, words, *shown, f"{statistics.median(ratios):.3f}", spread)
    Console(width=140).print(table)


if __name__ == "__main__":
    main()

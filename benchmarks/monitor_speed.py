"""How long does `linnet monitor` take for a million answers, and how much memory?

    python benchmarks/monitor_speed.py
    python benchmarks/monitor_speed.py --evidently PYTHON --nannyml PYTHON   # of their environments

The log is an SQLite file of 90 days. One process judges all of it, then blocks one by one, as from a
timer. Evidently and NannyML get the same rows as a table, and compute drift of the same columns per
day; reading the log is not part of their time.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from linnet.bundle import Bundle, write_manifest
from linnet.files import canonical_json
from linnet.monitor.drift import Plan, run
from linnet.monitor.prediction_log import Record, Store

ROWS = 1_000_000
DAYS = 90
START = 1_760_054_400.0
LABELS = ("negative", "neutral", "positive")
PLAN = Plan(3600, 90, 0.05, 0.02, 0.05)
WEEK = 7 * 86_400
INCREMENTS = 20
PEERS = Path(__file__).parent / "peers"


def make_bundle(folder: Path) -> Bundle:
    """A bundle as far as a monitor reads it."""
    folder.mkdir()
    shares = dict.fromkeys(LABELS, 1 / 3)
    reference = {"format": 1, "rows": 4000, "accuracy": 0.8, "true_labels": shares}
    reference |= {"predicted_labels": shares, "truncated": 0.01}
    (folder / "reference.json").write_text(canonical_json(reference))
    return write_manifest(
        folder,
        name="made-up",
        created="2025-10-01T00:00:00+00:00",
        labels=LABELS,
        problem_type="single_label_classification",
        max_length=64,
        models={"fp32": "model.onnx"},
        temperature=1.0,
        lineage={},
    )


def make_columns(rows: int, seed: int) -> dict[str, Any]:
    """Answers as columns."""
    draw = np.random.default_rng(seed)
    tokens = draw.integers(5, 64, rows)
    return {
        "label": draw.choice(LABELS, rows),
        "probability": draw.beta(8, 2, rows),
        "tokens": tokens,
        "words": (tokens * draw.uniform(0.6, 0.9, rows)).astype(int),
        "surprise": draw.gamma(6, size=rows),
        "truncated": draw.random(rows) < 0.01,
        "text_hash": draw.integers(1, 2**62, rows),
    }


def fill(path: Path, digest: str, begin: float, end: float, rows: int, seed: int) -> None:
    """Add answers from `begin` until before `end` to a log."""
    columns = {name: values.tolist() for name, values in make_columns(rows, seed).items()}
    with Store(str(path)) as store:
        for start in range(0, rows, 10_000):
            store.add(
                [
                    Record(
                        id=f"{seed}-{row:09d}",
                        time=begin + (end - begin) * row / rows,
                        arm="champion",
                        digest=digest,
                        labels=(columns["label"][row],),
                        abstained=False,
                        fast=False,
                        shadow=False,
                        latency_ms=5.0,
                        **{name: values[row] for name, values in columns.items()},
                    )
                    for row in range(start, min(start + 10_000, rows))
                ]
            )


def judge(log: Path, bundle: Path, folder: Path) -> dict[str, float]:
    """Run the monitor once in this process."""
    started = time.perf_counter()
    worked = time.process_time()
    with Store(str(log), create=False) as store:
        run(store, [Bundle.read(bundle)], folder, PLAN)
    seconds = time.perf_counter() - started
    processor = time.process_time() - worked
    return {"seconds": seconds, "processor": processor, "megabytes": peak_megabytes()}


def peak_megabytes() -> float:
    """The most memory that this program held. `getrusage` would count its parent's as well."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def measured(log: Path, bundle: Path, folder: Path) -> dict[str, float]:
    """Run the monitor once in a process of its own."""
    command = [sys.executable, __file__, "--judge", log, bundle, folder]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def increments(log: Path, bundle: Bundle, folder: Path) -> list[float]:
    """Processor seconds that each of some new blocks takes, in one process, with all files written."""
    hour = ROWS // (DAYS * 24)
    seconds = []
    for number in range(INCREMENTS):
        begin = START + DAYS * 86_400 + number * 3600
        fill(log, bundle.digest, begin, begin + 3600, hour, 10 + number)
        seconds.append(judge(log, bundle.path, folder)["processor"])
    return seconds[2:]  # the first closes the last hour of the million, and warms up


def peer(python: str, name: str, folder: Path) -> dict[str, Any]:
    """What a peer takes for the same rows."""
    table = folder / "rows.npz"
    if not table.exists():
        columns = make_columns(ROWS, 0)
        columns["label"] = columns["label"].astype("U8")
        columns["time"] = START + DAYS * 86_400 * np.arange(ROWS) / ROWS
        np.savez(table, **columns)
    command = [python, PEERS / f"{name}_drift.py", table]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3600)
    if done.returncode:
        return {"failed": done.stderr.strip().splitlines()[-1][:200]}
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def measure(peers: dict[str, str]) -> dict[str, Any]:
    """All figures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle = make_bundle(folder / "bundle")
        log = folder / "log.db"
        fill(log, bundle.digest, START, START + DAYS * 86_400, ROWS, 0)
        training = measured(log, bundle.path, folder / "first")
        with Store(str(log), create=False) as store:
            run(store, [bundle], folder / "monitor", PLAN, (START, START + WEEK))
        (folder / "monitor" / "state.json").unlink()
        adopted = measured(log, bundle.path, folder / "monitor")
        blocks = increments(log, bundle, folder / "monitor")
        size = (folder / "monitor" / "state.json").stat().st_size
        return {
            "machine": platform.processor() or platform.machine(),
            "rows": ROWS,
            "days": DAYS,
            "before adoption": training,
            "after adoption": adopted,
            "a block, median ms": round(1000 * float(np.median(blocks)), 1),
            "a block, most ms": round(1000 * max(blocks), 1),
            "state.json, bytes": size,
            "peers": {name: peer(python, name, folder) for name, python in peers.items()},
        }


def show(found: dict[str, Any]) -> None:
    """Print a table."""
    table = Table(f"{ROWS:,} answers", "seconds", "MB")
    ours = {
        f"linnet monitor, {kind}": found[kind] for kind in ("before adoption", "after adoption")
    }
    for name, one in {**ours, **found["peers"]}.items():
        if "failed" in one:
            table.add_row(name, one["failed"], "")
        else:
            table.add_row(name, f"{one['seconds']:.1f}", f"{one['megabytes']:.0f}")
    console = Console()
    console.print(table)
    for name in ("a block, median ms", "a block, most ms", "state.json, bytes"):
        console.print(f"{name}: {found[name]:,}")


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--judge", nargs=3, type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--evidently", metavar="PYTHON", help="with Evidently installed")
    parser.add_argument("--nannyml", metavar="PYTHON", help="with NannyML installed")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    arguments = parser.parse_args()
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")  # one core
    if arguments.judge:
        print(json.dumps(judge(*arguments.judge)))
        return
    named = {"evidently": arguments.evidently, "nannyml": arguments.nannyml}
    found = measure({name: python for name, python in named.items() if python})
    show(found)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""How long does preparing take, and how much memory, beside the script that people write with pandas?

    python benchmarks/prepare.py --data training.1600000.processed.noemoticon.csv.xz
    python benchmarks/prepare.py --data FILE --times 10       # a file ten times as long, made of its words

Both run as processes of their own, in turns, and read the same packed file. The script reads it, drops exact
duplicates, draws two stratified splits with scikit-learn and writes three Parquet files; Linnet does what
`linnet prepare` does: cleaning, near-duplicates, conflicts, the audit and the card as well.
"""

import argparse
import csv
import lzma
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from linnet.files import canonical_json, write_text

RESULTS = Path(__file__).parent / "results" / "prepare.json"
COLUMNS = ["target", "ids", "date", "flag", "user", "text"]
SCRIPT = f"""
import sys
import pandas as pd
from sklearn.model_selection import train_test_split

frame = pd.read_csv(sys.argv[1], header=None, names={COLUMNS}, encoding="latin-1")
frame = frame.drop_duplicates(["target", "text"])
rest, test = train_test_split(frame, test_size=0.1, stratify=frame["target"], random_state=42)
train, validation = train_test_split(rest, test_size=0.2 / 0.9, stratify=rest["target"], random_state=42)
for name, part in {{"train": train, "validation": validation, "test": test}}.items():
    part.to_parquet(f"{{sys.argv[2]}}/{{name}}.parquet")
"""
STRIDE = 7919  # a prime, so that halves of texts meet anew in each copy


@dataclass(frozen=True)
class Figures:
    """Medians over the rounds: seconds, and the largest resident memory of all processes together, in GiB."""

    seconds: float
    memory: float


def main(argv: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    arguments = _parser().parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        files = {1: Path(arguments.data)}
        if arguments.times > 1:
            files[arguments.times] = _longer(
                files[1], arguments.times, Path(folder) / f"{arguments.times}x.csv"
            )
        lines = [
            {"times": times, "name": name, **figures.__dict__}
            for times, file in files.items()
            for name, figures in _measure(file, arguments.rounds, Path(folder)).items()
        ]
    results = {
        "file": Path(arguments.data).name,
        "rounds": arguments.rounds,
        "cores": os.cpu_count(),
        "lines": lines,
    }
    write_text(
        arguments.out,
        canonical_json(results | {"machine": platform.processor() or platform.machine()}),
    )
    _show(results)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", metavar="FILE", required=True, help="a file of Sentiment140's shape"
    )
    parser.add_argument(
        "--times", type=int, default=1, metavar="N", help="also a file N times as long"
    )
    parser.add_argument(
        "--rounds", type=int, default=3, metavar="N", help="runs of each, in turns (3)"
    )
    parser.add_argument(
        "--out", type=Path, default=RESULTS, metavar="FILE", help="the figures, as JSON"
    )
    return parser


def _measure(file: Path, rounds: int, folder: Path) -> dict[str, Figures]:
    linnet, script = folder / "linnet", folder / "script"
    script.mkdir(exist_ok=True)
    commands = {
        "linnet prepare": [
            *(
                sys.executable,
                "-m",
                "linnet.cli.main",
                "prepare",
                "--data",
                str(file),
                "--out",
                str(linnet),
            ),
            *("--set", "data.keep_splits=false"),
        ],
        "pandas + scikit-learn": [sys.executable, "-c", SCRIPT, str(file), str(script)],
    }
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            runs[name].append(_run(command))
            print(
                f"{name}: {runs[name][-1][0]:.1f} s, {runs[name][-1][1]:.2f} GiB", file=sys.stderr
            )
    return {
        name: Figures(*map(statistics.median, zip(*figures, strict=True)))
        for name, figures in runs.items()
    }


def _run(command: list[str]) -> tuple[float, float]:
    """Seconds, and the most GiB that a process and those it started held at once, as seen every tenth of a second."""
    started, most = time.perf_counter(), 0
    process = psutil.Popen(command, stdout=subprocess.DEVNULL)
    while process.poll() is None:
        with suppress(psutil.NoSuchProcess):
            family = [process, *process.children(recursive=True)]
            most = max(most, sum(member.memory_info().rss for member in family))
        time.sleep(0.1)
    if process.returncode:
        raise SystemExit(f"Failed with {process.returncode}: {' '.join(command[:6])} ...")
    return time.perf_counter() - started, most / 2**30


def _longer(file: Path, times: int, target: Path) -> Path:
    """A file with as many times the rows, each text the first half of one text and the second half of another."""
    rows = list(_rows(file))
    with target.open("w", encoding="latin-1", newline="") as stream:
        writer = csv.writer(stream, quoting=csv.QUOTE_ALL)
        for copy in range(times):
            for place, row in enumerate(rows):
                other = rows[(place * STRIDE + copy * 104_729) % len(rows)][-1].split()
                words = row[-1].split()
                text = " ".join(words[: len(words) // 2 + 1] + other[len(other) // 2 :])
                writer.writerow([*row[:-1], text if copy else row[-1]])
    return target


def _rows(file: Path) -> Iterator[list[str]]:

    opened = lzma.open if file.suffix == ".xz" else open
    with opened(file, "rt", encoding="latin-1", newline="") as stream:  # type: ignore[operator]
        yield from islice(csv.reader(stream), None)


def _show(results: dict[str, Any]) -> None:
    table = Table(
        title=f"Preparing {results['file']}, medians of {results['rounds']}", title_justify="left"
    )
    for header in ("file", "", "seconds", "GiB at most", "times the script's seconds"):
        table.add_column(header, justify="left" if header in ("file", "") else "right")
    script = {
        line["times"]: line["seconds"]
        for line in results["lines"]
        if line["name"] != "linnet prepare"
    }
    for line in results["lines"]:
        ratio = f"{line['seconds'] / script[line['times']]:.1f}"
        table.add_row(
            f"{line['times']}x",
            line["name"],
            f"{line['seconds']:.1f}",
            f"{line['memory']:.2f}",
            ratio,
        )
    Console().print(table)


if __name__ == "__main__":
    main()

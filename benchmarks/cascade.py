"""How many times as fast is a cascade as its full model alone, and what does it cost?

    linnet train --splits ALL --out student --model scratch ...       # a small model, taught on all rows
    linnet export --checkpoint student --splits SPLITS --out fast
    linnet export --checkpoint CHECKPOINT --splits SPLITS --out alone
    linnet export --checkpoint CHECKPOINT --splits SPLITS --out cascade --cascade fast
    python benchmarks/cascade.py --alone alone --cascade cascade --splits SPLITS

The model alone runs as `linnet optimize` chose it on this machine, and so does the cascade's full model. Both answer
the same texts of the test split in one process, in turns; a ratio is of one round, what is told is the median. Both
are judged on the rows of the test split, beside the full model in float32.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from engine import cost
from rich.console import Console
from rich.table import Table

import linnet
from linnet.bundle import Bundle
from linnet.data import read_split
from linnet.files import canonical_json, write_text
from linnet.lineage import lineage
from linnet.predict.optimize import optimize

RESULTS = Path(__file__).parent / "results" / "cascade.json"


def main(argv: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    arguments = _parser().parse_args(argv)
    plan = optimize(arguments.alone, "throughput", arguments.budget)["plan"]
    alone, cascade = (linnet.load(path, **plan) for path in (arguments.alone, arguments.cascade))
    split = read_split(arguments.splits, "test")
    timed = split.texts[: arguments.texts]
    for classifier in (alone, cascade):
        classifier.predict(timed[:200])
    rounds = [
        {"alone": _speed(alone, timed), "cascade": _speed(cascade, timed)}
        for _ in range(arguments.rounds)
    ]
    texts, labels = split.texts[: arguments.judged], split.labels[: arguments.judged]
    exact = linnet.load(arguments.alone, engine="onnxruntime", variant="fp32")
    judged = {"float32 alone": exact, "alone": alone, "cascade": cascade}
    right = {name: each.logits(texts).argmax(axis=1) == labels for name, each in judged.items()}
    results = {
        "cores": os.cpu_count(),
        "texts": len(timed),
        "plan": plan,
        "cascade": cascade.bundle.manifest.cascade.model_dump(),
        "proof": Bundle.read(arguments.cascade).proof["checks"]["cascade"],
        "rounds": rounds,
        "speed_up": statistics.median(each["cascade"] / each["alone"] for each in rounds),
        "left_to_the_small_model": float(
            np.mean([answer.fast for answer in cascade.predict(timed)])
        ),
        "accuracy": [
            {"model": name, **cost(right["float32 alone"], each)} for name, each in right.items()
        ],
        "lineage": lineage(),
    }
    write_text(arguments.out, canonical_json(results))
    _show(results)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--alone", type=Path, required=True, metavar="BUNDLE", help="the full model's bundle"
    )
    parser.add_argument(
        "--cascade", type=Path, required=True, metavar="BUNDLE", help="the cascade's bundle"
    )
    parser.add_argument("--splits", type=Path, required=True, metavar="DIR", help="their splits")
    parser.add_argument(
        "--texts", type=int, default=4000, metavar="N", help="texts timed in each round (4,000)"
    )
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="of each, in turns (5)")
    parser.add_argument(
        "--judged", type=int, metavar="N", help="rows of the test split to judge on (all)"
    )
    parser.add_argument(
        "--budget", type=float, default=60, metavar="SECONDS", help="of linnet optimize (60)"
    )
    parser.add_argument(
        "--out", type=Path, default=RESULTS, metavar="FILE", help="the figures, as JSON"
    )
    return parser


def _speed(classifier: linnet.Classifier, texts: list[str]) -> float:
    started = time.perf_counter()
    classifier.predict(texts)
    speed = len(texts) / (time.perf_counter() - started)
    print(f"{classifier.name}: {speed:,.0f} texts/s", file=sys.stderr, flush=True)
    return speed


def _show(results: dict[str, Any]) -> None:
    rounds = results["rounds"]
    table = Table(
        title=f"{results['cores']} cores, medians of {len(rounds)} rounds", title_justify="left"
    )
    for header in (
        "model",
        "texts a second",
        "accuracy",
        "points lost (95 % interval)",
        "at most, one-sided",
    ):
        table.add_column(header)
    for row in results["accuracy"]:
        speeds = [each[row["model"]] for each in rounds if row["model"] in each]
        speed = f"{statistics.median(speeds):,.0f}" if speeds else ""
        low, value, high = (100 * row["drop"][key] for key in ("low", "value", "high"))
        cells = f"{100 * row['accuracy']:.2f} %", f"{value:+.2f} ({low:+.2f} to {high:+.2f})"
        table.add_row(row["model"], speed, *cells, f"{100 * row['largest_drop']:.2f}")
    Console().print(table)
    print(
        f"The cascade is {results['speed_up']:.2f} times as fast as the model alone: {json.dumps(results['plan'])}."
    )
    print(
        f"The small model answers {100 * results['left_to_the_small_model']:.1f} % of the texts timed."
    )


if __name__ == "__main__":
    main()

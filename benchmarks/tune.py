"""Is what `linnet tune` finds better than the recipe as it is, on rows that no trial was judged on?

    python benchmarks/tune.py --data TREC.train --model ENCODER

prepares a sample to train and validate on and other rows to test on, gives a study a fixed number of trials, and then
trains the recipe as it is and the one found, each with seeds that the study did not use, exports them, and judges the
bundles on the test rows. The difference is paired: of each row, how many more of one's models are right than of the
other's; its interval is the bootstrap over rows, for these seeds. A study that stands in --run is gone on with.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

import linnet
from linnet.config import Config, load_config, named
from linnet.data import Split, prepare, read_split
from linnet.errors import LinnetError
from linnet.evaluate.intervals import Agreement, bootstrap_mean, paired_difference
from linnet.export import export
from linnet.files import canonical_json, write_text
from linnet.lineage import lineage
from linnet.train import train
from linnet.train.tune import tune

RESULTS = Path(__file__).parent / "results" / "tune.json"
SAMPLE, ROWS, TRIALS, SEEDS = 3_000, 2_000, 12, (1, 2, 3)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    arguments = _parser().parse_args(argv)
    run: Path = arguments.run
    asked = {
        "data.source": arguments.data,
        "model.name_or_path": arguments.model,
        "run.name": "tune",
    }
    numbers = [
        f"data.sample={arguments.sample}",
        f"data.test_size={arguments.rows}",
        "data.noise_sample=0",
    ]
    named = [f"{name}={json.dumps(value)}" for name, value in asked.items()]
    config = load_config(
        None, [*named, *numbers, f"tune.n_trials={arguments.trials}", *arguments.set]
    )
    if not (run / "splits").is_dir():
        prepare(config, run / "splits")
    started = time.perf_counter()
    study = tune(config, run / "splits", run / "study", on_trial=_tell)
    searched = time.perf_counter() - started
    test = read_split(run / "splits", "test")
    found = load_config(run / "study" / "best.toml")
    right = {
        name: np.stack([_right(recipe, seed, test, run, name) for seed in SEEDS])
        for name, recipe in (("default", config), ("best", found))
    }
    results = _results(config, study, right, searched)
    write_text(arguments.out, canonical_json(results))
    _show(results)
    print(f"Written: {arguments.out}; the study: {run / 'study' / 'study.html'}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", metavar="FILE", required=True, help="labelled file, such as TREC.train"
    )
    parser.add_argument(
        "--model", metavar="ENCODER", required=True, help="a model hub id or a folder"
    )
    parser.add_argument(
        "--sample", type=int, default=SAMPLE, help=f"rows to train and validate on ({SAMPLE:,})"
    )
    parser.add_argument("--rows", type=int, default=ROWS, help=f"other rows to judge on ({ROWS:,})")
    parser.add_argument("--trials", type=int, default=TRIALS, help=f"of the study ({TRIALS})")
    parser.add_argument(
        "--run", type=Path, default=Path("runs/tune"), metavar="DIR", help="the run's folder"
    )
    parser.add_argument(
        "--out", type=Path, default=RESULTS, metavar="FILE", help="the figures, as JSON"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="another setting"
    )
    return parser


def _tell(trial: dict[str, Any]) -> None:
    print(
        f"trial {trial['number']} {trial['state']} {trial['value']} {trial['parameters']}",
        flush=True,
    )


def _right(config: Config, seed: int, test: Split, run: Path, name: str) -> NDArray[np.bool_]:
    """Which test rows the bundle of a recipe answers rightly, bool (n,)."""
    place = run / f"{name}-{seed}"
    if not (place / "bundle").is_dir():
        seeded = config.model_copy(update={"train": config.train.model_copy(update={"seed": seed})})
        train(seeded, run / "splits", place / "checkpoint")
        export(seeded, place / "checkpoint", run / "splits", place / "bundle")
    answers = linnet.load(place / "bundle").predict(list(test.texts))
    labels = [test.label_names[label] for label in test.labels]
    right = np.array([answer.label == label for answer, label in zip(answers, labels, strict=True)])
    print(f"{name}, seed {seed}: {100 * right.mean():.2f} %", flush=True)
    return right


def _results(
    config: Config, study: dict[str, Any], right: dict[str, NDArray[np.bool_]], searched: float
) -> dict[str, Any]:
    level, resamples = config.evaluate.confidence_level, config.evaluate.bootstrap_resamples
    by_row = right["best"].mean(axis=0) - right["default"].mean(axis=0)
    pairs = zip(right["best"], right["default"], strict=True)
    return {
        "study": {
            key: study[key]
            for key in ("metric", "rows", "states", "default", "best", "gain", "trials")
        },
        "seconds": searched,
        "seeds": list(SEEDS),
        "test_rows": len(by_row),
        "test_accuracy": {name: some.mean(axis=1).tolist() for name, some in right.items()},
        "difference": asdict(bootstrap_mean(by_row, level, resamples, config.evaluate.seed)),
        "by_seed": [
            asdict(paired_difference(Agreement.count(best, default), level))
            for best, default in pairs
        ],
        "confidence_level": level,
        "data": Path(named(config.data.source)).name,
        "encoder": Path(config.model.name_or_path).name,
        "tune": config.tune.model_dump(mode="json"),
        "lineage": lineage(),
    }


def _show(results: dict[str, Any]) -> None:
    study = results["study"]
    title = (
        f"{results['encoder']} on {study['rows']['train']:,} rows of {results['data']}, "
        f"{sum(study['states'].values())} trials on {study['rows']['validation']:,} validation rows"
    )
    table = Table(title=title, title_justify="left")
    for header in (
        "recipe",
        "validation, in the study",
        f"test, {results['test_rows']:,} rows",
        "its seeds",
    ):
        table.add_column(header, justify="left" if header == "recipe" else "right")
    validation = {"default": study["default"], "best": study["best"]["value"]}
    for name, title in (("default", "as it is"), ("best", f"trial {study['best']['number']}")):
        seeds = results["test_accuracy"][name]
        each = ", ".join(f"{100 * value:.2f}" for value in seeds)
        table.add_row(
            title, f"{100 * validation[name]:.2f} %", f"{100 * np.mean(seeds):.2f} %", each
        )
    Console().print(table)
    difference = results["difference"]
    low, high = 100 * difference["low"], 100 * difference["high"]
    print(
        f"Better by {100 * difference['value']:+.2f} points on the test rows ({low:+.2f} to {high:+.2f})."
    )
    print(f"Found: {study['best']['parameters']}")


if __name__ == "__main__":
    try:
        main()
    except LinnetError as error:
        sys.exit(f"tune: {error}")

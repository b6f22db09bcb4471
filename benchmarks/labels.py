"""How right can a model get with the same labels, when it also learns from texts that nobody labelled?

    python benchmarks/labels.py --splits SPLITS --texts FILE --model ENCODER

fine-tunes ENCODER and linnet-mini on the train split; teaches linnet-mini what both answer to texts of FILE, whose
labels are not looked at, and fine-tunes it on the train split again; and teaches ENCODER what the two encoders then
answer together. In all or half of these texts the student does not get to see most of the words that answers hang on.
Each is exported and judged through the bundle on the same test rows, beside the mean of what the teachers answer. A
stage whose folder stands in the run is kept.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from distil import add_arguments, make_bundle, make_checkpoint, settings_of, training
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from linnet.config import load_config
from linnet.data import read_split
from linnet.errors import LinnetError
from linnet.evaluate.intervals import Agreement, paired_difference, proportion
from linnet.files import canonical_json, digest, write_text
from linnet.lineage import lineage
from linnet.predict import load
from linnet.train import distil, train

MINI = "linnet-mini"
LABELS = {"train.num_train_epochs": 2, "train.learning_rate": 5e-5}
MINI_LABELS = {"train.num_train_epochs": 3, "train.learning_rate": 1e-4}
TAUGHT = {
    "train.num_train_epochs": 1,
    "train.per_device_train_batch_size": 32,
    "train.warmup_ratio": 0.05,
    "train.learning_rate": 1e-4,
    "distil.alpha": 0.5,
    "distil.leave_out": 0.5,
}
MINI_TAUGHT = {"train.learning_rate": 2e-4, "distil.leave_out": 1.0}
ENCODER, SMALL, BEFORE, AGAIN, BEST = (
    "encoder",
    "mini",
    "mini-taught-before",
    "mini-taught",
    "encoder-taught",
)
NAMES = {
    ENCODER: "the encoder, on the labels",
    SMALL: "linnet-mini, on the labels",
    AGAIN: "linnet-mini, taught by both, then on the labels",
    BEST: "the encoder, taught by both of these encoders",
}
TEACHERS = ENCODER, AGAIN  # of the last


def main(argv: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser, "labels", rows=100_000)
    arguments = parser.parse_args(argv)
    bundles = _bundles(arguments)
    test = read_split(arguments.splits, "test")
    rows = slice(0, arguments.rows)
    plan = settings_of(arguments, {}).predict.model_dump()
    answers = {
        name: load(bundle, **plan).predict_proba(test.texts[rows])
        for name, bundle in bundles.items()
    }
    results = _results(arguments, answers, np.asarray(test.labels[rows]))
    write_text(arguments.out, canonical_json(results))
    _show(results)


def _bundles(arguments: argparse.Namespace) -> dict[str, Path]:
    """The bundle of each model, made where it does not stand yet; each may use those before it."""
    run, splits = arguments.run, arguments.splits
    texts = {
        "distil.texts": arguments.texts,
        "distil.sample": arguments.sample,
        "distil.answers": str(run / "answers"),
    }
    encoder, mini = ({"model.name_or_path": name} for name in (arguments.model, MINI))

    def labelled(name: str, settings: dict[str, Any]) -> Path:
        config = settings_of(arguments, settings | {"run.name": name})
        return make_bundle(config, run, splits, name, lambda out: train(config, splits, out))

    bundles = {
        ENCODER: labelled(ENCODER, LABELS | encoder),
        SMALL: labelled(SMALL, MINI_LABELS | mini),
    }
    config = settings_of(arguments, TAUGHT | texts | MINI_TAUGHT | mini)
    both = [bundles[ENCODER], bundles[SMALL]]
    make_checkpoint(config, run / BEFORE, lambda out: distil(config, both, splits, out))
    bundles[AGAIN] = labelled(AGAIN, MINI_LABELS | {"model.name_or_path": str(run / BEFORE)})
    last = settings_of(arguments, TAUGHT | texts | encoder | {"run.name": BEST})
    teachers = [bundles[name] for name in TEACHERS]
    bundles[BEST] = make_bundle(
        last, run, splits, BEST, lambda out: distil(last, teachers, splits, out)
    )
    return bundles


def _results(
    arguments: argparse.Namespace,
    answers: dict[str, NDArray[np.float64]],
    labels: NDArray[np.int64],
) -> dict[str, Any]:
    level = load_config(None).evaluate.confidence_level
    together = np.mean([answers[name] for name in TEACHERS], axis=0)
    right = {NAMES[name]: found.argmax(axis=1) == labels for name, found in answers.items()}
    right["the mean of these two teachers"] = together.argmax(axis=1) == labels
    plain = right[NAMES[ENCODER]]
    lines = [
        {
            "model": name,
            "accuracy": asdict(proportion(int(found.sum()), len(found), level)),
            "gained": asdict(paired_difference(Agreement.count(found, plain), level)),
        }
        for name, found in right.items()
    ]
    return {
        "models": lines,
        "confidence_level": level,
        "rows": len(labels),
        "texts": training(arguments.run / BEST)["distil"]["rows"]["texts"],
        "predict": settings_of(arguments, {}).predict.model_dump(mode="json"),
        "train_sha256": digest(arguments.splits / "train.parquet"),
        "checkpoints": {name: _record(arguments.run / name) for name in (*NAMES, BEFORE)},
        "lineage": lineage(),
    }


def _record(checkpoint: Path) -> dict[str, Any]:
    record = training(checkpoint)
    kept = {
        key: record.get(key)
        for key in ("distil", "history", "rows", "precision", "seed", "train_runtime")
    }
    return kept | {"recipe": record["settings"]["train"]}


def _show(results: dict[str, Any]) -> None:
    title = (
        f"{results['rows']:,} test rows; the same labels, and {results['texts']:,} texts without"
    )
    table = Table(title=title, title_justify="left")
    for header in ("model", "accuracy", "interval", "points more than the encoder", "interval"):
        table.add_column(header, justify="left" if header == "model" else "right")
    for line in results["models"]:
        accuracy, gained = line["accuracy"], line["gained"]
        table.add_row(
            line["model"],
            f"{100 * accuracy['value']:.2f} %",
            f"{100 * accuracy['low']:.2f} to {100 * accuracy['high']:.2f} %",
            f"{100 * gained['value']:+.2f}",
            f"{100 * gained['low']:+.2f} to {100 * gained['high']:+.2f}",
        )
    Console().print(table)


if __name__ == "__main__":
    try:
        main()
    except LinnetError as error:
        sys.exit(f"labels: {error}")

"""How right can a model get with the same labels, when it also learns from texts that nobody labelled?

    python benchmarks/labels.py --splits SPLITS --texts FILE --model ENCODER

fine-tunes ENCODER and linnet-mini on the train split; teaches linnet-mini what both answer to texts of FILE, whose
labels are not looked at, and fine-tunes it on the train split again; and teaches ENCODER what the two encoders then
answer together. In all or half of these texts the student does not get to see most of the words that answers hang on.
Each is exported and judged through the bundle on the same test rows, beside the mean of what the teachers answer. A
stage whose folder stands in the run is kept.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from linnet.config import Config, load_config
from linnet.data import read_split
from linnet.errors import LinnetError, UsageError
from linnet.evaluate.intervals import Agreement, paired_difference, proportion
from linnet.export import export
from linnet.files import canonical_json, digest, write_text
from linnet.lineage import lineage
from linnet.predict import load
from linnet.train import distil, train

RESULTS = Path(__file__).parent / "results" / "labels.json"
MINI = "linnet-mini"
LABELS = {"train.num_train_epochs": 2, "train.learning_rate": 5e-5}
MINI_LABELS = {"train.num_train_epochs": 3, "train.learning_rate": 1e-4}
TAUGHT = {"train.num_train_epochs": 1, "train.per_device_train_batch_size": 32, "train.warmup_ratio": 0.05}
LESSON = {"distil.alpha": 0.5}
ENCODER, SMALL, AGAIN, BEST = "encoder", "mini", "mini-taught", "encoder-taught"
NAMES = {
    ENCODER: "the encoder, on the labels",
    SMALL: "linnet-mini, on the labels",
    AGAIN: "linnet-mini, taught by both, then on the labels",
    BEST: "the encoder, taught by both of these encoders",
}
TEACHERS = ENCODER, AGAIN  # of the last


def main(argv: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    arguments = _parser().parse_args(argv)
    bundles = _bundles(arguments)
    test = read_split(arguments.splits, "test")
    rows = slice(0, arguments.rows)
    plan = _config(arguments, {}).predict.model_dump()
    answers = {name: load(bundle, **plan).predict_proba(test.texts[rows]) for name, bundle in bundles.items()}
    results = _results(arguments, answers, np.asarray(test.labels[rows]))
    write_text(arguments.out, canonical_json(results))
    _show(results)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--splits", type=Path, required=True, metavar="DIR", help="what `linnet prepare` wrote")
    parser.add_argument("--texts", required=True, metavar="FILE", help="texts without labels")
    parser.add_argument("--model", required=True, metavar="ENCODER", help="a folder in Hugging Face layout")
    parser.add_argument("--sample", type=int, default=100_000, metavar="N", help="texts of FILE (100,000)")
    parser.add_argument("--rows", type=int, default=100_000, metavar="N", help="test rows to judge on (100,000)")
    parser.add_argument("--run", type=Path, default=Path("runs/labels"), metavar="DIR", help="the run's folder")
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="FILE", help="the figures, as JSON")
    parser.add_argument(
        "--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="another setting of all"
    )
    return parser


def _bundles(arguments: argparse.Namespace) -> dict[str, Path]:
    """The bundle of each model, made where it does not stand yet; each may use those before it."""
    run, splits = arguments.run, arguments.splits
    texts = {"distil.texts": arguments.texts, "distil.sample": arguments.sample, "distil.answers": str(run / "answers")}
    encoder, mini = ({"model.name_or_path": name} for name in (arguments.model, MINI))

    def labelled(name: str, settings: dict[str, Any]) -> Path:
        config = _config(arguments, settings | {"run.name": name})
        return _bundle(config, run, splits, name, lambda out: train(config, splits, out))

    def taught(name: str, teachers: list[Path], settings: dict[str, Any]) -> tuple[Config, Path]:
        config = _config(arguments, TAUGHT | LESSON | texts | settings | {"run.name": name})
        checkpoint = run / name
        if not _stands(checkpoint, config):
            distil(config, teachers, splits, checkpoint)
        return config, checkpoint

    bundles = {ENCODER: labelled(ENCODER, LABELS | encoder), SMALL: labelled(SMALL, MINI_LABELS | mini)}
    recipe = {"train.learning_rate": 2e-4, "distil.leave_out": 1.0}
    _, between = taught(f"{AGAIN}-before", [bundles[ENCODER], bundles[SMALL]], recipe | mini)
    bundles[AGAIN] = labelled(AGAIN, MINI_LABELS | {"model.name_or_path": str(between)})
    recipe = {"train.learning_rate": 1e-4, "distil.leave_out": 0.5}
    config, _ = taught(BEST, [bundles[name] for name in TEACHERS], recipe | encoder)
    bundles[BEST] = _bundle(config, run, splits, BEST)
    return bundles


def _config(arguments: argparse.Namespace, settings: dict[str, Any]) -> Config:
    return load_config(None, [*(f"{name}={json.dumps(value)}" for name, value in settings.items()), *arguments.set])


def _bundle(config: Config, run: Path, splits: Path, name: str, learn: Callable[[Path], Any] | None = None) -> Path:
    checkpoint, bundle = run / name, run / f"{name}-bundle"
    if learn and not _stands(checkpoint, config):
        learn(checkpoint)
    if not bundle.is_dir():
        export(config, checkpoint, splits, bundle)
    return bundle


def _stands(checkpoint: Path, config: Config) -> bool:
    """Whether a checkpoint stands in the run; one of other settings is refused."""
    if not checkpoint.is_dir():
        return False
    made, asked = _training(checkpoint)["settings"], config.model_dump(mode="json")
    other = [name for name in ("model", "train", "distil") if made[name] != asked[name]]
    if other:
        raise UsageError(f"{checkpoint} was made with other settings of {', '.join(other)}. Choose another --run.")
    return True


def _training(checkpoint: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((checkpoint / "training.json").read_text(encoding="utf-8"))
    return record


def _results(
    arguments: argparse.Namespace, answers: dict[str, NDArray[np.float64]], labels: NDArray[np.int64]
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
        "texts": _training(arguments.run / BEST)["distil"]["rows"]["texts"],
        "predict": _config(arguments, {}).predict.model_dump(mode="json"),
        "train_sha256": digest(arguments.splits / "train.parquet"),
        "checkpoints": {name: _record(arguments.run / name) for name in (*NAMES, f"{AGAIN}-before")},
        "lineage": lineage(),
    }


def _record(checkpoint: Path) -> dict[str, Any]:
    record = _training(checkpoint)
    kept = {key: record.get(key) for key in ("distil", "history", "rows", "precision", "seed", "train_runtime")}
    return kept | {"recipe": record["settings"]["train"]}


def _show(results: dict[str, Any]) -> None:
    title = f"{results['rows']:,} test rows; the same labels, and {results['texts']:,} texts without"
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

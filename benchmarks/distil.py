"""What is a distilled student worth? Its accuracy and speed beside its teacher, the same student without a teacher, and
a linear model.

    python benchmarks/distil.py --splits SPLITS --texts FILE --model ENCODER

fine-tunes ENCODER on the train split, which is the teacher; trains small encoders from nothing on the labels of these
rows; and teaches the same ones what the teacher answers to the rows and to texts of FILE, whose labels are not looked
at. All are exported, judged on the same test rows, and timed in turns in one process, with one engine and one batching.
A stage whose folder stands in the run is kept.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from linnet.config import Config, load_config
from linnet.data import Split, read_split
from linnet.errors import LinnetError, UsageError
from linnet.evaluate.baselines import MAX_ITERATIONS, WORDS, words_of
from linnet.evaluate.intervals import Agreement, paired_difference, proportion
from linnet.export import export
from linnet.files import canonical_json, digest, write_text
from linnet.lineage import lineage
from linnet.predict import load
from linnet.train import distil, train

TEACHER = "teacher"
RECIPE = {"train.learning_rate": 5e-5, "train.num_train_epochs": 2}
STUDENT = {
    "train.learning_rate": 1e-3,
    "train.per_device_train_batch_size": 32,
    "train.early_stopping_patience": 9,
}

Answer = Callable[[list[str]], Any]


def main(argv: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    arguments = _parser().parse_args(argv)
    test = read_split(arguments.splits, "test")
    rows = slice(0, arguments.rows)
    models = _models(arguments)
    texts, labels = test.texts[rows], test.labels[rows]
    right = {name: _ids(answer(texts)) == labels for name, answer in models.items()}
    speeds = _speeds(models, test.texts[: arguments.timed], arguments.rounds)
    results = _results(arguments, right, speeds)
    write_text(arguments.out, canonical_json(results))
    _show(results)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser, "distil", rows=20_000)
    parser.add_argument(
        "--students",
        nargs="+",
        default=["2x128"],
        metavar="LxW",
        help="layers and width of each (2x128)",
    )
    parser.add_argument(
        "--epochs", type=int, default=3, metavar="N", help="epochs of the distilled students (3)"
    )
    parser.add_argument(
        "--timed", type=int, default=2_000, metavar="N", help="texts of each timing (2,000)"
    )
    parser.add_argument(
        "--rounds", type=int, default=5, metavar="N", help="timings of each, in turns (5)"
    )
    parser.add_argument(
        "--num-threads", type=int, default=0, metavar="N", help="of the engine; 0 for one a core"
    )
    return parser


def add_arguments(parser: argparse.ArgumentParser, name: str, rows: int) -> None:
    """Declare what a benchmark needs that trains several models from the same splits and other texts.

    Args:
        parser: Of the benchmark.
        name: The benchmark's, for its folder and its figures.
        rows: Test rows to judge on, unless told.
    """
    parser.add_argument(
        "--splits", type=Path, required=True, metavar="DIR", help="what `linnet prepare` wrote"
    )
    parser.add_argument("--texts", required=True, metavar="FILE", help="texts without labels")
    parser.add_argument(
        "--model", required=True, metavar="ENCODER", help="a folder in Hugging Face layout"
    )
    parser.add_argument(
        "--sample", type=int, default=100_000, metavar="N", help="texts of FILE (100,000)"
    )
    parser.add_argument(
        "--rows", type=int, default=rows, metavar="N", help=f"test rows to judge on ({rows:,})"
    )
    parser.add_argument(
        "--run", type=Path, default=Path("runs", name), metavar="DIR", help="the run's folder"
    )
    out = Path(__file__).parent / "results" / f"{name}.json"
    parser.add_argument(
        "--out", type=Path, default=out, metavar="FILE", help="the figures, as JSON"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        help="another setting of all",
    )


def _models(arguments: argparse.Namespace) -> dict[str, Answer]:
    """Everything that is compared, trained where its folder does not stand yet."""
    run, splits = arguments.run, arguments.splits
    engine = {"predict.num_threads": arguments.num_threads}
    config = settings_of(arguments, RECIPE | engine | {"model.name_or_path": arguments.model})
    bundles = {
        TEACHER: make_bundle(config, run, splits, TEACHER, lambda out: train(config, splits, out))
    }
    taught = {
        "distil.texts": arguments.texts,
        "distil.sample": arguments.sample,
        "distil.answers": str(run / "answers"),
    }
    for shape in arguments.students:
        layers, width = map(int, shape.split("x"))
        size = {
            "model.name_or_path": "scratch",
            "model.num_hidden_layers": layers,
            "model.hidden_size": width,
        }
        for name, more in {
            "labels alone": {},
            "distilled": {"train.num_train_epochs": arguments.epochs},
        }.items():
            bundles[f"{shape}, {name}"] = _student(
                arguments, shape, name, STUDENT | size | engine | taught | more
            )
    models: dict[str, Answer] = {
        name: load(bundle, num_threads=config.predict.num_threads).predict_proba
        for name, bundle in bundles.items()
    }
    return models | {WORDS: _linear(read_split(splits, "train"))}


def settings_of(arguments: argparse.Namespace, settings: dict[str, Any]) -> Config:
    """These settings, and over them those of `--set`."""
    return load_config(
        None, [*(f"{name}={json.dumps(value)}" for name, value in settings.items()), *arguments.set]
    )


def _student(
    arguments: argparse.Namespace, shape: str, name: str, settings: dict[str, Any]
) -> Path:
    run, splits = arguments.run, arguments.splits
    config = settings_of(arguments, {"train.num_train_epochs": 8} | settings)

    def learn(out: Path) -> Any:
        if name == "distilled":
            return distil(config, [run / f"{TEACHER}-bundle"], splits, out)
        return train(config, splits, out)

    return make_bundle(config, run, splits, f"{shape}-{name.replace(' ', '-')}", learn)


def make_bundle(
    config: Config, run: Path, splits: Path, name: str, learn: Callable[[Path], Any]
) -> Path:
    """The bundle of a model, trained and exported unless it stands in the run's folder."""
    checkpoint, bundle = run / name, run / f"{name}-bundle"
    make_checkpoint(config, checkpoint, learn)
    if not bundle.is_dir():
        export(config, checkpoint, splits, bundle)
    return bundle


def make_checkpoint(config: Config, checkpoint: Path, learn: Callable[[Path], Any]) -> None:
    """Train a model, unless its checkpoint stands in the run's folder.

    Raises:
        UsageError: One of other settings stands there.
    """
    if not checkpoint.is_dir():
        learn(checkpoint)
        return
    made, asked = training(checkpoint)["settings"], config.model_dump(mode="json")
    other = [name for name in ("model", "train", "distil") if made[name] != asked[name]]
    if other:
        raise UsageError(
            f"{checkpoint} was made with other settings of {', '.join(other)}. Choose another --run."
        )


def training(checkpoint: Path) -> dict[str, Any]:
    """The record of how a checkpoint was trained."""
    record: dict[str, Any] = json.loads((checkpoint / "training.json").read_text(encoding="utf-8"))
    return record


def _linear(split: Split) -> Answer:
    model = make_pipeline(words_of(split), LogisticRegression(max_iter=MAX_ITERATIONS))
    answer: Answer = model.fit(split.texts, split.labels).predict_proba
    return answer


def _ids(probabilities: np.ndarray) -> np.ndarray:
    return probabilities.argmax(axis=1)


def _speeds(models: dict[str, Answer], texts: list[str], rounds: int) -> dict[str, list[float]]:
    """Texts a second of each in each round, after one that doesn't count."""
    speeds: dict[str, list[float]] = {name: [] for name in models}
    for number in range(rounds + 1):
        for name, answer in models.items():
            started = time.perf_counter()
            answer(texts)
            if number:
                speeds[name].append(len(texts) / (time.perf_counter() - started))
    return speeds


def _results(
    arguments: argparse.Namespace, right: dict[str, np.ndarray], speeds: dict[str, list[float]]
) -> dict[str, Any]:
    level = load_config(None).evaluate.confidence_level
    lines = []
    for name, found in right.items():
        ratios = [own / teacher for own, teacher in zip(speeds[name], speeds[TEACHER], strict=True)]
        lines.append(
            {
                "model": name,
                "accuracy": asdict(proportion(int(found.sum()), len(found), level)),
                "texts_per_second": statistics.median(speeds[name]),
                "times_the_teacher": statistics.median(ratios),
                "times_the_teacher_by_round": ratios,
            }
        )
    gains = {
        shape: asdict(
            paired_difference(
                Agreement.count(right[f"{shape}, distilled"], right[f"{shape}, labels alone"]),
                level,
            )
        )
        for shape in arguments.students
    }
    records = {shape: _record(arguments.run / f"{shape}-distilled") for shape in arguments.students}
    return {
        "models": lines,
        "gained_by_the_teacher": gains,
        "confidence_level": level,
        "rows": len(next(iter(right.values()))),
        "train_sha256": digest(arguments.splits / "train.parquet"),
        "students": records,
        "num_threads": arguments.num_threads,
        "lineage": lineage(),
    }


def _record(checkpoint: Path) -> dict[str, Any]:
    record = training(checkpoint)
    kept = {key: record[key] for key in ("distil", "history", "parameters", "train_runtime")}
    return kept | {"recipe": record["settings"]["train"], "model": record["settings"]["model"]}


def _show(results: dict[str, Any]) -> None:
    table = Table(
        title=f"{results['rows']:,} test rows; speeds in turns in one process", title_justify="left"
    )
    for header in ("model", "accuracy", "interval", "texts a second", "times the teacher"):
        table.add_column(header, justify="left" if header == "model" else "right")
    for line in results["models"]:
        accuracy = line["accuracy"]
        table.add_row(
            line["model"],
            f"{100 * accuracy['value']:.2f} %",
            f"{100 * accuracy['low']:.2f} to {100 * accuracy['high']:.2f} %",
            f"{line['texts_per_second']:,.0f}",
            f"{line['times_the_teacher']:.1f}",
        )
    Console().print(table)
    for shape, gain in results["gained_by_the_teacher"].items():
        told = results["students"][shape]["distil"]
        print(
            f"{shape}: the teacher's answers to {sum(told['rows'].values()):,} texts are worth "
            f"{100 * gain['value']:.2f} points ({100 * gain['low']:.2f} to {100 * gain['high']:.2f})."
        )


if __name__ == "__main__":
    try:
        main()
    except LinnetError as error:
        sys.exit(f"distil: {error}")

"""How good is the served model? Its accuracy, with the interval, on many rows that it has never seen.

    python benchmarks/accuracy.py --data training.1600000.processed.noemoticon.csv.xz --model ENCODER

prepares a sample of 10,000 rows and 100,000 other rows of the file, trains the default recipe, exports the
bundle, and judges that bundle, through the code that serves it, on the validation rows and on the others.
A stage whose folder stands in the run is kept, so `--run runs/tweets` judges a run that `linnet run` made.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from linnet.bundle import Bundle
from linnet.config import Config, load_config, named
from linnet.data import prepare, read_split
from linnet.errors import DataError, LinnetError, UsageError
from linnet.evaluate import evaluate
from linnet.evaluate.intervals import proportion
from linnet.export import export
from linnet.files import canonical_json, digest, write_text
from linnet.train import train

SAMPLE, ROWS = 10_000, 100_000
SETTINGS = "linnet.toml"
RESULTS = Path(__file__).parent / "results" / "accuracy.json"


def main(argv: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    arguments = _parser().parse_args(argv)
    run: Path = arguments.run
    config = _settings(arguments)
    run.mkdir(parents=True, exist_ok=True)
    splits = _splits(config, run, arguments.rows)
    if not (run / SETTINGS).is_file():
        config.save(run / SETTINGS)
    if not (run / "checkpoint").is_dir():
        train(config, splits, run / "checkpoint")
    if not (run / "bundle").is_dir():
        export(config, run / "checkpoint", splits, run / "bundle")
    reports = {
        name: evaluate(_judging(config, name), run / "bundle", splits, run / f"report-{name}")
        for name in ("validation", "test")
    }
    record = json.loads((run / "checkpoint" / "training.json").read_text(encoding="utf-8"))
    results = _results(config, run, record, reports)
    write_text(arguments.out, canonical_json(results))
    _show(results)
    print(f"Written: {arguments.out}; the whole report: {run / 'report-test' / 'report.html'}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", metavar="FILE", help="labelled file, such as Sentiment140's")
    parser.add_argument("--model", metavar="ENCODER", help="a model hub id or a folder")
    parser.add_argument(
        "--sample", type=int, default=SAMPLE, help=f"rows to train and validate on ({SAMPLE:,})"
    )
    parser.add_argument("--rows", type=int, default=ROWS, help=f"other rows to judge on ({ROWS:,})")
    parser.add_argument(
        "--run", type=Path, default=Path("runs/accuracy"), metavar="DIR", help="the run's folder"
    )
    parser.add_argument(
        "--out", type=Path, default=RESULTS, metavar="FILE", help="the figures, as JSON"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="another setting"
    )
    return parser


def _settings(arguments: argparse.Namespace) -> Config:
    """The settings of the run that stands, else those asked for."""
    test_size = f"data.test_size={arguments.rows}"
    stands: Path = arguments.run / SETTINGS
    if stands.is_file():
        data = [f"data.source={json.dumps(arguments.data)}"] if arguments.data else []
        return load_config(stands, [*data, *arguments.set, test_size])
    if not (arguments.data and arguments.model):
        raise UsageError(
            f"Expected --data and --model, or in --run a folder that `linnet run` made; {stands} is none."
        )
    asked = {
        "data.source": arguments.data,
        "model.name_or_path": arguments.model,
        "run.name": "accuracy",
    }
    named = [f"{name}={json.dumps(value)}" for name, value in asked.items()]
    return load_config(None, [*named, f"data.sample={arguments.sample}", *arguments.set, test_size])


def _splits(config: Config, run: Path, rows: int) -> Path:
    """Splits with the very train and validation rows of the run and with this many test rows."""
    own = run / "splits"
    if not own.is_dir():
        prepare(config, own)
    if len(read_split(own, "test")) == rows:
        return own
    wide = run / f"splits-{rows}"
    if not wide.is_dir():
        prepare(config, wide)
    for file in ("train.parquet", "validation.parquet"):
        if digest(own / file) != digest(wide / file):
            raise DataError(
                f"{wide / file} is not that of {own}, so the model may have seen the judged rows."
            )
    if len(read_split(wide, "test")) != rows:
        raise DataError(
            f"The file has fewer than {rows:,} rows outside of the sample. Lower --rows."
        )
    return wide


def _judging(config: Config, split: str) -> Config:
    section = config.evaluate.model_copy(update={"split": split, "sample": 0})
    return config.model_copy(update={"evaluate": section})


def _results(
    config: Config, run: Path, record: dict[str, Any], reports: dict[str, Any]
) -> dict[str, Any]:
    validation, test = reports["validation"], reports["test"]
    best = next(epoch for epoch in record["history"] if epoch["epoch"] == record["best_epoch"])
    right = round(best["eval_accuracy"] * validation["rows"])
    checkpoint = proportion(right, validation["rows"], validation["confidence_level"])
    lines = [
        (
            "torch checkpoint",
            "validation",
            {"value": checkpoint.value, "low": checkpoint.low, "high": checkpoint.high},
        ),
        ("ONNX bundle", "validation", validation["accuracy"]),
        ("ONNX bundle", "test", test["accuracy"]),
        *((baseline["title"], "test", baseline["accuracy"]) for baseline in test["baselines"]),
    ]
    return {
        "accuracy": [
            {"model": model, "split": split, "rows": reports[split]["rows"], **figures}
            for model, split, figures in lines
        ],
        "confidence_level": test["confidence_level"],
        "verdict": test["verdict"],
        "data": {
            "file": Path(named(config.data.source)).name,
            "train_rows": record["rows"]["train"],
            "seed": config.data.seed,
        },
        "model": {
            "encoder": Path(config.model.name_or_path).name,
            "digest": Bundle.read(run / "bundle").digest,
        },
        "recipe": config.train.model_dump(mode="json"),
        "calibration_error": test["calibration"]["expected_calibration_error"],
        "latency": test["latency"],
        "train_runtime": record["train_runtime"],
        "lineage": test["lineage"],
    }


def _show(results: dict[str, Any]) -> None:
    data = results["data"]
    table = Table(
        title=f"{results['model']['encoder']}, trained on {data['train_rows']:,} rows of {data['file']}",
        title_justify="left",
    )
    for header in (
        "model",
        "judged on",
        "accuracy",
        f"{100 * results['confidence_level']:g} % interval",
    ):
        table.add_column(header, justify="left" if header in ("model", "judged on") else "right")
    names = {"validation": "validation rows", "test": "other rows"}
    for line in results["accuracy"]:
        interval = f"{100 * line['low']:.2f} to {100 * line['high']:.2f} %"
        judged = f"{line['rows']:,} {names[line['split']]}"
        table.add_row(line["model"], judged, f"{100 * line['value']:.2f} %", interval)
    Console().print(table)
    print(results["verdict"])


if __name__ == "__main__":
    try:
        main()
    except LinnetError as error:
        sys.exit(f"accuracy: {error}")

"""Does the temperature make probabilities mean what they say, and is the precision asked for kept, on rows never seen?

    linnet run --data FILE --model ENCODER --name tweets
    python benchmarks/calibration.py --run runs/tweets

exports the run's checkpoint without a temperature, with one, and for several export.min_precision, and judges each
bundle, through the code that serves it, on the run's test rows. It takes the data.test_size of the run.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from linnet.config import Config, load_config, named
from linnet.errors import LinnetError, ProofError, UsageError
from linnet.evaluate import evaluate
from linnet.export import export
from linnet.files import canonical_json, write_text

SETTINGS = "linnet.toml"
PRECISIONS = (0.85, 0.9, 0.95)
RESULTS = Path(__file__).parent / "results" / "calibration.json"


def main(argv: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    arguments = _parser().parse_args(argv)
    run: Path = arguments.run
    if not (run / SETTINGS).is_file() or not (run / "checkpoint").is_dir():
        raise UsageError(
            f"Expected in --run a folder that `linnet run` made; {run} holds no {SETTINGS} or checkpoint."
        )
    config = load_config(run / SETTINGS, arguments.set)
    proof, before = _judge(config, run, "as_trained", calibrate=False)
    proof, after = _judge(config, run, "calibrated", calibrate=True)
    asked = [_asked(config, run, precision) for precision in arguments.min_precision or PRECISIONS]
    results = {
        "calibration": {
            "temperature": after["model"]["temperature"],
            "validation": {
                key: proof["calibration"][key] for key in proof["calibration"] if key != "detail"
            },
            "test": {"before": _calibration(before), "after": _calibration(after)},
        },
        "min_precision": asked,
        "accuracy": after["accuracy"],
        "rows": {"validation": proof["calibration"]["rows"], "test": after["rows"]},
        "confidence_level": after["confidence_level"],
        "data": Path(named(config.data.source)).name,
        "encoder": Path(config.model.name_or_path).name,
        "recipe": config.train.model_dump(mode="json"),
        "lineage": after["lineage"],
    }
    write_text(arguments.out, canonical_json(results))
    _show(results)
    print(f"Written: {arguments.out}; the reports: {run / 'calibration'}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--run",
        type=Path,
        default=Path("runs/default"),
        metavar="DIR",
        help="a run of `linnet run`",
    )
    parser.add_argument(
        "--min-precision",
        type=float,
        action="append",
        metavar="P",
        help=f"{PRECISIONS}; may be repeated",
    )
    parser.add_argument(
        "--out", type=Path, default=RESULTS, metavar="FILE", help="the figures, as JSON"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="another setting"
    )
    return parser


def _judge(
    config: Config, run: Path, name: str, **changes: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The checks of the proof, and the report on the test rows."""
    changed = config.model_copy(update={"export": config.export.model_copy(update=changes)})
    folder = run / "calibration" / name
    folder.mkdir(parents=True, exist_ok=True)
    bundle = export(changed, run / "checkpoint", run / "splits", folder / "bundle")
    return bundle.proof["checks"], evaluate(changed, bundle.path, run / "splits", folder / "report")


def _calibration(report: dict[str, Any]) -> dict[str, Any]:
    kept = ("expected_calibration_error", "calibrated_limit")
    return {key: report["calibration"][key] for key in kept} | {"log_loss": report["log_loss"]}


def _asked(config: Config, run: Path, precision: float) -> dict[str, Any]:
    try:
        proof, report = _judge(config, run, f"min_precision_{precision:g}", min_precision=precision)
    except ProofError as error:
        return {"min_precision": precision, "refused": str(error)}
    return {
        "min_precision": precision,
        "validation": proof["precision"],
        "test": report["selective"],
    }


def _show(results: dict[str, Any]) -> None:
    found, rows = results["calibration"], results["rows"]
    table = Table(
        title=f"{results['encoder']} on {results['data']}, temperature {found['temperature']:.2f}",
        title_justify="left",
    )
    for header in ("judged on", "error before", "after", "by chance", "log loss before", "after"):
        table.add_column(header, justify="left" if header == "judged on" else "right")
    own, before, after = found["validation"], found["test"]["before"], found["test"]["after"]
    errors = (own["expected_calibration_error_before"], own["expected_calibration_error"])
    table.add_row(
        f"{rows['validation']:,} validation rows",
        *(f"{100 * error:.2f} %" for error in errors),
        "",
        *(f"{loss:.4f}" for loss in (own["log_loss_before"], own["log_loss"])),
    )
    table.add_row(
        f"{rows['test']:,} test rows",
        *(f"{100 * some['expected_calibration_error']:.2f} %" for some in (before, after)),
        f"{100 * after['calibrated_limit']:.2f} %",
        *(f"{some['log_loss']['value']:.4f}" for some in (before, after)),
    )
    Console().print(table)
    _show_asked(results["min_precision"])


def _show_asked(asked: Sequence[dict[str, Any]]) -> None:
    table = Table(
        title="What is answered of the test rows where a precision is asked for",
        title_justify="left",
    )
    for header in ("asked for", "label", "probability", "answered", "right", "interval, %"):
        table.add_column(header, justify="left" if header == "label" else "right")
    for item in asked:
        name = f"{100 * item['min_precision']:g} %"
        if "refused" in item:
            table.add_row(name, "all", "never", end_section=True)
            continue
        for row in item["test"]["per_class"]:
            threshold = "never" if row["threshold"] is None else f"{row['threshold']:.2f}"
            table.add_row(
                name, row["label"], threshold, f"{row['answered']:,}", *_right(row["precision"])
            )
        coverage = f"{100 * item['test']['coverage']['value']:.1f} %"
        table.add_row(
            name, "all", "", coverage, *_right(item["test"]["precision"]), end_section=True
        )
    Console().print(table)
    for item in asked:
        if "refused" in item:
            print(f"{100 * item['min_precision']:g} % was refused: {item['refused']}")


def _right(estimate: dict[str, float] | None) -> tuple[str, str]:
    if estimate is None:  # of no answers
        return "–", "–"
    return (
        f"{100 * estimate['value']:.2f} %",
        f"{100 * estimate['low']:.2f} to {100 * estimate['high']:.2f}",
    )


if __name__ == "__main__":
    try:
        main()
    except LinnetError as error:
        sys.exit(f"calibration: {error}")

"""Judge a bundle on a split, with the baselines it has to beat.

Writes report.html, report.json, metrics.json (its figures alone) and report.md (as tables).
"""

import argparse
from pathlib import Path
from typing import Any

from linnet.cli.options import add_config_options, config_from
from linnet.cli.tables import add_row, new_table, print_table
from linnet.terminal import print_line

SUMMARY = "bundle and split to report"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "bundle", type=Path, nargs="?", default=Path("bundle"), help="the bundle (default: bundle)"
    )
    parser.add_argument(
        "--splits",
        type=Path,
        default=Path("splits"),
        metavar="DIR",
        help="splits (default: splits)",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("report"), metavar="DIR", help="report (default: report)"
    )
    add_config_options(
        parser, "evaluate.split", "predict.engine", "predict.variant", "predict.num_threads"
    )


def main(arguments: argparse.Namespace) -> None:
    """Run the command."""
    from linnet.evaluate import evaluate

    print_report(
        evaluate(config_from(arguments), arguments.bundle, arguments.splits, arguments.out),
        arguments.out,
    )


def print_report(report: dict[str, Any], directory: Path) -> None:
    """Print a report in short."""
    title = f"{report['rows']:,} rows of the {report['split']} split"
    measure = (
        "micro_f1" if "micro_f1" in report else "accuracy"
    )  # the former if the model is multi-label
    table = new_table("model", measure.replace("_f1", "-F1"), "interval", "macro-F1", title=title)
    rows = [("this model", report[measure], report["macro_f1"]["value"])]
    rows += [(item["title"], item[measure], item["macro_f1"]) for item in report["baselines"]]
    for name, estimate, macro_f1 in rows:
        interval = f"{100 * estimate['low']:.2f} to {100 * estimate['high']:.2f} %"
        add_row(
            table, name, f"{100 * estimate['value']:.2f} %", interval, f"{100 * macro_f1:.2f} %"
        )
    print_table(table)
    print_line(report["verdict"])
    if report["diagnosis"]:
        print_line("Why, and what to change:")
    for line in [*(f"- {item['sentence']}" for item in report["diagnosis"]), *report["notes"]]:
        print_line(line)
    print_line(
        f"One text takes {report['latency']['median_ms']:.1f} ms, a list "
        f"{report['latency']['texts_per_second']:,.0f} texts per second; calibration error "
        f"{100 * report['calibration']['expected_calibration_error']:.1f} % at a temperature of "
        f"{report['model']['temperature']:.2f}."
    )
    print_line(f"Report: {directory / 'report.html'}")

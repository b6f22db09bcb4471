"""Read people's answers into a prediction log, or write the labelled rows to train with.

    linnet labels queue.csv predictions.db                      read answers
    linnet labels predictions.db --export labelled.jsonl        write labelled rows

Answers come as CSV, or as Label Studio and Argilla export them. Name a file for each annotator, or
one file that says who answered. Then retrain: linnet run --retrain runs/OLD --name NEW --add FILE
"""

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from linnet.cli.options import add_config_options, config_from
from linnet.terminal import print_line

if TYPE_CHECKING:
    from linnet.config import Config
    from linnet.monitor.labels.answers import Taken
    from linnet.monitor.labels.training import Exported
    from linnet.monitor.prediction_log import Store

SUMMARY = "read people's labels into the log, and write them to train with"
SOURCES = ("audit", "disagree", "queue", "user")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "files",
        nargs="*",
        type=Path,
        metavar="FILE",
        help="answers: CSV, or the JSON, CSV or Parquet of Label Studio or Argilla",
    )
    parser.add_argument("log", metavar="LOG", help="the prediction log: a file, or its URL")
    parser.add_argument(
        "--export", type=Path, metavar="FILE", help="write the labelled rows to FILE.jsonl"
    )
    parser.add_argument(
        "--sources",
        nargs="+",
        choices=SOURCES,
        default=list(SOURCES),
        help="whose labels are written (default: all)",
    )
    parser.add_argument(
        "--bundle",
        type=Path,
        metavar="BUNDLE",
        help="the model whose labels may be given (default: those that the log holds)",
    )
    parser.add_argument(
        "--label-column", default="", metavar="NAME", help="the column of the label in a plain file"
    )
    add_config_options(parser)


def main(arguments: argparse.Namespace) -> None:
    """Run the command."""
    from linnet.errors import UsageError
    from linnet.monitor.labels.training import check_name
    from linnet.monitor.prediction_log import Store

    if not arguments.files and not arguments.export:
        raise UsageError(
            "Name a file of answers before the log, or a file to write with --export FILE.jsonl."
        )
    if arguments.export:
        check_name(arguments.export)
    config = config_from(arguments)
    with Store(arguments.log, create=False) as store:
        if arguments.files:
            _read(arguments, store, config)
        if arguments.export:
            _export(arguments, store, config)


def _read(arguments: argparse.Namespace, store: "Store", config: "Config") -> None:
    from dataclasses import replace

    from linnet.bundle import Bundle
    from linnet.monitor.labels.answer_files import read_answers
    from linnet.monitor.labels.answers import Labels, take_answers

    labels = Labels()
    if arguments.bundle:
        manifest = Bundle.read(arguments.bundle).manifest
        labels = Labels(manifest.labels, manifest.multi_label)
    answers = []
    for path in arguments.files:
        for answer in read_answers(path, arguments.label_column):
            answers.append(replace(answer, annotator=answer.annotator or path.stem))
    folder = Path(config.monitor.directory)
    rate = config.prediction_log.audit_rate
    _print_taken(take_answers(store, folder, answers, labels, rate, time.time()))


def _export(arguments: argparse.Namespace, store: "Store", config: "Config") -> None:
    from linnet.monitor.labels.training import write_training

    folder = Path(config.monitor.directory)
    rate = config.prediction_log.audit_rate
    sources = tuple(arguments.sources)
    written = write_training(store, folder, arguments.export, sources, rate)
    _print_exported(written, arguments.export)


def _print_taken(taken: "Taken") -> None:
    from linnet.monitor.labels.answer_files import REASONS

    refused = sum(taken.refused.values())
    counted = sum(taken.taken.values())
    print_line(f"{taken.answers:,} answers = {counted:,} taken + {refused:,} refused")
    for source in SOURCES:
        if count := taken.taken.get(source):
            print_line(f"  {source:<15} {count:>7,}")
    for reason, why in REASONS.items():
        if count := taken.refused.get(reason):
            print_line(f"  {reason:<15} {count:>7,}  refused: {why}")
    if taken.refused.get("unknown_label"):
        print_line("If the label is right, name the model that has it with --bundle.")
    if taken.copies:
        print_line(f"{taken.copies:,} more rows have the same texts, and the same answers.")
    if (agreed := taken.agreement) is not None:
        kappa = (
            "undefined, as all gave one label" if agreed.kappa is None else f"{agreed.kappa:.2f}"
        )
        print_line(
            f"Agreement of {agreed.annotators} annotators on {agreed.texts:,} texts: "
            f"{agreed.kind}'s kappa {kappa}"
        )
    if taken.ties:
        print_line(f"{taken.ties:,} rows go back to the queue, because annotators disagree.")
    if taken.audit_asked:
        missing = taken.audit_asked - taken.audit_answered
        print_line(
            f"Audit: {taken.audit_answered:,} of {taken.audit_asked:,} rows have an answer. "
            f"{missing / taken.audit_asked:.1%} have none."
        )


def _print_exported(written: "Exported", out: Path) -> None:
    total = sum(written.rows.values())
    print_line(f"Written {total:,} labelled rows to {out}:")
    for source in SOURCES:
        if count := written.rows.get(source):
            goes = "validation and test" if source == "audit" else "train"
            print_line(f"  {source:<10} {count:>7,}  for {goes}")
    if written.without_text:
        print_line(f"{written.without_text:,} labelled rows have no text in the log.")
    if written.same_text:
        print_line(f"{written.same_text:,} labelled rows have a text that is there already.")
    print_line(f"Retrain with: linnet run --retrain runs/OLD --name NEW --add {out}")

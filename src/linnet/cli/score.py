"""Score a file: the same rows in the same order, with predictions behind each.

The file may be of any size. The same call resumes one that was stopped.
"""

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from linnet.cli.options import add_config_options, config_from
from linnet.errors import DataError, UsageError
from linnet.terminal import print_line

if TYPE_CHECKING:
    from linnet.score import Scored

SUMMARY = "bundle and file to the same rows with predictions"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("bundle", type=Path, help="the bundle, such as runs/NAME/bundle")
    parser.add_argument(
        "file",
        type=Path,
        help="CSV, TSV, JSON Lines, Parquet or plain lines, also packed; - is standard input",
    )
    parser.add_argument("more", type=Path, nargs="*", help=argparse.SUPPRESS)
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("-"),
        metavar="FILE",
        help="the file to write (default: -, standard output)",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="start over and delete the unfinished work"
    )
    names = ("text_column", "format", "encoding", "prefix", "probabilities")
    runs = ("engine", "variant", "num_threads")
    add_config_options(
        parser, *(f"score.{name}" for name in names), *(f"predict.{name}" for name in runs)
    )


def main(arguments: argparse.Namespace) -> None:
    """Run the command."""
    if arguments.more:
        files = shlex.join(map(str, (arguments.file, *arguments.more)))
        raise UsageError(
            "`linnet score` reads one file at a time. Score several in a loop: "
            f'for file in {files}; do linnet score {shlex.quote(str(arguments.bundle))} "$file" '
            '--out "scored-$(basename "$file")"; done'
        )
    config = config_from(arguments)
    from linnet.score import score

    if str(arguments.out) == "-" and sys.__stdout__ is None:
        raise UsageError("The standard output is closed. Name a file to write with --out.")
    done = score(
        config, arguments.bundle, arguments.file, arguments.out, overwrite=arguments.overwrite
    )
    for line in summary_lines(done):
        print_line(line, error=True)
    if done.rows and not done.scored:
        raise DataError(
            f"None of the {done.rows:,} rows could be scored; the column `reason` says why of "
            "each. Is it the right --text-column?"
        )


def summary_lines(done: "Scored") -> list[str]:
    """What was done, in sentences; the last says what was not."""
    lines = [f"Note: {note}" for note in done.notes]
    if done.resumed:
        lines.append(f"Went on after {done.resumed:,} rows.")
    parts = {
        "truncated": done.truncated,
        "abstained": done.abstained,
        "without a label": done.unlabelled,
    }
    some = ", ".join(f"{count:,} {name}" for name, count in parts.items() if count)
    lines.append(
        f"{done.rows:,} rows in, {done.rows:,} rows out: {done.scored:,} scored"
        + (f" ({some})." if some else ".")
    )
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in done.reasons.items())
    reasons = f" ({reasons})" if reasons else ""
    lines.append(f"Not scored: {done.rows - done.scored:,}{reasons}.")
    return lines

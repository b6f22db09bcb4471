"""Move the champion's alias to a registered bundle, if it passes the gate.

The candidate, the champion and the best version yet answer the candidate's test rows now. Each line
of the gate is a test or a limit with its confidence. Exit code 10: refused, nothing was moved.
Needs the extras `track` and `train`.
"""

import argparse
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from linnet.cli.options import add_config_options, config_from
from linnet.cli.tables import add_row, new_table, print_table
from linnet.errors import RefusedError, UsageError
from linnet.files import write_text
from linnet.terminal import print_line

if TYPE_CHECKING:
    from linnet.track.promote import Promotion

SUMMARY = "registered bundle to champion, through a gate"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("name", help="the registered model")
    parser.add_argument(
        "--splits", type=Path, default=Path("splits"), metavar="DIR", help="the candidate's splits"
    )
    parser.add_argument(
        "--candidate",
        default="challenger",
        metavar="ALIAS",
        help="alias of the candidate (default: challenger, which `linnet track` sets)",
    )
    parser.add_argument(
        "--out", type=Path, default=Path(), metavar="DIR", help="folder of promotion.json and .md"
    )
    parser.add_argument("--dry-run", action="store_true", help="judge, and move nothing")
    parser.add_argument(
        "--rollback", action="store_true", help="give the alias back to the champion before"
    )
    parser.add_argument("--reason", default="", metavar="TEXT", help="why it is rolled back")
    add_config_options(parser, "track.uri", "promote.rule", "promote.max_accuracy_drop")


def main(arguments: argparse.Namespace) -> None:
    """Run the command."""
    from linnet.track.promote import promote, roll_back

    config = config_from(arguments)
    if arguments.rollback:
        if not arguments.reason:
            raise UsageError("Say why with --reason; it is kept with the version.")
        version = roll_back(config, arguments.name, arguments.reason)
        print_line(f"Version {version.number} of {arguments.name!r} is champion again.")
        return
    result = promote(
        config, arguments.name, arguments.splits, arguments.candidate, arguments.dry_run
    )
    _print_gate(result)
    _write(result, arguments.out)
    if result.refusal is not None:
        raise RefusedError(f"Not promoted. {result.reason}")
    number = result.candidate.number
    print_line(
        f"Version {number} of {result.name!r} is champion." if result.moved else result.reason
    )


def _print_gate(result: "Promotion") -> None:
    if not result.lines:
        return
    title = f"{result.name}, version {result.candidate.number}"
    table = new_table("condition", "", "measured", title=title, fold=True)
    for line in result.lines:
        add_row(
            table, line.name.replace("_", " "), "passed" if line.passed else "failed", line.sentence
        )
    print_table(table)


def _write(result: "Promotion", folder: Path) -> None:
    """Write promotion.json and promotion.md, and what GitHub Actions reads where it runs this."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "promotion.json", json.dumps(result.to_json(), indent=2) + "\n")
    write_text(folder / "promotion.md", result.to_markdown())
    for variable, content in (
        ("GITHUB_STEP_SUMMARY", result.to_markdown()),
        ("GITHUB_OUTPUT", f"moved={str(result.moved).lower()}\n"),
    ):
        if path := os.environ.get(variable):
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(content)

"""Compare two data cards: rows, reasons, classes, duplicates, lengths, settings and the digest.

A data card is named by its file or by its splits folder. Nothing is written.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from linnet.cli.tables import add_row, new_table, print_table
from linnet.terminal import print_line

if TYPE_CHECKING:
    from linnet.data.compare import Section

SUMMARY = "what differs between two data cards"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("old", type=Path, metavar="OLD", help="a splits folder or a data card")
    parser.add_argument("new", type=Path, metavar="NEW", help="another one")


def main(arguments: argparse.Namespace) -> None:
    """Run the command."""
    from linnet.data import compare, read_card

    sections = compare(read_card(arguments.old), read_card(arguments.new))
    if not sections:
        print_line(f"The data cards of {arguments.old} and {arguments.new} are equal.")
        return
    _print_changes(sections, str(arguments.old), str(arguments.new))


def _print_changes(sections: "list[Section]", old: str, new: str) -> None:
    headers = ("what", "old", "new", "change")
    title = f"From {old} to {new}"
    table = new_table(*headers, title=title, right=("old", "new"), fold=True, light=True)
    for section in sections:
        add_row(table, section.title, bold=True)
        for change in section.changes:
            add_row(table, f"  {change.name}", change.old, change.new, change.by)
        table.add_section()
    print_table(table)

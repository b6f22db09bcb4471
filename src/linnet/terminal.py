"""Lines and tables on a terminal, printed as they are: nothing in them is markup or a control sequence.

A terminal whose encoding lacks a character shows an escape, never a traceback.
"""

import os
import sys
from collections.abc import Collection, Iterable

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from linnet.printable import CONTROL, ERRORS, printable, printable_cell

# The stream is found at each call. Marks such as [bold] and :smile: stay as they are.
stdout = Console(markup=False, emoji=False, highlight=False)
stderr = Console(stderr=True, markup=False, emoji=False, highlight=False)


def open_streams() -> None:
    """Make the standard streams ready: escape what their encoding lacks, replace the closed ones."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if (
            stream is None
        ):  # closed by the caller, as `>&-` does; the next file must not take its place
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123
        elif name != "stdin" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=ERRORS)


def print_line(text: str = "", *, error: bool = False) -> None:
    """Print a text on standard output, or on standard error; its own line ends stay."""
    print(printable(text), file=sys.stderr if error else sys.stdout, flush=error)


def new_table(
    *headers: str,
    title: str = "",
    right: Collection[str] = (),
    fold: bool = False,
    light: bool = False,
) -> Table:
    """A table for `add_row` and `print_table`.

    Args:
        headers: Of the columns.
        title: Printed above, on the left.
        right: The headers whose columns are aligned to the right.
        fold: Break long words over lines instead of cutting them.
        light: Draw a line below the headers only.
    """
    table = Table(
        title=text(title) if title else None,
        title_justify="left",
        box=box.SIMPLE_HEAD if light else box.HEAVY_HEAD,
    )
    for header in headers:
        table.add_column(
            text(header),
            justify="right" if header in right else "left",
            overflow="fold" if fold else "ellipsis",
        )
    return table


def add_row(table: Table, *cells: str, bold: bool = False) -> None:
    """Add a row to a table."""
    table.add_row(*map(text, cells), style="bold" if bold else None)


def print_table(table: Table) -> None:
    """Print a table on standard output."""
    stdout.print(table)


def print_styled(value: str, styles: Iterable[tuple[str, int, int]]) -> None:
    """Print a text on standard output, parts of it in a style.

    Args:
        value: The text.
        styles: Style, begin and end of each part; places count characters.
    """
    shown = Text(CONTROL.sub("\N{REPLACEMENT CHARACTER}", value))
    for style, start, end in styles:
        shown.stylize(style, start, end)
    stdout.print(shown)


def text(value: str, style: str = "") -> Text:
    """A text for a table or a title, on one line."""
    return Text(printable_cell(value), style=style)

"""Tables and styled text on standard output, printed as they are: nothing in them is markup.

Imports rich only when a command prints, so that `linnet --help` stays instant.
"""

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from linnet.printable import CONTROL, printable_cell

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text


def console() -> "Console":
    """Standard output as it is now. Marks such as [bold] and :smile: stay as they are."""
    from rich.console import Console

    return Console(markup=False, emoji=False, highlight=False)


def new_table(
    *headers: str,
    title: str = "",
    right: Collection[str] = (),
    fold: bool = False,
    light: bool = False,
) -> "Table":
    """A table for `add_row` and `print_table`.

    Args:
        headers: Of the columns.
        title: Printed above, on the left.
        right: The headers whose columns are aligned to the right.
        fold: Break long words over lines instead of cutting them.
        light: Draw a line below the headers only.
    """
    from rich import box
    from rich.table import Table

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


def add_row(table: "Table", *cells: str, bold: bool = False) -> None:
    """Add a row to a table."""
    table.add_row(*map(text, cells), style="bold" if bold else None)


def print_table(table: "Table") -> None:
    """Print a table on standard output."""
    console().print(table)


def print_styled(value: str, styles: Iterable[tuple[str, int, int]]) -> None:
    """Print a text on standard output, parts of it in a style.

    Args:
        value: The text.
        styles: Style, begin and end of each part; places count characters.
    """
    from rich.text import Text

    shown = Text(CONTROL.sub("\N{REPLACEMENT CHARACTER}", value))
    for style, start, end in styles:
        shown.stylize(style, start, end)
    console().print(shown)


def text(value: str, style: str = "") -> "Text":
    """A text for a table or a title, on one line."""
    from rich.text import Text

    return Text(printable_cell(value), style=style)

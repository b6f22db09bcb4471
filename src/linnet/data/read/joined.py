"""A text that stands in several columns, such as a title and a body, as one column more."""

from collections.abc import Iterator, Sequence
from typing import Any

from linnet.data.read.columns import find_column
from linnet.data.read.table import Row, Table
from linnet.errors import DataError

SEPARATOR = ","


def positions_only(column: str) -> bool:
    """Whether a column, or each of several, is named by its position."""
    return all(part.strip().isdecimal() for part in column.split(SEPARATOR))


def join_texts(table: Table, text: str, label: str | None) -> Table:
    """The table with a last column in which the named ones are joined by a space, where several are named.

    The new column is called what the setting says, so that it is found by its name; those it is made of stay, and so
    does the position of each.

    Args:
        table: Raw rows.
        text: Names or positions with commas between; unchanged is given back where it is one name or none.
        label: The label's column, which may not be one of them; None where there need not be one.

    Raises:
        DataError: There is no such column, or one is the label or named twice.
    """
    if text in table.columns or SEPARATOR not in text:
        return table
    names = [part.strip() for part in text.split(SEPARATOR)]
    if not all(names):
        raise DataError(f"--text-column {text!r:.200} names a column without a name. Expected such as title,body.")
    places = [find_column(table.columns, name, "text") for name in names]
    if len(set(places)) < len(places):
        raise DataError(f"--text-column {text!r:.200} names one column twice. Name each once.")
    label_place = None if label is None else find_column(table.columns, label, "label")
    if label_place in places:
        raise DataError(
            f"The column {table.columns[label_place]!r} can't be both a part of the text and the label. "
            "Choose others with --text-column and --label-column."
        )
    return Table((*table.columns, text), _joined(table, places), {**table.dialect, "text_of": names})


def _joined(table: Table, places: Sequence[int]) -> Iterator[Row]:
    width = len(table.columns)
    for number, row in table.rows:
        if len(row) == width:
            yield number, (*row, _join([row[place] for place in places]))
        else:
            # One value too many must not pass for the joined one.
            yield number, (*row, None) if len(row) > width else row


def _join(parts: list[Any]) -> Any:
    """One text; a part that is no text, which the whole can't be then either; or None where all are missing."""
    there = [part for part in parts if part is not None and part == part]  # NaN is no part: it equals nothing
    strange = next((part for part in there if not isinstance(part, str)), None)
    return strange if strange is not None else " ".join(filter(None, there)) if there else None

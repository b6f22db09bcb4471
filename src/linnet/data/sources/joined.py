"""A text that stands in several columns, such as a title and a body, as one column more."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from linnet.data.sources.columns import find_labels
from linnet.errors import DataError
from linnet.tables.columns import SEPARATOR, find_text, join
from linnet.tables.table import Row, Table


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
    places = find_text(table.columns, text)
    labels = () if label is None else find_labels(table.columns, label)
    both = next((place for place in labels if place in places), None)
    if both is not None:
        raise DataError(
            f"The column {table.columns[both]!r} can't be both a part of the text and the label. "
            "Choose others with --text-column and --label-column."
        )
    names = [part.strip() for part in text.split(SEPARATOR)]
    return replace(
        table,
        columns=(*table.columns, text),
        rows=_joined(table, places),
        dialect={**table.dialect, "text_of": names},
    )


def _joined(table: Table, places: Sequence[int]) -> Iterator[Row]:
    width = len(table.columns)
    for number, row in table.rows:
        if len(row) == width:
            yield number, (*row, join([row[place] for place in places]))
        else:
            # One value too many must not pass for the joined one.
            yield number, (*row, None) if len(row) > width else row

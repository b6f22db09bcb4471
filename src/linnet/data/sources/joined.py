"""Join text columns, such as title and body, to one more column."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from linnet.data.sources.columns import find_labels
from linnet.errors import DataError
from linnet.tables.columns import SEPARATOR, find_text, join
from linnet.tables.table import Row, Table


def join_texts(table: Table, text: str, label: str | None) -> Table:
    """Add a last column that joins the named columns by a space, if there are several.

    The setting is the new column's name, so that it is found by name. The named columns keep
    their positions.

    Args:
        table: Raw rows.
        text: Names or positions with commas between. With one name or none, the table is
            returned unchanged.
        label: The label's column, which must not be one of them; None if no label is needed.

    Raises:
        DataError: A column does not exist, is the label, or is named twice.
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
            # An extra value must not be taken for the joined one.
            yield number, (*row, None) if len(row) > width else row

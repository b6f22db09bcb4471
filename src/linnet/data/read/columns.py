"""The text's and the label's column together, and what a split calls the others."""

from collections.abc import Sequence

from linnet.errors import DataError
from linnet.raw.columns import find_column, known


def find_columns(columns: Sequence[str], text: str, label: str) -> tuple[int, int]:
    """Positions of the text and of the label.

    Args:
        columns: The names there are.
        text: A name, a position from 0, or empty to find it by its name.
        label: The same for the label.

    Raises:
        DataError: There is no such column, or both are the same; names the columns there are.
    """
    places = find_column(columns, text, "text"), find_column(columns, label, "label")
    if places[0] == places[1]:
        raise DataError(
            f"The column {columns[places[0]]!r} can't be both the text and the label. {known(columns)}"
        )
    return places


def split_names(columns: Sequence[str], text: int, label: int) -> list[str]:
    """What a split calls each raw column: `text`, `label`, and its own name for any other.

    Another column that has one of those two names gets `raw_` before it, so that none is lost.
    """
    names: list[str] = []
    for index, name in enumerate(columns):
        taken = {"text", "label", *names}
        while index not in (text, label) and name in taken:
            name = f"raw_{name}"
        names.append({text: "text", label: "label"}.get(index, name))
    return names

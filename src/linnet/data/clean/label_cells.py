"""What the label columns of a row hold, as one cell: a string, several strings, or nothing.

Knows which columns hold the label; knows nothing of what a label is called.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from linnet.data.sources.strings import as_string
from linnet.data.sources.yes_no import NO, UNKNOWN, YES, plain
from linnet.errors import LabelError

Cell = str | tuple[str | None, ...] | None


@dataclass(frozen=True)
class LabelColumns:
    """Where the label of a row is.

    Attributes:
        places: Positions of one column that holds it, or of several that each say whether one
            label applies.
        names: Of those several columns, which are the labels; empty for one column.
    """

    places: tuple[int, ...]
    names: tuple[str, ...] = ()

    def cells(self, columns: Sequence[list[Any]], numbers: Sequence[int]) -> list[Cell]:
        """The cell of each row: a string, a tuple for a list, None for a missing one.

        Args:
            columns: All raw columns, of n values each.
            numbers: Of the rows, for messages.

        Raises:
            LabelError: An object, bytes that are not UTF-8, or neither yes nor no in such a column.
        """
        if self.names:
            rows = zip(*(columns[place] for place in self.places), strict=True)
            return [self._applying(row, number) for row, number in zip(rows, numbers, strict=True)]
        column = columns[self.places[0]]
        if set(map(type, column)) <= {str}:
            return column
        return [_cell(value, number) for value, number in zip(column, numbers, strict=True)]

    def _applying(self, row: Sequence[Any], number: int) -> Cell:
        values = list(map(plain, row))
        for name, value in zip(self.names, values, strict=True):
            if value not in YES and value not in NO and value not in UNKNOWN:
                raise LabelError(
                    f"Row {number} has {value!r:.60} in the label column {name!r:.60}. "
                    "Expected 0 or 1, or true or false: whether the label applies."
                )
        if not UNKNOWN.isdisjoint(values):
            return None
        return tuple(name for name, value in zip(self.names, values, strict=True) if value in YES)


def _cell(value: Any, number: int) -> Cell:
    if isinstance(value, list | tuple):
        for item in value:
            if isinstance(item, list | tuple | dict | bytes):
                raise LabelError(_refusal("a list of something else than labels", value, number))
        return tuple(map(as_string, value))
    if isinstance(value, dict | bytes):
        kind = "an object" if isinstance(value, dict) else "bytes that are not UTF-8"
        raise LabelError(_refusal(kind, value, number))
    return as_string(value)


def _refusal(kind: str, value: Any, number: int) -> str:
    return (
        f"Row {number} has {kind} for a label: {value!r:.60}. Expected a string or a number, "
        "or a list of them."
    )

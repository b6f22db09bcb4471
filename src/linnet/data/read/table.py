"""What every reader gives: raw rows, streamed, each with its number.

A reader yields (row number, values); it neither drops nor repairs rows: what is wrong with one row is
told by what it yields (too few values, none), what is wrong with the file is a DataError. Knows nothing
of texts and labels.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linnet.errors import DataError

MAX_COLUMNS = 10_000

Row = tuple[int, Sequence[Any]]


@dataclass(frozen=True)
class Table:
    """A raw file, recognised.

    Attributes:
        columns: Their names.
        rows: Row number (of the line where a row starts; in Parquet, of the row; from 1) and values. A row
            with more values than columns, or fewer, is one that the file has wrong; none stands for a blank line.
        dialect: How the file was read, for the data card.
    """

    columns: tuple[str, ...]
    rows: Iterator[Row]
    dialect: dict[str, Any]


def column_names(names: Sequence[str], path: Path) -> tuple[str, ...]:
    """Names without white space around them; one without a name gets its position for one.

    Raises:
        DataError: Too many, or a name stands there twice.
    """
    check_width(len(names), path)
    columns = tuple(name.strip() or f"column_{index}" for index, name in enumerate(names))
    twice = sorted(name for name, count in Counter(columns).items() if count > 1)
    if twice:
        raise DataError(
            f"{path}: the column {twice[0]!r:.60} stands in the header more than once. Rename one of them."
        )
    return columns


def check_width(width: int, path: Path) -> None:
    """Refuse more columns than any table of texts has.

    Raises:
        DataError: Names the limit.
    """
    if width > MAX_COLUMNS:
        raise DataError(
            f"{path} has {width:,} columns by its first row; expected at most {MAX_COLUMNS:,}. "
            "Is that row a header? Keep the text, the label and what else is needed."
        )

"""Rows in parts of bounded size, to be scored and written at once. Knows nothing of what answers them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from linnet.tables.table import RawRow

PART_BYTES = 1_000_000  # tokenising a part takes one to six hundred times as many


@dataclass(frozen=True)
class Part:
    """Rows that are scored and written at once.

    Attributes:
        rows: The rows, in order.
        texts: The value in each one's text column.
        reasons: Why each one can't be scored; empty where that is not known yet.
        end: Where the next part begins.
    """

    rows: Any
    texts: list[Any]
    reasons: list[str]
    end: int


def parts(rows: Iterator[RawRow], most: int) -> Iterator[Part]:
    """Rows in parts of at most so many, fewer where they are long; the same for the same rows, wherever it begins."""
    taken: list[RawRow] = []
    size = 0
    for row in rows:
        taken.append(row)
        size += len(row.raw)
        if len(taken) == most or size >= PART_BYTES:
            yield _part(taken)
            taken, size = [], 0
    if taken:
        yield _part(taken)


def _part(rows: list[RawRow]) -> Part:
    return Part(rows, [row.text for row in rows], [row.reason for row in rows], rows[-1].end)

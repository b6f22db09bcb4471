"""Rows in chunks of bounded size, to be scored and written at once. Knows nothing of what answers them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from linnet.tables.table import RawRow

CHUNK_BYTES = 1_000_000  # tokenising a chunk takes one to six hundred times as many


@dataclass(frozen=True)
class Chunk:
    """Rows that are scored and written at once.

    Attributes:
        rows: The rows, in order.
        texts: The value in each one's text column.
        reasons: Why each one can't be scored; empty where that is not known yet.
        end: Where the next chunk begins.
    """

    rows: Any
    texts: list[Any]
    reasons: list[str]
    end: int


def chunks(rows: Iterator[RawRow], most: int) -> Iterator[Chunk]:
    """Rows in chunks of at most so many, fewer where they are long; the same for the same rows, wherever it begins."""
    taken: list[RawRow] = []
    size = 0
    for row in rows:
        taken.append(row)
        size += len(row.raw)
        if len(taken) == most or size >= CHUNK_BYTES:
            yield _chunk(taken)
            taken = []
            size = 0
    if taken:
        yield _chunk(taken)


def _chunk(rows: list[RawRow]) -> Chunk:
    return Chunk(rows, [row.text for row in rows], [row.reason for row in rows], rows[-1].end)

"""Group rows in chunks of bounded size, to be scored and written together.

Knows nothing of models.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from linnet.tables.table import RawRow

CHUNK_BYTES = 1_000_000  # tokenizing a chunk takes 1 to 600 times as many bytes of memory


@dataclass(frozen=True)
class Chunk:
    """Rows that are scored and written together.

    Attributes:
        rows: The rows, in order.
        texts: Value of each row's text column.
        reasons: Reason why each row can't be scored; empty if none is known yet.
        end: Position of the next chunk.
    """

    rows: Any
    texts: list[Any]
    reasons: list[str]
    end: int


def chunks(rows: Iterator[RawRow], most: int) -> Iterator[Chunk]:
    """Group rows in chunks of at most `most` rows, fewer if they are long.

    The chunks after a chunk's end are the same when reading starts there.
    """
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

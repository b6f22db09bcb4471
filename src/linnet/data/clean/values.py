"""Clean raw values in chunks of rows, and count the rows that can't be used.

Knows rows; knows nothing of the meaning of labels or of splits.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ftfy

from linnet.config import DataConfig
from linnet.data.clean.label_cells import Cell, LabelColumns
from linnet.data.sources.strings import strings
from linnet.errors import TextError
from linnet.tables.table import Row, misfit
from linnet.text import SURROGATE, clean


@dataclass(frozen=True)
class Chunk:
    """Clean rows of one chunk.

    Attributes:
        numbers: Row numbers of the raw file, (n,).
        columns: n strings each, None for a missing value; the text is clean.
        labels: The label cells, (n,).
        dropped: Number of dropped rows, by reason.
        repaired: Rows whose text was mojibake.
    """

    numbers: list[int]
    columns: list[list[Any]]
    labels: list[Cell]
    dropped: Counter[str]
    repaired: int

    def take(self, kept: Sequence[int]) -> "Chunk":
        """Select rows by position."""
        if len(kept) == len(self.numbers):
            return self
        return Chunk(
            [self.numbers[place] for place in kept],
            [[column[place] for place in kept] for column in self.columns],
            [self.labels[place] for place in kept],
            self.dropped,
            self.repaired,
        )


def clean_rows(
    rows: Sequence[Row], width: int, text: int, label: LabelColumns, settings: DataConfig
) -> Chunk:
    """Clean some rows, column by column.

    Args:
        rows: As the reader gives them.
        width: Number of values that a row must have.
        text: Position of the text.
        label: Position of the label.
        settings: They say whether mojibake is repaired (UTF-8 that was read in another encoding)
            and which personal data are masked, as in the service.

    Raises:
        LabelError: A value can't be a label.
    """
    mask = settings.mask
    repair = settings.repair
    dropped: Counter[str] = Counter()
    whole = [row for row in rows if len(row[1]) == width]
    if len(whole) < len(rows):
        dropped.update(misfit(len(row[1]), width) for row in rows if len(row[1]) != width)
    raw = [list(column) for column in zip(*(values for _, values in whole), strict=True)] or [
        [] for _ in range(width)
    ]
    numbers = [number for number, _ in whole]
    labels = label.cells(raw, numbers)
    columns = [strings(column) for column in raw]
    broken = {place for column in [*columns, _joined(labels)] for place in _broken(column)}
    texts = []
    kept = []
    repaired = 0
    for place, value in enumerate(raw[text]):
        try:
            if place in broken:
                raise TextError("lone_surrogate", "Half of a surrogate pair.")
            readable, mended = clean_value(value, mask, repair)
        except TextError as error:
            dropped[error.reason] += 1
            continue
        repaired += mended
        texts.append(readable)
        kept.append(place)
    chunk = Chunk(numbers, columns, labels, dropped, repaired).take(kept)
    chunk.columns[text] = texts
    return chunk


def clean_value(value: Any, mask: Sequence[str], repair: bool) -> tuple[str, bool]:
    """The clean text of a raw value, and whether it was mojibake.

    Raises:
        TextError: As `linnet.text.clean`.
    """
    if isinstance(value, bytes):
        raise TextError("wrong_encoding", "The text is bytes that are not UTF-8.")
    mended = (
        ftfy.fix_encoding(value)
        if repair and isinstance(value, str) and not value.isascii()
        else value
    )
    return clean(mended, mask), mended is not value and mended != value


def _joined(cells: Sequence[Cell]) -> list[Any]:
    return ["".join(filter(None, cell)) if isinstance(cell, tuple) else cell for cell in cells]


def _broken(column: list[Any]) -> list[int]:
    joined = "".join(value for value in column if value)
    if joined.isascii() or not SURROGATE.search(joined):
        return []
    return [place for place, value in enumerate(column) if value and SURROGATE.search(value)]

"""Raw values to strings and clean texts, a chunk of rows at a time; what can't be used is counted.

Knows rows; knows nothing of what a label stands for or where a row goes.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ftfy

from linnet.config import DataConfig
from linnet.data.read.table import Row
from linnet.errors import LabelError, TextError
from linnet.text import SURROGATE, clean

MAX_WHOLE = 2**53  # beyond, not every whole number is a float


@dataclass(frozen=True)
class Chunk:
    """Clean rows of one chunk.

    Attributes:
        numbers: Row numbers of the raw file, (n,).
        columns: n strings each, None for a missing value; the text is clean, the label has a visible character.
        dropped: Reason to number of rows that are not among these.
        repaired: Rows whose text was mojibake.
    """

    numbers: list[int]
    columns: list[list[Any]]
    dropped: Counter[str]
    repaired: int


def clean_rows(
    rows: Sequence[Row], width: int, text: int, label: int, settings: DataConfig
) -> Chunk:
    """Clean some rows, column by column.

    Args:
        rows: As the reader gives them.
        width: How many values a row must have.
        text: Position of the text.
        label: Position of the label.
        settings: Say whether mojibake, UTF-8 that was once read as another encoding, is undone; which personal data in
            the text are replaced, as in service; and what stands between several labels.

    Raises:
        LabelError: A label is a list where each row has one, or an object.
    """
    mask, repair = settings.mask, settings.repair
    dropped: Counter[str] = Counter()
    whole = [row for row in rows if len(row[1]) == width]
    if len(whole) < len(rows):
        dropped.update(misfit(len(row[1]), width) for row in rows if len(row[1]) != width)
    raw = [list(column) for column in zip(*(values for _, values in whole), strict=True)] or [
        [] for _ in range(width)
    ]
    if not set(map(type, raw[label])).isdisjoint((list, dict)):
        raw[label] = [
            _joined(value, number, settings.label_separator)
            for (number, _), value in zip(whole, raw[label], strict=True)
        ]
    columns = [_strings(column) for column in raw]
    broken = {place for column in columns for place in _broken(column)}
    texts, kept, repaired = [], [], 0
    for place, (value, name) in enumerate(zip(raw[text], columns[label], strict=True)):
        try:
            if place in broken:
                raise TextError("lone_surrogate", "Half of a surrogate pair.")
            readable, mended = clean_value(value, mask, repair)
            if not (name or "").strip():
                raise TextError("missing_label", "No label.")
        except TextError as error:
            dropped[error.reason] += 1
            continue
        repaired += mended
        texts.append(readable)
        kept.append(place)
    if len(kept) < len(whole):
        columns = [[column[place] for place in kept] for column in columns]
    columns[text] = texts
    columns[label] = [name.strip() for name in columns[label]]
    return Chunk([whole[place][0] for place in kept], columns, dropped, repaired)


def clean_value(value: Any, mask: Sequence[str], repair: bool) -> tuple[str, bool]:
    """The clean text of a raw value, and whether it was mojibake.

    Raises:
        TextError: As `linnet.text.clean`.
    """
    mended = (
        ftfy.fix_encoding(value)
        if repair and isinstance(value, str) and not value.isascii()
        else value
    )
    return clean(mended, mask), mended is not value and mended != value


def misfit(values: int, width: int) -> str:
    """Why a row of so many values is none of a table of this width."""
    if values > width:
        return "too_many_fields"
    return "too_few_fields" if values else "blank_line"


def _strings(column: list[Any]) -> list[Any]:
    if set(map(type, column)) <= {str}:
        return column
    return [value if type(value) is str else _as_string(value) for value in column]


def _joined(value: Any, number: int, separator: str) -> Any:
    """The labels of a list as one string, as other files have them; what is no list as it is."""
    if not isinstance(value, list | dict):
        return value
    if isinstance(value, dict) or not separator:
        kind = "an object" if isinstance(value, dict) else "a list"
        raise LabelError(
            f"Row {number} has {kind} for a label: {value!r:.60}. Expected a string or a number; lists, where rows "
            "have several labels, are read with --label-separator ',' or another that stands in no label."
        )
    names = [name for name in map(_as_string, value) if name]
    inside = next((name for name in names if separator in name), None)
    if inside is not None:
        raise LabelError(
            f"Row {number} has the label {inside!r:.60}, in which {separator!r} stands. Choose another "
            "--label-separator, which stands in no label."
        )
    return separator.join(names)


def _broken(column: list[Any]) -> list[int]:
    joined = "".join(value for value in column if value)
    if joined.isascii() or not SURROGATE.search(joined):
        return []
    return [place for place, value in enumerate(column) if value and SURROGATE.search(value)]


def _as_string(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float):
        # A whole number with gaps becomes a float in most tools; NaN is their gap.
        whole = value.is_integer() and abs(value) <= MAX_WHOLE
        return None if value != value else repr(int(value)) if whole else repr(value)
    if isinstance(value, bool | list | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)

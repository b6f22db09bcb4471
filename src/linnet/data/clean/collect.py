"""Raw rows to clean rows: each is staged on disk and remembered as numbers, or dropped with its reason."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from linnet.config import DataConfig
from linnet.data.clean.corrections import Corrections
from linnet.data.clean.staging import Staging
from linnet.data.group.near import NearDuplicates
from linnet.data.group.rank import ranks
from linnet.data.group.texts import digests, normalised
from linnet.data.read import sentiment140
from linnet.data.read.columns import find_columns, split_names
from linnet.data.read.table import Row, Table
from linnet.errors import DataError, LabelError, TextError
from linnet.text import SURROGATE, clean

CHUNK_ROWS = 16_384
CHUNK_CHARACTERS = 32_000_000
MAX_LABELS = 10_000
SEPARATOR = b"\x1f"


@dataclass(frozen=True)
class Collected:
    """Every clean row as numbers, in the order in which they are staged.

    Attributes:
        labels: Label names by id.
        label: Ids, int64 (n,).
        rank: Of the clean texts, uint64 (n,).
        text: Digests of the clean texts, uint64 (n,).
        normal: Digests of the normalised texts, uint64 (n,).
        group: What may not be torn apart: the lowest of these digests among near-duplicates, uint64 (n,).
        row: Digests of the whole rows, uint64 (n,).
        rows_in: Rows of the raw file.
        dropped: Reason to number of rows that are not among these.
        names: Columns of the staged rows.
        text_column: What the raw file calls the text.
        label_column: What the raw file calls the label.
        corrections: How many texts were corrected.
    """

    labels: tuple[str, ...]
    label: np.ndarray
    rank: np.ndarray
    text: np.ndarray
    normal: np.ndarray
    group: np.ndarray
    row: np.ndarray
    rows_in: int
    dropped: Counter[str]
    names: list[str]
    text_column: str
    label_column: str
    corrections: dict[str, int]


class Collector:
    """Reads a table once.

    Args:
        table: The raw rows.
        settings: Names the columns and the labels.
        directory: Where clean rows are staged, and beside it their words; must not exist yet.
    """

    def __init__(self, table: Table, settings: DataConfig, directory: Path):
        self._table, self._settings = table, settings
        text, label = find_columns(table.columns, settings.text_column, settings.label_column)
        self._text, self._label = text, label
        self._names = split_names(table.columns, text, label)
        self._label_names = _LabelNames(settings, table)
        self._numbers: list[np.ndarray] = []
        self._corrections = Corrections.read(Path(settings.corrections)) if settings.corrections else Corrections()
        self._rows_in = 0
        self._dropped: Counter[str] = Counter()
        self.staging = Staging(directory, self._names)
        self._near = NearDuplicates(directory.with_suffix(".words"))

    def collect(self) -> Iterator[int]:
        """Read all rows; yields how many have been read, every now and then."""
        chunk: list[list[Any]] = []
        characters = 0
        for row in self._table.rows:
            self._rows_in += 1
            try:
                values = self._clean(row)
            except TextError as error:
                self._dropped[error.reason] += 1
                continue
            chunk.append(values)
            characters += len(values[self._text])
            if len(chunk) == CHUNK_ROWS or characters > CHUNK_CHARACTERS:
                self._stage(chunk)
                chunk, characters = [], 0
                yield self._rows_in
        if chunk:
            self._stage(chunk)
        yield self._rows_in

    def result(self) -> Collected:
        """What was collected.

        Raises:
            DataError: No row was usable.
        """
        if not self._numbers:
            reasons = ", ".join(f"{reason}: {count:,}" for reason, count in self._dropped.most_common())
            why = f"none of its {self._rows_in:,} rows can be used ({reasons})" if reasons else "a header but no rows"
            raise DataError(f"{self._settings.source} holds no data: {why}. Expected rows with a text and a label.")
        labels, order = self._label_names.sorted()
        codes, rank, text, normal, row = np.concatenate(self._numbers, axis=1)
        group = self._near.join(normal)
        self._near.remove()
        return Collected(
            labels=labels,
            label=order[codes.astype(np.int64)],
            rank=rank,
            text=text,
            normal=normal,
            group=group,
            row=row,
            rows_in=self._rows_in,
            dropped=self._dropped,
            names=self._names,
            text_column=self._table.columns[self._text],
            label_column=self._table.columns[self._label],
            corrections=self._corrections.summary(),
        )

    def _clean(self, row: Row) -> list[Any]:
        number, raw = row
        if len(raw) != len(self._names):
            few = "too_few_fields" if raw else "blank_line"
            raise TextError(few if len(raw) < len(self._names) else "too_many_fields", f"Row {number}")
        values: list[Any] = [value if type(value) is str else _as_string(value) for value in raw]
        if any(value is not None and not value.isascii() and SURROGATE.search(value) for value in values):
            raise TextError("lone_surrogate", f"Row {number}")
        values[self._text] = clean(raw[self._text])
        label = (values[self._label] or "").strip()
        if not label:
            raise TextError("missing_label", f"Row {number}")
        name = self._label_names.known_as(label)
        if (correct := self._corrections.apply(values[self._text], name)) != name:
            label = correct
        values[self._label] = self._label_names.code(label, number)
        return values

    def _stage(self, chunk: list[list[Any]]) -> None:
        columns = list(map(list, zip(*chunk, strict=True)))
        texts = columns[self._text]
        encoded = [text.encode() for text in texts]
        normal = normalised(texts)
        self._near.add(normal)
        codes = columns[self._label]
        columns[self._label] = list(map(self._label_names.name, codes))
        joined = [SEPARATOR.join((value or "").encode() for value in row) for row in zip(*columns, strict=True)]
        rank = ranks(encoded, self._settings.seed)
        numbers = [
            np.array(codes, dtype=np.uint64),
            rank,
            digests(encoded),
            digests([text.encode() for text in normal]),
            digests(joined),
        ]
        self._numbers.append(np.stack(numbers))
        self.staging.add([pa.array(column, pa.string()) for column in columns], rank)


class _LabelNames:
    """Raw labels to names, and names to codes in the order in which they turn up."""

    def __init__(self, settings: DataConfig, table: Table):
        self._configured = settings.labels
        self._renamed: dict[str, str] = {}
        if table.dialect.get("shape") == "sentiment140":
            self._renamed = sentiment140.LABELS
            self._configured = settings.labels or sentiment140.TRAINED
        self._names = list(self._configured)
        self._codes = {name: code for code, name in enumerate(self._names)}

    def code(self, raw: str, number: int) -> int:
        name = self.known_as(raw)
        code = self._codes.get(name)
        if code is None:
            if self._configured:
                raise LabelError(self._refusal(raw, name, number))
            if len(self._codes) == MAX_LABELS:
                raise LabelError(
                    f"The label column holds more than {MAX_LABELS:,} different labels (row {number}: {raw!r:.60}). "
                    "Is it the right column? Choose it with --label-column."
                )
            code = self._codes[name] = len(self._codes)
            self._names.append(name)
        return code

    def known_as(self, raw: str) -> str:
        return self._renamed.get(raw, raw)

    def name(self, code: int) -> str:
        return self._names[code]

    def sorted(self) -> tuple[tuple[str, ...], np.ndarray]:
        """Names by id, and the id of each code."""
        names = list(self._names)
        if not self._configured:
            numeric = all(name.removeprefix("-").isdecimal() for name in names)
            names.sort(key=(lambda name: (int(name), name)) if numeric else None)
        ids = {name: index for index, name in enumerate(names)}
        return tuple(names), np.array([ids[name] for name in self._names], dtype=np.int64)

    def _refusal(self, raw: str, name: str, number: int) -> str:
        expected = ", ".join(map(repr, self._configured))
        said = f"{raw!r}" if name == raw else f"{raw!r} ({name})"
        more = json.dumps([*self._configured, name], ensure_ascii=False)
        return (
            f"Row {number} has the label {said}; expected one of {expected}. "
            f"Take the row out, or allow the label: --set 'data.labels={more}'"
        )


def _as_string(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float):
        # A whole number with gaps becomes a float in most tools; NaN is their gap.
        return None if value != value else repr(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, bool | list | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)

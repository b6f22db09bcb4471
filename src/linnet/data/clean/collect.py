"""Collect clean rows: each is staged on disk and kept as numbers, or dropped with a reason."""

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from linnet.config import DataConfig, named
from linnet.data.clean.corrections import Corrections
from linnet.data.clean.label_cells import LabelColumns
from linnet.data.clean.label_forms import LabelForms
from linnet.data.clean.labels import MISSING, Labels
from linnet.data.clean.staging import Staging
from linnet.data.clean.values import Chunk, clean_rows
from linnet.data.group.arrays import Arrays
from linnet.data.group.hashing import Hashes, Helper, hash_texts
from linnet.data.group.near import NearDuplicates
from linnet.data.group.texts import digests, distinct
from linnet.data.sources.columns import find_columns, split_names
from linnet.errors import DataError
from linnet.predict.host import available_cores
from linnet.tables.columns import find_column
from linnet.tables.table import Row, Table

CHUNK_ROWS = 16_384
CHUNK_CHARACTERS = 8_000_000
CHUNKS_AHEAD = 2
BLOCK_ROWS = 8
ROWS_WORTH_A_PROCESS = 50_000
SEPARATOR = "\x1f"


@dataclass(frozen=True)
class Collected:
    """Every clean row as numbers, in the staged order.

    Attributes:
        labels: Label names by id.
        label_sets: If multi-label, the sets of ids of the rows; else empty.
        label: Ids, or positions in `label_sets`, int32 (n,).
        rank: Ranks of the clean texts, uint64 (n,).
        text: Digests of the clean texts, uint64 (n,).
        group: Groups that must stay in one split: the lowest digest of a normalised text among
            near-duplicates, uint64 (n,).
        row: Digests of the whole rows, uint64 (n,).
        origin: Number of each row's file, in reading order, int8 (n,).
        normalised_texts: Texts that differ in more than case, names, links, marks and repeats.
        columns: Values of the requested columns, strings (n,) each.
        rows_in: Rows of the raw files.
        dropped: Number of dropped rows, by reason.
        repaired: Rows whose text was mojibake.
        names: Columns of the staged rows.
        text_column: Name of the text column in the raw file.
        label_column: What the raw file calls the label.
        forms: How the labels were written.
        corrections: How many texts were corrected.
    """

    labels: tuple[str, ...]
    label_sets: tuple[tuple[int, ...], ...]
    label: np.ndarray
    rank: np.ndarray
    text: np.ndarray
    group: np.ndarray
    row: np.ndarray
    origin: np.ndarray
    normalised_texts: int
    columns: dict[str, pa.ChunkedArray]
    rows_in: int
    dropped: Counter[str]
    repaired: int
    names: list[str]
    text_column: str
    label_column: str
    forms: LabelForms
    corrections: dict[str, int]

    def without(self, left_out: np.ndarray) -> "Collected":
        """Remove classes without used rows, given as bool (C,)."""
        if not left_out.any():
            return self
        place = np.cumsum(~left_out) - 1
        return replace(
            self,
            labels=tuple(np.array(self.labels, dtype=object)[~left_out]),
            label_sets=tuple(
                tuple(int(place[index]) for index in each if not left_out[index])
                for each in self.label_sets
            ),
            label=self.label if self.label_sets else np.maximum(place, 0)[self.label],
        )


class Collector:
    """Reads one table, or several with the same columns.

    Args:
        settings: They name the columns and the labels.
        directory: Folder of the staged rows; arrays go into folders next to it. It must not exist.
        columns: Columns whose values are also kept in memory.
        optional: The same of columns that the first table may lack or use as text or label.
    """

    def __init__(
        self,
        settings: DataConfig,
        directory: Path,
        columns: Sequence[str] = (),
        optional: Sequence[str] = (),
    ):
        self._settings = settings
        self._directory = directory
        self._tables: list[Table] = []
        self._kept: dict[str, list[pa.Array]] = {column: [] for column in columns}
        self._optional = optional
        self._corrections = Corrections()
        if settings.corrections:
            self._corrections = Corrections.read(Path(settings.corrections), settings.mask)
        self._helper: Helper | None = None
        self._helpers = ExitStack()
        self._rows_in = self._repaired = 0
        self._dropped: Counter[str] = Counter()

    def expect(self, table: Table) -> int:
        """Check a table's columns before any row is read, and return the table's number.

        Raises:
            DataError: They differ from those of earlier tables, or a requested column is missing.
        """
        text, label = self._asked_for(table)
        names, places = _staged(table.columns, text, label)
        if not self._tables:
            self._names = names
            self._raw_names = (
                table.columns[text],
                ", ".join(table.columns[place] for place in label.places),
            )
            for column in self._optional:
                if column in names and column in table.columns:
                    self._kept.setdefault(column, [])
            self._places = {column: self._place(table, column, places) for column in self._kept}
            self._labels = Labels(self._settings, table.dialect.get("shape"), label.names)
            self.staging = Staging(self._directory, names)
            self._near = NearDuplicates(self._directory.with_suffix(".near"))
            self._arrays = Arrays(self._directory.with_suffix(".arrays"))
        elif sorted(names) != sorted(self._names):
            raise DataError(
                f"The files have different columns: {', '.join(map(repr, names))} here, "
                f"{', '.join(map(repr, self._names))} in {named(self._settings.source)}. "
                "Give them the same columns."
            )
        self._tables.append(table)
        return len(self._tables) - 1

    def _asked_for(self, table: Table) -> tuple[int, LabelColumns]:
        """The positions of the text and of the label."""
        text, labels = find_columns(
            table.columns, self._settings.text_column, self._settings.label_column
        )
        names = [table.columns[place] for place in labels] if len(labels) > 1 else []
        return text, LabelColumns(labels, tuple(names))

    def _place(self, table: Table, column: str, places: Sequence[int]) -> int:
        """The position of a column among the staged ones."""
        place = find_column(table.columns, column, "split")
        if place not in places:
            raise DataError(
                f"The column {column!r} is a label, so it can't decide the split. Choose another."
            )
        return places.index(place)

    def collect(self, number: int) -> Iterator[int]:
        """Read all rows of a table, by its number; yield the number of rows read so far.

        Raises:
            LabelError: A label is not among the configured ones.
        """
        table = self._tables[number]
        text, label = self._asked_for(table)
        names, places = _staged(table.columns, text, label)
        order = [places[names.index(name)] for name in self._names]
        with self._helpers, ThreadPoolExecutor(max_workers=1) as pool:
            self._helper = None
            ahead: deque[Future[None]] = deque()
            for rows in chunks_of(table.rows):
                self._rows_in += len(rows)
                chunk = clean_rows(rows, len(table.columns), text, label, self._settings)
                self._dropped += chunk.dropped
                self._repaired += chunk.repaired
                chunk, codes = self._label(chunk, text)
                if codes:
                    columns = chunk.columns
                    columns[label.places[0]] = [
                        SEPARATOR.join(self._labels.names(code)) for code in codes
                    ]
                    ahead.append(
                        pool.submit(self._stage, [columns[place] for place in order], codes, number)
                    )
                while len(ahead) > CHUNKS_AHEAD:
                    ahead.popleft().result()
                yield self._rows_in
            for future in ahead:
                future.result()

    def result(self) -> Collected:
        """What was collected.

        Raises:
            DataError: No row was usable.
        """
        if self._rows_in == self._dropped.total():
            reasons = ", ".join(
                f"{reason}: {count:,}" for reason, count in self._dropped.most_common()
            )
            why = (
                f"none of its {self._rows_in:,} rows can be used ({reasons})"
                if reasons
                else "a header but no rows"
            )
            raise DataError(
                f"{named(self._settings.source)} holds no data: {why}. "
                "Expected rows with a text and a label."
            )
        codes = self._arrays.read("code")
        labelling = self._labels.settle(np.bincount(codes, minlength=self._labels.codes))
        normal = self._arrays.read("normal")
        group = self._near.join(normal)
        normalised_texts = len(distinct(normal))
        self._near.remove()
        del normal
        arrays = {name: self._arrays.read(name) for name in ("rank", "text", "row", "origin")}
        label = labelling.ids.astype(np.int32)[codes]
        self._arrays.remove()
        return Collected(
            labels=labelling.names,
            label_sets=labelling.sets,
            label=label,
            group=group,
            **arrays,
            normalised_texts=normalised_texts,
            columns={name: pa.chunked_array(parts) for name, parts in self._kept.items()},
            rows_in=self._rows_in,
            dropped=self._dropped,
            repaired=self._repaired,
            names=self._names,
            text_column=self._raw_names[0],
            label_column=self._raw_names[1],
            forms=labelling.forms,
            corrections=self._corrections.summary(),
        )

    def _label(self, chunk: Chunk, text: int) -> tuple[Chunk, list[int]]:
        """The rows that have a label and that the corrections leave, and their codes."""
        codes = [
            self._labels.code(cell, number)
            for cell, number in zip(chunk.labels, chunk.numbers, strict=True)
        ]
        if MISSING in codes:
            self._dropped["missing_label"] += codes.count(MISSING)
            kept = [place for place, code in enumerate(codes) if code != MISSING]
            chunk = chunk.take(kept)
            codes = [codes[place] for place in kept]
        return self._correct(chunk, codes, text) if self._corrections.labels else (chunk, codes)

    def _correct(self, chunk: Chunk, codes: list[int], text: int) -> tuple[Chunk, list[int]]:
        kept = []
        right = []
        for place, (value, code) in enumerate(zip(chunk.columns[text], codes, strict=True)):
            correct = self._corrections.find(value)
            if correct == "":
                self._dropped["removed_by_review"] += 1
                continue
            if correct is not None:
                given = self._labels.code(correct, chunk.numbers[place])
                if given == MISSING:
                    self._dropped["removed_by_review"] += 1
                    continue
                self._corrections.changed += not self._labels.same(code, given)
                code = given
            kept.append(place)
            right.append(code)
        return chunk.take(kept), right

    def _hash(self, texts: list[str]) -> Hashes:
        """Hash here, and from so many rows on in a process of its own."""
        if self._helper is None and self._rows_in > ROWS_WORTH_A_PROCESS and available_cores() > 1:
            self._helper = Helper(self._settings.seed)
            self._helpers.callback(self._helper.stop)
        return (
            self._helper.hash_texts(texts)
            if self._helper
            else hash_texts(texts, self._settings.seed)
        )

    def _stage(self, columns: list[list[Any]], codes: list[int], origin: int) -> None:
        texts = columns[self._names.index("text")]
        hashes = self._hash(texts)
        self._near.add(hashes.sketches)
        arrays = [pa.array(column, pa.string()) for column in columns]
        numbers = {
            "code": np.array(codes, dtype=np.int32),
            "rank": hashes.rank,
            "text": hashes.text,
            "normal": hashes.normal,
            "row": digests(_joined(arrays)),
            "origin": np.full(len(texts), origin, dtype=np.int8),
        }
        for name, values in numbers.items():
            self._arrays.append(name, values)
        for column, place in self._places.items():
            self._kept[column].append(arrays[place])
        self.staging.add(arrays, hashes.rank)


def _staged(columns: Sequence[str], text: int, label: LabelColumns) -> tuple[list[str], list[int]]:
    """The staged columns: what each is called, and where it is in the table."""
    first, *others = label.places
    names = split_names(columns, text, first)
    places = [place for place in range(len(columns)) if place not in others]
    return [names[place] for place in places], places


def _joined(arrays: Sequence[pa.Array]) -> list[bytes]:
    """Each row as one value."""
    rows = pc.binary_join_element_wise(
        *arrays, SEPARATOR, null_handling="replace", null_replacement=""
    )
    return list(rows.cast(pa.binary()).to_pylist())


def chunks_of(rows: Iterator[Row]) -> Iterator[list[Row]]:
    """Rows, so many at a time that neither their number nor their characters take much memory."""
    chunk: list[Row] = []
    characters = 0
    while block := list(islice(rows, BLOCK_ROWS)):
        chunk += block
        characters += sum(
            len(value) for _, values in block for value in values if type(value) is str
        )
        if len(chunk) >= CHUNK_ROWS or characters > CHUNK_CHARACTERS:
            yield chunk
            chunk = []
            characters = 0
    if chunk:
        yield chunk

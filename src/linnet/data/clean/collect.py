"""Raw rows to clean rows: each is staged on disk and remembered as numbers, or dropped with its reason."""

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from linnet.config import DataConfig
from linnet.data.clean.corrections import Corrections
from linnet.data.clean.labels import Labels
from linnet.data.clean.staging import Staging
from linnet.data.clean.values import Chunk, clean_rows
from linnet.data.group.arrays import Arrays
from linnet.data.group.hashing import Hashes, Helper, hash_texts
from linnet.data.group.near import NearDuplicates
from linnet.data.group.texts import digests, distinct
from linnet.data.read.columns import find_columns, split_names
from linnet.data.read.table import Row, Table
from linnet.errors import DataError
from linnet.predict.host import available_cores
from linnet.raw.columns import find_column

CHUNK_ROWS = 16_384
CHUNK_CHARACTERS = 8_000_000
CHUNKS_AHEAD = 2
BLOCK_ROWS = 8
ROWS_WORTH_A_PROCESS = 50_000
SEPARATOR = "\x1f"


@dataclass(frozen=True)
class Collected:
    """Every clean row as numbers, in the order in which they are staged.

    Attributes:
        labels: Label names by id.
        label_sets: Where a row may have several labels: the sets that rows have, each of ids; else empty.
        label: Ids, or positions in `label_sets`, int32 (n,).
        rank: Of the clean texts, uint64 (n,).
        text: Digests of the clean texts, uint64 (n,).
        group: What may not be torn apart: the lowest digest of a normalised text among near-duplicates, uint64 (n,).
        row: Digests of the whole rows, uint64 (n,).
        origin: Which of the files each row is from, in the order in which they were read, int8 (n,).
        normalised_texts: Different texts but for case, names, links, marks and repeated letters.
        columns: Values of the columns that were to be kept at hand, strings (n,) each.
        rows_in: Rows of the raw files.
        dropped: Reason to number of rows that are not among these.
        repaired: Rows whose text was mojibake.
        names: Columns of the staged rows.
        text_column: What the raw file calls the text.
        label_column: What the raw file calls the label.
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
    corrections: dict[str, int]


class Collector:
    """Reads one table or several of the same columns.

    Args:
        settings: Names the columns and the labels.
        directory: Where clean rows are staged, and beside it what is known of them; must not exist yet.
        columns: Columns whose values are kept at hand, beside the staged rows.
    """

    def __init__(self, settings: DataConfig, directory: Path, columns: Sequence[str] = ()):
        self._settings, self._directory = settings, directory
        self._tables: list[Table] = []
        self._kept: dict[str, list[pa.Array]] = {column: [] for column in columns}
        self._corrections = Corrections()
        if settings.corrections:
            self._corrections = Corrections.read(Path(settings.corrections), settings.mask)
        self._helper: Helper | None = None
        self._helpers = ExitStack()
        self._rows_in = self._repaired = 0
        self._dropped: Counter[str] = Counter()

    def expect(self, table: Table) -> int:
        """Look at a table's columns before any row is read; gives the table's number.

        Raises:
            DataError: They are not those of the tables before it, or a column asked for is not there.
        """
        names = split_names(table.columns, *self._asked_for(table))
        if not self._tables:
            self._names = names
            self._places = {
                column: find_column(table.columns, column, "split") for column in self._kept
            }
            self._labels = Labels(self._settings, table.dialect.get("shape"))
            self.staging = Staging(self._directory, names)
            self._near = NearDuplicates(self._directory.with_suffix(".near"))
            self._arrays = Arrays(self._directory.with_suffix(".arrays"))
        elif sorted(names) != sorted(self._names):
            raise DataError(
                f"The files have different columns: {', '.join(map(repr, names))} here, "
                f"{', '.join(map(repr, self._names))} in {self._settings.source}. Give them the same columns."
            )
        self._tables.append(table)
        return len(self._tables) - 1

    def _asked_for(self, table: Table) -> tuple[int, int]:
        """Positions of the text and of the label."""
        return find_columns(table.columns, self._settings.text_column, self._settings.label_column)

    def collect(self, number: int) -> Iterator[int]:
        """Read all rows of a table, by its number; yields how many have been read in all, every now and then.

        Raises:
            LabelError: A label nobody asked for.
        """
        table = self._tables[number]
        text, label = self._asked_for(table)
        names = split_names(table.columns, text, label)
        order = [names.index(name) for name in self._names]
        with self._helpers, ThreadPoolExecutor(max_workers=1) as pool:
            self._helper = None
            ahead: deque[Future[None]] = deque()
            for rows in chunks_of(table.rows):
                self._rows_in += len(rows)
                chunk = clean_rows(rows, len(table.columns), text, label, self._settings)
                self._dropped += chunk.dropped
                self._repaired += chunk.repaired
                columns, codes = self._label(chunk, text, label)
                if codes:
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
                f"{self._settings.source} holds no data: {why}. Expected rows with a text and a label."
            )
        labels, label_sets, ids = self._labels.ids()
        normal = self._arrays.read("normal")
        group = self._near.join(normal)
        normalised_texts = len(distinct(normal))
        self._near.remove()
        del normal
        arrays = {name: self._arrays.read(name) for name in ("rank", "text", "row", "origin")}
        label = ids.astype(np.int32)[self._arrays.read("code")]
        self._arrays.remove()
        return Collected(
            labels=labels,
            label_sets=label_sets,
            label=label,
            group=group,
            **arrays,
            normalised_texts=normalised_texts,
            columns={name: pa.chunked_array(parts) for name, parts in self._kept.items()},
            rows_in=self._rows_in,
            dropped=self._dropped,
            repaired=self._repaired,
            names=self._names,
            text_column=self._tables[0].columns[self._names.index("text")],
            label_column=self._tables[0].columns[self._names.index("label")],
            corrections=self._corrections.summary(),
        )

    def _label(self, chunk: Chunk, text: int, label: int) -> tuple[list[list[Any]], list[int]]:
        """The rows that the corrections leave, with their labels as the splits call them, and the labels' codes."""
        columns, numbers, labels = chunk.columns, chunk.numbers, self._labels
        if self._corrections.labels:
            columns, numbers = self._correct(columns, numbers, text, label)
        names = list(map(labels.known_as, columns[label]))
        if not all(names):  # nothing but separators
            self._dropped["missing_label"] += names.count("")
            kept = [place for place, name in enumerate(names) if name]
            columns, numbers = (
                [[column[place] for place in kept] for column in columns],
                [numbers[i] for i in kept],
            )
            names = [names[place] for place in kept]
        codes = [
            labels.code(raw, number) for raw, number in zip(columns[label], numbers, strict=True)
        ]
        columns[label] = names
        return columns, codes

    def _correct(
        self, columns: list[list[Any]], numbers: list[int], text: int, label: int
    ) -> tuple[list[list[Any]], list[int]]:
        kept, right = [], []
        for place, (value, raw) in enumerate(zip(columns[text], columns[label], strict=True)):
            correct = self._corrections.apply(value, self._labels.known_as(raw))
            if correct is None:
                self._dropped["removed_by_review"] += 1
            else:
                kept.append(place)
                right.append(raw if correct == self._labels.known_as(raw) else correct)
        columns = [[column[place] for place in kept] for column in columns]
        columns[label] = right
        return columns, [numbers[place] for place in kept]

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
            chunk, characters = [], 0
    if chunk:
        yield chunk

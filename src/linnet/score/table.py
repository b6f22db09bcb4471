"""A file to score, opened: its rows in parts, and each part as it is written. One face for every format."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Protocol

from linnet.config import ScoreConfig
from linnet.errors import MissingExtraError
from linnet.raw.lines import check_encoding
from linnet.raw.quoting import MAX_FIELD, Quoting, tab_quoting
from linnet.score.columns import Column
from linnet.score.delimited import Delimited, Dialect, PlainLines
from linnet.score.json_lines import JsonLines
from linnet.score.rows import Part, Row, open_lines, parts
from linnet.score.source import Source, Target


class Table(Protocol):
    """What the job asks of a file.

    Attributes:
        start: Where the first part begins.
        rows: How many there are, where that is known.
    """

    start: int
    rows: int | None

    def head(self) -> bytes:
        """What the written file begins with."""

    def parts(self, position: int) -> Iterator[Part]:
        """Every row from a position on, in parts; a part's end is such a position."""

    def dump(self, part: Part, values: Sequence[Sequence[Any]]) -> bytes:
        """A part as it is written, with values behind each row."""

    def finish(self, rows: Path, place: Path) -> Path:
        """The finished file: what was dumped, or what is made of it at that place."""

    def count(self, file: Path) -> int:
        """Rows of the finished file, read again; a negative number if one of them is damaged."""


class Layout(Protocol):
    """How rows stand in a text file.

    Attributes:
        head: What the written file begins with.
        start: Where the first row begins.
    """

    head: bytes
    start: int

    def rows(self, position: int) -> Iterator[Row]:
        """Every row from a position on."""

    def line(self, row: Row, values: Sequence[Any]) -> bytes:
        """A row as it is written."""

    def count(self, stream: IO[bytes]) -> int:
        """Rows of the written file; a negative number if one of them is damaged."""


class TextTable:
    """A text file of some layout, as a table."""

    rows: int | None = None

    def __init__(self, layout: Layout, target: Target, part_rows: int):
        self._layout, self._target, self._part_rows = layout, target, part_rows
        self.start = layout.start

    def head(self) -> bytes:
        """What the written file begins with."""
        return self._target.pack(self._layout.head)

    def parts(self, position: int) -> Iterator[Part]:
        """Every row from a position on, in parts."""
        return parts(self._layout.rows(position), self._part_rows)

    def dump(self, part: Part, values: Sequence[Sequence[Any]]) -> bytes:
        """A part as it is written."""
        return self._target.pack(b"".join(map(self._layout.line, part.rows, values)))

    def finish(self, rows: Path, place: Path) -> Path:
        """What was dumped."""
        return rows

    def count(self, file: Path) -> int:
        """Rows of the finished file."""
        with self._target.unpack(file) as stream:
            return self._layout.count(stream)


def open_table(
    source: Source,
    stream: IO[bytes],
    target: Target,
    settings: ScoreConfig,
    columns: Sequence[Column],
    labels: Sequence[str],
) -> Table:
    """Look at the beginning of a file.

    Args:
        source: The file.
        stream: Its plain bytes.
        target: What will be written.
        settings: Say how it is read.
        columns: Those to be added.
        labels: What may stand in them.

    Raises:
        ConfigError: There is no such encoding.
        DataError: It is not what its name says, or has not the column of the text.
        MissingExtraError: Parquet, where pyarrow is not installed.
        UsageError: A column to be added is there already, or a label can't be written.
    """
    if source.format == "parquet":
        try:
            from linnet.score.parquet import Parquet  # noqa: PLC0415
        except ModuleNotFoundError:
            raise MissingExtraError("pyarrow", "parquet") from None
        return Parquet(stream, source.path, settings, columns)
    check_encoding(settings.encoding, "score.encoding")
    return TextTable(_layout(source, stream, settings, columns, labels), target, settings.part_rows)


def _layout(
    source: Source,
    stream: IO[bytes],
    settings: ScoreConfig,
    columns: Sequence[Column],
    labels: Sequence[str],
) -> Layout:
    if source.format == "jsonl":
        return JsonLines(stream, source.path, settings, columns)
    separator, quoting = (
        ("\t", _quoting(source, settings)) if source.format == "tsv" else (",", csv.QUOTE_MINIMAL)
    )
    dialect = Dialect(separator, quoting, settings.encoding, settings.label_separator)
    dialect.check_labels(labels, columns)
    if source.format == "lines":
        return PlainLines(stream, source.path, dialect, columns)
    return Delimited(stream, source.path, dialect, settings, columns)


def _quoting(source: Source, settings: ScoreConfig) -> Quoting:
    """As `prepare` sees it, which takes reading the whole file; what comes only once has no quotes."""
    if source.standard:
        return csv.QUOTE_NONE
    csv.field_size_limit(MAX_FIELD)
    with source.open() as (stream, _):
        _, lines = open_lines(stream, source.path)
        return tab_quoting(line.decode(settings.encoding, "surrogateescape") for line in lines)

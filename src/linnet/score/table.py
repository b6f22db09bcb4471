"""Open a file to score: one interface for every format, which reads and writes chunks."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Protocol

from linnet.config import ScoreConfig
from linnet.errors import MissingExtraError
from linnet.score.chunks import Chunk, chunks
from linnet.score.columns import Column
from linnet.score.delimited import Delimited, PlainLines
from linnet.score.json_lines import JsonLines
from linnet.score.target import Target
from linnet.tables.columns import Asked
from linnet.tables.delimited import LosslessRows
from linnet.tables.json_lines import LosslessObjects
from linnet.tables.lines import Line, numbered_lines, plain_encoding
from linnet.tables.plain_lines import LosslessLines
from linnet.tables.source import CSV, JSON, JSON_LINES, LINES, PARQUET, Reading, Source
from linnet.tables.table import RawRow


class Table(Protocol):
    """The interface of a file for the job.

    Attributes:
        start: Position of the first chunk.
        rows: Number of rows; None if unknown.
        notes: Sentences about how the file was read, for the user.
    """

    start: int
    notes: tuple[str, ...]
    rows: int | None

    def head(self) -> bytes:
        """The first bytes of the written file."""

    def chunks(self, position: int) -> Iterator[Chunk]:
        """Yield the rows from a position on, in chunks. A chunk's end is such a position."""

    def dump(self, chunk: Chunk, values: Sequence[Sequence[Any]]) -> bytes:
        """The written bytes of a chunk, with new values at the end of each row."""

    def finish(self, rows: Path, place: Path) -> Path:
        """The finished file: the dumped rows, or a file made from them at `place`."""

    def count(self, file: Path) -> int:
        """Count the rows of the finished file; negative if one is damaged."""


class Layout(Protocol):
    """The layout of rows in a text file.

    Attributes:
        head: The first bytes of the written file.
        start: Position of the first row.
        notes: Sentences about how the file was read, for the user.
    """

    head: bytes
    start: int
    notes: tuple[str, ...]

    def rows(self, position: int) -> Iterator[RawRow]:
        """Every row from a position on."""

    def line(self, row: RawRow, values: Sequence[Any]) -> bytes:
        """A row as it is written."""

    def count(self, stream: IO[bytes]) -> int:
        """Rows of the written file; a negative number if one of them is damaged."""


class TextTable:
    """A text file of some layout, as a table."""

    rows: int | None = None

    def __init__(self, layout: Layout, target: Target, chunk_size: int):
        self._layout = layout
        self._target = target
        self._chunk_size = chunk_size
        self.start = layout.start
        self.notes = layout.notes

    def head(self) -> bytes:
        """The first bytes of the written file."""
        return self._target.pack(self._layout.head)

    def chunks(self, position: int) -> Iterator[Chunk]:
        """Yield the rows from a position on, in chunks."""
        return chunks(self._layout.rows(position), self._chunk_size)

    def dump(self, chunk: Chunk, values: Sequence[Sequence[Any]]) -> bytes:
        """The written bytes of a chunk."""
        return self._target.pack(b"".join(map(self._layout.line, chunk.rows, values)))

    def finish(self, rows: Path, place: Path) -> Path:
        """The dumped rows, unchanged."""
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
        labels: What may be in them.

    Raises:
        ConfigError: There is no such encoding.
        DataError: It is not what its name says, or has not the column of the text.
        MissingExtraError: Parquet, where pyarrow is not installed.
        UsageError: A column to be added is there already, or a label can't be written.
    """
    if source.format == PARQUET:
        try:
            from linnet.score.parquet import Parquet  # noqa: PLC0415
        except ModuleNotFoundError:
            raise MissingExtraError("pyarrow", "parquet") from None
        return Parquet(stream, source.path, settings, columns)
    encoding = plain_encoding(settings.encoding, "score.encoding")
    layout = _layout(source, stream, settings, encoding, columns, labels)
    return TextTable(layout, target, settings.chunk_size)


def _layout(
    source: Source,
    stream: IO[bytes],
    settings: ScoreConfig,
    encoding: str,
    columns: Sequence[Column],
    labels: Sequence[str],
) -> Layout:
    text = settings.text_column
    between = settings.label_separator
    if source.format in (JSON, JSON_LINES):
        objects = LosslessObjects(stream, source.path, source.format, encoding)
        return JsonLines(objects, source.path, encoding, text, columns)
    if source.format == LINES:
        # Lines that come one by one are answered as they come.
        lines = LosslessLines(stream, source.path, encoding, labels, ahead=not source.standard)
        return PlainLines(lines, encoding, columns, between, labels)
    separator = "," if source.format == CSV else "\t"
    again = None if source.standard else lambda: _lines_again(source)
    rows = LosslessRows(stream, source.path, separator, encoding, Asked.of(text), again)
    return Delimited(rows, source.path, text, columns, between, labels)


def _lines_again(source: Source) -> Iterator[Line]:
    """All lines of a file, for what its first lines can't show."""
    with Reading().open(source) as stream:
        yield from numbered_lines(stream, source.path)

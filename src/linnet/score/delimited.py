"""CSV and TSV, and plain lines that become CSV: each row as it stands, with fields behind it."""

import csv
import io
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from linnet.config import ScoreConfig
from linnet.errors import DataError, UsageError
from linnet.raw.columns import find_text, join, positions_only
from linnet.raw.lines import MAX_LINE
from linnet.raw.quoting import Quoting
from linnet.score.columns import Column, check_free
from linnet.score.rows import Row, not_decoded, open_lines, read_lines, written_lines

SEPARATORS = (",", ";", "\t", "|")
TEXT = "text"  # the column of plain lines
LONGEST_WRITTEN = (
    4 * MAX_LINE
)  # a row of quotes alone, each of which is doubled, and what stands behind it


@dataclass(frozen=True)
class Dialect:
    """How fields stand in a row.

    Attributes:
        separator: What stands between them.
        quoting: Whether quotes mean something.
        encoding: Of the file; ASCII stands for itself in it.
        label_separator: What stands between several labels in one field.
    """

    separator: str
    quoting: Quoting
    encoding: str
    label_separator: str

    def records(
        self, lines: Iterator[bytes], most: int = MAX_LINE
    ) -> Iterator[tuple[bytes, list[str] | None]]:
        """The bytes of each row and its fields; no fields where a line's quotes make no row of it.

        Such a line stands for itself, and the next is read anew: an open quote takes no other rows with it.

        Args:
            lines: Of the file.
            most: Bytes that a row may have.
        """
        csv.field_size_limit(most)  # the module knows only one limit for all
        feed = _Feed(lines, self.encoding, most)
        while True:
            reader = csv.reader(feed, delimiter=self.separator, quoting=self.quoting, strict=True)
            try:
                for fields in reader:
                    yield feed.take(), fields
                return
            except csv.Error:
                yield feed.take_first(), None

    def fields(self, values: Sequence[Any]) -> bytes:
        """Values as bytes, with separators between.

        Raises:
            csv.Error: One can't stand in a field.
            UnicodeEncodeError: One is not in the encoding.
        """
        text = io.StringIO()
        quote = None if self.quoting == csv.QUOTE_NONE else '"'
        writer = csv.writer(
            text, delimiter=self.separator, quoting=self.quoting, quotechar=quote, lineterminator=""
        )
        writer.writerow(map(self._cell, values))
        return text.getvalue().encode(self.encoding, "surrogateescape")

    def whole(self, body: bytes, width: int) -> bytes:
        """A row whose fields can't be told as the first of so many fields, the others empty."""
        if self.quoting == csv.QUOTE_NONE:
            first = body.translate(bytes.maketrans(b"\t\r", b"  "))
        else:
            first = b'"' + body.replace(b'"', b'""') + b'"'
        return first + self.separator.encode() * (width - 1)

    def count(self, stream: IO[bytes], width: int) -> int:
        """Rows of a written file, a header included, each of which has so many fields; -1 if one has not."""
        rows = 0
        for _, fields in self.records(written_lines(stream), LONGEST_WRITTEN):
            if fields is None or len(fields) != width:
                return -1
            rows += 1
        return rows

    def check_labels(self, labels: Sequence[str], columns: Sequence[Column]) -> None:
        """Refuse labels that could not be read again.

        Raises:
            UsageError: Names what is wrong.
        """
        several = any(column.kind is list for column in columns)
        inside = next(
            (label for label in labels if several and self.label_separator in label), None
        )
        if inside is not None:
            raise UsageError(
                f"{self.label_separator!r} stands in the label {inside!r:.60}, so labels with it between could not be "
                "told apart. Choose another: --set score.label_separator=TEXT"
            )
        try:
            self.fields([*labels, *(column.name for column in columns)]).decode(self.encoding)
        except (csv.Error, UnicodeError):
            raise UsageError(
                f"A label or a column's name can't be written into this file ({self.encoding}, no tabs or ends of "
                f"lines without quotes): {', '.join(labels)!a:.100}. Convert the file to CSV in UTF-8."
            ) from None

    def _cell(self, value: Any) -> str:
        if value is None:
            return ""
        if isinstance(value, bool):
            return "true" if value else "false"
        return self.label_separator.join(value) if isinstance(value, list) else str(value)


class _Feed:
    """Lines as `csv.reader` takes them, and what it took since the last row."""

    def __init__(self, lines: Iterator[bytes], encoding: str, most: int):
        self._lines, self._encoding, self._most = lines, encoding, most
        self._back: deque[bytes] = deque()
        self._taken: list[bytes] = []
        self._size = 0

    def __iter__(self) -> "_Feed":
        return self

    def __next__(self) -> str:
        line = self._back.popleft() if self._back else next(self._lines)
        self._taken.append(line)
        self._size += len(line)
        if self._size > self._most:
            raise csv.Error("a row without end")
        return line.decode(self._encoding, "surrogateescape")

    def take(self) -> bytes:
        raw = b"".join(self._taken)
        self._taken.clear()
        self._size = 0
        return raw

    def take_first(self) -> bytes:
        """The first line; those after it come again."""
        first, *rest = self._taken
        self._back.extendleft(reversed(rest))
        self._taken.clear()
        self._size = 0
        return first


class Delimited:
    """A file of fields between separators.

    Args:
        stream: Its bytes.
        path: Its name, for messages.
        dialect: As its name promises it; another separator is taken where the header has only that.
        settings: Say which column is the text; positions alone mean that there is no header.
        columns: Those to be added.

    Attributes:
        head: What the written file begins with: the header.
        start: Where the first row begins.

    Raises:
        DataError: The file has no header, or not the column of the text.
        UsageError: A column to be added is there already.
    """

    def __init__(
        self,
        stream: IO[bytes],
        path: Path,
        dialect: Dialect,
        settings: ScoreConfig,
        columns: Sequence[Column],
    ):
        self._stream, self._path = stream, path
        mark, lines = open_lines(stream, path)
        headerless = bool(settings.text_column) and positions_only(settings.text_column)
        first = next(lines, b"")
        if not headerless:
            dialect = _by_header(dialect, first)
        self._dialect = dialect
        self._records = dialect.records(_behind(first, lines))
        raw, names = next(self._records, (b"", None))
        if not names or "\0" in "".join(names):
            raise DataError(
                f"{path}: its first line is no header: {raw[:60]!r}. Expected the names of the columns, in UTF-8; "
                "or, of a file without them, the text's position, such as --text-column 0."
            )
        self.head, self.start = mark, len(mark)
        self._added = len(columns)
        if headerless:
            self._records = _again(raw, names, self._records)
            names = [str(place) for place in range(len(names))]
        else:
            header = Row(raw, 0)
            check_free([name.strip() for name in names], columns, str(path))
            self.head += self.line(header, [column.name for column in columns])
            self.start += len(raw)
        self._header = not headerless
        self._width = len(names)
        self._places = find_text([name.strip() for name in names], settings.text_column)

    def rows(self, position: int) -> Iterator[Row]:
        """Every row from a position on, where one begins.

        Raises:
            DataError: A line without end.
        """
        records = self._records
        if position > self.start:
            self._stream.seek(position)
            records = self._dialect.records(read_lines(self._stream, self._path, first=2))
        for raw, fields in records:
            position += len(raw)
            yield self._row(raw, fields, position)

    def _row(self, raw: bytes, fields: list[str] | None, end: int) -> Row:
        if fields is None:
            return Row(raw, end, reason="broken_quotes", broken=True)
        if len(fields) != self._width:
            reason = (
                "too_many_fields"
                if len(fields) > self._width
                else "too_few_fields"
                if fields
                else "blank_line"
            )
            return Row(raw, end, reason=reason, broken=True)
        text = (
            fields[self._places[0]]
            if len(self._places) == 1
            else join([fields[place] for place in self._places])
        )
        return Row(raw, end, text, reason="wrong_encoding" if not_decoded(text) else "")

    def line(self, row: Row, values: Sequence[Any]) -> bytes:
        """A row as it is written: as it was, with values behind it."""
        body = self._dialect.whole(row.body, self._width) if row.broken else row.body
        return body + self._dialect.separator.encode() + self._dialect.fields(values) + row.line_end

    def count(self, stream: IO[bytes]) -> int:
        """Rows of the written file; a negative number if one of them is damaged."""
        return self._dialect.count(stream, self._width + self._added) - self._header


class PlainLines:
    """A file with a text in each line, whose rows become CSV. Arguments and attributes are those of `Delimited`."""

    def __init__(self, stream: IO[bytes], path: Path, dialect: Dialect, columns: Sequence[Column]):
        self._stream, self._path, self._dialect, self._width = (
            stream,
            path,
            dialect,
            1 + len(columns),
        )
        mark, self._lines = open_lines(stream, path)
        check_free([TEXT], columns, "The text's own column")
        self.head = mark + dialect.fields([TEXT, *(column.name for column in columns)]) + b"\n"
        self.start = len(mark)

    def rows(self, position: int) -> Iterator[Row]:
        """Every row from a position on, where one begins.

        Raises:
            DataError: A line without end.
        """
        lines = self._lines
        if position > self.start:
            self._stream.seek(position)
            lines = read_lines(self._stream, self._path, first=2)
        for line in lines:
            position += len(line)
            text = Row(line, 0).body.decode(self._dialect.encoding, "surrogateescape")
            yield Row(line, position, text, reason="wrong_encoding" if not_decoded(text) else "")

    def line(self, row: Row, values: Sequence[Any]) -> bytes:
        """A row as it is written: its line as a field, with values behind it."""
        text = row.body.decode(self._dialect.encoding, "surrogateescape")
        return self._dialect.fields([text, *values]) + b"\n"

    def count(self, stream: IO[bytes]) -> int:
        """Rows of the written file; a negative number if one of them is damaged."""
        return self._dialect.count(stream, self._width) - 1


def _by_header(dialect: Dialect, header: bytes) -> Dialect:
    found = [separator for separator in SEPARATORS if separator.encode() in header]
    if found and dialect.separator not in found:
        return Dialect(found[0], dialect.quoting, dialect.encoding, dialect.label_separator)
    return dialect


def _behind(first: bytes, lines: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from lines


def _again(
    raw: bytes, fields: list[str], records: Iterator[tuple[bytes, list[str] | None]]
) -> Iterator[tuple[bytes, list[str] | None]]:
    yield raw, fields
    yield from records

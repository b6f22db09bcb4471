"""Rows of CSV and TSV with fields added behind each, and plain lines that become CSV."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from linnet.errors import UsageError
from linnet.score.columns import Column, check_free
from linnet.tables.columns import find_text
from linnet.tables.delimited import LONGEST_WRITTEN, LosslessRows, records
from linnet.tables.lines import written_lines
from linnet.tables.plain_lines import LosslessLines
from linnet.tables.quoting import Dialect
from linnet.tables.table import RawRow


class Delimited:
    """A file of fields between separators, as it is written.

    Args:
        rows: The file, read.
        path: Its name, for messages.
        text_column: The column of the text, as the user named it.
        columns: Those to be added.
        label_separator: What comes between several labels in one field.
        labels: What may be in the added columns.

    Attributes:
        head: What the written file begins with: the header.
        start: Where the first row begins.
        notes: What the user should know of how the file was read.

    Raises:
        DataError: The file has not the column of the text.
        UsageError: A column to be added is there already, or a label can't be written.
    """

    def __init__(
        self,
        rows: LosslessRows,
        path: Path,
        text_column: str,
        columns: Sequence[Column],
        label_separator: str,
        labels: Sequence[str],
    ):
        self._rows = rows
        self._layout = rows.layout
        self._dialect = rows.layout.dialect
        self._label_separator = label_separator
        self._added = len(columns)
        self.start = rows.start
        self.notes = rows.layout.notes
        check_labels(self._dialect, label_separator, labels, columns)
        self.head = rows.before
        if self._layout.header:
            check_free(self._layout.columns, columns, str(path))
            self.head += self._header([column.name for column in columns])
        self._places = find_text(self._layout.columns, text_column)

    def rows(self, position: int) -> Iterator[RawRow]:
        """Every row from a position on, where one begins.

        Raises:
            DataError: A line without end.
        """
        return self._rows.rows(position, self._places)

    def line(self, row: RawRow, values: Sequence[Any]) -> bytes:
        """A row as it is written: as it was, with values behind it."""
        body = row.body
        if row.broken:
            body = self._dialect.whole(body, len(self._layout.columns))
        elif row.fields is not None:
            body = self._rewritten(row.fields)
        return body + self._behind(values) + row.line_end

    def count(self, stream: IO[bytes]) -> int:
        """Rows of the written file; a negative number if one of them is damaged."""
        width = len(self._layout.columns) + self._added
        return count(stream, self._dialect, width, self._layout.skipped) - self._layout.header

    def _header(self, names: Sequence[str]) -> bytes:
        header = RawRow(self._rows.header, 0)
        separator = self._dialect.separator.encode()
        shift = self._layout.shift
        body = separator * (shift == "row names") + header.body + separator * (shift == "end")
        return body + self._behind(names) + (header.line_end or b"\n")

    def _behind(self, values: Sequence[Any]) -> bytes:
        cells = [cell(value, self._label_separator) for value in values]
        return self._dialect.separator.encode() + self._dialect.fields(cells)

    def _rewritten(self, fields: Sequence[str]) -> bytes:
        """Fields as any reader cuts them, of a row with carriage returns inside."""
        if self._dialect.quoting == csv.QUOTE_NONE:
            fields = [field.replace("\r", " ") for field in fields]
        return self._dialect.fields(fields)


class PlainLines:
    """A file with a text on each line, whose rows become CSV.

    Args:
        lines: The file, read.
        encoding: Its encoding.
        columns: Those to be added.
        label_separator: What comes between several labels in one field.
        labels: What may be in the added columns.

    Attributes:
        head: What the written file begins with: the header.
        start: Where the first row begins.
        notes: What the user should know of how the file was read.

    Raises:
        UsageError: A label can't be written.
    """

    def __init__(
        self,
        lines: LosslessLines,
        encoding: str,
        columns: Sequence[Column],
        label_separator: str,
        labels: Sequence[str],
    ):
        self._lines = lines
        self._dialect = Dialect(",", encoding=encoding)
        self._label_separator = label_separator
        self._width = 1 + len(columns)
        self.start = lines.start
        self.notes = lines.notes
        check_labels(self._dialect, label_separator, labels, columns)
        check_free([lines.column], columns, "The text's own column")
        names = [lines.column, *(column.name for column in columns)]
        self.head = lines.before + self._dialect.fields(names) + b"\n"

    def rows(self, position: int) -> Iterator[RawRow]:
        """Every row from a position on, where one begins.

        Raises:
            DataError: A line without end.
        """
        return self._lines.rows(position)

    def line(self, row: RawRow, values: Sequence[Any]) -> bytes:
        """A row as it is written: its line as a field, with values behind it."""
        text = row.body.decode(self._dialect.encoding, "surrogateescape")
        cells = [cell(value, self._label_separator) for value in values]
        return self._dialect.fields([text, *cells]) + b"\n"

    def count(self, stream: IO[bytes]) -> int:
        """Rows of the written file; a negative number if one of them is damaged."""
        return count(stream, self._dialect, self._width) - 1


def cell(value: Any, label_separator: str) -> str:
    """A value as it is written in a field."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return label_separator.join(value) if isinstance(value, list) else str(value)


def count(stream: IO[bytes], dialect: Dialect, width: int, skipped: int = 0) -> int:
    """Rows of a written file with its header, all of so many fields; -1 if one is not."""
    rows = 0
    lines = written_lines(stream)
    for _ in range(skipped):
        next(lines)
    for _, fields, _ in records(lines, dialect, LONGEST_WRITTEN):
        if fields is None or len(fields) != width:
            return -1
        rows += 1
    return rows


def check_labels(
    dialect: Dialect, label_separator: str, labels: Sequence[str], columns: Sequence[Column]
) -> None:
    """Refuse labels that could not be read again.

    Raises:
        UsageError: Names what is wrong.
    """
    several = any(column.kind is list for column in columns)
    inside = next((label for label in labels if several and label_separator in label), None)
    if inside is not None:
        raise UsageError(
            f"{label_separator!r} is in the label {inside!r:.60}, so labels with it between "
            "could not be kept apart. Choose another: --set score.label_separator=TEXT"
        )
    try:
        written = dialect.fields([*labels, *(column.name for column in columns)])
        written.decode(dialect.encoding)
    except (csv.Error, UnicodeError):
        raise UsageError(
            f"A label or a column's name can't be written into this file ({dialect.encoding}, no "
            f"tabs or ends of lines without quotes): {', '.join(labels)!a:.100}. "
            "Convert the file to CSV in UTF-8."
        ) from None

"""How fields are written in a line: the separator, quotes, and quotes inside quotes."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

LINE_END = "\r\n"
MAX_FIELD = 10_000_000
QUOTED = re.compile(r'"(?:[^"]|"")*"')
ESCAPE = re.compile(r'\\(["\\])')
# A carriage return inside a row ends the row for the csv module, unless it is quoted. Half of a
# surrogate pair that no decoder gives takes its place while the row is cut.
STRAY = "\ud80d"

Quoting = Literal[0, 3]  # csv.QUOTE_MINIMAL, csv.QUOTE_NONE


@dataclass(frozen=True)
class Dialect:
    """How fields are written in a row.

    Attributes:
        separator: What comes between them.
        quoting: Whether quotes mean something.
        encoding: Of the file, a superset of ASCII.
        escaped: Whether a quote inside quotes is written with a backslash, as Spark, Hive and MySQL
            do.
        spaced: Whether a space may come before a quoted field.
    """

    separator: str
    quoting: Quoting = 0
    encoding: str = "utf-8"
    escaped: bool = False
    spaced: bool = False

    def reader(self, lines: Iterable[str]) -> Iterator[list[str]]:
        """Rows out of lines that `readable` gave."""
        return csv.reader(
            lines,
            delimiter=self.separator,
            quoting=self.quoting,
            skipinitialspace=self.spaced,
            strict=True,
        )

    def readable(self, line: str) -> str:
        """A line as the csv module can cut it; costs nothing where there is nothing to replace."""
        if "\r" in line:
            body = line.rstrip("\r\n")
            if "\r" in body:
                line = body.replace("\r", STRAY) + line[len(body) :]
        return ESCAPE.sub(_unescaped, line) if self.escaped and "\\" in line else line

    def fields(self, values: Sequence[str]) -> bytes:
        """Values as bytes, with separators between.

        Raises:
            csv.Error: One can't be in a field.
            UnicodeEncodeError: One is not in the encoding.
        """
        if self.escaped:
            return self.separator.join(map(self._escaped, values)).encode(
                self.encoding, "surrogateescape"
            )
        text = io.StringIO(newline="")
        quote = None if self.quoting == csv.QUOTE_NONE else '"'
        # A field that holds a character of the line's end is quoted.
        writer = csv.writer(
            text,
            delimiter=self.separator,
            quoting=self.quoting,
            quotechar=quote,
            lineterminator=LINE_END,
        )
        writer.writerow(values)
        written = text.getvalue().removesuffix(LINE_END)
        return written.encode(self.encoding, "surrogateescape")

    def whole(self, body: bytes, width: int) -> bytes:
        """A row whose fields can't be found as the first of so many fields, the others empty."""
        if self.quoting == csv.QUOTE_NONE:
            first = body.translate(bytes.maketrans(b"\t\r", b"  "))
        elif self.escaped:
            first = b'"' + body.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
        else:
            first = b'"' + body.replace(b'"', b'""') + b'"'
        return first + self.separator.encode() * (width - 1)

    def _escaped(self, value: str) -> str:
        if not any(mark in value for mark in (self.separator, '"', "\n", "\r", "\\")):
            return value
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def restored(fields: list[str]) -> list[str]:
    """Fields with their carriage returns."""
    return [field.replace(STRAY, "\r") for field in fields]


def _unescaped(found: re.Match[str]) -> str:
    return '""' if found[1] == '"' else "\\"


def tab_quoting(lines: Iterable[str], spaced: bool = False) -> Quoting:
    """Whether a tab-separated file has quotes as a spreadsheet writes them, or none with a meaning.

    Where tabs alone cut every line into as many fields, no quote has to hold a field together over
    tabs or lines: quotes then mean something if each field that begins with one is well quoted by
    itself. Else they do if rows of as many fields come of it.

    Args:
        lines: Of the whole file.
        spaced: Whether a space may come before a quoted field.
    """
    cut_widths = _Widths()
    all_quoted = True
    dialect = Dialect("\t", spaced=spaced)

    def watched() -> Iterator[str]:
        nonlocal all_quoted
        for line in lines:
            fields = line.rstrip("\r\n").split("\t")
            if line.strip():
                cut_widths.add(len(fields))
            if all_quoted and '"' in line:
                fields = [field.lstrip(" ") for field in fields] if spaced else fields
                all_quoted = all(
                    QUOTED.fullmatch(field) for field in fields if field.startswith('"')
                )
            yield dialect.readable(line)

    widths = _Widths()
    try:
        for row in dialect.reader(watched()):
            if row:
                widths.add(len(row))
    except csv.Error:
        return csv.QUOTE_NONE
    if cut_widths.equal():
        means_something = all_quoted
    elif widths.equal():
        means_something = True
    else:
        means_something = all_quoted if cut_widths.shifted() else widths.shifted()
    return csv.QUOTE_MINIMAL if means_something else csv.QUOTE_NONE


class _Widths:
    """Numbers of fields of the header and of the rows behind it."""

    def __init__(self) -> None:
        self._header = 0
        self._rows: set[int] = set()

    def add(self, width: int) -> None:
        if self._header:
            self._rows.add(width)
        else:
            self._header = width

    def equal(self) -> bool:
        """Whether all are equal."""
        return self._rows <= {self._header}

    def shifted(self) -> bool:
        """Whether the header alone lacks the name of one column."""
        return self._rows == {self._header + 1}

"""Rows out of CSV and TSV, strict or lossless; both are cut by what `recognise` found."""

import codecs
import csv
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any

from linnet.tables.columns import Asked, check_names, join
from linnet.tables.dialect import SPOKEN, Layout, recognise, wrong_quotes
from linnet.tables.lines import (
    MAX_LINE,
    Line,
    decode,
    look_ahead,
    not_decoded,
    numbered_lines,
    read_lines,
    split_mark,
)
from linnet.tables.quoting import MAX_FIELD, STRAY, Dialect, restored
from linnet.tables.table import RawRow, Row, Table, misfit

# The longest row has only quotes. Each is doubled, and columns are added.
LONGEST_WRITTEN = 4 * MAX_LINE

Record = tuple[bytes, list[str] | None, bool]


def read_delimited(
    stream: IO[bytes],
    path: Path,
    separator: str,
    encoding: str,
    asked: Asked,
    again: Callable[[], Iterator[Line]],
) -> Table:
    """Read CSV or TSV, strictly.

    Args:
        stream: Its bytes.
        path: Its name, for messages.
        separator: What its name promises, a comma or a tab; another is taken where all first lines
            agree on it.
        encoding: Its encoding, as `plain_encoding` gives it.
        asked: The columns that the user named; without a header they are called column_0, column_1
            and so on.
        again: Gives all its lines once more.

    Raises:
        DataError: The file is empty, in another encoding, or has its quotes or separators wrong.
    """
    head, lines = look_ahead(numbered_lines(stream, path))
    decoded = decode(lines, path, encoding)
    # A first line in another encoding is refused before any other check.
    first_lines = list(islice(decoded, len(head.lines)))
    layout = recognise(
        head,
        path,
        separator,
        encoding,
        asked,
        lambda: (line for _, line in decode(again(), path, encoding)),
    )
    if layout.header:
        check_names(layout.columns, path)
    dialect: dict[str, Any] = {
        "encoding": encoding,
        "header": layout.header,
        "separator": SPOKEN.get(layout.dialect.separator, layout.dialect.separator),
        "quoted": layout.dialect.quoting == csv.QUOTE_MINIMAL,
    }
    if layout.dialect.escaped:
        dialect["escape"] = "\\"
    rows = strict_rows(chain(first_lines, decoded), layout, path)
    return Table(layout.columns, rows, dialect, layout.notes)


def strict_rows(lines: Iterator[tuple[int, str]], layout: Layout, path: Path) -> Iterator[Row]:
    """The rows of all lines of a file, without its header.

    Raises:
        DataError: Quotes make no row of a line.
    """
    csv.field_size_limit(MAX_FIELD)
    stray: list[str] = []
    dialect = layout.dialect
    before = layout.skipped
    reader = dialect.reader(_readable(islice(lines, before, None), dialect, stray))
    single = layout.single
    start = before + 1
    try:
        if layout.header:
            next(reader)
            stray.clear()
            start = before + reader.line_num + 1  # type: ignore[attr-defined]
        for row in reader:
            if stray:
                stray.clear()
                row = restored(row)
            if single and len(row) > 1:
                row = [dialect.separator.join(row)]
            yield start, row
            start = before + reader.line_num + 1  # type: ignore[attr-defined]
    except csv.Error as error:
        raise wrong_quotes(path, start, error) from None


def _readable(
    lines: Iterable[tuple[int, str]], dialect: Dialect, stray: list[str]
) -> Iterator[str]:
    escaped = dialect.escaped
    for _, line in lines:
        # Most lines with a carriage return end in CR LF, which takes no more than this.
        if escaped or ("\r" in line and (line.find("\r", 0, -2) >= 0 or line[-1] != "\n")):
            line = dialect.readable(line)
            if STRAY in line:
                stray.append(line)
        yield line


def records(lines: Iterator[bytes], dialect: Dialect, most: int = MAX_LINE) -> Iterator[Record]:
    """The bytes of each row, its fields, and whether other readers would cut it in another way.

    There are no fields where a line's quotes make no row of it. Such a line is a row by itself, and
    the next begins another: an open quote takes no other rows with it.

    Args:
        lines: Of the file.
        dialect: How its fields are written.
        most: Bytes that a row may have.
    """
    csv.field_size_limit(most)  # the module knows only one limit for all
    feed = _Feed(lines, dialect, most)
    while True:
        try:
            for fields in dialect.reader(feed):
                raw, stray = feed.take()
                if stray:
                    fields = restored(fields)
                yield raw, fields, stray and not _is_one_row(raw, dialect)
            return
        except csv.Error:
            yield feed.take_first(), None, False


def _is_one_row(raw: bytes, dialect: Dialect) -> bool:
    """Whether a row with carriage returns inside is one for any reader, as they are quoted."""
    text = raw.decode(dialect.encoding, "surrogateescape")
    lines = [line + "\n" for line in text.removesuffix("\n").split("\n")]
    try:
        return sum(1 for _ in dialect.reader(lines)) == 1
    except csv.Error:
        return False


class _Feed:
    """Lines as `csv.reader` takes them, and what it took since the last row."""

    def __init__(self, lines: Iterator[bytes], dialect: Dialect, most: int):
        self._lines = lines
        self._dialect = dialect
        self._escaped = dialect.escaped
        self._encoding = dialect.encoding
        self._most = most
        self._back: deque[bytes] = deque()
        self._taken: list[bytes] = []
        self._size = 0
        self._stray = False

    def __iter__(self) -> "_Feed":
        return self

    def __next__(self) -> str:
        line = self._back.popleft() if self._back else next(self._lines)
        self._taken.append(line)
        self._size += len(line)
        if self._size > self._most:
            raise csv.Error("a row without end")
        text = line.decode(self._encoding, "surrogateescape")
        if self._escaped or ("\r" in text and (text.find("\r", 0, -2) >= 0 or text[-1] != "\n")):
            text = self._dialect.readable(text)
            self._stray = self._stray or STRAY in text
        return text

    def take(self) -> tuple[bytes, bool]:
        """The bytes of the row, and whether it has carriage returns inside."""
        raw = b"".join(self._taken)
        stray = self._stray
        self._taken.clear()
        self._size = 0
        self._stray = False
        return raw, stray

    def take_first(self) -> bytes:
        """The first line; those after it come again."""
        first, *rest = self._taken
        self._back.extendleft(reversed(rest))
        self._taken.clear()
        self._size = 0
        self._stray = False
        return first


def _decoded(again: Callable[[], Iterator[Line]], encoding: str) -> Iterator[str]:
    return (line.decode(encoding, "surrogateescape") for _, line in again())


class LosslessRows:
    """The rows of a file of fields with their bytes, from any position on.

    Args:
        stream: Its bytes.
        path: Its name, for messages.
        separator: What its name promises.
        encoding: Its encoding, as `plain_encoding` gives it.
        asked: The columns that the user named.
        again: Gives all its lines once more; None where they can be read only once.

    Attributes:
        layout: How the file is written.
        before: Its bytes before the header or the first row.
        header: The header's bytes; none where there is none.
        start: Where the first row begins.

    Raises:
        DataError: As `recognise`.
    """

    def __init__(
        self,
        stream: IO[bytes],
        path: Path,
        separator: str,
        encoding: str,
        asked: Asked,
        again: Callable[[], Iterator[Line]] | None,
    ):
        self._stream = stream
        self._path = path
        mark, rest = split_mark(next(first := read_lines(stream, path), b""))
        numbered = enumerate(chain([rest] if rest else [], first), start=1)
        head, lines = look_ahead(numbered)
        whole = partial(_decoded, again, encoding) if again else None
        self.layout = recognise(head, path, separator, encoding, asked, whole)
        plain = (line for _, line in lines)
        # A file that two tools wrote may begin with two marks; one is enough.
        skipped = b"".join(islice(plain, self.layout.skipped))
        self.before = (codecs.BOM_UTF8 if mark else b"") + skipped
        self.start = len(mark) + len(skipped)
        self._records = records(plain, self.layout.dialect)
        self.header = next(self._records)[0] if self.layout.header else b""
        self.start += len(self.header)

    def rows(self, position: int, places: Sequence[int]) -> Iterator[RawRow]:
        """Every row from a position on, where one begins.

        Args:
            position: Of its first byte.
            places: Columns whose values, joined, are the text.

        Raises:
            DataError: A line without end.
        """
        found = self._records
        if position > self.start:
            self._stream.seek(position)
            found = records(read_lines(self._stream, self._path, first=2), self.layout.dialect)
        for raw, fields, torn in found:
            position += len(raw)
            yield self._row(raw, fields, torn, position, places)

    def _row(
        self, raw: bytes, fields: list[str] | None, torn: bool, end: int, places: Sequence[int]
    ) -> RawRow:
        width = len(self.layout.columns)
        if fields is None:
            return RawRow(raw, end, reason="broken_quotes", broken=True)
        if self.layout.single and len(fields) > 1:
            fields = [self.layout.dialect.separator.join(fields)]
            torn = True
        if len(fields) != width:
            return RawRow(raw, end, reason=misfit(len(fields), width), broken=True)
        text = fields[places[0]] if len(places) == 1 else join([fields[place] for place in places])
        reason = "wrong_encoding" if not_decoded(text) else ""
        return RawRow(raw, end, text, reason, fields=fields if torn else None)

"""Rows out of CSV and TSV: which separator, whether quotes mean anything, and the header."""

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any

from linnet.data.read import sentiment140
from linnet.data.read.lines import Line, decode, look_ahead, numbered_lines
from linnet.data.read.table import Row, Table, check_width, column_names
from linnet.errors import DataError
from linnet.raw.lines import check_encoding
from linnet.raw.quoting import MAX_FIELD, Quoting, tab_quoting

SEPARATORS = (",", ";", "\t", "|")
SPOKEN = {"\t": "tab"}


def read_delimited(
    stream: IO[bytes],
    path: Path,
    separator: str,
    encoding: str,
    headerless: bool,
    again: Callable[[], Iterator[Line]],
) -> Table:
    """Read CSV or TSV.

    Args:
        stream: Its bytes.
        path: Its name, for messages.
        separator: What its name promises, a comma or a tab; another is taken where all first lines agree on it.
        encoding: Its encoding; empty for UTF-8, and latin-1 for Sentiment140's shape.
        headerless: Whether the first row is data; the columns are then called column_0, column_1 and so on.
        again: Gives all its lines anew.

    Raises:
        ConfigError: There is no such encoding, or none that can be read line by line.
        DataError: The file is empty, in another encoding, or has its quotes or separators wrong.
    """
    check_encoding(encoding or "utf-8", "data.encoding")
    csv.field_size_limit(MAX_FIELD)  # the module knows only one limit for all
    head, lines = look_ahead(numbered_lines(stream, path))
    if separator == "," and sentiment140.matches([line for _, line in head]):
        encoding = encoding or sentiment140.ENCODING
        rows = _parse(decode(lines, path, encoding), path, separator, csv.QUOTE_MINIMAL)
        return Table(
            sentiment140.COLUMNS,
            rows,
            {"encoding": encoding, "header": False, "shape": "sentiment140"},
        )
    encoding = encoding or "utf-8"
    decoded = decode(lines, path, encoding)
    first_lines, following = list(islice(decoded, len(head))), list(islice(decoded, 1))
    start = _Start([line for _, line in first_lines], cut=bool(following))
    separator = start.separator(separator, headerless)
    quoting: Quoting = csv.QUOTE_MINIMAL
    if separator == "\t":
        # The first lines alone would let the order of the rows decide.
        all_lines = decode(again() if following else iter(head), path, encoding)
        quoting = tab_quoting(line for _, line in all_lines)
    rows = _parse(chain(first_lines, following, decoded), path, separator, quoting)
    first = next((row for row in rows if row[1]), None)
    if first is None:
        raise DataError(f"{path} is empty: it holds no row. Expected a header and rows.")
    if not headerless and any("\0" in name for name in first[1]):
        raise DataError(
            f"{path}: there are NUL bytes in its first row, so it is UTF-16 without a mark that says so, or no text. "
            "Convert it to UTF-8, such as by iconv -f UTF-16LE -t UTF-8."
        )
    check_width(len(first[1]), path)
    dialect: dict[str, Any] = {
        "encoding": encoding,
        "header": not headerless,
        "separator": SPOKEN.get(separator, separator),
        "quoted": quoting == csv.QUOTE_MINIMAL,
    }
    if headerless:
        return Table(
            tuple(f"column_{index}" for index in range(len(first[1]))),
            chain([first], rows),
            dialect,
        )
    if len(first[1]) == 1:
        start.check_header(separator, path)
    return Table(column_names(first[1], path), rows, dialect)


@dataclass(frozen=True)
class _Start:
    """The first lines of a file, and whether there are more."""

    lines: list[str]
    cut: bool

    def separator(self, promised: str, headerless: bool) -> str:
        """The promised one, unless the lines do without it and agree on another."""
        if promised in self._first() and (not headerless or self._agree(promised)):
            return promised
        return next((other for other in SEPARATORS if self._agree(other)), promised)

    def check_header(self, separator: str, path: Path) -> None:
        """Refuse a header of one column that another separator would split.

        Raises:
            DataError: Names both separators.
        """
        other = next((other for other in SEPARATORS if other in self._first()), None)
        if other:
            expected, found = (SPOKEN.get(one, one) for one in (separator, other))
            raise DataError(
                f"{path}: the header is one column by the separator {expected!r} and several by {found!r}, by which "
                f"its first rows differ in their number of fields. Write it again with {expected!r} between fields."
            )

    def _agree(self, separator: str) -> bool:
        widths = self._widths(separator)
        return len(widths) == 1 and widths != {1}

    def _first(self) -> str:
        return next((line for line in self.lines if line.strip()), "")

    def _widths(self, separator: str) -> set[int]:
        """Numbers of fields that the rows have, blank ones aside; empty where their quotes don't match."""
        widths: list[int] = []
        try:
            for row in csv.reader(self.lines, delimiter=separator, strict=True):
                widths.append(len(row))
        except csv.Error:
            # The lines may end inside a quoted field, so the last row is not judged.
            if not self.cut or len(widths) < 0.9 * len(self.lines) - 1:
                return set()
        return set(widths) - {0}


def _parse(
    lines: Iterator[tuple[int, str]], path: Path, separator: str, quoting: Quoting
) -> Iterator[Row]:
    reader = csv.reader(
        (line for _, line in lines), delimiter=separator, quoting=quoting, strict=True
    )
    start = 1
    try:
        for row in reader:
            yield start, row
            start = reader.line_num + 1
    except csv.Error as error:
        if "new-line character" in str(error):
            raise DataError(
                f"{path}, row {start}: a carriage return stands inside of it. "
                "Expected lines that end in a line feed. Convert it: tr '\\r' '\\n' < FILE > NEW"
            ) from None
        raise DataError(
            f"{path}, row {start}: {error}. A quote may be open that is never closed, or stand inside a field "
            "without being doubled. Mend that row."
        ) from None

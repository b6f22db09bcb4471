"""Raw rows out of a source: CSV, TSV, JSON lines or Parquet, streamed, every row with its number.

A reader yields (row number, values); it neither drops nor repairs rows: what is wrong with one row is
told by what it yields (too few values, none), what is wrong with the file is a DataError. Knows nothing
of texts and labels.
"""

import codecs
import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from linnet.data.read import sentiment140
from linnet.errors import ConfigError, DataError
from linnet.text import SURROGATE

HEAD_ROWS = 1000
MAX_LINE = 16_000_000
MAX_FIELD = 10_000_000
BATCH_ROWS = 16_384

Row = tuple[int, Sequence[Any]]
Quoting = Literal[0, 3]  # csv.QUOTE_MINIMAL, csv.QUOTE_NONE


@dataclass(frozen=True)
class Table:
    """A raw file, recognised.

    Attributes:
        columns: Their names.
        rows: Row number (of the line where a row starts; in Parquet, of the row; from 1) and values. A row
            with more values than columns, or fewer, is one that the file has wrong; none stands for a blank line.
        dialect: How the file was read, for the data card.
    """

    columns: tuple[str, ...]
    rows: Iterator[Row]
    dialect: dict[str, Any]


def read_delimited(stream: IO[bytes], path: Path, delimiter: str, encoding: str, headerless: bool) -> Table:
    """Read CSV or TSV.

    Args:
        stream: Its bytes.
        path: Its name, for messages.
        delimiter: A comma or a tab.
        encoding: Its encoding; empty for UTF-8, and latin-1 for Sentiment140's shape.
        headerless: Whether the first row is data; the columns are then called column_0, column_1 and so on.

    Raises:
        ConfigError: There is no such encoding, or none that can be read line by line.
        DataError: The file is empty, in another encoding, or has its quotes wrong.
    """
    _check_encoding(encoding or "utf-8")
    lines = _numbered_lines(stream, path)
    head = list(islice(lines, HEAD_ROWS))
    everything = chain(head, lines)
    if delimiter == "," and sentiment140.matches([line for _, line in head]):
        encoding = encoding or sentiment140.ENCODING
        rows = _parse(_decode(everything, path, encoding), path, delimiter, csv.QUOTE_MINIMAL)
        return Table(sentiment140.COLUMNS, rows, {"encoding": encoding, "header": False, "shape": "sentiment140"})
    encoding = encoding or "utf-8"
    # A tab-separated file has quotes as a spreadsheet writes them, or none that mean anything.
    quoting: Quoting = csv.QUOTE_MINIMAL
    if delimiter == "\t" and not _quotes_match(list(_decode(iter(head), path, encoding)), delimiter):
        quoting = csv.QUOTE_NONE
    rows = _parse(_decode(everything, path, encoding), path, delimiter, quoting)
    first = next((row for row in rows if row[1]), None)
    if first is None:
        raise DataError(f"{path} is empty: it holds no row. Expected a header and rows.")
    dialect = {"encoding": encoding, "header": not headerless, "quoted": quoting == csv.QUOTE_MINIMAL}
    if headerless:
        return Table(tuple(f"column_{index}" for index in range(len(first[1]))), chain([first], rows), dialect)
    return Table(_header(first[1], path), rows, dialect)


def read_json_lines(stream: IO[bytes], path: Path) -> Table:
    """Read JSON lines: one object a line; the columns are the keys of the first thousand.

    Raises:
        DataError: A line is not a JSON object, or the file is empty.
    """
    rows = _objects(_decode(_numbered_lines(stream, path), path, "utf-8"), path)
    head = list(islice(rows, HEAD_ROWS))
    columns = tuple(dict.fromkeys(key for _, row in head for key in row))
    if not columns:
        raise DataError(f"{path} is empty: it holds no row. Expected a JSON object on each line.")
    broken = next(filter(SURROGATE.search, columns), None)
    if broken is not None:
        raise DataError(f"{path}: the key {broken!r} holds half of a surrogate pair. Rename it.")
    return Table(columns, (_in_order(number, row, columns) for number, row in chain(head, rows)), {"encoding": "utf-8"})


def read_parquet(stream: IO[bytes], path: Path) -> Table:
    """Read Parquet.

    Args:
        stream: Seekable bytes.
        path: Its name, for messages.

    Raises:
        DataError: The file isn't Parquet.
    """
    try:
        file = pq.ParquetFile(stream)
    except pa.ArrowInvalid as error:
        raise DataError(f"{path} is not a Parquet file, or it is cut: {error}. Write it again.") from error
    columns = _header(file.schema_arrow.names, path)
    return Table(columns, _parquet_rows(file, path), {"encoding": "utf-8"})


def _check_encoding(encoding: str) -> None:
    try:
        usable = b"a\n".decode(encoding) == "a\n"
    except (LookupError, ValueError):
        usable = False
    if not usable:
        raise ConfigError(
            f"data.encoding is {encoding!r}; expected one in which ASCII stands for itself, such as utf-8, latin-1 or "
            "cp1252. Convert a file of another encoding: iconv -f ENCODING -t UTF-8"
        )


def _numbered_lines(stream: IO[bytes], path: Path) -> Iterator[tuple[int, bytes]]:
    for number, line in enumerate(iter(partial(stream.readline, MAX_LINE), b""), start=1):
        if number == 1:
            if line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                raise DataError(
                    f"{path} is UTF-16. Convert it: iconv -f UTF-16 -t UTF-8 {path.name} > utf8-{path.name}"
                )
            line = line.removeprefix(codecs.BOM_UTF8)
        if len(line) == MAX_LINE:
            raise DataError(f"{path}, line {number}: longer than {MAX_LINE:,} bytes. Expected lines of text.")
        yield number, line


def _decode(lines: Iterator[tuple[int, bytes]], path: Path, encoding: str) -> Iterator[tuple[int, str]]:
    for number, line in lines:
        try:
            yield number, line.decode(encoding)
        except UnicodeDecodeError as error:
            byte = f"byte 0x{line[error.start]:02x} at position {error.start + 1}"
            raise DataError(
                f"{path}, row {number}: {byte} is not {encoding}. "
                "Name the file's encoding, such as --set data.encoding=latin-1 or cp1252, or convert it to UTF-8."
            ) from None


def _parse(lines: Iterator[tuple[int, str]], path: Path, delimiter: str, quoting: Quoting) -> Iterator[Row]:
    csv.field_size_limit(MAX_FIELD)  # the module knows only one limit for all
    reader = csv.reader((line for _, line in lines), delimiter=delimiter, quoting=quoting, strict=True)
    start = 1
    try:
        for row in reader:
            yield start, row
            start = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"{path}, row {start}: {error}. A quote may be open that is never closed, or stand inside a field "
            "without being doubled. Mend that row."
        ) from None


def _quotes_match(lines: list[tuple[int, str]], delimiter: str) -> bool:
    # The head may end inside a quoted field, so its last row is not judged.
    widths = []
    try:
        for row in csv.reader((line for _, line in lines), delimiter=delimiter, strict=True):
            widths.append(len(row))
    except csv.Error:
        return len(lines) == HEAD_ROWS and len(widths) > 0.9 * HEAD_ROWS and len(set(widths)) == 1
    return len(set(widths)) == 1


def _header(names: Sequence[str], path: Path) -> tuple[str, ...]:
    header = tuple(name.strip() or f"column_{index}" for index, name in enumerate(names))
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise DataError(f"{path}: the column {twice[0]!r} stands in the header more than once. Rename one of them.")
    return header


def _objects(lines: Iterator[tuple[int, str]], path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in lines:
        if not line.strip():
            yield number, {}
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"{path}, row {number}: not JSON: {error}. Expected one JSON object on each line."
            ) from None
        if not isinstance(value, dict):
            raise DataError(
                f"{path}, row {number}: expected a JSON object, got {type(value).__name__}. "
                "A JSON list becomes lines with: jq -c '.[]'"
            )
        yield number, value


def _in_order(number: int, row: dict[str, Any], columns: tuple[str, ...]) -> Row:
    if not row:
        return number, ()
    values = [row.get(name) for name in columns]
    return number, values if row.keys() <= set(columns) else [*values, None]


def _parquet_rows(file: pq.ParquetFile, path: Path) -> Iterator[Row]:
    number = 0
    try:
        for batch in file.iter_batches(BATCH_ROWS):
            for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                number += 1
                yield number, values
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        raise DataError(f"{path}, after row {number}: {error}. Write the file again.") from error

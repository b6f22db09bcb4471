"""Read Sentiment140 as published: no header, six quoted columns, latin-1, polarity 0, 2 or 4."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from linnet.tables.delimited import strict_rows
from linnet.tables.dialect import Layout
from linnet.tables.lines import decode, numbered_lines
from linnet.tables.quoting import MAX_FIELD, Dialect
from linnet.tables.table import Table

ENCODING = "latin-1"
COLUMNS = ("target", "ids", "date", "flag", "user", "text")
LABELS = {"0": "negative", "2": "neutral", "4": "positive"}
# The training file has these two. Only the hand-labelled test file has the third.
TRAINED = ("negative", "positive")


def matches(lines: Sequence[bytes]) -> bool:
    """Whether the first lines of a file have the data set's shape."""
    lines = [line for line in lines[:100] if line.strip()]
    if not lines or not all(line.startswith((b'"0","', b'"2","', b'"4","')) for line in lines):
        return False
    csv.field_size_limit(MAX_FIELD)  # the csv module has one global limit
    rows = csv.reader(line.decode(ENCODING) for line in lines)
    try:
        return all(len(row) == len(COLUMNS) for row in rows)
    except csv.Error:
        return False


def read(stream: IO[bytes], path: Path, encoding: str) -> Table:
    """The rows of a file of this shape.

    Args:
        stream: Its bytes.
        path: Its name, for messages.
        encoding: Its encoding: latin-1, or UTF-8 for a copy that was converted.
    """
    layout = Layout(Dialect(",", encoding=encoding), skipped=0, header=False, columns=COLUMNS)
    rows = strict_rows(decode(numbered_lines(stream, path), path, encoding), layout, path)
    return Table(COLUMNS, rows, {"encoding": encoding, "header": False, "shape": "sentiment140"})

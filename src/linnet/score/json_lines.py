"""Objects of JSON with keys added behind their own, one on each line."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from linnet.score.columns import Column, check_free
from linnet.tables.columns import find_text
from linnet.tables.json_lines import LosslessObjects, parse_object
from linnet.tables.lines import written_lines
from linnet.tables.table import RawRow

WHITE = b" \t\r\n"
LINE = "line"  # the key of a line that is no object


class JsonLines:
    """A file of JSON objects, as it is written.

    Args:
        objects: The file, read.
        path: Its name, for messages.
        encoding: Its encoding.
        text_column: The key of the text, as the user named it.
        columns: Those to be added.

    Attributes:
        head: What the written file begins with.
        start: Where the first row begins.
        notes: What the user should know of how the file was read.

    Raises:
        DataError: None of the first rows has the key of the text.
        UsageError: A key to be added is there already.
    """

    notes: tuple[str, ...] = ()

    def __init__(
        self,
        objects: LosslessObjects,
        path: Path,
        encoding: str,
        text_column: str,
        columns: Sequence[Column],
    ):
        self._objects = objects
        self._path = path
        self._encoding = encoding
        self._columns = columns
        self.head = objects.before
        self.start = objects.start
        names = objects.columns
        check_free(names, columns, str(path))
        self._keys = [names[place] for place in find_text(names, text_column)] if names else []

    def rows(self, position: int) -> Iterator[RawRow]:
        """Every row from a position on, where one begins.

        Raises:
            DataError: A line without end.
            UsageError: A row has a key that is to be added.
        """
        for row, value in self._objects.rows(position, self._keys):
            where = f"{self._path}, in the row that ends at byte {row.end:,},"
            check_free(list(value), self._columns, where)
            yield row

    def line(self, row: RawRow, values: Sequence[Any]) -> bytes:
        """The written row: unchanged, with the new keys at its end."""
        items = dict(zip((column.name for column in self._columns), values, strict=True))
        if row.broken:
            items = {LINE: row.body.decode(self._encoding, "surrogateescape"), **items}
            return json.dumps(items).encode() + row.line_end
        inner = row.body.rstrip(WHITE)[:-1]
        comma = b"" if inner.rstrip(WHITE).endswith(b"{") else b", "
        return inner + comma + json.dumps(items).encode()[1:] + row.line_end

    def count(self, stream: IO[bytes]) -> int:
        """Count the rows of the written file; -1 if one is no object with every added key."""
        rows = 0
        for line in written_lines(stream):
            value, _ = parse_object(line, self._encoding)
            if value is None or any(column.name not in value for column in self._columns):
                return -1
            rows += 1
        return rows

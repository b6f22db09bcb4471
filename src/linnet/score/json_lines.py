"""JSON lines: each object as it stands, with keys behind its own."""

import json
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any

from linnet.config import ScoreConfig
from linnet.errors import DataError
from linnet.raw.columns import find_text, join
from linnet.score.columns import Column, check_free
from linnet.score.rows import Row, not_decoded, open_lines, read_lines, written_lines

WHITE = b" \t\r\n"
HEAD_LINES, HEAD_BYTES = 1000, 8_000_000  # that the keys are looked for in, whichever is less
LINE = "line"  # the key of a line that is no object


class JsonLines:
    """A file with a JSON object in each line.

    Args:
        stream: Its bytes.
        path: Its name, for messages.
        settings: Say which key is the text; it is looked for among those of the first thousand rows.
        columns: Those to be added.

    Attributes:
        head: What the written file begins with.
        start: Where the first row begins.

    Raises:
        DataError: None of the first rows is an object, or none has the key of the text.
        UsageError: A key to be added is there already.
    """

    def __init__(
        self, stream: IO[bytes], path: Path, settings: ScoreConfig, columns: Sequence[Column]
    ):
        self._stream, self._path, self._encoding = stream, path, settings.encoding
        self._columns = columns
        self.head, lines = open_lines(stream, path)
        self.start = len(self.head)
        first, read = [], 0
        for line in islice(lines, HEAD_LINES):
            first.append(line)
            if (read := read + len(line)) >= HEAD_BYTES:
                break
        self._lines: Iterator[bytes] = chain(first, lines)
        objects = [value for value, _ in map(self._parse, first) if value is not None]
        if first and not objects:
            raise DataError(
                f"{path}: none of its first {len(first):,} lines is a JSON object. Expected one on each."
            )
        keys = list(dict.fromkeys(key for value in objects for key in value))
        check_free(keys, columns, str(path))
        self._keys = (
            [keys[place] for place in find_text(keys, settings.text_column)] if first else []
        )

    def rows(self, position: int) -> Iterator[Row]:
        """Every row from a position on, where one begins.

        Raises:
            DataError: A line without end.
            UsageError: A row has a key that is to be added.
        """
        lines = self._lines
        if position > self.start:
            self._stream.seek(position)
            lines = read_lines(self._stream, self._path, first=2)
        for line in lines:
            position += len(line)
            value, reason = self._parse(line)
            if value is None:
                yield Row(line, position, reason=reason, broken=True)
                continue
            check_free(
                list(value),
                self._columns,
                f"{self._path}, in the row that ends at byte {position:,},",
            )
            text = (
                join([value.get(key) for key in self._keys])
                if len(self._keys) > 1
                else value.get(self._keys[0])
            )
            yield Row(
                line, position, text, reason or ("wrong_encoding" if not_decoded(text) else "")
            )

    def line(self, row: Row, values: Sequence[Any]) -> bytes:
        """A row as it is written: as it was, with keys behind its own."""
        items = dict(zip((column.name for column in self._columns), values, strict=True))
        if row.broken:
            items = {LINE: row.body.decode(self._encoding, "surrogateescape"), **items}
            return json.dumps(items).encode() + row.line_end
        inner = row.body.rstrip(WHITE)[:-1]
        comma = b"" if inner.rstrip(WHITE).endswith(b"{") else b", "
        return inner + comma + json.dumps(items).encode()[1:] + row.line_end

    def count(self, stream: IO[bytes]) -> int:
        """Rows of the written file; -1 if one of them is no object with every key that was added."""
        rows = 0
        for line in written_lines(stream):
            value, _ = self._parse(line)
            if value is None or any(column.name not in value for column in self._columns):
                return -1
            rows += 1
        return rows

    def _parse(self, line: bytes) -> tuple[dict[str, Any] | None, str]:
        """The object of a line, if it is one, and why it can't be scored."""
        text = line.decode(self._encoding, "surrogateescape")
        if not text.strip():
            return None, "blank_line"
        try:
            value = DECODER.decode(text)
        except (
            ValueError,
            RecursionError,
        ):  # no JSON, a whole number of thousands of digits, nested without end
            return None, "not_json"
        if not isinstance(value, _Object):
            return None, "not_an_object"
        return value, "key_twice" if value.twice else ""


class _Object(dict[str, Any]):
    """A JSON object, which knows whether it has a key more than once."""

    twice = False


def _object(pairs: list[tuple[str, Any]]) -> _Object:
    found = _Object(pairs)
    found.twice = len(found) != len(pairs)
    return found


DECODER = json.JSONDecoder(object_pairs_hook=_object)  # json.loads would make one for each line

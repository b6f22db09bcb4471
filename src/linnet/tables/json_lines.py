"""Rows out of JSON: an object per line, or a document of objects; the columns are all keys."""

import json
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any

from linnet.errors import DataError
from linnet.tables.columns import TEXT_NAMES, check_width, join
from linnet.tables.json_values import LIST_TO_LINES, on_one_line, read_values
from linnet.tables.lines import (
    Line,
    check_ends,
    decode,
    look_ahead,
    not_decoded,
    numbered_lines,
    read_lines,
    split_mark,
)
from linnet.tables.source import JSON
from linnet.tables.table import RawRow, Table
from linnet.text import SURROGATE


def json_rows(stream: IO[bytes], path: Path, format: str) -> Iterator[Line]:
    """The bytes of each object with the number of its line, or in a document its own, from 1.

    Raises:
        DataError: As `numbered_lines` and `read_values`.
    """
    if format != JSON:
        return numbered_lines(stream, path)
    return ((number, raw) for number, (raw, _) in enumerate(read_values(stream, path), start=1))


def read_json(
    stream: IO[bytes],
    path: Path,
    format: str,
    encoding: str,
    again: Callable[[], Iterator[Line]],
    columns: tuple[str, ...] = (),
) -> Table:
    """Read JSON, strictly.

    Args:
        stream: Its bytes.
        path: Its name, for messages.
        format: `jsonl` for an object on each line, `json` for a document.
        encoding: Its encoding, as `plain_encoding` gives it.
        again: Gives all its rows once more, as `json_rows`.
        columns: All its keys, if they are known from an earlier look.

    Raises:
        DataError: A row is not a JSON object, or the file is empty.
    """
    head, lines = look_ahead(json_rows(stream, path, format))
    check_ends(head, path)
    objects = _objects(decode(lines, path, encoding), path)
    first = list(islice(objects, len(head.lines)))
    following = list(islice(objects, 1))
    if not columns:
        everything = _objects(decode(again(), path, encoding), path) if following else first
        columns = keys_of((row for _, row in everything), path)
    if not columns:
        raise DataError(f"{path} is empty: it holds no row. Expected a JSON object on each line.")
    if format == JSON:
        _check_records([row for _, row in first if row], path)
    broken = next(filter(SURROGATE.search, columns), None)
    if broken is not None:
        raise DataError(f"{path}: the key {broken!r} holds half of a surrogate pair. Rename it.")
    rows = (
        (number, [row.get(name) for name in columns] if row else ())
        for number, row in chain(first, following, objects)
    )
    return Table(columns, rows, {"encoding": encoding})


def keys_of(rows: Iterable[dict[str, Any]], path: Path) -> tuple[str, ...]:
    """All keys: in the order of the rows, or sorted where these differ, so that no one row decides.

    Raises:
        DataError: They are too many.
    """
    usual: tuple[str, ...] = ()
    others: set[str] = set()
    for row in rows:
        keys = tuple(row)
        if keys and keys != usual:
            if usual:
                others.update(keys)
            usual = usual or keys
            check_width(len(others.union(usual)), path)
    return tuple(sorted(others.union(usual))) if others else usual


def _objects(lines: Iterator[tuple[int, str]], path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in lines:
        if not line.strip():
            yield number, {}
            continue
        try:
            value = STRICT.decode(line)
        except RecursionError:
            raise DataError(
                f"{path}, row {number}: lists or objects nested too deeply. Flatten them."
            ) from None
        except json.JSONDecodeError as error:
            raise DataError(
                f"{path}, row {number}: not JSON: {error}. Expected one JSON object on each line."
            ) from None
        except _TwiceError as error:
            raise DataError(
                f"{path}, row {number}: the key {error} is there twice. Keep one of them."
            ) from None
        except ValueError:
            raise DataError(
                f"{path}, row {number}: a whole number of thousands of digits. "
                "Write it as a string, in quotes."
            ) from None
        if not isinstance(value, dict):
            advice = 'Write each row as an object, such as {"text": "..."}.'
            if isinstance(value, list):
                advice = f"A JSON list becomes lines with: {LIST_TO_LINES}"
            raise DataError(
                f"{path}, row {number}: expected a JSON object, got {type(value).__name__}. "
                f"{advice}"
            )
        yield number, value


def _check_records(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Refuse a document whose only object holds the rows in its values.

    Raises:
        DataError: Says how they are taken out.
    """
    if len(rows) != 1 or any(isinstance(rows[0].get(name), str) for name in TEXT_NAMES):
        return
    (row,) = rows
    name = shlex.quote(str(path))
    new = shlex.quote(f"{path.stem}.jsonl")
    for key, value in row.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            filter = shlex.quote(f".[{json.dumps(key)}][]")
            raise DataError(
                f"{path} is one object, whose key {key!r:.60} holds a list of {len(value):,} "
                f"objects. Take them out: jq -c {filter} {name} > {new}"
            )
    if len(row) > 1 and all(isinstance(value, dict) and len(value) > 1 for value in row.values()):
        raise DataError(
            f"{path} is one object with a column in each of its keys, as pandas writes it. "
            "Write it with to_json(orient='records', lines=True)."
        )


class _TwiceError(Exception):
    """A key that one object has more than once."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        name = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise _TwiceError(f"{name!r:.60}")
    return found


class _Object(dict[str, Any]):
    """A JSON object, which knows whether it has a key more than once."""

    twice = False


def _object(pairs: list[tuple[str, Any]]) -> _Object:
    found = _Object(pairs)
    found.twice = len(found) != len(pairs)
    return found


# json.loads would make one for each line.
STRICT = json.JSONDecoder(object_pairs_hook=_unique)
LOSSLESS = json.JSONDecoder(object_pairs_hook=_object)


def parse_object(line: bytes, encoding: str) -> tuple[dict[str, Any] | None, str]:
    """The object of a line, if it is one, and the reason why it can't be used; empty if it can."""
    text = line.decode(encoding, "surrogateescape")
    if not text.strip():
        return None, "blank_line"
    try:
        value = LOSSLESS.decode(text)
    except (ValueError, RecursionError):
        # No JSON, a whole number of thousands of digits, or nested without end.
        return None, "not_json"
    if not isinstance(value, _Object):
        return None, "not_an_object"
    return value, "key_twice" if value.twice else ""


class LosslessObjects:
    """The objects of a JSON file with their bytes, from any position on.

    Args:
        stream: Its bytes.
        path: Its name, for messages.
        format: `jsonl` for an object on each line, `json` for a document.
        encoding: Its encoding, as `plain_encoding` gives it.

    Attributes:
        columns: The keys of the first rows.
        before: The file's byte order mark, if it has one.
        start: Where the first row begins.

    Raises:
        DataError: None of the first rows is an object.
    """

    def __init__(self, stream: IO[bytes], path: Path, format: str, encoding: str):
        self._stream = stream
        self._path = path
        self._format = format
        self._encoding = encoding
        self.before = b""
        ends = self._document(0) if format == JSON else self._lines()
        head, self._ends = look_ahead(ends)
        if format != JSON:
            check_ends(head, path)
        self.start = len(self.before)
        found = [parse_object(row, encoding)[0] for row in head.lines if row.strip()]
        objects = [value for value in found if value is not None]
        if found and not objects:
            raise DataError(
                f"{path}: none of its first {len(head.lines):,} lines is a JSON object. "
                "Expected one on each."
            )
        if format == JSON:
            _check_records(objects, path)
        self.columns = keys_of(objects, path)

    def rows(self, position: int, keys: Sequence[str]) -> Iterator[tuple[RawRow, dict[str, Any]]]:
        """Every row from a position on, where one begins, and its object; empty if it has none.

        Args:
            position: Of its first byte.
            keys: Those whose values, joined, are the text.

        Raises:
            DataError: A row without end.
        """
        ends = self._ends
        if position > self.start:
            self._stream.seek(position)
            ends = self._document(position) if self._format == JSON else self._behind(position)
        for end, raw in ends:
            value, reason = parse_object(raw, self._encoding)
            if value is None:
                yield RawRow(raw, end, reason=reason, broken=True), {}
                continue
            text = join([value.get(key) for key in keys]) if len(keys) > 1 else value.get(keys[0])
            reason = reason or ("wrong_encoding" if not_decoded(text) else "")
            yield RawRow(raw, end, text, reason), value

    def _lines(self) -> Iterator[Line]:
        lines = read_lines(self._stream, self._path)
        mark, rest = split_mark(next(lines, b""))
        self.before = mark
        yield from _with_ends(chain([rest] if rest else [], lines), len(mark))

    def _behind(self, position: int) -> Iterator[Line]:
        return _with_ends(read_lines(self._stream, self._path, first=2), position)

    def _document(self, position: int) -> Iterator[Line]:
        for raw, end in read_values(self._stream, self._path, position):
            yield end, on_one_line(raw) + b"\n"


def _with_ends(lines: Iterator[bytes], position: int) -> Iterator[Line]:
    """Lines with the position behind each."""
    for line in lines:
        position += len(line)
        yield position, line

"""Rows out of JSON lines: one object a line; the columns are the keys of all of them."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any

from linnet.data.read.lines import Line, decode, look_ahead, numbered_lines
from linnet.data.read.table import Table, check_width
from linnet.errors import DataError
from linnet.text import SURROGATE


def read_json_lines(stream: IO[bytes], path: Path, again: Callable[[], Iterator[Line]]) -> Table:
    """Read JSON lines.

    Args:
        stream: Its bytes.
        path: Its name, for messages.
        again: Gives all its lines anew.

    Raises:
        DataError: A line is not a JSON object, or the file is empty.
    """
    head, lines = look_ahead(numbered_lines(stream, path))
    objects = _objects(decode(lines, path, "utf-8"), path)
    first, following = list(islice(objects, len(head))), list(islice(objects, 1))
    columns = _columns(_objects(decode(again(), path, "utf-8"), path) if following else first, path)
    if not columns:
        raise DataError(f"{path} is empty: it holds no row. Expected a JSON object on each line.")
    broken = next(filter(SURROGATE.search, columns), None)
    if broken is not None:
        raise DataError(f"{path}: the key {broken!r} holds half of a surrogate pair. Rename it.")
    rows = (
        (number, [row.get(name) for name in columns] if row else ())
        for number, row in chain(first, following, objects)
    )
    return Table(columns, rows, {"encoding": "utf-8"})


def _columns(rows: Iterable[tuple[int, dict[str, Any]]], path: Path) -> tuple[str, ...]:
    """All keys: in the order in which the rows have them, or sorted where these differ, so that no one row decides."""
    usual: tuple[str, ...] = ()
    others: set[str] = set()
    for _, row in rows:
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
            value = DECODER.decode(line)
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
                f"{path}, row {number}: the key {error} stands there twice. Keep one of them."
            ) from None
        except ValueError:
            raise DataError(
                f"{path}, row {number}: a whole number of thousands of digits. Write it as a string, in quotes."
            ) from None
        if not isinstance(value, dict):
            raise DataError(
                f"{path}, row {number}: expected a JSON object, got {type(value).__name__}. "
                "A JSON list becomes lines with: jq -c '.[]'"
            )
        yield number, value


class _TwiceError(Exception):
    """A key that one object has more than once."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        name = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise _TwiceError(f"{name!r:.60}")
    return found


DECODER = json.JSONDecoder(object_pairs_hook=_unique)  # json.loads would make one for each line

"""Rows out of JSON lines: one object a line; the columns are the keys of the first lines."""

import json
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import IO, Any

from linnet.data.read.lines import decode, look_ahead, numbered_lines
from linnet.data.read.table import Row, Table, check_width
from linnet.errors import DataError
from linnet.text import SURROGATE


def read_json_lines(stream: IO[bytes], path: Path) -> Table:
    """Read JSON lines: one object a line; the columns are the keys of the first thousand (or 8 MB).

    Raises:
        DataError: A line is not a JSON object, or the file is empty.
    """
    head, lines = look_ahead(numbered_lines(stream, path))
    objects = _objects(decode(lines, path, "utf-8"), path)
    first = [next(objects) for _ in head]
    columns = tuple(dict.fromkeys(key for _, row in first for key in row))
    if not columns:
        raise DataError(f"{path} is empty: it holds no row. Expected a JSON object on each line.")
    check_width(len(columns), path)
    broken = next(filter(SURROGATE.search, columns), None)
    if broken is not None:
        raise DataError(f"{path}: the key {broken!r} holds half of a surrogate pair. Rename it.")
    known = set(columns)
    rows = (_in_order(number, row, columns, known) for number, row in chain(first, objects))
    return Table(columns, rows, {"encoding": "utf-8"})


def _objects(lines: Iterator[tuple[int, str]], path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in lines:
        if not line.strip():
            yield number, {}
            continue
        try:
            value = DECODER.decode(line)
        except RecursionError:
            raise DataError(f"{path}, row {number}: lists or objects nested too deeply. Flatten them.") from None
        except json.JSONDecodeError as error:
            raise DataError(
                f"{path}, row {number}: not JSON: {error}. Expected one JSON object on each line."
            ) from None
        except _TwiceError as error:
            raise DataError(f"{path}, row {number}: the key {error} stands there twice. Keep one of them.") from None
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


def _in_order(number: int, row: dict[str, Any], columns: tuple[str, ...], known: set[str]) -> Row:
    if not row:
        return number, ()
    values = [row.get(name) for name in columns]
    return number, values if row.keys() <= known else [*values, None]


DECODER = json.JSONDecoder(object_pairs_hook=_unique)  # json.loads would make one for each line

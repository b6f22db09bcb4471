"""Columns of many predictions at once, as arrays: ten times faster than row by row."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linnet.monitor.prediction_log.database import Database
from linnet.monitor.prediction_log.record import Record

COLUMNS = [field.name for field in fields(Record)]
PAGE = 2000  # rows that are objects of Python at a time; more leave the cache of the processor
NUMBERS: dict[str, Any] = {
    "number": np.int64,
    "time": np.float64,
    "probability": np.float64,
    "tokens": np.int64,
    "truncated": np.bool_,
    "abstained": np.bool_,
    "fast": np.bool_,
    "shadow": np.bool_,
    "latency_ms": np.float64,
    "epoch": np.int64,
    "named": np.bool_,
    "unit": np.int64,
    "text_hash": np.int64,
    "words": np.int64,
    "surprise": np.float64,
}
UNKNOWN_AS_0 = {"unit": "coalesce(unit, 0)", "text_hash": "coalesce(text_hash, 0)"}


def read_columns(
    database: Database, names: Sequence[str], after: int, limit: int
) -> dict[str, NDArray[Any] | list[Any]]:
    """Some columns of the predictions; see `Store.columns`."""
    if unknown := set(names) - {"number", *COLUMNS}:
        raise ValueError(f"Expected columns of the predictions; got {sorted(unknown)}.")
    names = list(dict.fromkeys(names))
    wanted = ", ".join(["number", *(UNKNOWN_AS_0.get(name, name) for name in names)])
    sql = f"SELECT {wanted} FROM predictions WHERE number > ? ORDER BY number LIMIT ?"  # noqa: S608
    pages: list[list[NDArray[Any] | list[Any]]] = []
    while limit > 0:
        asked = min(limit, PAGE)
        rows = database.rows(sql, [after, asked])
        if rows:
            numbers, *columns = zip(*rows, strict=True)
            after = numbers[-1]
            pages.append([_column(*pair) for pair in zip(names, columns, strict=True)])
        if len(rows) < asked:
            break
        limit -= asked
    return {name: _joined(name, [page[k] for page in pages]) for k, name in enumerate(names)}


def _column(name: str, values: Sequence[Any]) -> NDArray[Any] | list[Any]:
    return np.array(values, dtype=NUMBERS[name]) if name in NUMBERS else list(values)


def _joined(name: str, parts: Sequence[Any]) -> NDArray[Any] | list[Any]:
    if name not in NUMBERS:
        return [value for part in parts for value in part]
    return np.concatenate(parts) if parts else np.array([], dtype=NUMBERS[name])

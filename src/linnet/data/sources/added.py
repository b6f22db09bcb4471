"""Give the main file and the file of people's labels the same columns.

`linnet labels --export` writes the second: `text`, `label`, `source`, `weight`, `time` and `id`.
The main file may have any columns and any form of labels.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from linnet.config import DataConfig
from linnet.data.sources.columns import find_columns
from linnet.errors import DataError
from linnet.tables.table import Row, Table

SOURCE = "source"
WEIGHT = "weight"
TIME = "time"
ADDED = (SOURCE, WEIGHT)
NEEDED = ("text", "label", SOURCE)


def with_added_columns(table: Table) -> Table:
    """A main table with the columns `source` and `weight`, empty where it has none."""
    more = tuple(name for name in ADDED if name not in table.columns)
    empty = (None,) * len(more)
    width = len(table.columns)

    def widen(values: Sequence[Any]) -> Sequence[Any]:
        # A row with too few or too many fields keeps its fault.
        return values if len(values) < width else (*values, *empty)

    return replace(table, columns=(*table.columns, *more), rows=_each(table, widen))


def like_main(added: Table, main: Table, settings: DataConfig) -> Table:
    """The added table with the columns of the main one, in their order.

    Columns that only the main table has are missing values. If the split is by time, the column
    of the dates holds the moment of the answer.

    Args:
        added: The file of people's labels.
        main: The main table, as `with_added_columns` gives it.
        settings: They name the main table's text, label and dates.

    Raises:
        DataError: The added file lacks a column.
    """
    lacking = [name for name in NEEDED if name not in added.columns]
    if lacking:
        raise DataError(
            f"The file to add has no column {lacking[0]!r}. "
            "Write it with: linnet labels LOG --export labelled.jsonl"
        )
    width = len(added.columns)
    text, labels = find_columns(main.columns, settings.text_column, settings.label_column)
    places = {name: place for place, name in enumerate(added.columns)}
    label_place = places["label"]
    sources: list[Callable[[Sequence[Any]], Any]] = [
        _value(places.get(name if name not in ("text", "label") else "")) for name in main.columns
    ]
    if settings.split_by in main.columns and settings.split_by not in places:
        sources[main.columns.index(settings.split_by)] = _value(places.get(TIME))
    sources[text] = _value(places["text"])
    for place in labels:
        several = len(labels) > 1
        name = main.columns[place]
        sources[place] = _applies(name, label_place) if several else _value(label_place)

    def reorder(values: Sequence[Any]) -> Sequence[Any]:
        if len(values) < width:
            return values
        if len(values) > width:
            return (*values, *main.columns)
        return [take(values) for take in sources]

    return replace(added, columns=main.columns, rows=_each(added, reorder))


def _each(table: Table, change: Callable[[Sequence[Any]], Sequence[Any]]) -> Iterator[Row]:
    return ((number, change(values)) for number, values in table.rows)


def _value(place: int | None) -> Callable[[Sequence[Any]], Any]:
    return lambda values: None if place is None else values[place]


def _applies(name: str, label: int) -> Callable[[Sequence[Any]], str]:
    """1 or 0 for a main table that has one column per label."""

    def applies(values: Sequence[Any]) -> str:
        return "1" if name in _listed(values[label]) else "0"

    return applies


def _listed(cell: Any) -> Sequence[Any]:
    if isinstance(cell, str) and cell.startswith("["):
        try:
            cell = json.loads(cell)
        except ValueError:
            return [cell]
    return cell if isinstance(cell, list | tuple) else [cell]

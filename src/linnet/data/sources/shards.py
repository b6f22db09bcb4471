"""Several files as one table: the same columns by name, one file after the other.

A folder such as `label=spam` adds a column, as Hive and Spark write it (partition columns).

All files are looked at before the first row is read. No file is held in memory.
"""

import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from linnet.errors import DataError
from linnet.progress import progress
from linnet.tables.source import CSV, JSON, JSON_LINES, TSV, Reading, Source
from linnet.tables.table import Row, Table

WORTH_A_BAR = 100  # files
SHOWN = 20  # names on the data card
OBJECTS = (JSON, JSON_LINES)  # a key that a row of JSON lacks is a missing value

NO_VALUE = "__HIVE_DEFAULT_PARTITION__"

Open = Callable[[Source, Reading, ExitStack, tuple[str, ...]], Table]


class RowInFile(int):
    """The number of a row, which names the file in messages: `7 of data/part-2.csv`."""

    file: str

    def __new__(cls, number: int, file: str) -> "RowInFile":
        """A number of a row of a file."""
        made = super().__new__(cls, number)
        made.file = file
        return made

    def __str__(self) -> str:
        return f"{int(self)} of {self.file}"

    def __format__(self, spec: str) -> str:
        return f"{format(int(self), spec)} of {self.file}"


@dataclass(frozen=True)
class Shard:
    """One of the files, as it was found before any row was read.

    Attributes:
        source: The file.
        own: Its columns.
        partition: Columns that its folders' names add, with their values.
        dialect: How it is read.
        notes: What the user should know of that.
    """

    source: Source
    own: tuple[str, ...]
    partition: Mapping[str, str | None]
    dialect: Mapping[str, Any]
    notes: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns."""
        return (*self.own, *self.partition)


def read_shards(source: Source, reading: Reading, open_file: Open) -> Table:
    """Read all files of a source.

    Args:
        source: Several files.
        reading: Counts the bytes that were read.
        open_file: Opens one of them within a stack. Its last argument is the columns, or an empty
            tuple if they are not known yet.

    Raises:
        DataError: Two files are of different formats, or have different columns.
    """
    shards = _look(source, open_file)
    columns = _columns(shards)
    rows = _rows(shards, columns, reading, open_file)
    return Table(columns, rows, _dialect(shards), _notes(source, shards))


def _look(source: Source, open_file: Open) -> list[Shard]:
    shards: list[Shard] = []
    total = len(source.parts)
    with progress(f"look at {source.name}", total, "files") as task:
        for part in source.parts:
            if _unpacks_to_nothing(part):
                continue
            with ExitStack() as stack:
                table = open_file(part, Reading(ahead=False), stack, ())
                partition = _partition(part.path.relative_to(source.path), table.columns)
                shard = Shard(part, table.columns, partition, table.dialect, table.notes)
            if shards:
                _check_format(shards[0], shard)
                _check_columns(shards[0], shard)
            shards.append(shard)
            if len(shards) % WORTH_A_BAR == 0:
                task.advance(WORTH_A_BAR)
    if not shards:
        raise DataError(f"{source.path}: all {total:,} files are empty. Expected at least one row.")
    return shards


def _partition(place: Path, columns: Sequence[str]) -> dict[str, str | None]:
    """The columns that the names of folders add to those of a file."""
    pairs = [step.partition("=") for step in place.parts[:-1]]
    values = {unquote(name): unquote(value) for name, equals, value in pairs if name and equals}
    return {
        name: None if value == NO_VALUE else value
        for name, value in values.items()
        if name not in columns
    }


def _unpacks_to_nothing(part: Source) -> bool:
    """Whether a packed file holds no byte, as Spark writes it for a part without rows."""
    if not part.compression or part.parts:
        return False
    with Reading(ahead=False).open(part) as stream:
        return not stream.read(1)


def _format(shard: Shard) -> str:
    found = str(shard.dialect.get("shape", shard.source.format))
    return JSON_LINES if found in OBJECTS else found


def _check_format(first: Shard, other: Shard) -> None:
    if _format(first) != _format(other):
        raise DataError(
            f"The files are of different formats: {first.source.path} is {_format(first)}, and "
            f"{other.source.path} is {_format(other)}. Name those of one format, such as by a "
            f"pattern in quotes: --data {shlex.quote(_pattern(first.source.path))}"
        )


def _pattern(path: Path) -> str:
    return str(path.parent / f"*{''.join(path.suffixes[-2:])}")


def _check_columns(first: Shard, other: Shard) -> None:
    here = set(first.columns)
    there = set(other.columns)
    if here == there or _format(first) == JSON_LINES:
        return
    lacks = [name for name in first.columns if name not in there]
    adds = [name for name in other.columns if name not in here]
    column, has, has_not = (lacks[0], first, other) if lacks else (adds[0], other, first)
    advice = "Give the files the same columns, or name those that have them."
    if _format(first) in (CSV, TSV):
        advice += (
            " If they have no header, name the columns by position: "
            "--text-column 0 --label-column 1"
        )
    raise DataError(
        f"The files have different columns: {column!r:.60} is in {has.source.path} and not in "
        f"{has_not.source.path}. {advice}"
    )


def _columns(shards: Sequence[Shard]) -> tuple[str, ...]:
    """The first file's columns, and keys of JSON that others have beyond them."""
    return tuple(dict.fromkeys(name for shard in shards for name in shard.columns))


def _rows(
    shards: Sequence[Shard], columns: tuple[str, ...], reading: Reading, open_file: Open
) -> Iterator[Row]:
    for shard in shards:
        with ExitStack() as stack:
            table = open_file(shard.source, reading, stack, shard.own)
            if table.columns != shard.own:
                raise DataError(f"{shard.source.path} was changed while it was read. Start again.")
            yield from _ordered(table, shard, columns)


def _ordered(table: Table, shard: Shard, columns: tuple[str, ...]) -> Iterator[Row]:
    file = str(shard.source.path)
    width = len(shard.own)
    same = shard.own == columns
    places = {name: place for place, name in enumerate(shard.columns)}
    order = [places.get(name) for name in columns]
    added = tuple(shard.partition.values())
    for number, row in table.rows:
        if not same and len(row) >= width:
            # A row with too many fields keeps too many.
            row = (*row, *added)
        if not same and len(row) == len(places):
            row = [None if place is None else row[place] for place in order]
        yield RowInFile(number, file), row


def _dialect(shards: Sequence[Shard]) -> dict[str, Any]:
    """How the files were read; what differs between them is listed."""
    facts = [
        {
            **shard.dialect,
            "format": shard.source.format,
            "compression": shard.source.compression.removeprefix("."),
        }
        for shard in shards
    ]
    keys = dict.fromkeys(key for fact in facts for key in fact)
    merged = {key: _merged([fact[key] for fact in facts if key in fact]) for key in keys}
    names = [shard.source.name for shard in shards]
    partition = list(dict.fromkeys(name for shard in shards for name in shard.partition))
    return (
        merged
        | {"files": len(names)}
        | ({"names": names} if len(names) <= SHOWN else {})
        | ({"columns_of_folders": partition} if partition else {})
    )


def _merged(values: Sequence[Any]) -> Any:
    if all(value == values[0] for value in values):
        return values[0]
    if all(isinstance(value, bool) for value in values):
        return any(values)
    return ", ".join(sorted({str(value) or "none" for value in values}))


def _notes(source: Source, shards: Sequence[Shard]) -> tuple[str, ...]:
    """Each note once, with the file that it is of, and a note of files without rows."""
    nothing = len(source.parts) - len(shards)
    empty = (f"{nothing:,} packed files hold nothing.",) if nothing else ()
    counts = Counter(note for shard in shards for note in shard.notes)
    first = {note: shard.source.name for shard in reversed(shards) for note in shard.notes}
    return empty + tuple(
        f"{first[note]}{f' and {count - 1:,} other files' if count > 1 else ''}: {note}"
        for note, count in counts.items()
    )

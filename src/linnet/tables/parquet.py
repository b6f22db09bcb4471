"""Rows out of Parquet, strict or lossless; labels of a split by their names, not their ids."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from linnet.errors import DataError
from linnet.tables.columns import check_names, column_names
from linnet.tables.parquet_values import class_names, decoded, named
from linnet.tables.table import Row, Table

BATCH_ROWS = 16_384
# Under this key the schema of a split says what its labels are; see linnet.data.split.files.
METADATA = b"linnet"
# Arrow reports damage by its own errors, bytes that don't unpack by OSError, letters that aren't
# UTF-8 by ValueError.
DAMAGE = (pa.ArrowException, OSError, ValueError)


def open_parquet(stream: IO[bytes], path: Path) -> pq.ParquetFile:
    """The file, with its schema read.

    Args:
        stream: Seekable bytes.
        path: Its name, for messages.

    Raises:
        DataError: The file isn't Parquet.
    """
    try:
        return pq.ParquetFile(stream)
    except DAMAGE as error:
        raise DataError(
            f"{path} is not a Parquet file, or it is cut: {said(error)}. Write it again."
        ) from error


def read_parquet(stream: IO[bytes], path: Path) -> Table:
    """Read Parquet, strictly.

    Args:
        stream: Seekable bytes.
        path: Its name, for messages.

    Raises:
        DataError: The file isn't Parquet.
    """
    file = open_parquet(stream, path)
    columns = column_names(file.schema_arrow.names)
    check_names(columns, path)
    metadata = dict(file.schema_arrow.metadata or {})
    rows = _rows(file, path, label_names(metadata))
    return Table(columns, rows, {"encoding": "utf-8"}, metadata=metadata)


def label_names(metadata: Mapping[bytes, bytes]) -> dict[str, list[str]]:
    """By column, the names of labels that are numbers in the file, in the order of the numbers.

    Args:
        metadata: Of the file's schema.
    """
    names = class_names(metadata)
    # Of a file that is no split of `linnet prepare` there is nothing to add.
    with suppress(KeyError, ValueError, TypeError):
        names["label"] = json.loads(metadata[METADATA])["labels"]
    return names


def cell_values(column: pa.Array, *, lossless: bool = False) -> list[Any]:
    """Python values of a column. Bytes that are UTF-8 are strings, as are moments, also in lists.

    Args:
        column: Of any type.
        lossless: Whether bytes of strings that are not UTF-8 are kept as `surrogateescape` does.

    Raises:
        ValueError: A string is not UTF-8, and not lossless.
    """
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or _is_view(kind, "string")
    if lossless and text:
        raw = column.cast(pa.large_binary()).to_pylist()
        return [
            value if value is None else value.decode("utf-8", "surrogateescape") for value in raw
        ]
    plain = _plain(kind)
    values = (column if plain == kind else column.cast(plain)).to_pylist()
    return list(map(decoded, values)) if _holds_bytes(kind) else list(values)


def said(error: Exception) -> str:
    """The message of an error of Arrow, on one line."""
    return " ".join(str(error).split()).rstrip(".")


def _rows(file: pq.ParquetFile, path: Path, names: Mapping[str, Sequence[str]]) -> Iterator[Row]:
    number = 0
    try:
        for batch in file.iter_batches(BATCH_ROWS):
            columns = list(map(cell_values, batch.columns))
            for column, labels in names.items():
                if (place := batch.schema.get_field_index(column)) >= 0:
                    columns[place] = [named(label, labels) for label in columns[place]]
            for values in zip(*columns, strict=True):
                number += 1
                yield number, values
    except DAMAGE as error:
        raise DataError(
            f"{path}, after row {number}: {said(error)}. Write the file again."
        ) from error


def _plain(kind: pa.DataType) -> pa.DataType:
    """The type to read a type as: moments as strings.

    Python's moments know neither nanoseconds nor the year 10,000.
    """
    if pa.types.is_temporal(kind):
        return pa.string()
    if pa.types.is_large_list(kind):
        return pa.large_list(_plain_field(kind.value_field))
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(_plain_field(kind.value_field), kind.list_size)
    if pa.types.is_map(kind):
        return pa.map_(_plain(kind.key_type), _plain(kind.item_type))
    if pa.types.is_list(kind):
        return pa.list_(_plain_field(kind.value_field))
    if pa.types.is_struct(kind):
        return pa.struct([_plain_field(kind.field(place)) for place in range(kind.num_fields)])
    return kind


def _plain_field(field: pa.Field) -> pa.Field:
    return field.with_type(_plain(field.type))


def _holds_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_nested(kind):
        return any(_holds_bytes(kind.field(place).type) for place in range(kind.num_fields))
    return (
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
        or _is_view(kind, "binary")
    )


def _is_view(kind: pa.DataType, of: str) -> bool:
    return str(kind) == f"{of}_view"

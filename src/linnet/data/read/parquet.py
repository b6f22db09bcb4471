"""Rows out of Parquet; of a split that `linnet prepare` wrote with the labels' names, not their ids."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from linnet.data.read.parquet_values import class_names, decoded, named
from linnet.data.read.table import Row, Table, column_names
from linnet.errors import DataError

BATCH_ROWS = 16_384
METADATA = b"linnet"  # under which the schema of a split says what its labels are; see linnet.data.split.files
# Arrow tells of damage by its own errors, of bytes that don't unpack by OSError, of letters that aren't by ValueError.
DAMAGE = (pa.ArrowException, OSError, ValueError)


def read_parquet(stream: IO[bytes], path: Path) -> Table:
    """Read Parquet.

    Args:
        stream: Seekable bytes.
        path: Its name, for messages.

    Raises:
        DataError: The file isn't Parquet.
    """
    try:
        file = pq.ParquetFile(stream)
    except DAMAGE as error:
        raise DataError(
            f"{path} is not a Parquet file, or it is cut: {_said(error)}. Write it again."
        ) from error
    columns = column_names(file.schema_arrow.names, path)
    return Table(columns, _rows(file, path), {"encoding": "utf-8"})


def _rows(file: pq.ParquetFile, path: Path) -> Iterator[Row]:
    number, names = 0, class_names(file.schema_arrow.metadata)
    if own := _label_names(file):
        names["label"] = own
    try:
        for batch in file.iter_batches(BATCH_ROWS):
            columns = list(map(_values, batch.columns))
            for column, of_column in names.items():
                if (place := batch.schema.get_field_index(column)) >= 0:
                    columns[place] = [named(value, of_column) for value in columns[place]]
            for values in zip(*columns, strict=True):
                number += 1
                yield number, values
    except DAMAGE as error:
        raise DataError(
            f"{path}, after row {number}: {_said(error)}. Write the file again."
        ) from error


def _label_names(file: pq.ParquetFile) -> list[str]:
    """Label names by id of a split; of any other file none."""
    try:
        names: list[str] = json.loads((file.schema_arrow.metadata or {})[METADATA])["labels"]
        return names
    except (KeyError, ValueError, TypeError):
        return []


def _values(column: pa.Array) -> list[Any]:
    # Python's own moments know neither nanoseconds nor the year 10,000.
    if "binary" in str(column.type):
        return list(map(decoded, column.to_pylist()))
    return list(
        (column.cast(pa.string()) if pa.types.is_temporal(column.type) else column).to_pylist()
    )


def _said(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")

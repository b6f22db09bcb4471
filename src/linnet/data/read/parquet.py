"""Rows out of Parquet."""

from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from linnet.data.read.table import Row, Table, column_names
from linnet.errors import DataError

BATCH_ROWS = 16_384


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
    except pa.ArrowInvalid as error:
        raise DataError(f"{path} is not a Parquet file, or it is cut: {error}. Write it again.") from error
    columns = column_names(file.schema_arrow.names, path)
    return Table(columns, _rows(file, path), {"encoding": "utf-8"})


def _rows(file: pq.ParquetFile, path: Path) -> Iterator[Row]:
    number = 0
    try:
        for batch in file.iter_batches(BATCH_ROWS):
            for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                number += 1
                yield number, values
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        raise DataError(f"{path}, after row {number}: {error}. Write the file again.") from error

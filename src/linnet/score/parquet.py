"""Score Parquet: every column unchanged, and the new ones after them.

The chunks are kept on disk, and the Parquet file is written from them at the end.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from linnet.config import ScoreConfig
from linnet.errors import DataError
from linnet.score.chunks import CHUNK_BYTES, Chunk
from linnet.score.columns import Column, check_free
from linnet.tables.columns import column_names, find_text, join
from linnet.tables.lines import not_decoded
from linnet.tables.parquet import DAMAGE, cell_values, open_parquet, said

TYPES = {str: pa.string(), float: pa.float64(), bool: pa.bool_(), list: pa.list_(pa.string())}


class Parquet:
    """A Parquet file. A position in it is a number of rows.

    Args:
        stream: Its bytes, seekable.
        path: Its name, for messages.
        settings: Say which column is the text.
        columns: Those to be added.

    Attributes:
        start: 0.
        rows: Rows of the file.

    Raises:
        DataError: The file is damaged or no Parquet file, or has not the column of the text.
        UsageError: A column to be added is there already.
    """

    start = 0
    notes: tuple[str, ...] = ()

    def __init__(
        self, stream: IO[bytes], path: Path, settings: ScoreConfig, columns: Sequence[Column]
    ):
        self._path = path
        self._most = settings.chunk_size
        self._file = open_parquet(stream, path)
        schema = self._file.schema_arrow
        check_free(schema.names, columns, str(path))
        self._places = find_text(column_names(schema.names), settings.text_column)
        self._types = [TYPES[column.kind] for column in columns]
        self._schema = schema
        for column, kind in zip(columns, self._types, strict=True):
            self._schema = self._schema.append(pa.field(column.name, kind))
        self.rows: int | None = self._file.metadata.num_rows

    def head(self) -> bytes:
        """Nothing."""
        return b""

    def chunks(self, position: int) -> Iterator[Chunk]:
        """Every row from a position on, in chunks.

        Raises:
            DataError: The file is damaged.
        """
        end = 0
        for batch in self._batches():
            # A position is a chunk's end, and the same file gives the same chunks.
            for start in range(0, len(batch), step := _step(batch)):
                chunk = batch.slice(start, step)
                end += len(chunk)
                if end > position:
                    columns = [
                        cell_values(chunk.column(place), lossless=True) for place in self._places
                    ]
                    texts = [
                        values[0] if len(values) == 1 else join(values)
                        for values in zip(*columns, strict=True)
                    ]
                    reasons = ["wrong_encoding" if not_decoded(text) else "" for text in texts]
                    yield Chunk(chunk, texts, reasons, end)

    def _batches(self) -> Iterator[pa.RecordBatch]:
        try:
            yield from self._file.iter_batches(self._most)
        except DAMAGE as error:
            raise DataError(f"{self._path} is damaged: {said(error)}. Write it again.") from error

    def dump(self, chunk: Chunk, values: Sequence[Sequence[Any]]) -> bytes:
        """Serialise a chunk with its new columns. The bytes of chunks can be concatenated."""
        added = [
            pa.array(column, kind)
            for column, kind in zip(zip(*values, strict=True), self._types, strict=True)
        ]
        batch = pa.RecordBatch.from_arrays([*chunk.rows.columns, *added], schema=self._schema)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, self._schema) as writer:
            writer.write_batch(batch)
        data: bytes = sink.getvalue().to_pybytes()
        return data

    def finish(self, rows: Path, place: Path) -> Path:
        """Write the chunks of one file as a Parquet file to `place`."""
        with rows.open("rb") as stream, pq.ParquetWriter(place, self._schema) as writer:
            size = rows.stat().st_size
            while stream.tell() < size:
                with pa.ipc.open_stream(stream) as reader:
                    for batch in reader:
                        writer.write_batch(batch)
        return place

    def count(self, file: Path) -> int:
        """Rows of the finished file."""
        rows: int = pq.read_metadata(file).num_rows
        return rows


def _step(batch: pa.RecordBatch) -> int:
    """Rows of a batch that are scored at once: fewer where they are long."""
    size: int = batch.nbytes
    return max(1, len(batch) * CHUNK_BYTES // max(size, CHUNK_BYTES))

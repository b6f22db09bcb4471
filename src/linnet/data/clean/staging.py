"""Stage clean rows on disk, in files by rank: memory holds numbers, never all the texts.

The files, read in order, give the rows in the order of their ranks. Memory holds one file's rows
at a time.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from linnet.data.group.rank import BITS

BUCKET_BITS = 6
ROW = "row"


class Staging:
    """A folder of Arrow files; what is staged is read back in another order.

    Args:
        directory: Made here, and removed by `remove`.
        names: Columns, all of them strings.
    """

    def __init__(self, directory: Path, names: list[str]):
        directory.mkdir()
        self._directory = directory
        self._schema = pa.schema([(name, pa.string()) for name in names] + [(ROW, pa.int64())])
        self._writers: dict[int, pa.RecordBatchStreamWriter] = {}
        self._files: list[pa.OSFile] = []
        self._count = 0

    def add(self, columns: list[pa.Array], ranks: np.ndarray) -> None:
        """Stage some rows.

        Args:
            columns: As named, each with n strings.
            ranks: uint64 (n,).
        """
        rows = pa.array(np.arange(self._count, self._count + len(ranks)))
        self._count += len(ranks)
        buckets = ranks >> np.uint64(BITS - BUCKET_BITS)
        order = np.argsort(buckets, kind="stable")
        batch = pa.RecordBatch.from_arrays([*columns, rows], schema=self._schema).take(
            pa.array(order)
        )
        edges = np.searchsorted(buckets[order], np.arange(2**BUCKET_BITS + 1, dtype=np.uint64))
        for bucket in np.flatnonzero(np.diff(edges)):
            start = edges[bucket]
            stop = edges[bucket + 1]
            self._writer(int(bucket)).write_batch(batch.slice(start, stop - start))

    def read(self) -> Iterator[pa.Table]:
        """The rows with their `row` (0 for the first staged), in tables of rising rank."""
        self._close()
        for bucket in sorted(self._writers):
            with pa.OSFile(str(self._path(bucket))) as file:
                yield pa.ipc.open_stream(file).read_all()

    def remove(self) -> None:
        """Delete the folder."""
        self._close()
        shutil.rmtree(self._directory)

    def _path(self, bucket: int) -> Path:
        return self._directory / f"{bucket:02}.arrow"

    def _writer(self, bucket: int) -> pa.RecordBatchStreamWriter:
        if bucket not in self._writers:
            self._files.append(pa.OSFile(str(self._path(bucket)), "wb"))
            self._writers[bucket] = pa.ipc.new_stream(self._files[-1], self._schema)
        return self._writers[bucket]

    def _close(self) -> None:
        while self._files:
            list(self._writers.values())[len(self._files) - 1].close()
            self._files.pop().close()

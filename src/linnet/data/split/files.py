"""The files between `prepare` and whatever trains or judges: one Parquet file a split."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from linnet.data.split.assign import NAMES
from linnet.errors import DataError, UsageError

FORMAT = 1
METADATA = b"linnet"
ROW_GROUP = 65_536


@dataclass(frozen=True)
class Split:
    """One split, read.

    Attributes:
        name: `train`, `validation` or `test`.
        texts: n clean texts.
        labels: Label ids, int64 (n,).
        label_names: Names by id.
    """

    name: str
    texts: list[str]
    labels: np.ndarray
    label_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.texts)


def read_split(directory: Path, name: str) -> Split:
    """Read a split that `linnet prepare` wrote.

    Args:
        directory: The splits folder.
        name: `train`, `validation` or `test`.

    Raises:
        UsageError: No such split.
        DataError: The file is missing or is no split of Linnet's.
    """
    if name not in NAMES:
        raise UsageError(f"There is no split {name!r}. Expected one of {', '.join(NAMES)}.")
    path = _path(Path(directory), name)
    if not path.is_file():
        raise DataError(f"No such split: {path}. Expected a folder that `linnet prepare` wrote.")
    try:
        table = pq.read_table(path, columns=["text", "label"])
        content = json.loads(table.schema.metadata[METADATA])
    except (pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} is not a split of Linnet's: {error}. Run `linnet prepare` again.") from error
    if content["format"] > FORMAT:
        raise DataError(
            f"{path} is of split format {content['format']}; this Linnet reads up to {FORMAT}. Upgrade Linnet."
        )
    return Split(
        name=name,
        texts=table["text"].to_pylist(),
        labels=table["label"].to_numpy().astype(np.int64, copy=False),
        label_names=tuple(content["labels"]),
    )


class SplitWriter:
    """Writes one split piece by piece; the same pieces give the same bytes.

    Args:
        directory: The splits folder, which exists.
        name: The split.
        columns: Names; `label` is an integer, all others are strings.
        labels: Label names by id.
    """

    def __init__(self, directory: Path, name: str, columns: Sequence[str], labels: Sequence[str]):
        content = json.dumps({"format": FORMAT, "labels": list(labels)}, ensure_ascii=False)
        fields = [(column, pa.int64() if column == "label" else pa.string()) for column in columns]
        self._schema = pa.schema(fields, metadata={METADATA: content.encode()})
        self._writer = pq.ParquetWriter(_path(directory, name), self._schema, compression="zstd")
        self._waiting: list[pa.Table] = []

    def __enter__(self) -> "SplitWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._flush()
        finally:
            self._writer.close()

    def write(self, table: pa.Table) -> None:
        """Add rows at the end."""
        self._waiting.append(table)
        if sum(map(len, self._waiting)) >= ROW_GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            rows = pa.concat_tables(self._waiting).select(self._schema.names).cast(self._schema)
            self._writer.write_table(rows, row_group_size=max(len(rows), 1))
            self._waiting = []


def _path(directory: Path, name: str) -> Path:
    return directory / f"{name}.parquet"

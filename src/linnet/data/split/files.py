"""Write and read the splits: one Parquet file per split.

The schema's metadata has two keys. `huggingface` holds the features for the library `datasets`,
so that it shows labels by name. `linnet` holds a JSON object:

    format        2; format 1 has neither `multi_label` nor `mask`, which read as false and []
    labels        label names by id
    multi_label   true if a text may have several labels or none; else it has exactly one
    mask          the masked kinds of personal data, as in `linnet.pii.PERSONAL`

The column `text` holds clean texts. The column `label` holds an id, int64, or in a multi-label
file the sorted ids of all labels that apply, list<int64>. All other columns are strings.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from linnet.data.split.assign import NAMES
from linnet.errors import DataError, LabelError, UsageError
from linnet.links import plain
from linnet.tables.parquet import METADATA

FORMAT = 2
ROW_GROUP = 65_536
HUGGING_FACE = b"huggingface"


@dataclass(frozen=True)
class Split:
    """One split in memory.

    Attributes:
        name: `train`, `validation` or `test`.
        texts: n clean texts.
        labels: Label ids, int64 (n,); if multi-label, which labels apply, bool (n, C).
        label_names: C names by id.
        multi_label: Whether a text may have several labels or none.
        mask: The masked kinds of personal data.
    """

    name: str
    texts: list[str]
    labels: np.ndarray
    label_names: tuple[str, ...]
    multi_label: bool = False
    mask: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def label_counts(self) -> dict[str, int]:
        """Rows of each label, by name in the order of the ids."""
        if self.multi_label:
            counts = self.labels.sum(axis=0)
        else:
            counts = np.bincount(self.labels, minlength=len(self.label_names))
        return dict(zip(self.label_names, counts.tolist(), strict=True))


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
        raise DataError(
            f"{path} is not a split of Linnet's: {error}. Run `linnet prepare` again."
        ) from error
    if content["format"] > FORMAT:
        raise DataError(
            f"{path} has split format {content['format']}. "
            f"This Linnet reads up to {FORMAT}. Upgrade Linnet."
        )
    multi_label = content.get("multi_label", False)
    names = tuple(content["labels"])
    labels = table["label"].combine_chunks()
    if labels.type != _label_type(multi_label) or labels.null_count:
        raise DataError(
            f"{path} is not a split of Linnet's. "
            f"Its labels are {labels.type} with {labels.null_count} missing. "
            f"Expected {_label_type(multi_label)} with none. Run `linnet prepare` again."
        )
    return Split(
        name=name,
        texts=table["text"].to_pylist(),
        labels=_indicators(labels, names, path) if multi_label else labels.to_numpy(),
        label_names=names,
        multi_label=multi_label,
        mask=tuple(content.get("mask", ())),
    )


def _indicators(labels: pa.ListArray, names: tuple[str, ...], path: Path) -> np.ndarray:
    """Lists of ids as bool (n, C)."""
    ids = labels.flatten().to_numpy()
    if len(ids) and not 0 <= ids.min() <= ids.max() < len(names):
        raise LabelError(
            f"{path} holds the label {ids.min() if ids.min() < 0 else ids.max()}, "
            f"but has names only for 0 to {len(names) - 1}. Run `linnet prepare` again."
        )
    indicators = np.zeros((len(labels), len(names)), dtype=bool)
    indicators[np.repeat(np.arange(len(labels)), np.diff(labels.offsets.to_numpy())), ids] = True
    return indicators


class SplitWriter:
    """Writes one split piece by piece; the same pieces give the same bytes.

    Args:
        directory: The splits folder, which exists.
        name: The split.
        columns: Names. `label` is an integer, or a list of integers if multi-label. All others
            are strings.
        labels: Label names by id.
        multi_label: Whether a text may have several labels or none.
        mask: The masked kinds of personal data.
    """

    def __init__(
        self,
        directory: Path,
        name: str,
        columns: Sequence[str],
        labels: Sequence[str],
        multi_label: bool = False,
        mask: Sequence[str] = (),
    ):
        content = {
            "format": FORMAT,
            "labels": list(labels),
            "multi_label": multi_label,
            "mask": list(mask),
        }
        fields = [
            (column, _label_type(multi_label) if column == "label" else pa.string())
            for column in columns
        ]
        features = _features(columns, labels, multi_label)
        metadata = {
            METADATA: json.dumps(content, ensure_ascii=False).encode(),
            HUGGING_FACE: json.dumps({"info": {"features": features}}).encode(),
        }
        self._schema = pa.schema(fields, metadata=metadata)
        self._writer = pq.ParquetWriter(_path(directory, name), self._schema, compression="zstd")
        self._waiting: list[pa.Table] = []

    def __enter__(self) -> "SplitWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
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


def _label_type(multi_label: bool) -> pa.DataType:
    return pa.list_(pa.int64()) if multi_label else pa.int64()


def _features(
    columns: Sequence[str], labels: Sequence[str], multi_label: bool
) -> dict[str, dict[str, Any]]:
    """The columns' types as `datasets` names them."""
    label: dict[str, Any] = {"names": list(labels), "_type": "ClassLabel"}
    if multi_label:
        label = {"feature": label, "_type": "List"}
    text = {"dtype": "string", "_type": "Value"}
    return {column: label if column == "label" else text for column in columns}


def _path(directory: Path, name: str) -> Path:
    return plain(directory) / f"{name}.parquet"

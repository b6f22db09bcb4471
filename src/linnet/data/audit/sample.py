"""Read the first rows of a split. The rows are ordered by a hash, so this is a random sample."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from linnet.tables.parquet import METADATA

LONGEST = 20_000  # characters of a text that are audited


@dataclass(frozen=True)
class Sample:
    """Rows of one split.

    Attributes:
        table: All columns of n rows.
        members: Which labels each row has, bool (n, C).
        label_names: C names by id.
        rows: Number of rows of the whole split.
    """

    table: pa.Table
    members: np.ndarray
    label_names: tuple[str, ...]
    rows: int

    def __len__(self) -> int:
        return len(self.table)

    def texts(self, most: int, characters: int) -> list[str]:
        """The first texts; very long ones are cut.

        Args:
            most: Greatest number of texts.
            characters: Approximate limit on all characters together, because long texts take long.
        """
        texts = [text[:LONGEST] for text in self.table["text"].slice(0, most).to_pylist()]
        within = int(
            np.searchsorted(np.cumsum([len(text) for text in texts]), characters, side="right")
        )
        return texts[: max(within, 1)]

    def label_sets(self) -> tuple[np.ndarray, list[str]]:
        """Each row's label set as one id, int (n,), and the names of those ids."""
        if (self.members.sum(axis=1) == 1).all():
            return self.members.argmax(axis=1), list(self.label_names)
        sets, ids = np.unique(self.members, axis=0, return_inverse=True)
        names = [
            " + ".join(name for name, there in zip(self.label_names, row, strict=True) if there)
            or "none"
            for row in sets
        ]
        return ids.reshape(-1), names


def read_sample(directory: Path, name: str, rows: int) -> Sample:
    """Read the first rows of a split.

    Args:
        directory: The splits folder.
        name: The split, which has been written.
        rows: How many at most.
    """
    with pq.ParquetFile(directory / f"{name}.parquet") as file:
        schema = file.schema_arrow
        total = file.metadata.num_rows
        parts = []
        read = 0
        for group in range(file.num_row_groups):
            if read >= rows:
                break
            parts.append(file.read_row_group(group))
            read += len(parts[-1])
    table = (pa.concat_tables(parts) if parts else schema.empty_table()).slice(0, rows)
    names = tuple(json.loads(schema.metadata[METADATA])["labels"])
    return Sample(table, _members(table["label"].combine_chunks(), names), names, total)


def _members(labels: pa.Array, names: Sequence[str]) -> np.ndarray:
    lists = pa.types.is_list(labels.type)
    ids = (labels.flatten() if lists else labels).to_numpy()
    sizes = labels.value_lengths().to_numpy() if lists else np.ones(len(labels), dtype=np.int64)
    members = np.zeros((len(labels), len(names)), dtype=bool)
    members[np.repeat(np.arange(len(labels)), sizes), ids] = True
    return members

"""Rows that people labelled: which split each source of labels may go to.

An audit is a random sample of the traffic, so it measures: its rows go to validation and test
only. The other rows were chosen (`queue`, `disagree`) or came by themselves (`user`), so they
teach: they go to train only. A row without a source is split as any other.

If a text is in several rows, the answer of a person counts, and the audit first. Nothing like a
held-out text is trained on: where old splits hold a similar text, they win.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from linnet.data.split.assign import NOWHERE, TEST, TRAIN, VALIDATION, mix

NONE, HELD_OUT, TAUGHT = range(3)
ROLES = {"audit": HELD_OUT, "queue": TAUGHT, "disagree": TAUGHT, "user": TAUGHT}
FILE = "file"  # how the card calls rows without a source

Drop = Callable[[str, np.ndarray], None]


@dataclass(frozen=True)
class Sources:
    """The source of each row's label.

    Attributes:
        role: `NONE`, `HELD_OUT` or `TAUGHT`, int8 (n,).
        name: Position in `names`, int8 (n,).
        names: The sources there are, `FILE` first.
    """

    role: np.ndarray
    name: np.ndarray
    names: tuple[str, ...] = (FILE, *ROLES)

    @classmethod
    def find(cls, column: pa.ChunkedArray | None) -> "Sources | None":
        """The sources that a column holds; None if it means something else.

        Args:
            column: Strings of n rows, or None if there is no such column.
        """
        if column is None:
            return None
        encoded = column.combine_chunks().dictionary_encode()
        values = [value.strip() for value in encoded.dictionary.to_pylist()]
        known = {"": FILE, FILE: FILE, **{name: name for name in ROLES}}
        if not set(values) <= set(known) or not set(values) & set(ROLES):
            return None
        names = (FILE, *ROLES)
        place = np.array([*(names.index(known[value]) for value in values), 0], dtype=np.int8)
        code = encoded.indices.fill_null(len(values)).to_numpy()
        role = np.array([ROLES.get(name, NONE) for name in names], dtype=np.int8)
        return cls(role[place[code]], place[code], names)

    def counts(self, split: np.ndarray, split_names: tuple[str, ...]) -> dict[str, dict[str, int]]:
        """Rows of each source in each split, for the card.

        Args:
            split: Position in `split_names`, or `NOWHERE`, int8 (n,).
            split_names: Of the splits.
        """
        found = {}
        for index, name in enumerate(split_names):
            count = np.bincount(self.name[split == index], minlength=len(self.names))
            found[name] = dict(zip(self.names, count.tolist(), strict=True))
        return found


def drop_mixed(
    sources: Sources,
    rows: np.ndarray,
    group: np.ndarray,
    text: np.ndarray,
    before: np.ndarray,
    drop: Drop,
) -> None:
    """Drop rows that may not stay together.

    Args:
        sources: Of all rows.
        rows: The rows that remain, int (m,).
        group: Digest of the group, uint64 (n,).
        text: Digest of the clean text, uint64 (n,).
        before: The previous split of the text, or `NOWHERE`, int8 (n,).
        drop: Takes a reason and a mask over all rows, bool (n,).
    """
    remains = np.zeros(len(group), dtype=bool)
    remains[rows] = True
    audit = remains & (sources.role == HELD_OUT)
    taught = remains & (sources.role == TAUGHT)
    was_held_out = remains & ((before == VALIDATION) | (before == TEST))
    seen = audit & np.isin(group, group[remains & (before == TRAIN)])
    drop("audit_like_training", seen)
    audit &= ~seen
    held_out = taught & np.isin(group, group[audit | was_held_out])
    drop("like_held_out", held_out)
    answered = text[audit | (taught & ~held_out)]
    drop("answered_by_people", remains & (sources.role == NONE) & np.isin(text, answered))


def with_sources(sources: Sources, group: np.ndarray, before: np.ndarray, seed: int) -> np.ndarray:
    """The previous splits, and those that the sources demand, int8 (n,).

    Half of the audit's groups go to validation and half to test, by a hash.

    Args:
        sources: Of all rows.
        group: Digest of the group, uint64 (n,).
        before: The previous split of the text, or `NOWHERE`, int8 (n,).
        seed: Decides which half.
    """
    result = before.copy()
    new = before == NOWHERE
    result[(sources.role == TAUGHT) & new] = TRAIN
    # A group that was held out before keeps its split.
    old = np.isin(group, group[~new])
    free = (sources.role == HELD_OUT) & new & ~old
    half = (mix(group, seed) & np.uint64(1)).astype(bool)
    result[free] = np.where(half[free], TEST, VALIDATION)
    return result

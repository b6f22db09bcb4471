"""How many rows each class has, and whether that is enough for three splits."""

from collections.abc import Sequence

import numpy as np

from linnet.data.split.assign import NAMES
from linnet.errors import DataError


class Classes:
    """What each row is labelled with: one class, or a set of them.

    Args:
        names: Labels by id.
        sets: The sets of ids that rows have; empty where each row has one label.
    """

    def __init__(self, names: Sequence[str], sets: Sequence[tuple[int, ...]]):
        self.names = tuple(names)
        self.several = bool(sets)
        self._members = np.eye(len(names), dtype=np.int64)
        if sets:
            self._members = np.zeros((len(sets), len(names)), dtype=np.int64)
            for position, ids in enumerate(sets):
                self._members[position, list(ids)] = 1

    def counts(self, label: np.ndarray) -> np.ndarray:
        """Rows of each class, int64 (C,), of rows labelled so, int (n,): ids, or positions among the sets."""
        return np.asarray(np.bincount(label, minlength=len(self._members)) @ self._members)

    def strata(self, label: np.ndarray) -> np.ndarray:
        """What the splits are to have in like shares, int (n,): the class, or of several the one that is rarest.

        The rarest first is how iterative stratification goes about it (Sechidis, Tsoumakas and Vlahavas 2011, On the
        Stratification of Multi-Label Data), here in one pass.
        """
        if not self.several:
            return label
        counts = np.where(self._members, self.counts(label), np.iinfo(np.int64).max)
        return np.asarray(counts.argmin(axis=1)[label])

    def check(self, label: np.ndarray) -> None:
        """See that there are at least two classes, and rows enough of each for three splits.

        Raises:
            DataError: Names the class.
        """
        counts = self.counts(label)
        present = [name for name, count in zip(self.names, counts, strict=True) if count]
        if len(present) < 2:
            found = f"only {present[0]!r:.60}" if present else "none"
            raise DataError(
                f"Expected rows of at least two classes, found {found}. Check data.label_column and data.labels."
            )
        smallest = int(counts.argmin())
        if counts[smallest] < len(NAMES):
            raise DataError(
                f"The class {self.names[smallest]!r:.60} has {counts[smallest]} usable row(s); it needs at least "
                f"{len(NAMES)}, one for each of {', '.join(NAMES)} (there are {len(self.names)} classes). "
                "Bring more rows of it, or take it out."
            )

    def check_splits(self, label: np.ndarray, split: np.ndarray, notes: Sequence[str]) -> None:
        """See that each split has a row of each class.

        Args:
            label: Of each row, int (n,).
            split: Where each row goes, int8 (n,).
            notes: What else was noticed, in sentences; some of it may be why.

        Raises:
            DataError: Names the class and the split.
        """
        for index, name in enumerate(NAMES):
            for empty in np.flatnonzero(self.counts(label[split == index]) == 0).tolist():
                raise DataError(
                    f"The {name} split has no row of the class {self.names[empty]!r:.60}, which has "
                    f"{self.counts(label)[empty]:,} usable row(s). Bring more rows of it, make that split or the "
                    f"sample larger, or take the class out. {' '.join(notes)}".rstrip()
                )

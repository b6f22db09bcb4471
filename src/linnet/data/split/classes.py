"""How many rows each class has, and whether that is enough for three splits."""

from collections.abc import Sequence

import numpy as np

from linnet.data.split.assign import NAMES
from linnet.errors import DataError
from linnet.labels import listed


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
        Stratification of Multi-Label Data), here in one pass. Rows without a label are a stratum of their own.
        """
        if not self.several:
            return label
        counts = np.where(self._members, self.counts(label), np.iinfo(np.int64).max)
        rarest = np.where(self._members.any(axis=1), counts.argmin(axis=1), len(self.names))
        return np.asarray(rarest[label])

    def rare(self, label: np.ndarray, fewest: int) -> np.ndarray:
        """The classes that have fewer rows, bool (C,), also once the rows of the others among them are gone.

        Args:
            label: Of each row, int (n,).
            fewest: Rows that a class needs to stay.
        """
        rare = np.zeros(len(self.names), dtype=bool)
        while True:
            found = self.counts(label[~self.has_any(label, rare)]) < fewest
            if (found <= rare).all():
                return rare
            rare |= found

    def has_any(self, label: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """Whether each row has one of some classes, bool (C,); gives bool (n,)."""
        return np.asarray((self._members @ classes > 0)[label])

    def check(self, label: np.ndarray, left_out: np.ndarray) -> None:
        """See that there are at least two classes, and rows enough of each for three splits.

        Args:
            label: Of each row, int (n,).
            left_out: Classes that need no row, bool (C,).

        Raises:
            DataError: Names the classes.
        """
        counts = self.counts(label)
        present = [name for name, count in zip(self.names, counts, strict=True) if count]
        if len(present) < 2:
            found = f"only {present[0]!r:.60}" if present else "none"
            raise DataError(
                f"Expected rows of at least two classes, found {found}. Check data.label_column, data.labels and "
                "data.min_class_rows."
            )
        fewest = len(NAMES)
        if too_few := self._named(counts, (counts < fewest) & ~left_out):
            raise DataError(
                f"{len(too_few):,} of {len(self.names):,} classes have fewer than {fewest} usable rows, one for each "
                f"of {', '.join(NAMES)}: {listed(too_few)}. Bring more rows of them, or leave them out with "
                f"--set data.min_class_rows={fewest}"
            )

    def check_splits(
        self, label: np.ndarray, split: np.ndarray, left_out: np.ndarray, notes: Sequence[str]
    ) -> None:
        """See that each split has a row of each class.

        Args:
            label: Of each row, int (n,).
            split: Where each row goes, int8 (n,).
            left_out: Classes that need no row, bool (C,).
            notes: What else was noticed, in sentences; some of it may be why.

        Raises:
            DataError: Names the classes and the split.
        """
        for index, name in enumerate(NAMES):
            absent = (self.counts(label[split == index]) == 0) & ~left_out
            if not absent.any():
                continue
            usable = self._named(self.counts(label), absent)
            raise DataError(
                f"The {name} split has no row of {len(usable):,} of {len(self.names):,} classes (usable rows): "
                f"{listed(usable)}. Bring more rows of them, make that split or the sample larger, or leave them out "
                f"with --set data.min_class_rows={max(usable.values()) + 1}. {' '.join(notes)}".rstrip()
            )

    def _named(self, counts: np.ndarray, chosen: np.ndarray) -> dict[str, int]:
        return {self.names[index]: int(counts[index]) for index in np.flatnonzero(chosen).tolist()}

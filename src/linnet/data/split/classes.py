"""Count the rows of each class, and check that they suffice for three splits."""

from collections.abc import Sequence

import numpy as np

from linnet.data.split.assign import NAMES
from linnet.errors import DataError
from linnet.labels import listed


class Classes:
    """The classes of the rows: one class per row, or a set of classes.

    Args:
        names: Labels by id.
        sets: The sets of ids of the rows; empty if each row has one label.
        left_out: Classes that need no row, bool (C,); None: every class needs some.
    """

    def __init__(
        self,
        names: Sequence[str],
        sets: Sequence[tuple[int, ...]],
        left_out: np.ndarray | None = None,
    ):
        self.names = tuple(names)
        self.sets = tuple(sets)
        self.left_out = np.zeros(len(names), dtype=bool) if left_out is None else left_out
        self.several = bool(sets)
        self._members = np.eye(len(names), dtype=np.int64)
        if sets:
            self._members = np.zeros((len(sets), len(names)), dtype=np.int64)
            for position, ids in enumerate(sets):
                self._members[position, list(ids)] = 1

    def counts(self, label: np.ndarray) -> np.ndarray:
        """Rows of each class, int64 (C,).

        Args:
            label: Ids, or positions in the sets, int (n,).
        """
        return np.asarray(np.bincount(label, minlength=len(self._members)) @ self._members)

    def strata(self, label: np.ndarray) -> np.ndarray:
        """The stratum of each row, int (n,): its class, or the rarest of its classes.

        Iterative stratification also begins with the rarest class (Sechidis, Tsoumakas and
        Vlahavas 2011, On the Stratification of Multi-Label Data). This does one pass. Rows
        without a label are a stratum of their own.
        """
        if not self.several:
            return label
        counts = np.where(self._members, self.counts(label), np.iinfo(np.int64).max)
        rarest = np.where(self._members.any(axis=1), counts.argmin(axis=1), len(self.names))
        return np.asarray(rarest[label])

    def without_rare(self, label: np.ndarray, fewest: int) -> "Classes":
        """Leave out classes with too few rows, until every other class has enough.

        Args:
            label: Label of each row, int (n,).
            fewest: Rows that a class needs to stay.
        """
        rare = np.zeros(len(self.names), dtype=bool)
        while not ((found := self.counts(label[~self._has(label, rare)]) < fewest) <= rare).all():
            rare |= found
        return Classes(self.names, self.sets, rare)

    def is_left_out(self, label: np.ndarray) -> np.ndarray:
        """Whether each row has a class that is left out, bool (n,)."""
        return self._has(label, self.left_out)

    def _has(self, label: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        return np.asarray((self._members @ chosen > 0)[label])

    def check(self, label: np.ndarray) -> None:
        """See that there are at least two classes, and rows enough of each for three splits.

        Raises:
            DataError: Names the classes.
        """
        counts = self.counts(label)
        present = [name for name, count in zip(self.names, counts, strict=True) if count]
        if len(present) < 2:
            found = f"only {present[0]!r:.60}" if present else "none"
            raise DataError(
                f"Expected rows of at least two classes, found {found}. "
                "Check data.label_column, data.labels and data.min_class_rows."
            )
        fewest = len(NAMES)
        if too_few := self._named(counts, (counts < fewest) & ~self.left_out):
            raise DataError(
                f"{len(too_few):,} of {len(self.names):,} classes have too few usable rows, in "
                f"parentheses: {listed(too_few)}. Each needs at least {fewest}, one for each of "
                f"{', '.join(NAMES)}. "
                f"Bring more rows of them{self._advice(counts, fewest)}."
            )

    def check_splits(self, label: np.ndarray, split: np.ndarray, notes: Sequence[str]) -> None:
        """See that each split has a row of each class.

        Args:
            label: Label of each row, int (n,).
            split: Where each row goes, int8 (n,).
            notes: What else was noticed, in sentences; some of it may be why.

        Raises:
            DataError: Names the classes and the split.
        """
        counts = self.counts(label)
        for index, name in enumerate(NAMES):
            absent = (self.counts(label[split == index]) == 0) & ~self.left_out
            if not absent.any():
                continue
            usable = self._named(counts, absent)
            raise DataError(
                f"The {name} split has no row of {len(usable):,} of {len(self.names):,} classes, "
                f"whose usable rows are in parentheses: {listed(usable)}. "
                "Bring more rows of them, make that split or the sample larger"
                f"{self._advice(counts, max(usable.values()) + 1)}. {' '.join(notes)}".rstrip()
            )

    def _advice(self, counts: np.ndarray, fewest: int) -> str:
        """How to leave out the classes with fewer rows, if at least two classes would be left."""
        if (counts >= fewest).sum() < 2:
            return ""
        return f", or leave them out with --set data.min_class_rows={fewest}"

    def _named(self, counts: np.ndarray, chosen: np.ndarray) -> dict[str, int]:
        return {self.names[index]: int(counts[index]) for index in np.flatnonzero(chosen).tolist()}

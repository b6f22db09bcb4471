"""Which row goes where: a stratified sample by rank, and splits that no group of like texts crosses.

Ranks alone decide, so the outcome is the same on every machine and in any row order. Knows numbers
only, no texts.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from linnet.errors import DataError

NAMES = ("train", "validation", "test")
TRAIN, VALIDATION, TEST = range(3)
NOWHERE = -1


@dataclass(frozen=True)
class Rows:
    """The usable rows, as numbers.

    Attributes:
        label: Label ids, int (n,).
        rank: Of the clean text, uint64 (n,).
        tie: What decides between rows of one rank, uint64 (n,).
        group: Digest of what the row's text has in common with its group, uint64 (n,).
    """

    label: np.ndarray
    rank: np.ndarray
    tie: np.ndarray
    group: np.ndarray

    def __len__(self) -> int:
        return len(self.label)

    def take(self, index: np.ndarray) -> "Rows":
        """Some of the rows, by position or mask."""
        return Rows(self.label[index], self.rank[index], self.tie[index], self.group[index])


@dataclass
class Assignment:
    """Where each row goes.

    Attributes:
        split: int8 (n,): position in `NAMES`, or `NOWHERE`.
        notes: What could not be had as asked, in sentences.
    """

    split: np.ndarray
    notes: list[str] = field(default_factory=list)


def assign(
    rows: Rows, labels: Sequence[str], sample: int, validation_size: float, test_size: float, seed: int
) -> Assignment:
    """Sample and split.

    Args:
        rows: The usable rows.
        labels: Label names by id.
        sample: Rows for training and validation, or 0 for all but the test rows.
        validation_size: Share (below 1) or number of rows.
        test_size: The same; a share is of the sample where there is one, else of all rows.
        seed: Decides the order of the groups; that of the rows is decided by their ranks.

    Raises:
        DataError: A class has too few rows, or there is but one class.
    """
    assignment = Assignment(np.full(len(rows), NOWHERE, dtype=np.int8))
    counts = np.bincount(rows.label, minlength=len(labels))
    _check_classes(counts, labels)
    if sample >= len(rows):
        assignment.notes.append(f"The sample of {sample:,} rows takes in all {len(rows):,} usable rows.")
        sample = 0
    total = sample or len(rows)
    validation, test = _size(validation_size, total), _size(test_size, total)
    needed = validation if sample else validation + test
    if needed >= total:
        raise DataError(
            f"Of {total:,} rows, validation takes {validation:,} and test {test:,}: none is left to train on. "
            "Lower data.validation_size or data.test_size, or bring more rows."
        )
    if sample:
        _assign_sample(rows, counts, labels, (sample, validation, test), seed, assignment)
    else:
        _assign_all(rows, counts, labels, (validation, test), seed, assignment)
    _check_splits(rows, labels, assignment, must_test=not sample)
    return assignment


def _assign_all(
    rows: Rows, counts: np.ndarray, labels: Sequence[str], sizes: tuple[int, int], seed: int, assignment: Assignment
) -> None:
    validation, test = sizes
    left = np.arange(len(rows))
    for split, size in ((TEST, test), (VALIDATION, validation)):
        chosen = _fill(rows.take(left), quotas(counts, size), seed)
        assignment.split[left[chosen]] = split
        _note_shortfall(assignment, split, size, int(chosen.sum()))
        left = left[~chosen]
    assignment.split[left] = TRAIN


def _assign_sample(
    rows: Rows,
    counts: np.ndarray,
    labels: Sequence[str],
    sizes: tuple[int, int, int],
    seed: int,
    assignment: Assignment,
) -> None:
    sample, validation, test = sizes
    by_rank = np.lexsort((rows.tie, rows.rank))
    sampled = _first(by_rank[::-1], rows.label, quotas(counts, sample, at_least=2))
    chosen = _fill(rows.take(sampled), quotas(np.bincount(rows.label[sampled]), validation), seed)
    assignment.split[sampled] = np.where(chosen, VALIDATION, TRAIN)
    _note_shortfall(assignment, VALIDATION, validation, int(chosen.sum()))
    # The other end of the ranks, so that a larger sample leaves the test rows alone for long.
    outside = by_rank[~np.isin(rows.group[by_rank], rows.group[sampled])]
    tested = _first(outside, rows.label, quotas(counts, test))
    assignment.split[tested] = TEST
    _note_shortfall(assignment, TEST, test, len(tested))


def _first(order: np.ndarray, label: np.ndarray, quota: np.ndarray) -> np.ndarray:
    ordered = label[order]
    return np.concatenate([order[ordered == index][:size] for index, size in enumerate(quota)])


def quotas(counts: np.ndarray, size: int, at_least: int = 1) -> np.ndarray:
    """Rows of each class in a stratified part, by largest remainders; they sum to `size`.

    Args:
        counts: Rows of each class.
        size: Rows of the part, fewer than there are.
        at_least: What even the smallest class gets, as long as the larger ones can give it.
    """
    share, remainder = np.divmod(counts * size, counts.sum())
    rest = np.argsort(-remainder, kind="stable")
    share[rest[: size - share.sum()]] += 1
    while share.min() < at_least < share.max():
        share[share.argmin()] += 1
        share[share.argmax()] -= 1
    return share


def _fill(rows: Rows, quota: np.ndarray, seed: int) -> np.ndarray:
    """Choose whole groups in the order of their ranks until each class has its quota; bool (n,).

    A group that would overshoot is left out, and smaller ones that follow fill its place.
    """
    groups, group_of_row = np.unique(_mix(rows.group, seed), return_inverse=True)
    members = np.argsort(group_of_row, kind="stable")
    edges = np.concatenate([[0], np.cumsum(np.bincount(group_of_row, minlength=len(groups)))]).tolist()
    labels = rows.label[members].tolist()
    open_places = quota.tolist()
    places = sum(open_places)
    chosen = np.zeros(len(groups), dtype=bool)
    for group in range(len(groups)):
        if not places:
            break
        inside = labels[edges[group] : edges[group + 1]]
        if all(inside.count(label) <= open_places[label] for label in set(inside)):
            chosen[group] = True
            places -= len(inside)
            for label in inside:
                open_places[label] -= 1
    return chosen[group_of_row]


def _mix(values: np.ndarray, seed: int) -> np.ndarray:
    """A seeded one-to-one shuffle of uint64 values: the finaliser of splitmix64 (Steele et al. 2014)."""
    mixed = values + np.uint64((seed * 0x9E3779B97F4A7C15 + 0x9E3779B97F4A7C15) % 2**64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))


def _size(size: float, total: int) -> int:
    # As in scikit-learn's train_test_split: an integer counts, a share is rounded up.
    return size if isinstance(size, int) else math.ceil(round(size * total, 6))


def _check_classes(counts: np.ndarray, labels: Sequence[str]) -> None:
    present = [label for label, count in zip(labels, counts, strict=True) if count]
    if len(present) < 2:
        found = f"only {present[0]!r}" if present else "none"
        raise DataError(
            f"Expected rows of at least two classes, found {found}. Check data.label_column and data.labels."
        )
    smallest = int(counts.argmin())
    if counts[smallest] < len(NAMES):
        raise DataError(
            f"The class {labels[smallest]!r} has {counts[smallest]} usable row(s); it needs at least {len(NAMES)}, one "
            f"for each of {', '.join(NAMES)} (there are {len(labels)} classes). Bring more rows of it, or take it out."
        )


def _check_splits(rows: Rows, labels: Sequence[str], assignment: Assignment, must_test: bool) -> None:
    for split, name in enumerate(NAMES):
        counts = np.bincount(rows.label[assignment.split == split], minlength=len(labels))
        for empty in np.flatnonzero(counts == 0).tolist():
            if split == TEST and not must_test:
                assignment.notes.append(f"The test split has no row of the class {labels[empty]!r}.")
                continue
            raise DataError(
                f"The class {labels[empty]!r} has {int((rows.label == empty).sum())} usable row(s), too few for the "
                f"{name} split. Bring more rows of it, make that split or the sample larger, or take the class out."
            )


def _note_shortfall(assignment: Assignment, split: int, wanted: int, got: int) -> None:
    if got < wanted:
        why = "no more rows are left" if split == TEST else "groups of like texts are not torn apart"
        assignment.notes.append(f"The {NAMES[split]} split has {got:,} rows, not the {wanted:,} asked for: {why}.")

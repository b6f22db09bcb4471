"""Assign rows to a stratified sample and to splits; a group of similar texts stays in one split.

Only ranks decide, so the result is the same on every machine and in any row order. Knows numbers
only, no texts.
"""

import math
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from linnet.data.group.texts import starts
from linnet.errors import DataError

NAMES = ("train", "validation", "test")
TRAIN, VALIDATION, TEST = range(3)
NOWHERE = -1
WHOLE = "groups of like texts are not torn apart"
GROUPS_AT_ONCE = 65_536
STUCK = f"rows stay in the split they were in, and {WHOLE}"


@dataclass(frozen=True)
class Rows:
    """The usable rows, as numbers.

    Attributes:
        label: The class or other stratum of each row, int (n,).
        rank: Rank of the clean text, uint64 (n,).
        tie: Order of rows with the same rank, uint64 (n,).
        group: Digest that identifies the row's group, uint64 (n,).
        fixed: Predetermined split of the row and its whole group, or `NOWHERE`, int8 (n,).
    """

    label: np.ndarray
    rank: np.ndarray
    tie: np.ndarray
    group: np.ndarray
    fixed: np.ndarray

    def __len__(self) -> int:
        return len(self.label)


@dataclass
class Assignment:
    """The split of each row.

    Attributes:
        split: int8 (n,): position in `NAMES`, or `NOWHERE`.
        notes: Sentences about requests that could not be met.
    """

    split: np.ndarray
    notes: list[str] = field(default_factory=list)

    def note_shortfall(self, split: int, wanted: int, why: str) -> None:
        """Add a note if a split has fewer rows than requested."""
        got = int((self.split == split).sum())
        if got < wanted:
            self.notes.append(
                f"The {NAMES[split]} split has {got:,} rows, not the {wanted:,} asked for: {why}."
            )


def sizes_of(
    total: int, validation_size: float, test_size: float, test_is_apart: bool
) -> tuple[int, int]:
    """Rows of the validation and of the test split.

    Args:
        total: Rows there are, or the sample.
        validation_size: Share (below 1) or number of rows.
        test_size: The same.
        test_is_apart: Whether the test rows come on top of the total.

    Raises:
        DataError: Nothing would be left to train on.
    """
    validation = _size(validation_size, total)
    test = _size(test_size, total)
    if validation + (0 if test_is_apart else test) >= total:
        raise DataError(
            f"Validation takes {validation:,} and test {test:,} of {total:,} rows. "
            "None is left to train on. "
            "Lower data.validation_size or data.test_size, or bring more rows."
        )
    return validation, test


def assign(
    rows: Rows, sample: int, validation_size: float, test_size: float, seed: int
) -> Assignment:
    """Sample and split.

    Args:
        rows: The usable rows.
        sample: Rows for training and validation, or 0 for all but the test rows.
        validation_size: Share (below 1) or number of rows.
        test_size: The same; a share is of the sample where there is one, else of all rows.
        seed: Decides the order of the groups; that of the rows is decided by their ranks.

    Raises:
        DataError: Nothing would be left to train on.
    """
    assignment = Assignment(rows.fixed.copy())
    if sample >= len(rows):
        assignment.notes.append(
            f"The sample of {sample:,} rows takes in all {len(rows):,} usable rows."
        )
        sample = 0
    validation, test = sizes_of(
        sample or len(rows), validation_size, test_size, test_is_apart=bool(sample)
    )
    if sample:
        _assign_sample(rows, (sample, validation, test), seed, assignment)
    else:
        _assign_all(rows, (validation, test), seed, assignment)
    return assignment


def _assign_all(rows: Rows, sizes: tuple[int, int], seed: int, assignment: Assignment) -> None:
    counts = np.bincount(rows.label)
    split = assignment.split
    left = np.flatnonzero(split == NOWHERE)
    for target, size in zip((TEST, VALIDATION), reversed(sizes), strict=True):
        quota = _still_open(quotas(counts, size), rows.label[split == target])
        chosen = _fill(rows.label[left], rows.group[left], quota, seed)
        split[left[chosen]] = target
        assignment.note_shortfall(target, size, STUCK if (rows.fixed != NOWHERE).any() else WHOLE)
        left = left[~chosen]
    split[left] = TRAIN


def _assign_sample(
    rows: Rows, sizes: tuple[int, int, int], seed: int, assignment: Assignment
) -> None:
    sample, validation, test = sizes
    counts = np.bincount(rows.label)
    split = assignment.split
    by_rank = np.lexsort((rows.tie, rows.rank))
    free = by_rank[split[by_rank] == NOWHERE]
    before = rows.label[(split == TRAIN) | (split == VALIDATION)]
    sampled = _first(
        free[::-1], rows.label, _still_open(quotas(counts, sample, at_least=2), before)
    )
    in_all = np.bincount(np.concatenate([before, rows.label[sampled]]), minlength=len(counts))
    quota = _still_open(quotas(in_all, validation), rows.label[split == VALIDATION])
    split[sampled] = np.where(
        _fill(rows.label[sampled], rows.group[sampled], quota, seed), VALIDATION, TRAIN
    )
    assignment.note_shortfall(VALIDATION, validation, WHOLE)
    # The other end of the ranks, so that a larger sample leaves the test rows alone for long.
    inside = rows.group[(split == TRAIN) | (split == VALIDATION)]
    outside = free[~np.isin(rows.group[free], inside)]
    split[
        _first(outside, rows.label, _still_open(quotas(counts, test), rows.label[split == TEST]))
    ] = TEST
    assignment.note_shortfall(TEST, test, "no more rows are left")


def _still_open(quota: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """What is left of a quota, given the labels of the rows that are there already."""
    return np.maximum(quota - np.bincount(taken, minlength=len(quota)), 0)


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


def _fill(label: np.ndarray, group: np.ndarray, quota: np.ndarray, seed: int) -> np.ndarray:
    """Choose whole groups in the order of their ranks until each class has its quota; bool (n,).

    A group that would overshoot is left out, and smaller ones that follow fill its place.
    """
    mixed = mix(group, seed)
    members = np.argsort(mixed, kind="stable")
    edges = np.append(np.flatnonzero(starts(mixed[members])), len(members))
    del mixed
    open_places = quota.tolist()
    places = sum(open_places)
    chosen = np.zeros(len(group), dtype=bool)
    for block in range(
        0, len(edges) - 1, GROUPS_AT_ONCE
    ):  # of Python's numbers, which take much more memory
        part = edges[block : block + GROUPS_AT_ONCE + 1].tolist()
        labels = label[members[part[0] : part[-1]]].tolist()
        for first, last in pairwise(part):
            if not places:
                return chosen
            inside = labels[first - part[0] : last - part[0]]
            if all(inside.count(one) <= open_places[one] for one in set(inside)):
                chosen[members[first:last]] = True
                places -= len(inside)
                for one in inside:
                    open_places[one] -= 1
    return chosen


def mix(values: np.ndarray, seed: int) -> np.ndarray:
    """Permute uint64 values by a seed: the finaliser of splitmix64 (Steele et al. 2014)."""
    mixed = values + np.uint64((seed * 0x9E3779B97F4A7C15 + 0x9E3779B97F4A7C15) % 2**64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))


def _size(size: float, total: int) -> int:
    # As in scikit-learn's train_test_split: an integer counts, a share is rounded up.
    return size if isinstance(size, int) else math.ceil(round(size * total, 6))

"""Assign every clean row to a split, or drop it with a reason."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from linnet.config import DataConfig
from linnet.data.group.join import join
from linnet.data.group.texts import distinct, resolve, starts
from linnet.data.split.assign import NOWHERE, TEST, VALIDATION, Assignment, Rows, assign
from linnet.data.split.by_time import assign_by_time
from linnet.data.split.classes import Classes
from linnet.data.split.sources import Sources, drop_mixed, with_sources
from linnet.errors import DataError

MAIN = 0
LARGE_GROUP = 0.1


@dataclass(frozen=True)
class RowTable:
    """Columns of numbers about the clean rows; each array has the shape (n,).

    Attributes:
        classes: The classes behind the labels.
        label: Ids, or positions in the sets of `classes`, int32.
        rank: Rank of the clean text, uint64.
        text: Digest of the clean text, uint64.
        group: Digest of the group, which must stay in one split, uint64.
        row: Digest of the whole row, uint64.
        origin: 0 for the raw file; else the position in `NAMES` of the split with this file, int8.
        before: The previous split of the text, or `NOWHERE`, int8.
        author: Digest of the group column, 0 if empty, uint64; None without such a column.
        when: datetime64, NaT if missing; None if the split is not by time.
        sources: Where the labels come from; None if nothing says so.
    """

    classes: Classes
    label: np.ndarray
    rank: np.ndarray
    text: np.ndarray
    group: np.ndarray
    row: np.ndarray
    origin: np.ndarray
    before: np.ndarray
    author: np.ndarray | None = None
    when: np.ndarray | None = None
    sources: Sources | None = None


@dataclass
class Placement:
    """The split of each row, and the dropped rows by reason.

    Attributes:
        split: int8 (n,), position in `NAMES`, or `NOWHERE`.
        dropped: Number of rows in no split, by reason.
        found: Counts of texts, copies, conflicts and groups.
        notes: Sentences about requests that could not be met.
        left_out: Classes with too few rows, bool (C,). All of their rows are dropped.
    """

    split: np.ndarray
    dropped: Counter[str] = field(default_factory=Counter)
    found: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    left_out: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=bool))


def assign_rows(table: RowTable, settings: DataConfig) -> Placement:
    """Assign every row to a split.

    Raises:
        DataError: A class has too few rows, or no row is left to train on.
    """
    placement = Placement(np.full(len(table.label), NOWHERE, dtype=np.int8))
    group = table.group if table.author is None else join(table.group, table.author)
    remaining = _Remaining(placement.dropped, np.arange(len(table.label)))
    if table.when is not None:
        remaining.drop("no_date", np.isnat(table.when))
    # A row of a split's own file keeps its split, so similar rows elsewhere are dropped.
    for split, reason in ((TEST, "in_test_file"), (VALIDATION, "in_validation_file")):
        apart = distinct(group[remaining.rows][table.origin[remaining.rows] == split])
        remaining.drop(
            reason, np.isin(group, apart) & (table.origin != split) & (table.origin != TEST)
        )
    before = table.before
    if table.sources:
        drop_mixed(table.sources, remaining.rows, group, table.text, before, remaining.drop)
        before = with_sources(table.sources, group, before, settings.seed)
    rows = remaining.rows
    resolution = resolve(
        table.text[rows],
        table.label[rows],
        table.row[rows],
        settings.duplicates,
        settings.conflicts,
    )
    remaining.drop_some("conflicting_labels", resolution.conflicting)
    remaining.drop_some("duplicate", resolution.duplicate[~resolution.conflicting])
    remaining.check()
    label = table.label[remaining.rows]
    classes = table.classes.without_rare(label, settings.min_class_rows)
    placement.left_out = classes.left_out
    remaining.drop_some("rare_class", classes.is_left_out(label))
    remaining.check()
    classes.check(table.label[remaining.rows])
    placement.found = resolution.counts | _group_counts(group[remaining.rows])
    if (largest := placement.found["largest_group"]) > LARGE_GROUP * len(remaining.rows):
        placement.notes.append(
            f"One group of similar texts{' or of one author' if table.author is not None else ''} "
            f"has {largest:,} of {len(remaining.rows):,} rows. They all go to one split."
        )
    own_file = table.origin[remaining.rows] != MAIN
    placement.split[remaining.rows[own_file]] = table.origin[remaining.rows[own_file]]
    remaining.rows = remaining.rows[~own_file]
    remaining.check()
    _assign(table, group, before, remaining, placement, settings)
    classes.check_splits(table.label, placement.split, placement.notes)
    return placement


class _Remaining:
    """The rows that have no split yet."""

    def __init__(self, dropped: Counter[str], rows: np.ndarray):
        self._dropped = dropped
        self.rows = rows

    def drop(self, reason: str, mask: np.ndarray) -> None:
        """Drop rows by a mask over all rows."""
        self.drop_some(reason, mask[self.rows])

    def drop_some(self, reason: str, mask: np.ndarray) -> None:
        """Drop rows by a mask over those remaining."""
        self._dropped[reason] += int(mask.sum())
        self.rows = self.rows[~mask]

    def check(self) -> None:
        """Check that rows are left.

        Raises:
            DataError: None is left; the message lists the reasons.
        """
        if not len(self.rows):
            reasons = ", ".join(
                f"{reason}: {count:,}" for reason, count in self._dropped.most_common() if count
            )
            raise DataError(
                f"No row is left to split ({reasons}). "
                "Look at the labels and at [data] of the settings."
            )


def _assign(
    table: RowTable,
    group: np.ndarray,
    before: np.ndarray,
    remaining: _Remaining,
    placement: Placement,
    settings: DataConfig,
) -> None:
    fixed = before[remaining.rows]
    torn = np.zeros(len(fixed), dtype=bool)
    if table.when is None:
        fixed, torn = _stay(fixed, group[remaining.rows])
    remaining.drop_some("between_splits", torn)
    rows = remaining.rows
    strata = table.classes.strata(table.label[rows])
    present = np.bincount(strata) > 0
    strata = (np.cumsum(present, dtype=np.int32) - 1)[strata]
    usable = Rows(strata, table.rank[rows], table.row[rows], group[rows], fixed[~torn])
    sizes = (
        0 if settings.validation_file else settings.validation_size,
        0 if settings.test_file else settings.test_size,
    )
    assignment: Assignment
    if table.when is None:
        assignment = assign(usable, settings.sample, *sizes, settings.seed)
    else:
        assignment, later = assign_by_time(
            usable, table.when[rows], settings.sample, *sizes, settings.seed
        )
        placement.dropped["copy_of_earlier"] = int(later.sum())
    placement.split[rows] = assignment.split
    placement.notes += assignment.notes
    placement.dropped["not_sampled"] = (
        int((assignment.split == NOWHERE).sum()) - placement.dropped["copy_of_earlier"]
    )


def _stay(before: np.ndarray, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give all rows of a group the split that some of them had before.

    Returns:
        The split or `NOWHERE`, int8 (n,), and the rows to drop, bool (n,). Dropped rows are new
        and would join groups that were in different splits.
    """
    old = before != NOWHERE
    if not old.any():
        return before, old
    _, member = np.unique(group, return_inverse=True)
    lowest = np.full(int(member.max(initial=-1)) + 1, TEST + 1, dtype=np.int8)
    highest = np.full(len(lowest), NOWHERE, dtype=np.int8)
    np.minimum.at(lowest, member[old], before[old])
    np.maximum.at(highest, member[old], before[old])
    torn = (highest > lowest)[member]
    fixed = np.where(torn, before, highest[member])
    return fixed, torn & ~old


def _group_counts(group: np.ndarray) -> dict[str, int]:
    edges = np.flatnonzero(starts(np.sort(group)))
    sizes = np.diff(edges, append=len(group))
    return {
        "groups": len(sizes),
        "groups_of_several": int((sizes > 1).sum()),
        "rows_in_groups_of_several": int(sizes[sizes > 1].sum()),
        "largest_group": int(sizes.max(initial=0)),
    }

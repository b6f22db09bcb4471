"""Split by time: train on the oldest rows and test on the newest, as in production."""

import numpy as np

from linnet.data.split.assign import (
    NOWHERE,
    TEST,
    TRAIN,
    VALIDATION,
    Assignment,
    Rows,
    assign,
    sizes_of,
)


def assign_by_time(
    rows: Rows, when: np.ndarray, sample: int, validation_size: float, test_size: float, seed: int
) -> tuple[Assignment, np.ndarray]:
    """Split by time: train is older than validation, and validation is older than test.

    Args:
        rows: The usable rows. Those with a fixed split go there, whatever their time.
        when: Time of each row, datetime64 (n,), without NaT.
        sample: Rows for training and validation, or 0 for all but the test rows.
        validation_size: Share (below 1) or number of rows.
        test_size: The same; a share is of the sample where there is one, else of all rows.
        seed: Seed of the sample.

    Returns:
        The assignment, and the rows left out because an earlier split has a similar
        text, bool (n,).

    Raises:
        DataError: No row is left to train on.
    """
    notes: list[str] = []
    chosen = np.arange(len(rows))
    if sample and sample < len(rows):
        drawn = assign(rows, sample, validation_size, test_size, seed)
        chosen = np.flatnonzero(drawn.split != NOWHERE)
        notes = drawn.notes
    validation, test = sizes_of(
        min(sample or len(rows), len(rows)), validation_size, test_size, bool(sample)
    )
    chosen = chosen[rows.fixed[chosen] == NOWHERE]
    order = chosen[np.lexsort((rows.tie[chosen], rows.rank[chosen], when[chosen]))]
    split = np.full(len(rows), NOWHERE, dtype=np.int8)
    first_test = _boundary(when[order], len(order) - test)
    first_validation = _boundary(when[order], first_test - validation)
    split[order] = TRAIN
    split[order[first_validation:]] = VALIDATION
    split[order[first_test:]] = TEST
    assignment = Assignment(split, notes)
    later = _later_copies(rows.group, split)
    split[later] = NOWHERE
    later |= _torn(rows, split)
    fixed = (rows.fixed != NOWHERE) & ~later
    split[fixed] = rows.fixed[fixed]
    for target, size in ((VALIDATION, validation), (TEST, test)):
        assignment.note_shortfall(
            target,
            size,
            "rows of one moment stay together, and copies of earlier texts are dropped",
        )
    return assignment, later


def _boundary(times: np.ndarray, place: int) -> int:
    """The nearest place where the time changes, so that rows of one moment stay together."""
    if not 0 < place < len(times):
        return max(place, 0)
    low = np.searchsorted(times, times[place], "left")
    high = np.searchsorted(times, times[place], "right")
    return int(low if place - low <= high - place else high)


def _torn(rows: Rows, split: np.ndarray) -> np.ndarray:
    """Rows with a fixed split whose group has rows in another split, bool (n,)."""
    torn = np.zeros(len(rows), dtype=bool)
    for target in (TRAIN, VALIDATION, TEST):
        fixed = rows.fixed == target
        elsewhere = (split != NOWHERE) & (split != target)
        torn |= fixed & np.isin(rows.group, rows.group[elsewhere])
    return torn


def _later_copies(group: np.ndarray, split: np.ndarray) -> np.ndarray:
    """Rows whose group has rows in an earlier split too."""
    used = np.flatnonzero(split != NOWHERE)
    _, member = np.unique(group[used], return_inverse=True)
    earliest = np.full(int(member.max(initial=-1)) + 1, TEST, dtype=np.int8)
    np.minimum.at(earliest, member, split[used])
    later = np.zeros(len(split), dtype=bool)
    later[used] = split[used] > earliest[member]
    return later

"""Every row has a place or a reason: by time, by author, by files of their own, and again with more rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linnet.data.group.join import join
from linnet.data.split.assign import NAMES, NOWHERE, TEST, TRAIN, VALIDATION, Rows
from linnet.data.split.assignment import _stay
from linnet.data.split.by_time import assign_by_time
from linnet.data.split.classes import Classes
from linnet.errors import DataError


def make_rows(count: int, groups: np.ndarray, seed: int) -> Rows:
    draw = np.random.default_rng(seed)
    rank, tie = (draw.integers(0, 2**62, count, dtype=np.uint64) for _ in range(2))
    return Rows(np.arange(count) % 2, rank, tie, groups, np.full(count, NOWHERE, dtype=np.int8))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.integers(1, 300), st.integers(1, 200), st.sampled_from([0, 120]))
def test_by_time_no_row_is_newer_than_those_it_is_tested_on(
    seed: int, times: int, groups: int, sample: int
) -> None:
    draw = np.random.default_rng(seed)
    rows = make_rows(300, draw.integers(0, groups, 300).astype(np.uint64), seed)
    when = np.datetime64("2009-06-16") + draw.integers(0, times, 300).astype("timedelta64[D]")
    assignment, later = assign_by_time(rows, when, sample, 0.2, 0.1, seed)
    split = assignment.split
    newest = [when[split == index].max(initial=np.datetime64("0001")) for index in range(3)]
    oldest = [when[split == index].min(initial=np.datetime64("9999")) for index in range(3)]
    assert newest[TRAIN] < oldest[VALIDATION]
    assert max(newest[TRAIN], newest[VALIDATION]) < oldest[TEST]
    for group in np.unique(rows.group):
        assert len(set(split[rows.group == group].tolist()) - {NOWHERE}) <= 1
    assert (split[later] == NOWHERE).all()
    if not sample:
        assert ((split == NOWHERE) == later).all()
    order = draw.permutation(300)
    again, _ = assign_by_time(
        Rows(*(values[order] for values in vars(rows).values())),
        when[order],
        sample,
        0.2,
        0.1,
        seed,
    )
    assert (again.split == split[order]).all()


def test_by_time_the_sizes_are_as_asked_where_moments_differ() -> None:
    rows = make_rows(1000, np.arange(1000, dtype=np.uint64), 1)
    when = np.datetime64("2020-01-01") + np.arange(1000).astype("timedelta64[h]")
    assignment, _ = assign_by_time(rows, when, 0, 0.2, 0.1, 0)
    assert np.bincount(assignment.split).tolist() == [700, 200, 100]
    assert assignment.notes == []
    assert (np.flatnonzero(assignment.split == TEST) >= 900).all()


def components_by_hand(group: list[int], other: list[int]) -> list[int]:
    names = list(group)
    for _ in names:
        for i in range(len(names)):
            for j in range(len(names)):
                if group[i] == group[j] or (other[i] and other[i] == other[j]):
                    names[i] = names[j] = min(names[i], names[j])
    return names


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 6), st.integers(0, 4)), max_size=12))
def test_groups_with_an_author_in_common_are_one(rows: list[tuple[int, int]]) -> None:
    group = [row[0] for row in rows]
    other = [row[1] for row in rows]
    found = join(np.array(group, dtype=np.uint64), np.array(other, dtype=np.uint64))
    assert found.tolist() == components_by_hand(group, other)


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.sampled_from([NOWHERE, TRAIN, VALIDATION, TEST])),
        max_size=20,
    )
)
def test_what_had_a_split_keeps_it_and_its_group_follows(rows: list[tuple[int, int]]) -> None:
    group = np.array([row[0] for row in rows], dtype=np.uint64)
    before = np.array([row[1] for row in rows], dtype=np.int8)
    fixed, torn = _stay(before, group)
    old = before != NOWHERE
    assert (fixed[old] == before[old]).all()
    assert not (torn & old).any()
    for name in np.unique(group):
        splits = set(before[(group == name) & old].tolist())
        new = (group == name) & ~old
        if len(splits) > 1:
            assert torn[new].all()
        else:
            assert not torn[new].any()
            assert set(fixed[new].tolist()) <= (splits or {NOWHERE})


def test_several_labels_are_counted_and_stratified_by_the_rarest() -> None:
    classes = Classes(("a", "b", "c"), ((), (0,), (0, 1), (1, 2)))
    label = np.array([1, 1, 1, 2, 2, 3, 0])
    assert classes.counts(label).tolist() == [5, 3, 1]
    # Rows without a label are a stratum of their own.
    assert classes.strata(label).tolist() == [0, 0, 0, 1, 1, 2, 3]


def test_classes_that_get_rare_as_others_go_are_left_out_too() -> None:
    classes = Classes(("a", "b", "c", "d"), ((0,), (1,), (1, 2), ()))
    label = np.array([0] * 5 + [1] * 2 + [2] * 2 + [3])
    assert classes.without_rare(label, 0).left_out.tolist() == [False] * 4
    assert classes.without_rare(label, 1).left_out.tolist() == [False, False, False, True]
    # "b" has four rows, but two of them go with "c".
    without = classes.without_rare(label, 3)
    assert without.left_out.tolist() == [False, True, True, True]
    assert without.is_left_out(label).tolist() == [False] * 5 + [True] * 4 + [False]
    # Of one class no three splits are made, so the advice to leave others out is not given.
    with pytest.raises(DataError, match=r"'c' \(2\), 'd' \(0\).*Bring more rows of them\.$"):
        Classes(("a", "c", "d"), ()).check(np.array([0] * 5 + [1] * 2))


@pytest.mark.parametrize("split", [TRAIN, VALIDATION, TEST])
def test_a_split_without_a_class_names_both(split: int) -> None:
    classes = Classes(("a", "b"), ())
    label = np.array([0, 1] * 3)
    places = np.array([0, 0, 1, 1, 2, 2], dtype=np.int8)
    classes.check_splits(label, places, [])
    places[2 * split + 1] = (split + 1) % 3
    with pytest.raises(DataError, match=f"The {NAMES[split]} split has no row of .*: 'b' .3."):
        classes.check_splits(label, places, [])

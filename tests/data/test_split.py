"""Sizes are exact where groups allow, classes keep their shares, no group crosses, no order matters."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from linnet.data.split.assign import NAMES, NOWHERE, TEST, TRAIN, VALIDATION, Rows, assign, quotas
from linnet.data.split.classes import Classes
from linnet.errors import DataError


def make_rows(
    labels: list[int] | np.ndarray, groups: np.ndarray | None = None, seed: int = 0
) -> Rows:
    draw = np.random.default_rng(seed)
    count = len(labels)
    rank, tie, own = (draw.integers(0, 2**62, count, dtype=np.uint64) for _ in range(3))
    free = np.full(count, NOWHERE, dtype=np.int8)
    return Rows(np.array(labels), rank, tie, own if groups is None else groups, free)


def sizes(split: np.ndarray) -> list[int]:
    return [int((split == index).sum()) for index in range(len(NAMES))]


@given(st.lists(st.integers(0, 500), min_size=2, max_size=8).filter(sum), st.data())
def test_quotas_sum_up_and_keep_the_shares(counts: list[int], data: st.DataObject) -> None:
    size = data.draw(st.integers(0, sum(counts)))
    found = quotas(np.array(counts), size, at_least=0)
    assert found.sum() == size
    assert (np.abs(found - np.array(counts) * size / sum(counts)) < 1).all()


def test_a_small_class_gets_a_place() -> None:
    assert quotas(np.array([10_000, 3]), 10).tolist() == [9, 1]
    assert quotas(np.array([10_000, 3]), 10, at_least=2).tolist() == [8, 2]


def test_the_sample_is_split_exactly() -> None:
    rows = make_rows(np.arange(30_000) % 2)
    split = assign(rows, 10_000, 0.2, 0.1, seed=42).split
    assert sizes(split) == [8_000, 2_000, 1_000]
    for index in range(3):
        low, high = np.bincount(rows.label[split == index])
        assert low == high
    # Of each class the highest ranks are the sample, the lowest are the test rows.
    sampled = (split == TRAIN) | (split == VALIDATION)
    for label in (rows.label == 0, rows.label == 1):
        assert (
            rows.rank[label & (split == TEST)].max() < rows.rank[label & (split == NOWHERE)].min()
        )
        assert rows.rank[label & (split == NOWHERE)].max() < rows.rank[label & sampled].min()


def test_counts_instead_of_shares() -> None:
    split = assign(make_rows(np.arange(1_000) % 2), 0, 150, 250, seed=1).split
    assert sizes(split) == [600, 150, 250]
    split = assign(make_rows(np.arange(1_000) % 2), 500, 100, 200, seed=1).split
    assert sizes(split) == [400, 100, 200]


def test_a_sample_larger_than_the_file_takes_all_and_says_so() -> None:
    assignment = assign(make_rows(np.arange(100) % 2), 1_000, 0.2, 0.1, seed=1)
    assert sizes(assignment.split) == [70, 20, 10]
    assert "takes in all 100 usable rows" in assignment.notes[0]


def test_a_sample_that_leaves_too_few_test_rows_says_so() -> None:
    assignment = assign(make_rows(np.arange(100) % 2), 95, 0.2, 0.1, seed=1)
    assert sizes(assignment.split)[2] < 10
    assert any(
        "The test split has" in note and "not the 10 asked for" in note for note in assignment.notes
    )


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.sampled_from([0, 150]), st.integers(2, 4), st.integers(1, 6))
def test_no_group_crosses_and_no_order_matters(
    seed: int, sample: int, classes: int, largest: int
) -> None:
    draw = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes).repeat(60), draw.integers(0, classes, 200)])
    groups = draw.integers(0, 2**62, len(labels), dtype=np.uint64)[
        draw.integers(0, len(labels), len(labels)) // largest
    ]
    rows = make_rows(labels, groups, seed)
    split = assign(rows, sample, 0.2, 0.2, seed).split
    for group in np.unique(groups):
        inside = set(split[groups == group].tolist()) - {NOWHERE}
        # Of a group that is sampled in part, the rest stays out; none of it is tested on.
        assert len(inside) <= 1
    order = draw.permutation(len(labels))
    assert (
        assign(
            Rows(*(values[order] for values in vars(rows).values())), sample, 0.2, 0.2, seed
        ).split
        == split[order]
    ).all()


def test_two_seeds_split_independently() -> None:
    rows = make_rows(np.arange(20_000) % 2)
    first, second = (assign(rows, 0, 0.3, 0.3, seed).split.astype(int) for seed in (1, 2))
    table = np.bincount(first * 3 + second, minlength=9).reshape(3, 3)
    assert stats.chi2_contingency(table).pvalue > 1e-4


@pytest.mark.parametrize(
    ("labels", "names", "sample", "validation", "test", "message"),
    [
        ([0] * 50, ("a",), 0, 0.2, 0.1, "only 'a'"),
        ([0] * 50, ("a", "b"), 0, 0.2, 0.1, "only 'a'"),
        (
            [0] * 50 + [1] * 2,
            ("a", "b"),
            0,
            0.2,
            0.1,
            "1 of 2 classes have too few usable rows, in parentheses: 'b' .2.\\.",
        ),
        (
            [0] * 50 + [1] * 50 + [2] * 0,
            ("a", "b", "c"),
            0,
            0.2,
            0.1,
            "too few .* 'c' .0.. Each needs at least 3.*leave them out with --set data.min_class_rows=3",
        ),
        ([0, 1] * 50, ("a", "b"), 0, 60, 40, "None is left to train on"),
        ([0, 1] * 50, ("a", "b"), 20, 20, 10, "None is left to train on"),
        ([0, 1, 2] * 50, ("a", "b", "c"), 2, 0.2, 0.1, "make that split or the sample larger"),
        (
            [0, 1, 2] * 50,
            ("a", "b", "c"),
            0,
            2,
            30,
            "The validation split has no row of 1 of 3 classes, .*: 'c' .50.. Bring more rows of them, ",
        ),
    ],
)
def test_what_can_not_be_split_is_told(labels, names, sample, validation, test, message) -> None:
    classes = Classes(names, ())
    rows = make_rows(labels)
    with pytest.raises(DataError, match=message):
        classes.check(rows.label)
        classes.check_splits(rows.label, assign(rows, sample, validation, test, seed=0).split, [])

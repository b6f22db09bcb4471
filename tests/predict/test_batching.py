"""Batches hold every item once, within the budget, and padding adds nothing but padding."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from linnet.predict.batching import BATCH_COST, FEW, pad, token_budget_batches

LENGTHS = st.lists(st.integers(0, 600), max_size=200)


@given(LENGTHS, st.integers(1, 5000))
def test_every_index_once_and_within_the_budget(lengths: list[int], budget: int) -> None:
    batches = token_budget_batches(lengths, budget)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        assert batch
        assert len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= budget


@given(LENGTHS, st.integers(1, 5000))
def test_batches_go_from_long_to_short(lengths: list[int], budget: int) -> None:
    flat = [lengths[i] for batch in token_budget_batches(lengths, budget) for i in batch]
    assert flat == sorted(lengths, reverse=True)


@given(st.lists(st.integers(1, 600), min_size=FEW + 1, max_size=2 * FEW), st.integers(1, 5000))
def test_batches_of_many_are_full(lengths: list[int], budget: int) -> None:
    for batch in token_budget_batches(lengths, budget)[:-1]:  # one more would not have fitted
        assert (len(batch) + 1) * lengths[batch[0]] > budget


@given(st.lists(st.integers(1, 60), max_size=9), st.integers(1, 200))
def test_a_few_are_split_where_it_costs_least(lengths: list[int], budget: int) -> None:
    falling = sorted(lengths, reverse=True)

    def cost(batches: list[list[int]]) -> int:
        return sum(BATCH_COST + len(batch) * max(batch) for batch in batches)

    def splits(rest: list[int]) -> list[list[list[int]]]:
        if not rest:
            return [[]]
        ends = [n for n in range(1, len(rest) + 1) if n == 1 or n * rest[0] <= budget]
        return [[rest[:end], *others] for end in ends for others in splits(rest[end:])]

    found = [[lengths[i] for i in batch] for batch in token_budget_batches(lengths, budget)]
    assert cost(found) == min(map(cost, splits(falling)))


def test_equal_lengths_keep_their_order() -> None:
    assert token_budget_batches([3, 5, 3, 5, 3], 10) == [[1, 3], [0, 2, 4]]


def test_over_long_item_gets_a_batch_of_its_own() -> None:
    assert token_budget_batches([5, 900, 5], 100) == [[1], [0, 2]]


def test_nothing() -> None:
    assert token_budget_batches([], 100) == []


def test_little_padding() -> None:
    lengths = np.random.default_rng(0).integers(3, 128, 4000).tolist()
    padded = sum(
        len(batch) * max(lengths[i] for i in batch) for batch in token_budget_batches(lengths, 4096)
    )
    assert padded < 1.03 * sum(lengths)


@given(
    st.lists(st.lists(st.integers(0, 30000), max_size=40), min_size=1, max_size=20),
    st.integers(0, 5),
)
def test_pad(rows: list[list[int]], pad_id: int) -> None:
    input_ids, mask = pad(rows, pad_id)
    assert input_ids.dtype == mask.dtype == np.int64
    assert input_ids.shape == mask.shape == (len(rows), max(1, *map(len, rows)))
    for row, ids, seen in zip(rows, input_ids.tolist(), mask.tolist(), strict=True):
        assert ids == row + [pad_id] * (len(ids) - len(row))
        assert seen == [1] * len(row) + [0] * (len(ids) - len(row))

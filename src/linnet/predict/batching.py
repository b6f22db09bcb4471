"""Group texts of like length into batches of bounded size, so that little of a batch is padding."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

# What a batch costs besides its tokens, in tokens: an engine reads all weights once for each. A
# DistilBERT of base size took 3.0 ms and 0.19 ms a token in OpenVINO (INT8), 2.4 and 0.22 in ONNX
# Runtime (INT8): 16 and 11 tokens.
BATCH_COST = 16
FEW = 128  # items up to which the cheapest split is looked for; more leave little padding anyway


def token_budget_batches(lengths: Sequence[int], max_batch_tokens: int) -> list[list[int]]:
    """Split items into batches by length.

    Items are taken from long to short. A few are split where it costs least, by the padding and
    what a batch costs by itself (dynamic programming over the sorted lengths); of many a batch is
    closed where one more item would take its padded size, rows times longest row, past the budget.
    An item longer than the budget gets a batch of its own.

    Args:
        lengths: Tokens of each item.
        max_batch_tokens: Padded tokens a batch may have.

    Returns:
        Indices into `lengths`; each appears once.
    """
    order = np.argsort(-np.asarray(lengths, dtype=np.int64), kind="stable").tolist()
    falling = [max(lengths[i], 1) for i in order]
    ends = (
        _cheapest_ends(falling, max_batch_tokens)
        if len(order) <= FEW
        else _full_ends(falling, max_batch_tokens)
    )
    return [order[start:end] for start, end in pairwise([0, *ends])]


def _full_ends(lengths: Sequence[int], max_batch_tokens: int) -> list[int]:
    """Where batches of falling lengths end that are as full as can be."""
    ends = []
    start = 0
    while start < len(lengths):
        start = min(start + max(max_batch_tokens // lengths[start], 1), len(lengths))
        ends.append(start)
    return ends


def _cheapest_ends(lengths: Sequence[int], max_batch_tokens: int) -> list[int]:
    """Where batches of falling lengths end that cost least together."""
    items = len(lengths)
    # of what is left from an item on, and where its batch ends
    least = [0] * (items + 1)
    end_of = [0] * items
    for start in range(items - 1, -1, -1):
        longest = lengths[start]
        most = min(start + max(max_batch_tokens // longest, 1), items)
        costs = [longest * (end - start) + least[end] for end in range(start + 1, most + 1)]
        least[start] = BATCH_COST + min(costs)
        end_of[start] = start + 1 + costs.index(min(costs))
    ends = [0]
    while ends[-1] < items:
        ends.append(end_of[ends[-1]])
    return ends[1:]


def padding_share(lengths: Sequence[int], max_batch_tokens: int) -> float:
    """The share of padding in the computed tokens, if texts of these lengths are batched."""
    batches = token_budget_batches(lengths, max_batch_tokens)
    computed = sum(len(batch) * max(lengths[i] for i in batch) for batch in batches)
    return 1 - sum(lengths) / computed if computed else 0.0


def pad(rows: Sequence[Sequence[int]], pad_id: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Lay token ids of several lengths into one rectangle.

    Args:
        rows: Token ids of each text.
        pad_id: What fills the rest of a row.

    Returns:
        `input_ids` and `attention_mask`, both of shape (rows, longest row), at least one wide.
    """
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    mask = np.arange(lengths.max(initial=1)) < lengths[:, None]
    input_ids = np.full(mask.shape, pad_id, np.int64)
    input_ids[mask] = (
        np.concatenate([np.asarray(row, np.int64) for row in rows]) if len(rows) else []
    )
    return input_ids, mask.astype(np.int64)

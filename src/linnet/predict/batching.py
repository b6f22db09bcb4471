"""Group texts of like length into batches of bounded size, so that little of a batch is padding."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def token_budget_batches(lengths: Sequence[int], max_batch_tokens: int) -> list[list[int]]:
    """Split items into batches by length.

    Items are taken from long to short, and a batch is closed where one more item would take its padded
    size, rows times longest row, past the budget. An item longer than the budget gets a batch of its own.

    Args:
        lengths: Tokens of each item.
        max_batch_tokens: Padded tokens a batch may have.

    Returns:
        Indices into `lengths`; each appears once.
    """
    order = np.argsort(-np.asarray(lengths, dtype=np.int64), kind="stable").tolist()
    batches = []
    start = 0
    while start < len(order):
        longest = max(lengths[order[start]], 1)
        rows = max(max_batch_tokens // longest, 1)
        batches.append(order[start : start + rows])
        start += rows
    return batches


def padding_share(lengths: Sequence[int], max_batch_tokens: int) -> float:
    """What share of the tokens that are computed is padding, where texts of these lengths are batched."""
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
    input_ids[mask] = np.concatenate([np.asarray(row, np.int64) for row in rows]) if len(rows) else []
    return input_ids, mask.astype(np.int64)

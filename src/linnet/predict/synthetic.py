"""Rows of token ids in place of real texts, because a bundle holds none:

as long as those, of tokens by chance.
"""

from typing import Any

import numpy as np

FINGERPRINT_ROWS = 8  # rows by whose logits a variant is known again on another machine


def synthetic_rows(token_length_counts: Any, vocabulary: int, count: int) -> list[list[int]]:
    """Rows with the lengths of `token_length.counts` in reference.json.

    They are the same on every machine.

    Args:
        token_length_counts: How many texts have 0, 1, 2 ... tokens.
        vocabulary: Number of token ids.
        count: Rows to make.
    """
    counts = np.asarray(token_length_counts, np.int64)
    ordered = np.repeat(np.arange(len(counts)), counts)
    middles = (np.arange(count) + 0.5) / count * len(ordered)
    draw = np.random.default_rng(0)
    lengths = draw.permutation(ordered[middles.astype(np.int64)])
    return [draw.integers(vocabulary, size=max(length, 1)).tolist() for length in lengths.tolist()]

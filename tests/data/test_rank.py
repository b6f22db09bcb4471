"""A rank is uniform, says nothing about another seed's, and is what a program of doubles computes."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from linnet.data.group.rank import BITS, PRIME, ranks

ALPHA = 1e-4  # the seeds are fixed, so what passes once passes always


def rank_in_doubles(text: bytes, seed: int) -> int:
    """The same, the slow and plain way, as `scripts/preprocess_sentiment140.sh` has it."""
    halves = []
    for factor, offset in ((611953, 271828), (746773, 314159)):
        base = 65537.0 + (seed % 1000003 * factor + offset) % 1000003
        value = 1.0
        for byte in text:
            value = (value * base + byte) % PRIME
        for _ in range(3):
            value = value * (base + value % 1048576) % PRIME
        halves.append(int(value))
    return halves[0] << 31 | halves[1]


@given(st.lists(st.text(max_size=40).map(str.encode), max_size=50), st.integers(0, 2**31))
def test_is_what_doubles_give(texts: list[bytes], seed: int) -> None:
    assert ranks(texts, seed).tolist() == [rank_in_doubles(text, seed) for text in texts]


def test_long_texts_among_short_ones() -> None:
    texts = [b"x" * 5000, b"", b"a", *(b"%d" % number for number in range(100)), b"y" * 100_000]
    assert ranks(texts, 7).tolist() == [rank_in_doubles(text, 7) for text in texts]


def test_order_does_not_matter() -> None:
    texts = [b"text %d" % number for number in range(500)]
    assert ranks(texts[::-1], 3).tolist() == ranks(texts, 3)[::-1].tolist()


def test_is_uniform() -> None:
    for kind in (b"%d", b"a text that is nearly the same %d", b"%08d is first"):
        values = ranks([kind % number for number in range(50_000)], 42)
        for shift in (BITS - 6, BITS - 31 - 6, 31 - 6, 0):
            counts = np.bincount(
                (values >> np.uint64(shift)).astype(np.int64) & 63 if shift else values % 61
            )
            assert stats.chisquare(counts).pvalue > ALPHA


def test_seeds_are_independent() -> None:
    texts = [b"text %d" % number for number in range(50_000)]
    first = (ranks(texts, 42) >> np.uint64(BITS - 3)).astype(np.int64)
    for other in (0, 1, 43, 44, 1234):
        second = (ranks(texts, other) >> np.uint64(BITS - 3)).astype(np.int64)
        table = np.bincount(first * 8 + second, minlength=64).reshape(8, 8)
        assert stats.chi2_contingency(table).pvalue > ALPHA


def test_few_texts_share_a_rank() -> None:
    values = ranks([b"%d" % number for number in range(200_000)], 0)
    assert len(np.unique(values)) == 200_000

"""Rank a text: a seeded hash that decides its split, on any machine and in any row order.

Both halves are a polynomial in the text's UTF-8 bytes modulo the prime 2^31 - 1 (Carter and
Wegman 1979). The bases are below 2^21, so every step stays below 2^53. So a program that has only
doubles, such as awk, computes the same rank. `scripts/preprocess_sentiment140.sh` does.
"""

from collections.abc import Sequence

import numpy as np

PRIME = 2**31 - 1
BITS = 62
MODULUS = 1_000_003
FACTORS = (611_953, 746_773)
OFFSETS = (271_828, 314_159)
ROUNDS = 3
FEW = 32


def bases(seed: int) -> tuple[int, int]:
    """The two bases of a seed. Seeds that differ by a multiple of 1,000,003 share them."""
    first, second = (
        65_537 + (seed % MODULUS * factor + offset) % MODULUS
        for factor, offset in zip(FACTORS, OFFSETS, strict=True)
    )
    return first, second


def ranks(texts: Sequence[bytes], seed: int) -> np.ndarray:
    """Rank texts.

    Args:
        texts: n texts, UTF-8.
        seed: Another seed gives ranks that have nothing to do with these.

    Returns:
        uint64 (n,), below 2^62, as good as uniform.
    """
    base = np.array(bases(seed), dtype=np.uint64)[:, None]
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    order = np.argsort(-lengths, kind="stable")
    data = np.frombuffer(b"".join(texts), np.uint8)
    starts = (np.cumsum(lengths) - lengths)[order]
    hashes = np.ones((2, len(texts)), dtype=np.uint64)
    # Byte by byte over all texts that are that long; the few very long ones go one by one.
    longest_first = -lengths[order]
    vectorised = int(-longest_first[FEW]) if len(texts) > FEW else 0
    for position in range(vectorised):
        active = int(np.searchsorted(longest_first, -position))
        part = hashes[:, :active]
        part *= base
        part += data[starts[:active] + position]
        _fold(part)
    for index in range(min(FEW, len(texts))):
        tail = texts[order[index]][vectorised:]
        hashes[:, index] = [
            _horner(int(hashes[half, index]), int(base[half, 0]), tail) for half in (0, 1)
        ]
    hashes %= PRIME
    for _ in range(ROUNDS):
        hashes *= base + hashes % 2**20
        hashes %= PRIME
    result = np.empty(len(texts), dtype=np.uint64)
    result[order] = (hashes[0] << np.uint64(31)) | hashes[1]
    return result


def _fold(hashes: np.ndarray) -> None:
    # 2^31 is 1 modulo the prime, so the high bits are added to the low ones. The rest is
    # reduced later.
    high = hashes >> np.uint64(31)
    hashes &= np.uint64(PRIME)
    hashes += high


def _horner(start: int, base: int, tail: bytes) -> int:
    for byte in tail:
        start = (start * base + byte) % PRIME
    return start

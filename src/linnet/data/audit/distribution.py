"""Compare the splits: their classes, the lengths of their texts, their words.

Random splits also differ by chance. A permutation test measures by how much: each distance is
compared with 200 random deals of the rows, at four standard deviations above their mean. A random
split exceeds that about once in a thousand times. A split by time or by author usually does.
"""

from typing import Any

import numpy as np
from scipy import sparse

from linnet.data.audit.sample import Sample
from linnet.data.audit.words import tokens_of

ROWS = 5_000  # of a split
CHARACTERS = 1_000_000
WORDS = 1000
LENGTHS = 100  # bins of lengths, cut at quantiles
DEALS = 200
DEVIATIONS = 4
SEED = 42


def examine_distribution(train: Sample, other: Sample) -> dict[str, Any]:
    """Compare a split with the train split.

    Args:
        train: Train rows.
        other: Validation or test rows.

    Returns:
        `rows` of the two, and the comparison of `classes` (total variation), `lengths`
        (Kolmogorov-Smirnov, in characters) and `words` (Jensen-Shannon, base 2, over the 1,000 most
        frequent). Each has the `distance`, the bound by `chance`, and whether it `differs`, which
        means that the distance exceeds the bound.
    """
    texts = [sample.texts(ROWS, CHARACTERS) for sample in (train, other)]
    rows = [len(part) for part in texts]
    members = np.concatenate(
        [sample.members[:count] for sample, count in zip((train, other), rows, strict=True)]
    )
    both = [*texts[0], *texts[1]]
    features = {
        "classes": (sparse.csr_matrix(members, dtype=np.float64), _total_variation),
        "lengths": (_lengths(both), _kolmogorov_smirnov),
        "words": (_words(both), _jensen_shannon),
    }
    deals = _deals(*rows)
    return {
        "rows": rows,
        **{name: _compare(matrix, deals, far) for name, (matrix, far) in features.items()},
    }


def _deals(train: int, other: int) -> np.ndarray:
    """Train rows as 1.0, float (n, 1 + deals): the real ones first, then random permutations."""
    draw = np.random.default_rng(SEED)
    real = np.r_[np.ones(train), np.zeros(other)]
    return np.stack([real, *(draw.permutation(real) for _ in range(DEALS))], axis=1)


def _compare(features: sparse.csr_matrix, deals: np.ndarray, far: Any) -> dict[str, Any]:
    train = features.T @ deals
    both = np.asarray(features.sum(axis=0)).reshape(-1, 1)
    shares = [counts / np.maximum(counts.sum(axis=0), 1) for counts in (train, both - train)]
    distances = far(*shares)
    chance = float(distances[1:].mean() + DEVIATIONS * distances[1:].std())
    # Sums in another order differ in their last digit.
    return {
        "distance": round(float(distances[0]), 4),
        "chance": round(chance, 4),
        "differs": bool(distances[0] > chance + 1e-9),
    }


def _total_variation(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    return np.asarray(np.abs(p - q).sum(axis=0) / 2)


def _kolmogorov_smirnov(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    return np.asarray(np.abs(np.cumsum(p, axis=0) - np.cumsum(q, axis=0)).max(axis=0))


def _jensen_shannon(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    middle = (p + q) / 2

    def from_middle(r: np.ndarray) -> np.ndarray:
        ratio = np.divide(r, middle, out=np.ones_like(r), where=r > 0)
        return np.asarray((r * np.log2(ratio)).sum(axis=0))

    return np.asarray(np.sqrt(np.maximum((from_middle(p) + from_middle(q)) / 2, 0)))


def _lengths(texts: list[str]) -> sparse.csr_matrix:
    lengths = np.array([len(text) for text in texts])
    cuts = np.unique(np.quantile(lengths, np.linspace(0, 1, LENGTHS + 1), method="lower"))
    place = np.searchsorted(cuts, lengths, side="right")
    ones = np.ones(len(texts))
    return sparse.csr_matrix(
        (ones, (np.arange(len(texts)), place)), shape=(len(texts), len(cuts) + 1)
    )


def _words(texts: list[str]) -> sparse.csr_matrix:
    """Indicators of the most frequent tokens of each text.

    A repeated token counts once, because words come in clusters and texts do not.
    """
    sets = [tokens_of(text) for text in texts]
    counts: dict[str, int] = {}
    for tokens in sets:
        for token in tokens:
            counts[token] = counts.get(token, 0) + 1
    common = sorted(counts, key=lambda token: (-counts[token], token))[:WORDS]
    place = {token: index for index, token in enumerate(common)}
    found = [[place[token] for token in tokens if token in place] for tokens in sets]
    row = np.repeat(np.arange(len(texts)), [len(places) for places in found])
    column = np.array([index for places in found for index in places], dtype=np.int64)
    return sparse.csr_matrix((np.ones(len(row)), (row, column)), shape=(len(texts), len(common)))

"""Near-duplicates: texts that share nearly all their words, found among millions without comparing all pairs.

MinHash signatures (Broder 1997, On the Resemblance and Containment of Documents) are cut into bands, and
texts that agree on a whole band are candidates (Indyk and Motwani 1998); each candidate pair is then
measured exactly, so the bands cost recall only, never precision. Memory holds one key a band and row; the
words themselves wait on disk as 32-bit hashes.

Knows words; knows nothing of labels or splits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from linnet.data.group.texts import distinct

THRESHOLD = 0.8
"""Jaccard similarity of the sets of words from which two texts are near-duplicates."""
FEWEST_WORDS = 4  # of fewer words, texts that differ in one differ in more than a fifth
BANDS, ROWS_A_BAND = 8, 4  # a pair at the threshold is missed in 1.5 % of cases: (1 - 0.8^4)^8
PAIRS_AT_ONCE = 200_000
SEED = 20_090_616
SPACE, LINE_FEED = 32, 10
BASE = np.uint64(0x100000001B3)
GOLDEN = np.uint32(0x9E3779B1)


@dataclass(frozen=True)
class Sketches:
    """What near-duplicates among n texts are found by.

    Attributes:
        words: The hashes of each text's different words, in order, uint32 (words,).
        lengths: How many those are, int64 (n,).
        keys: Of each band, uint32 (bands, n).
    """

    words: np.ndarray
    lengths: np.ndarray
    keys: np.ndarray


def sketch(texts: Sequence[str]) -> Sketches:
    """Sketch normalised texts, all at once."""
    words, lengths = _hash_words(texts)
    owner = np.repeat(np.arange(len(lengths), dtype=np.uint64), lengths)
    codes = distinct((owner << np.uint64(32)) | words)
    words, lengths = codes.astype(np.uint32), np.bincount(_owner(codes), minlength=len(lengths))
    return Sketches(words, lengths, _band_keys(words, np.cumsum(lengths) - lengths))


class NearDuplicates:
    """Collects sketches, then says which texts belong together.

    Args:
        path: A file for the words, made here; `remove` deletes it.
    """

    def __init__(self, path: Path):
        self._path = path
        path.touch()
        self._lengths: list[np.ndarray] = []
        self._keys: list[np.ndarray] = []

    def add(self, sketches: Sketches) -> None:
        """Take the sketches of some texts, in the order of the rows."""
        with self._path.open("ab") as file:
            file.write(sketches.words.tobytes())
        self._lengths.append(sketches.lengths)
        self._keys.append(sketches.keys)

    def join(self, group: np.ndarray) -> np.ndarray:
        """Join groups of equal texts to groups of near-equal ones.

        Args:
            group: Digest of each row's normalised text, uint64 (n,), in the order of the rows added.

        Returns:
            uint64 (n,): the lowest digest of each joined group, whatever the order of the rows.
        """
        digests, first, inverse = np.unique(group, return_index=True, return_inverse=True)
        lengths = np.concatenate(self._lengths)
        starts = (np.cumsum(lengths) - lengths)[first]
        nodes = np.flatnonzero(lengths[first] >= FEWEST_WORDS)
        pairs = self._candidates(np.concatenate(self._keys, axis=1)[:, first[nodes]], len(nodes))
        pairs = nodes[pairs]
        sizes = lengths[first[pairs]]
        pairs = pairs[sizes.min(axis=1) >= THRESHOLD * sizes.max(axis=1)]  # others can't share so much
        near = pairs[self._similarity(pairs, starts, lengths[first]) >= THRESHOLD]
        links = coo_array((np.ones(len(near), np.int8), (near[:, 0], near[:, 1])), shape=(len(digests), len(digests)))
        _, component = connected_components(links, directed=False)
        # np.unique has sorted the digests, so the first member of a component is its lowest.
        lowest = np.unique(component, return_index=True)[1]
        return np.asarray(digests[lowest[component]][inverse])

    def remove(self) -> None:
        """Delete the file."""
        self._path.unlink()

    def _candidates(self, keys: np.ndarray, count: int) -> np.ndarray:
        """Pairs of neighbours within each bucket of each band, int (pairs, 2), each once."""
        found = [np.empty(0, dtype=np.int64)]
        for key in keys:
            order = np.argsort(key, kind="stable")
            same = key[order[1:]] == key[order[:-1]]
            left, right = order[:-1][same], order[1:][same]
            found.append(np.minimum(left, right) * count + np.maximum(left, right))
        codes = distinct(np.concatenate(found))
        return np.stack(np.divmod(codes, max(count, 1)), axis=1)

    def _similarity(self, pairs: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Jaccard similarity of the sets of words of each pair, float (pairs,)."""
        words = np.memmap(self._path, np.uint32, "r") if self._path.stat().st_size else np.empty(0, np.uint32)
        result = np.empty(len(pairs))
        for start in range(0, len(pairs), PAIRS_AT_ONCE):
            part = pairs[start : start + PAIRS_AT_ONCE]
            left, right = (_sets(words, starts[part[:, side]], lengths[part[:, side]]) for side in (0, 1))
            both = np.concatenate([left, right])
            both.sort(kind="stable")
            shared = np.bincount(_owner(both[1:][both[1:] == both[:-1]]), minlength=len(part))
            size = np.bincount(_owner(both), minlength=len(part))
            result[start : start + PAIRS_AT_ONCE] = shared / (size - shared)
        return result


def _band_keys(words: np.ndarray, starts: np.ndarray) -> np.ndarray:
    draw = np.random.default_rng(SEED)
    # Odd factors, so that each is a shuffle of all 2^32 hashes.
    factors = draw.integers(0, 2**31, (BANDS, ROWS_A_BAND), dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    offsets = draw.integers(0, 2**32, (BANDS, ROWS_A_BAND), dtype=np.uint32)
    keys = np.zeros((BANDS, len(starts)), dtype=np.uint32)
    for band in range(BANDS):
        for factor, offset in zip(factors[band], offsets[band], strict=True):
            least = np.minimum.reduceat(words * factor + offset, starts)
            keys[band] = (keys[band] ^ least) * GOLDEN
            keys[band] ^= keys[band] >> np.uint32(15)
    return keys


def _hash_words(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """A hash of each word, uint32 (words,), and how many words each text has, int64 (n,).

    The hash is a polynomial in the word's characters modulo 2^64, well mixed, of all words at once. A text without
    a word counts as one of an empty word.
    """
    characters = np.frombuffer(("\n".join(texts) + "\n").encode("utf-32-le"), np.uint32).astype(np.uint64)
    line_feed = characters == LINE_FEED
    between = line_feed | (characters == SPACE)
    ends = np.flatnonzero(between)
    starts = np.concatenate([[0], ends[:-1] + 1])
    sizes = ends - starts + 1  # with the space after it, which is made to count for nothing
    characters[between] = 0
    powers = np.cumprod(np.full(sizes.max(), BASE))
    characters *= powers[np.arange(len(characters)) - np.repeat(starts, sizes)]
    hashes = np.add.reduceat(characters, starts)
    hashes = (hashes ^ (hashes >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    return (hashes >> np.uint64(32)).astype(np.uint32), np.diff(np.flatnonzero(line_feed[ends]), prepend=-1)


def _sets(words: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The different words of each text as codes, in order: the text's number above, the word's hash below."""
    owner = np.repeat(np.arange(len(starts), dtype=np.uint64), lengths)
    place = np.repeat(starts - (np.cumsum(lengths) - lengths), lengths) + np.arange(lengths.sum())
    return np.asarray((owner << np.uint64(32)) | words[place])


def _owner(codes: np.ndarray) -> np.ndarray:
    return (codes >> np.uint64(32)).astype(np.int64)

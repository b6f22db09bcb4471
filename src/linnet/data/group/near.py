"""Find near-duplicates: texts that share nearly all their words, without comparing all pairs.

MinHash signatures (Broder 1997, On the Resemblance and Containment of Documents) are cut into
bands. Texts that agree on a whole band are candidates (Indyk and Motwani 1998). Each candidate
pair is then measured exactly, so the bands cost recall only, never precision. The keys of the
bands and the words, as 32-bit hashes, are on disk. Memory holds one band at a time, and the
candidates of a million rows.

Knows words; knows nothing of labels or splits.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from linnet.data.group.arrays import Arrays
from linnet.data.group.texts import distinct, first_of_each, replaced

THRESHOLD = 0.8
"""Jaccard similarity of the sets of words from which two texts are near-duplicates."""
FEWEST_WORDS = 4  # of fewer words, texts that differ in one differ in more than a fifth
BANDS = 8
ROWS_A_BAND = 4  # a pair at the threshold is missed in 1.5 % of cases: (1 - 0.8^4)^8
PAIRS_AT_ONCE = 200_000
ROWS_A_PART = 1_000_000
SEED = 20_090_616
SPACE = 32
LINE_FEED = 10
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
    words = codes.astype(np.uint32)
    lengths = np.bincount(_owner(codes), minlength=len(lengths))
    return Sketches(words, lengths, _band_keys(words, np.cumsum(lengths) - lengths))


class NearDuplicates:
    """Collects sketches, then says which texts belong together.

    Args:
        directory: Where the sketches wait, made here; `remove` deletes it.
    """

    def __init__(self, directory: Path):
        self._arrays = Arrays(directory)

    def add(self, sketches: Sketches) -> None:
        """Take the sketches of some texts, in the order of the rows."""
        self._arrays.append("words", sketches.words)
        self._arrays.append("lengths", sketches.lengths.astype(np.uint32))
        for band, keys in enumerate(sketches.keys):
            self._arrays.append(f"band {band}", keys)

    def join(self, group: np.ndarray) -> np.ndarray:
        """Join groups of equal texts to groups of near-equal ones.

        Args:
            group: Digest of each row's normalised text, uint64 (n,), in the order they were added.

        Returns:
            uint64 (n,): the lowest digest of each joined group, in any order of rows.
        """
        first = first_of_each(group)
        lengths = self._arrays.read("lengths")
        first = first[lengths[first] >= FEWEST_WORDS]
        words = self._arrays.map("words")
        starts = np.cumsum(lengths, dtype=np.int64) - lengths
        near = [np.empty((0, 2), dtype=np.uint64)]
        for pairs in self._candidates(first, lengths):
            near.append(group[pairs[_similarity(pairs, words, starts, lengths) >= THRESHOLD]])
        return _joined(group, np.concatenate(near))

    def remove(self) -> None:
        """Delete the folder."""
        self._arrays.remove()

    def _candidates(self, rows: np.ndarray, lengths: np.ndarray) -> Iterator[np.ndarray]:
        """Yield neighbours of similar size in each bucket of each band, int (pairs, 2), each once.

        They come in parts, because all pairs together may not fit into memory.
        """
        count = len(rows)
        parts = 1 + len(rows) // ROWS_A_PART
        for band in range(BANDS):
            key = self._arrays.read(f"band {band}")[rows]
            order = np.argsort(key, kind="stable")
            same = key[order[1:]] == key[order[:-1]]
            left = order[:-1][same]
            right = order[1:][same]
            sizes = lengths[rows[left]], lengths[rows[right]]
            # Texts of less similar sizes can't share so many words.
            alike = np.minimum(*sizes) >= THRESHOLD * np.maximum(*sizes)
            left = left[alike]
            right = right[alike]
            codes = np.minimum(left, right) * count + np.maximum(left, right)
            for part in range(parts):
                self._arrays.append(f"pairs {part}", codes[codes % parts == part])
        for part in range(parts):
            codes = distinct(self._arrays.read(f"pairs {part}"))
            yield rows[np.stack(np.divmod(codes, max(count, 1)), axis=1)]


def _joined(group: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Join groups (n,) by pairs of near groups (pairs, 2); the lowest digest names the result."""
    texts, place = np.unique(near, return_inverse=True)
    links = coo_array(
        (np.ones(len(near), np.int8), tuple(place.reshape(-1, 2).T)), shape=(len(texts), len(texts))
    )
    _, component = connected_components(links, directed=False)
    # np.unique has sorted the digests, so the first member of a component is its lowest.
    lowest = np.unique(component, return_index=True)[1][component]
    return replaced(group, texts, texts[lowest])


def _similarity(
    pairs: np.ndarray, words: np.ndarray, starts: np.ndarray, lengths: np.ndarray
) -> np.ndarray:
    """Jaccard similarity of the sets of words of each pair of rows, float (pairs,)."""
    result = np.empty(len(pairs))
    for start in range(0, len(pairs), PAIRS_AT_ONCE):
        part = pairs[start : start + PAIRS_AT_ONCE]
        left, right = (
            _sets(words, starts[rows], lengths[rows].astype(np.int64)) for rows in part.T
        )
        both = np.concatenate([left, right])
        both.sort(kind="stable")
        shared = np.bincount(_owner(both[1:][both[1:] == both[:-1]]), minlength=len(part))
        size = np.bincount(_owner(both), minlength=len(part))
        result[start : start + PAIRS_AT_ONCE] = shared / (size - shared)
    return result


def _band_keys(words: np.ndarray, starts: np.ndarray) -> np.ndarray:
    draw = np.random.default_rng(SEED)
    # Odd factors, so that each is a shuffle of all 2^32 hashes.
    factors = draw.integers(0, 2**31, (BANDS, ROWS_A_BAND), dtype=np.uint32) * np.uint32(
        2
    ) + np.uint32(1)
    offsets = draw.integers(0, 2**32, (BANDS, ROWS_A_BAND), dtype=np.uint32)
    keys = np.zeros((BANDS, len(starts)), dtype=np.uint32)
    for band in range(BANDS):
        for factor, offset in zip(factors[band], offsets[band], strict=True):
            least = np.minimum.reduceat(words * factor + offset, starts)
            keys[band] = (keys[band] ^ least) * GOLDEN
            keys[band] ^= keys[band] >> np.uint32(15)
    return keys


def _hash_words(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """A hash of each word, uint32 (words,), and the number of words of each text, int64 (n,).

    The hash is a polynomial in the word's characters modulo 2^64, then mixed; all words are hashed
    at once. A text without a word has one empty word.
    """
    characters = np.frombuffer(("\n".join(texts) + "\n").encode("utf-32-le"), np.uint32).astype(
        np.uint64
    )
    line_feed = characters == LINE_FEED
    between = line_feed | (characters == SPACE)
    ends = np.flatnonzero(between)
    starts = np.concatenate([[0], ends[:-1] + 1])
    sizes = ends - starts + 1  # with the space after it, whose code is set to 0
    characters[between] = 0
    powers = np.cumprod(np.full(sizes.max(), BASE))
    characters *= powers[np.arange(len(characters)) - np.repeat(starts, sizes)]
    hashes = np.add.reduceat(characters, starts)
    hashes = (hashes ^ (hashes >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    return (hashes >> np.uint64(32)).astype(np.uint32), np.diff(
        np.flatnonzero(line_feed[ends]), prepend=-1
    )


def _sets(words: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The words of each text as ordered codes: the text's number above, the word's hash below."""
    owner = np.repeat(np.arange(len(starts), dtype=np.uint64), lengths)
    place = np.repeat(starts - (np.cumsum(lengths) - lengths), lengths) + np.arange(lengths.sum())
    return np.asarray((owner << np.uint64(32)) | words[place])


def _owner(codes: np.ndarray) -> np.ndarray:
    return (codes >> np.uint64(32)).astype(np.int64)

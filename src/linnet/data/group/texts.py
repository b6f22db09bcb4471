"""Find equal texts: exact copies, and copies up to case, names, links and punctuation.

Knows texts and labels; knows nothing of files and splits.
"""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b

import numpy as np

LINK = re.compile(r"(?:https?://|www\.)\S+")
NAME = re.compile(r"@\w+")
NEVER_WORD = 0
DIGIT = 1
LETTER = 2
SPACE = 32
LINE_FEED = 10


def normalised(texts: Sequence[str]) -> list[str]:
    """Remove case, @names, links, marks and repeated letters from clean texts.

    If nothing is left, the case-folded text is the key. Else all emoticons would be one group.

    Args:
        texts: n clean texts, so none has a line feed. All are handled as one array of characters.
    """
    if not texts:
        return []
    joined = "\n".join(texts).casefold()
    folded = joined.split("\n")
    if "http" in joined or "www." in joined:
        joined = LINK.sub(" ", joined)
    if "@" in joined:
        joined = NAME.sub(" ", joined)
    keys = _squeezed(joined).split("\n")
    return [key or text for key, text in zip(keys, folded, strict=True)]


def _squeezed(joined: str) -> str:
    """Replace each run of marks by a space and each run of a letter by that letter.

    No line starts or ends with a space.
    """
    characters = np.frombuffer(joined.encode("utf-32-le"), np.uint32)
    kinds = _kinds()[characters]
    characters = np.where(
        (kinds == NEVER_WORD) & (characters != LINE_FEED), np.uint32(SPACE), characters
    )
    before = np.concatenate([[np.uint32(LINE_FEED)], characters[:-1]])
    again = (characters == before) & ((kinds == LETTER) | (characters == SPACE))
    characters = characters[~again]
    before = before[~again]
    blank = characters == SPACE
    at_end = np.concatenate([characters[1:] == LINE_FEED, [True]])
    keep = ~(blank & (at_end | (before == LINE_FEED)))
    return str(characters[keep].tobytes(), "utf-32-le")


@cache
def _kinds() -> np.ndarray:
    """Of each code point: part of a word or not, and if so digit or letter; uint8 (1,114,112,)."""
    kinds = np.zeros(sys.maxunicode + 1, dtype=np.uint8)
    for point in range(sys.maxunicode + 1):
        character = chr(point)
        if character.isalnum():
            kinds[point] = DIGIT if character.isdecimal() else LETTER
    return kinds


def digests(values: Sequence[bytes]) -> np.ndarray:
    """64 bits of BLAKE2b of each value, uint64 (n,).

    Two of 1.6 million differing values have the same digest in one of 14 million files.
    """
    joined = b"".join(blake2b(value, digest_size=8).digest() for value in values)
    return np.frombuffer(joined, dtype="<u8")


def starts(ordered: np.ndarray) -> np.ndarray:
    """Where in ordered values (n,) another one begins, bool (n,)."""
    return np.concatenate([np.ones(min(len(ordered), 1), dtype=bool), ordered[1:] != ordered[:-1]])


def distinct(values: np.ndarray) -> np.ndarray:
    """The distinct values, sorted. np.unique hashes and takes 15 times as long for millions."""
    ordered = np.sort(values)
    return np.asarray(ordered[starts(ordered)])


def first_of_each(values: np.ndarray) -> np.ndarray:
    """First position of each distinct value, in the order of the values.

    np.unique returns the same but needs more memory.
    """
    order = np.argsort(values, kind="stable")
    return np.asarray(order[starts(values[order])])


def replaced(values: np.ndarray, old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """A copy in which the values `old` (m,), sorted, are replaced by `new` (m,)."""
    result = values.copy()
    rows = np.flatnonzero(np.isin(values, old))
    result[rows] = new[np.searchsorted(old, values[rows])]
    return result


@dataclass(frozen=True)
class Resolution:
    """Decision about rows with the same text.

    Attributes:
        duplicate: bool (n,), rows dropped because a row with the same text and label is kept.
        conflicting: bool (n,), rows dropped because their text also has another label.
        counts: Number of duplicates and conflicts, under any policy.
    """

    duplicate: np.ndarray
    conflicting: np.ndarray
    counts: dict[str, int]


def resolve(
    text: np.ndarray, label: np.ndarray, row: np.ndarray, duplicates: str, conflicts: str
) -> Resolution:
    """Decide which rows of the same text to keep, independent of the order of rows.

    Args:
        text: Digests of the clean texts, uint64 (n,).
        label: Label ids, int (n,).
        row: Digests of the whole rows, uint64 (n,). Of duplicates, the lowest is kept.
        duplicates: "drop" or "keep".
        conflicts: "majority", "drop" or "keep".
    """
    several = np.flatnonzero(_shared(text))
    order = several[np.lexsort((row[several], label[several], text[several]))]
    new_text = starts(text[order])
    new_pair = new_text | starts(label[order])
    text_of_pair = np.cumsum(new_text)[new_pair] - 1
    pair = np.cumsum(new_pair) - 1
    sizes = np.bincount(pair)
    labels_of_text = np.bincount(text_of_pair)
    in_conflict = labels_of_text[text_of_pair] > 1
    loses = in_conflict & (conflicts != "keep")
    if conflicts == "majority":
        most = np.zeros(len(labels_of_text), dtype=np.int64)
        np.maximum.at(most, text_of_pair, sizes)
        leads = sizes == most[text_of_pair]
        alone = np.bincount(text_of_pair, weights=leads)[text_of_pair] == 1
        loses &= ~(leads & alone)
    counts = {
        "texts": len(text) - len(several) + len(labels_of_text),
        "duplicate_rows": int((sizes - 1).sum()),
        "conflicting_texts": int((labels_of_text > 1).sum()),
        "conflicting_rows": int(sizes[in_conflict].sum()),
    }
    conflicting, duplicate = np.zeros((2, len(text)), dtype=bool)
    conflicting[order] = loses[pair]
    duplicate[order] = ~new_pair & ~loses[pair] & (duplicates == "drop")
    return Resolution(duplicate, conflicting, counts)


def _shared(values: np.ndarray) -> np.ndarray:
    """Whether each value occurs more than once, bool (n,)."""
    order = np.argsort(values, kind="stable")
    new = starts(values[order])
    shared = np.empty(len(values), dtype=bool)
    shared[order] = ~(new & np.append(new[1:], True))
    return shared

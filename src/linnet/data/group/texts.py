"""Which texts say the same thing: exact copies, and copies up to case, names, links and punctuation.

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
    """What is left of clean texts without case, @names, links, marks and repeated letters.

    A text of nothing but those is its own key, case apart: else all emoticons would be one group.

    Args:
        texts: n clean texts, so none holds a line feed. All are worked on as one array of characters.
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
    """Each run of marks becomes a space, each run of one letter that letter; no line starts or ends with a space."""
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
    """The different values, in order; np.unique, which hashes, takes 15 times as long for millions of digests."""
    ordered = np.sort(values)
    return np.asarray(ordered[starts(ordered)])


def first_of_each(values: np.ndarray) -> np.ndarray:
    """Where each different value stands first, in the order of the values; as np.unique has it, in less memory."""
    order = np.argsort(values, kind="stable")
    return np.asarray(order[starts(values[order])])


def replaced(values: np.ndarray, old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """A copy in which some values, `old` (m,) in rising order, have become others, `new` (m,)."""
    result = values.copy()
    rows = np.flatnonzero(np.isin(values, old))
    result[rows] = new[np.searchsorted(old, values[rows])]
    return result


@dataclass(frozen=True)
class Resolution:
    """What is to be done about rows of one text.

    Attributes:
        duplicate: bool (n,), rows dropped since another row of the same text and label stays.
        conflicting: bool (n,), rows dropped since their text has another label as well.
        counts: What was found, whatever the policy.
    """

    duplicate: np.ndarray
    conflicting: np.ndarray
    counts: dict[str, int]


def resolve(
    text: np.ndarray, label: np.ndarray, row: np.ndarray, duplicates: str, conflicts: str
) -> Resolution:
    """Decide which rows of one text stay; the order of the rows doesn't matter.

    Args:
        text: Digests of the clean texts, uint64 (n,).
        label: Label ids, int (n,).
        row: Digests of the whole rows, uint64 (n,); of rows of one text and one label the lowest stays.
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
    """Whether each value stands there more than once, bool (n,)."""
    order = np.argsort(values, kind="stable")
    new = starts(values[order])
    shared = np.empty(len(values), dtype=bool)
    shared[order] = ~(new & np.append(new[1:], True))
    return shared

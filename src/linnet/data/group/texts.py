"""Which texts say the same thing: exact copies, and copies up to case, names, links and punctuation.

Knows texts and labels; knows nothing of files and splits.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

LINK = re.compile(r"(?:https?://|www\.)\S+")
NAME = re.compile(r"@\w+")
MARKS = re.compile(r"[\W_]+")
REPEATED = re.compile(r"([^\W\d_])\1+")


def normalised(text: str) -> str:
    """What is left of a clean text without case, @names, links, punctuation and repeated letters.

    A text of nothing but those is its own key, case apart: else all emoticons would be one group.
    """
    folded = text.casefold()
    key = LINK.sub(" ", folded) if "http" in folded or "www." in folded else folded
    if "@" in key:
        key = NAME.sub(" ", key)
    return REPEATED.sub(r"\1", MARKS.sub(" ", key)).strip() or folded


def digests(values: Sequence[bytes]) -> np.ndarray:
    """64 bits of BLAKE2b of each value, uint64 (n,).

    Two of 1.6 million differing values have the same digest in one of 14 million files.
    """
    joined = b"".join(blake2b(value, digest_size=8).digest() for value in values)
    return np.frombuffer(joined, dtype="<u8")


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


def resolve(text: np.ndarray, label: np.ndarray, row: np.ndarray, duplicates: str, conflicts: str) -> Resolution:
    """Decide which rows of one text stay; the order of the rows doesn't matter.

    Args:
        text: Digests of the clean texts, uint64 (n,).
        label: Label ids, int (n,).
        row: Digests of the whole rows, uint64 (n,); of rows of one text and one label the lowest stays.
        duplicates: "drop" or "keep".
        conflicts: "majority", "drop" or "keep".
    """
    order = np.lexsort((row, label, text))
    new_text = _starts(text[order])
    new_pair = new_text | _starts(label[order])
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
        "texts": len(labels_of_text),
        "duplicate_rows": int((sizes - 1).sum()),
        "conflicting_texts": int((labels_of_text > 1).sum()),
        "conflicting_rows": int(sizes[in_conflict].sum()),
    }
    conflicting = np.empty(len(text), dtype=bool)
    conflicting[order] = loses[pair]
    duplicate = np.empty(len(text), dtype=bool)
    duplicate[order] = ~new_pair & ~loses[pair] & (duplicates == "drop")
    return Resolution(duplicate, conflicting, counts)


def _starts(ordered: np.ndarray) -> np.ndarray:
    return np.concatenate([np.ones(min(len(ordered), 1), dtype=bool), ordered[1:] != ordered[:-1]])

"""Lines that begin with their label: `label text`, TREC's `LABEL:fine text`, fastText's.

Such a file has no name of its own. Its first lines show its shape, and it is refused where it might
as well be plain text: a first word is only taken for a label where few words come first, each of
them often, and where the texts are not made of these words.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from linnet.tables.table import Row

LABEL_TEXT = "label text"
TREC = "trec"
FASTTEXT = "fasttext"
COLUMNS = {
    LABEL_TEXT: ("label", "text"),
    FASTTEXT: ("label", "text"),
    TREC: ("label", "fine_label", "text"),
}
PLAIN = ("text",)
PREFIX = "__label__"
PATTERNS = {
    FASTTEXT: re.compile(rf"((?:{PREFIX}\S+[ \t]+)+)(\S.*)", re.DOTALL),
    TREC: re.compile(r"((ABBR|DESC|ENTY|HUM|LOC|NUM):[a-z]+)[ \t]+(\S.*)", re.DOTALL),
    LABEL_TEXT: re.compile(r"([^\s,;|\"'<>()\[\]{}]+)[ \t]+(\S.*)", re.DOTALL),
}
# Of the first lines: how often a label is there on average, and the share of labels that may be
# there once.
LINES_A_LABEL = 5
SHARE_SEEN_ONCE = 0.2
# How many of the texts may hold a word that is a label elsewhere.
SHARE_INSIDE = 0.5


def shape_of(lines: Sequence[bytes]) -> str:
    """The shape of a file by its first lines; empty where they have none of these."""
    # ASCII is all that shows the shapes, and a cut or foreign letter is no hindrance.
    decoded = [line.decode("latin-1").rstrip() for line in lines if line.strip()]
    if not decoded or any("\0" in line for line in decoded):
        return ""
    for shape in (FASTTEXT, TREC):
        if all(map(PATTERNS[shape].fullmatch, decoded)):
            return shape
    found = list(map(PATTERNS[LABEL_TEXT].fullmatch, decoded))
    pairs = [(match[1], match[2]) for match in found if match]
    return LABEL_TEXT if len(pairs) == len(found) and _are_labels(pairs) else ""


def labelled_rows(lines: Iterator[tuple[int, str]], shape: str) -> Iterator[Row]:
    """Rows of the shape's columns; a line that isn't of the shape is a row of too few."""
    pattern = PATTERNS[shape]
    for number, line in lines:
        line = line.rstrip("\r\n")
        match = pattern.fullmatch(line)
        if match:
            yield number, _values(match, shape)
        else:
            yield number, (line,) if line.strip() else ()


def text_of(line: str, shape: str) -> str:
    """The text of a line; the whole of one that isn't of the shape."""
    match = PATTERNS[shape].fullmatch(line)
    return match[match.lastindex or 0] if match else line


def labels_of(lines: Sequence[str], shape: str) -> set[str]:
    """The labels of lines of this shape."""
    found = (PATTERNS[shape].fullmatch(line.rstrip("\r\n")) for line in lines)
    return {_values(match, shape)[0] for match in found if match}


def plain_rows(lines: Iterator[tuple[int, str]]) -> Iterator[Row]:
    """Rows of nothing but a text."""
    for number, line in lines:
        yield number, (line,) if line.strip() else ()


def _values(match: re.Match[str], shape: str) -> tuple[Any, ...]:
    if shape == TREC:
        return match[2], match[1], match[3]
    if shape == FASTTEXT:
        labels = [label.removeprefix(PREFIX) for label in match[1].split()]
        return labels if len(labels) > 1 else labels[0], match[2]
    return match[1], match[2]


def _are_labels(pairs: list[tuple[str, str]]) -> bool:
    counts = Counter(label for label, _ in pairs)
    once = sum(count == 1 for count in counts.values())
    words = {label.casefold() for label in counts}
    inside = sum(not words.isdisjoint(text.casefold().split()) for _, text in pairs)
    return (
        len(pairs) >= LINES_A_LABEL * len(counts)
        and once <= SHARE_SEEN_ONCE * len(counts)
        and inside <= SHARE_INSIDE * len(pairs)
    )

"""Which words moved an answer: each is left out, and the answer asked for again.

Leave-one-out occlusion: Zeiler and Fergus 2014, "Visualizing and Understanding Convolutional
Networks", section 4.2, of pictures; Li, Monroe and Jurafsky 2016, "Understanding Neural Networks
through Representation Erasure", section 3, of words. Knows nothing of texts to ids, or of engines.
"""

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from linnet.text import Span

ASKED = 20  # answers asked for at most, the text's own included
GROUPS = 8  # that a text of many words is first cut into
PIECES = 4  # that the heaviest group is then cut into, again and again


@dataclass(frozen=True, slots=True)
class Word:
    """A word, or adjacent ones of a long text that were left out together.

    Attributes:
        text: The word as in the clean text.
        start: Its first character there.
        end: The character after it.
        weight: By how much the label's log odds are higher with it than without it: above 0 it
            speaks for the label.
    """

    text: str
    start: int
    end: int
    weight: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """Which words moved the answer to a text.

    Attributes:
        text: The clean text, which the model read.
        label: The label that is explained.
        probability: The label's probability.
        words: All that the model read, in order.
        truncated: Whether the text was longer than the model reads; the words behind are not among
            `words`.
    """

    text: str
    label: str
    probability: float
    words: tuple[Word, ...]
    truncated: bool


@dataclass(frozen=True, slots=True)
class Group:
    """Adjacent words, by the places of their tokens:

    those from `first` to before `last`; and their weight.
    """

    first: int
    last: int
    weight: float = 0.0

    def __len__(self) -> int:
        return self.last - self.first


def words_of(text: str, places: Sequence[Span | None]) -> list[list[int]]:
    """Indices of the tokens of each word, in order.

    A word is what white space separates; if it holds letters of a script without
    capitals, which are often written without spaces, it is what the tokenizer takes for one.

    Args:
        text: A clean text.
        places: Positions of its tokens.
    """
    end = max(
        (place.end for place in places if place), default=0
    )  # a long text is not read to its own
    # Which run of visible characters each is in.
    run = np.cumsum([character == " " for character in text[:end]])
    words: list[list[int]] = []
    former: Span | None = None
    for index, place in enumerate(places):
        if place is None or place.end == place.start:
            continue
        if former is None or _apart(text, run, former, place):
            words.append([])
        words[-1].append(index)
        former = place
    return words


def _apart(text: str, run: NDArray[np.int64], former: Span, place: Span) -> bool:
    """Whether two tokens that follow each other are of two words."""
    # A token's place may begin with the space before it, so its last character says where it is.
    if run[place.end - 1] != run[former.end - 1]:
        return True
    letters = text[former.start : place.end]
    return place.word != former.word and any(
        unicodedata.category(letter) == "Lo" for letter in letters
    )


def weigh(count: int, ask: Callable[[Sequence[Group]], NDArray[np.float64]]) -> list[Group]:
    """Groups of adjacent words with their weights, found with fewer than `ASKED` questions.

    Up to ASKED - 1 words are each left out. More are cut into groups, and the heaviest group into
    smaller ones, again and again, so that single words are found where it matters; words that
    cancel each other in a group stay hidden.

    Args:
        count: Number of words.
        ask: Weights of groups, float (groups,).
    """
    left = ASKED - 1
    groups = _measured(_cut(Group(0, count), left if count <= left else GROUPS), ask)
    left -= len(groups)
    while left > 1 and (
        heaviest := max(
            (g for g in groups if len(g) > 1), key=lambda g: abs(g.weight), default=None
        )
    ):
        pieces = _measured(_cut(heaviest, min(PIECES, left)), ask)
        left -= len(pieces)
        place = groups.index(heaviest)
        groups[place : place + 1] = pieces
    return groups


def _measured(
    groups: Sequence[Group], ask: Callable[[Sequence[Group]], NDArray[np.float64]]
) -> list[Group]:
    weights = ask(groups).tolist() if groups else []
    return [
        Group(group.first, group.last, weight)
        for group, weight in zip(groups, weights, strict=True)
    ]


def _cut(group: Group, pieces: int) -> list[Group]:
    """A group in so many pieces of about the same length, or in as many as it has words."""
    ends = (
        np.linspace(group.first, group.last, min(pieces, len(group)) + 1)
        .round()
        .astype(int)
        .tolist()
    )
    return [Group(first, last) for first, last in pairwise(ends)]


def without(
    ids: Sequence[int], words: Sequence[Sequence[int]], groups: Sequence[Group]
) -> Iterator[list[int]]:
    """Token ids of a text without each group's words.

    Args:
        ids: Token ids of the whole.
        words: Indices into them, of each word.
        groups: Which words are left out together.
    """
    for group in groups:
        out = {index for word in words[group.first : group.last] for index in word}
        yield [number for index, number in enumerate(ids) if index not in out]


def named(
    text: str, places: Sequence[Span | None], words: Sequence[Sequence[int]], group: Group
) -> Word:
    """A group's words as in the clean text."""
    tokens = [
        place
        for word in words[group.first : group.last]
        for index in word
        if (place := places[index])
    ]
    end = tokens[-1].end
    start = end - len(text[tokens[0].start : end].lstrip())
    return Word(text[start:end], start, end, group.weight)

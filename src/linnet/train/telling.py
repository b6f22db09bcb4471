"""Words that tell the label, left out of what a student reads, so that it has to learn what else does.

A student that reads less than its teachers did is a noisy student (Xie et al. 2020, arXiv:1911.04252). The words that
their answers hang on are known from these answers alone; what stands beside such words is what labels are too few for.
"""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

WORD = re.compile(r"@?\w+(?:['’]\w+)*|[^\w\s]+")
FEWEST_TEXTS = 30  # that hold a word, for it to be looked at
LEAST = 0.05  # nats that the answers to texts with a word are apart from those to all
LEFT_OUT = 0.8  # of the telling words of a text: now and then they stay, for they are worth learning too
FEWEST_WORDS = 3  # that are left; a text of fewer stays as it is


def telling_words(texts: Sequence[str], probabilities: NDArray[np.floating], multi_label: bool) -> set[str]:
    """The words that answers hang on, in lower case.

    A word tells if the mean answer to the texts that hold it is `LEAST` apart from the mean answer to all texts, by
    the Kullback-Leibler divergence; of several labels a text by the sum of those of each label.

    Args:
        texts: The texts.
        probabilities: What was answered to them, float (n, labels).
        multi_label: Whether a text has any number of labels.
    """
    numbers: dict[str, int] = {}
    places, lengths = [], []
    for text in texts:
        words = {word.lower() for word in WORD.findall(text)}
        places += [numbers.setdefault(word, len(numbers)) for word in words]
        lengths.append(len(words))
    rows = np.repeat(np.arange(len(texts)), lengths)
    counts = np.bincount(places, minlength=len(numbers))
    columns = np.asarray(probabilities, np.float64).T
    sums = np.stack([np.bincount(places, column[rows], minlength=len(numbers)) for column in columns], axis=1)
    apart = _divergence(sums / counts[:, None], columns.mean(axis=1), multi_label)
    telling = (counts >= FEWEST_TEXTS) & (apart >= LEAST)
    return {word for word, number in numbers.items() if telling[number]}


def leave_out(
    texts: Sequence[str], words: set[str], share: float, generator: np.random.Generator
) -> tuple[list[str], dict[str, Any]]:
    """The texts, a share of them without most of their telling words.

    Args:
        texts: Clean texts.
        words: Those that tell, in lower case.
        share: Of the texts.
        generator: What draws the texts and the words.

    Returns:
        The texts, in their order, and for the record how many telling `words` there are, how many `texts` lost some,
        and how many they lost (`left_out`).
    """
    chosen = generator.random(len(texts)) < share
    made, changed, total = [], 0, 0
    for text, reduced in zip(texts, chosen.tolist(), strict=True):
        short, lost = _reduced(text, words, generator) if reduced else (text, 0)
        made.append(short)
        changed += lost > 0
        total += lost
    return made, {"words": len(words), "texts": changed, "left_out": total}


def _reduced(text: str, words: set[str], generator: np.random.Generator) -> tuple[str, int]:
    found = list(WORD.finditer(text))
    gone = [match for match in found if match.group().lower() in words and generator.random() < LEFT_OUT]
    if not gone or len(found) - len(gone) < FEWEST_WORDS:
        return text, 0
    kept, start = [], 0
    for match in gone:
        kept.append(text[start : match.start()])
        start = match.end()
    return " ".join(" ".join([*kept, text[start:]]).split()), len(gone)


def _divergence(of_word: NDArray[np.float64], of_all: NDArray[np.float64], multi_label: bool) -> NDArray[np.float64]:
    """Of each row of answers from those to all, in nats, float64 (words,)."""
    pairs = [(of_word, of_all), (1 - of_word, 1 - of_all)] if multi_label else [(of_word, of_all)]
    tiny = np.finfo(np.float64).tiny
    parts = [p * (np.log(np.maximum(p, tiny)) - np.log(np.maximum(q, tiny))) for p, q in pairs]
    return np.asarray(sum(part.sum(axis=1) for part in parts))

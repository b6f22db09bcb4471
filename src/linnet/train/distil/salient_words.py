"""Words that tell the label, left out of what a student reads.

The student has to learn from the other words.

A student that reads less than its teachers did is a noisy student (Xie et al. 2020,
arXiv:1911.04252); here the words go once, not in each epoch. Which words tell is known from
the teachers' answers alone. A word is what spaces separate, so a script without spaces has
hardly any.
"""

from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

MARKS = "!\"'()*,-.:;?[]_`{|}~…‘’“”«»„¡¿、。"  # at a word's ends
FEWEST_TEXTS = 30  # that hold a word, for it to be looked at
LEAST = 0.05  # nats that the answers to texts with a word are apart from those to all
CHANCE = 0.01  # that any word at all tells where none does
LEFT_OUT = (
    0.8  # of the telling words of a text: now and then they stay, for they are worth learning too
)
FEWEST_WORDS = 3  # that are left; a text of fewer stays as it is


def telling_words(
    texts: Sequence[str], probabilities: NDArray[np.floating], multi_label: bool
) -> set[str]:
    """The words that answers hang on, in lower case and without the marks at their ends.

    A word tells if the mean answer to the texts that hold it is apart from the mean answer to all
    texts: by more than chance, for all words together (the likelihood-ratio test of Wilks 1938,
    where 2 n times the Kullback-Leibler divergence is chi-squared; answers that are not sure vary
    less, so it errs towards fewer words), and by `LEAST` beyond what chance gives on average.

    Args:
        texts: The texts.
        probabilities: What was answered to them, float (n, labels).
        multi_label: Whether the model is multi-label: then each label is a test with one
            degree of freedom.
    """
    numbers: dict[str, int] = {}
    places = []
    lengths = []
    for text in texts:
        words = {_key(word) for word in text.split()}
        places += [numbers.setdefault(word, len(numbers)) for word in words]
        lengths.append(len(words))
    rows = np.repeat(np.arange(len(texts)), lengths)
    counts = np.bincount(places, minlength=len(numbers))
    columns = np.asarray(probabilities, np.float64).T
    sums = np.stack(
        [np.bincount(places, column[rows], minlength=len(numbers)) for column in columns], axis=1
    )
    apart = _divergence(sums / counts[:, None], columns.mean(axis=1), multi_label)
    freedom = len(columns) if multi_label else len(columns) - 1
    common = counts >= FEWEST_TEXTS
    by_chance = _chi_squared(freedom, CHANCE / max(int(common.sum()), 1))
    telling = common & (2 * counts * apart >= by_chance) & (apart - freedom / (2 * counts) >= LEAST)
    return {word for word, number in numbers.items() if telling[number]}


def _chi_squared(freedom: int, chance: float) -> float:
    """The chi-squared quantile of that chance (Wilson and Hilferty 1931), up to a fifth larger."""
    width = 2 / (9 * freedom)
    return float(freedom * (1 - width + NormalDist().inv_cdf(1 - chance) * width**0.5) ** 3)


def leave_out(
    texts: Sequence[str], words: set[str], share: float, generator: np.random.Generator
) -> tuple[list[str], dict[str, Any]]:
    """The texts, those of them that are drawn without most of their telling words.

    A text that would be left with fewer than three words stays as it is.

    Args:
        texts: Clean texts.
        words: Those that tell, in lower case.
        share: Of the texts that are drawn.
        generator: What draws the texts and the words.

    Returns:
        The texts, in their order, and for the record how many `telling_words` there are, how many
        `texts` lost some, and how many `words` those lost.
    """
    drawn = generator.random(len(texts)) < share
    made = []
    changed = 0
    total = 0
    for text, reduced in zip(texts, drawn.tolist(), strict=True):
        short, lost = _reduced(text, words, generator) if reduced else (text, 0)
        made.append(short)
        changed += lost > 0
        total += lost
    return made, {"telling_words": len(words), "texts": changed, "words": total}


def _reduced(text: str, words: set[str], generator: np.random.Generator) -> tuple[str, int]:
    found = text.split()
    left = [word for word in found if _key(word) not in words or generator.random() >= LEFT_OUT]
    if sum(any(map(str.isalnum, word)) for word in left) < FEWEST_WORDS:
        return text, 0
    lost = len(found) - len(left)
    return (" ".join(left), lost) if lost else (text, 0)


def _key(word: str) -> str:
    return (word.strip(MARKS) or word).lower()  # of an emoticon nothing would be left


def _divergence(
    of_word: NDArray[np.float64], of_all: NDArray[np.float64], multi_label: bool
) -> NDArray[np.float64]:
    """Of each row of answers from those to all, in nats, float64 (words,)."""
    pairs = [(of_word, of_all), (1 - of_word, 1 - of_all)] if multi_label else [(of_word, of_all)]
    tiny = np.finfo(np.float64).tiny
    parts = [p * (np.log(np.maximum(p, tiny)) - np.log(np.maximum(q, tiny))) for p, q in pairs]
    return np.asarray(sum(part.sum(axis=1) for part in parts))

"""Find salient words, which predict the label, and remove them from a student's texts.

The student has to learn from the other words. This is a noisy student (Xie et al. 2020,
arXiv:1911.04252), except that the words are removed once and not in each epoch. The salient
words are found from the teachers' answers alone. Words are split at spaces, so a script without
spaces has hardly any.
"""

from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

MARKS = "!\"'()*,-.:;?[]_`{|}~…‘’“”«»„¡¿、。"  # at a word's ends
FEWEST_TEXTS = 30  # that hold a word; rarer words are not tested
LEAST = 0.05  # divergence in nats between texts with a salient word and all texts
CHANCE = 0.01  # probability of one or more false salient words
# Share of a text's salient words that is removed. The others stay, so that they are learnt too.
LEFT_OUT = 0.8
FEWEST_WORDS = 3  # that remain; a shorter text stays unchanged


def telling_words(
    texts: Sequence[str], probabilities: NDArray[np.floating], multi_label: bool
) -> set[str]:
    """The salient words, in lower case and without the marks at their ends.

    The mean answer to the texts with a salient word differs from the mean answer to all texts.
    The difference is significant for all words together, by the likelihood-ratio test of Wilks
    (1938): 2 n times the Kullback-Leibler divergence is chi-squared. Uncertain answers vary less,
    so the test errs towards fewer words. The divergence also exceeds its mean under chance by
    `LEAST`.

    Args:
        texts: The texts.
        probabilities: The teachers' answers, float (n, labels).
        multi_label: Whether the model is multi-label. If so, each label is a test with one
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
    """The chi-squared quantile, up to a fifth too large (Wilson and Hilferty 1931)."""
    width = 2 / (9 * freedom)
    return float(freedom * (1 - width + NormalDist().inv_cdf(1 - chance) * width**0.5) ** 3)


def leave_out(
    texts: Sequence[str], words: set[str], share: float, generator: np.random.Generator
) -> tuple[list[str], dict[str, Any]]:
    """Remove most salient words from a random share of the texts.

    A text stays unchanged if fewer than three words would remain.

    Args:
        texts: Clean texts.
        words: The salient words, in lower case.
        share: Share of the texts to change.
        generator: Draws the texts and the words.

    Returns:
        The texts in their order, and counts for the record: the `telling_words`, the changed
        `texts`, and the removed `words`.
    """
    drawn = generator.random(len(texts)) < share
    shortened = []
    changed = 0
    total = 0
    for text, reduced in zip(texts, drawn.tolist(), strict=True):
        short, lost = _reduced(text, words, generator) if reduced else (text, 0)
        shortened.append(short)
        changed += lost > 0
        total += lost
    return shortened, {"telling_words": len(words), "texts": changed, "words": total}


def _reduced(text: str, words: set[str], generator: np.random.Generator) -> tuple[str, int]:
    all_words = text.split()
    kept_words = [
        word for word in all_words if _key(word) not in words or generator.random() >= LEFT_OUT
    ]
    if sum(any(map(str.isalnum, word)) for word in kept_words) < FEWEST_WORDS:
        return text, 0
    lost = len(all_words) - len(kept_words)
    return (" ".join(kept_words), lost) if lost else (text, 0)


def _key(word: str) -> str:
    return (word.strip(MARKS) or word).lower()  # an emoticon consists of marks alone


def _divergence(
    of_word: NDArray[np.float64], of_all: NDArray[np.float64], multi_label: bool
) -> NDArray[np.float64]:
    """Kullback-Leibler divergence of each word's mean answer, in nats, float64 (words,)."""
    pairs = [(of_word, of_all), (1 - of_word, 1 - of_all)] if multi_label else [(of_word, of_all)]
    tiny = np.finfo(np.float64).tiny
    parts = [p * (np.log(np.maximum(p, tiny)) - np.log(np.maximum(q, tiny))) for p, q in pairs]
    return np.asarray(sum(part.sum(axis=1) for part in parts))

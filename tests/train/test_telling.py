"""Words that tell are found from answers alone, and leaving them out loses nothing else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linnet.train.telling import FEWEST_WORDS, LEFT_OUT, WORD, leave_out, telling_words

FILLER = [f"word{number}" for number in range(40)]


def texts_of(words, rows, generator):
    """Each of eight words that say nothing and one of these."""
    return [" ".join([*generator.choice(FILLER, 8, replace=False), words[row]]) for row in range(rows)]


def test_words_that_answers_hang_on_are_found_and_no_others():
    generator = np.random.default_rng(1)
    sides = generator.random(2000) < 0.5
    told = np.where(sides, "Lovely", np.where(generator.random(2000) < 0.9, "AWFUL", "neither"))
    yes = np.where(sides, 0.9, 0.15)
    found = telling_words(texts_of(told, 2000, generator), np.stack([1 - yes, yes], axis=1), multi_label=False)
    assert found == {"lovely", "awful", "neither"}


def test_a_word_of_few_texts_tells_nothing():
    generator = np.random.default_rng(2)
    told = np.array(["rare"] * 29 + ["often"] * 971)
    yes = np.where(told == "rare", 1.0, 0.5)
    assert telling_words(texts_of(told, 1000, generator), np.stack([1 - yes, yes], axis=1), multi_label=False) == set()


def test_of_several_labels_each_counts():
    generator = np.random.default_rng(3)
    told = np.array(["praise", "rain", "nothing"] * 300)
    answers = np.full((900, 3), 0.1)
    answers[told == "praise", 0], answers[told == "rain", 1] = 0.9, 0.8
    assert telling_words(texts_of(told, 900, generator), answers, multi_label=True) >= {"praise", "rain"}
    same = np.full((900, 3), 0.1)
    assert telling_words(texts_of(told, 900, generator), same, multi_label=True) == set()


def test_as_many_are_left_out_as_said():
    texts = ["so lovely a day it is here"] * 4000
    made, facts = leave_out(texts, {"lovely"}, 0.5, np.random.default_rng(4))
    changed = sum(new != old for new, old in zip(made, texts, strict=True))
    assert facts == {"words": 1, "texts": changed, "left_out": changed}
    assert changed == pytest.approx(4000 * 0.5 * LEFT_OUT, rel=0.1)
    assert set(made) == {texts[0], "so a day it is here"}
    assert leave_out(texts, {"lovely"}, 0.5, np.random.default_rng(4))[0] == made
    assert leave_out(texts, {"lovely"}, 0.0, np.random.default_rng(4))[0] == texts


@given(
    texts=st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1), max_size=8),
    words=st.sets(st.sampled_from(["a", "b", "!", "é", "i̇"])),
    seed=st.integers(0, 99),
)
def test_what_is_left_stands_as_it_stood(texts, words, seed):
    texts = [*texts, "a b a ! é c d e", "İ i̇ \u200f א ב ג a", "a\u200bb a c", "c!c d!e (a)b 'a's"]
    made, facts = leave_out(texts, words, 1.0, np.random.default_rng(seed))
    assert len(made) == len(texts)
    lost = 0
    for new, old in zip(made, texts, strict=True):
        before, after = [[match.group() for match in WORD.finditer(text)] for text in (old, new)]
        if new == old:
            continue
        rest = iter(before)
        assert all(word in rest for word in after)  # in their order
        assert len(after) >= FEWEST_WORDS
        lost += len(before) - len(after)
    assert facts["left_out"] == lost

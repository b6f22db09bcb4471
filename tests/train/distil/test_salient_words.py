"""Words that tell are found from answers alone, no more of them than tell, and leaving them out breaks nothing else."""

import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import chdtri

from linnet.predict import softmax
from linnet.train.distil.salient_words import (
    FEWEST_WORDS,
    LEFT_OUT,
    _chi_squared,
    leave_out,
    telling_words,
)

FILLER = [f"word{number}" for number in range(40)]


def texts_of(words, generator):
    """Each of eight words that say nothing and one of these."""
    return [" ".join([*generator.choice(FILLER, 8, replace=False), word]) for word in words]


def test_words_that_answers_hang_on_are_found_and_no_others():
    generator = np.random.default_rng(1)
    sides = generator.random(2000) < 0.5
    told = np.where(sides, "Lovely!!", np.where(generator.random(2000) < 0.9, "AWFUL", ":("))
    yes = np.where(sides, 0.9, 0.15)
    found = telling_words(
        texts_of(told, generator), np.stack([1 - yes, yes], axis=1), multi_label=False
    )
    assert found == {"lovely", "awful", ":("}


@pytest.mark.parametrize("labels", [2, 6, 20])
@pytest.mark.parametrize("several", [False, True])
def test_words_that_answers_do_not_hang_on_tell_in_one_run_of_many(labels, several):
    """The chance that any of 200 words tells is a hundredth; answers as sure as can be vary most."""
    generator, found = np.random.default_rng(2), 0
    for _ in range(8):
        texts = [" ".join(row) for row in generator.integers(0, 200, (600, 12)).astype(str)]
        if several:
            answers = (generator.random((600, labels)) < 0.3).astype(float)
        else:
            answers = np.eye(labels)[generator.integers(0, labels, 600)]
        found += bool(telling_words(texts, answers, several))
    assert found <= 1


def test_a_word_of_few_texts_tells_nothing():
    generator = np.random.default_rng(2)
    told = np.array(["rare"] * 29 + ["often"] * 971)
    yes = np.where(told == "rare", 1.0, 0.5)
    assert (
        telling_words(
            texts_of(told, generator), np.stack([1 - yes, yes], axis=1), multi_label=False
        )
        == set()
    )


def test_a_word_that_tells_little_stays_however_many_texts_hold_it():
    generator = np.random.default_rng(6)
    told = np.array(["up", "down"] * 4000)
    for apart, found in ((0.05, set()), (0.3, {"up", "down"})):
        yes = np.where(told == "up", 0.5 + apart, 0.5 - apart)
        assert (
            telling_words(
                texts_of(told, generator), np.stack([1 - yes, yes], axis=1), multi_label=False
            )
            == found
        )


def test_of_several_labels_each_counts_and_so_does_its_absence():
    generator = np.random.default_rng(3)
    told = np.array(["praise", "rain", "nothing"] * 300)
    answers = np.full((900, 3), 0.1)
    answers[told == "praise", 0], answers[told == "rain", 1] = 0.9, 0.8
    assert telling_words(texts_of(told, generator), answers, multi_label=True) == {
        "praise",
        "rain",
        "nothing",
    }
    assert (
        telling_words(texts_of(told, generator), np.full((900, 3), 0.1), multi_label=True) == set()
    )


def test_as_many_are_left_out_as_said():
    texts = ["so lovely a day it is here"] * 4000
    made, facts = leave_out(texts, {"lovely"}, 0.5, np.random.default_rng(4))
    changed = sum(new != old for new, old in zip(made, texts, strict=True))
    assert facts == {"telling_words": 1, "texts": changed, "words": changed}
    assert changed == pytest.approx(4000 * 0.5 * LEFT_OUT, rel=0.1)
    assert set(made) == {texts[0], "so a day it is here"}
    assert leave_out(texts, {"lovely"}, 0.5, np.random.default_rng(4))[0] == made
    assert leave_out(texts, {"lovely"}, 0.0, np.random.default_rng(4))[0] == texts


@pytest.mark.parametrize(
    "text",
    [
        "\u092b\u093f\u0932\u094d\u092e \u0905\u091a\u094d\u091b\u0940 \u0939\u0948 \u092c\u0939\u0941\u0924",
        "see https://t.co/a-b?c=d from <email> to <phone> #tag's end",
        "lovely \u200b \u200b \u200b \u2764\ufe0f",
        "\u05d0\u05d1 \u05d2\u05d3 (lovely) \u05d4\u05d5 \u05d6\u05d7 \u05d8\u05d9",
    ],
)
def test_words_go_whole_or_stay_whole(text):
    words = {"lovely", "\u094d", "t", "email", "c", "phone", "\u05d2\u05d3"}
    for seed in range(20):
        ((made,), _) = leave_out([text], words, 1.0, np.random.default_rng(seed))
        assert set(made.split()) <= set(text.split())
        assert any(unicodedata.category(character)[0] == "L" for character in made)


@given(
    texts=st.lists(
        st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1), max_size=8
    ),
    words=st.sets(st.sampled_from(["a", "b", "!", "\xe9", "i\u0307"])),
    seed=st.integers(0, 99),
)
def test_what_is_left_stands_in_its_order(texts, words, seed):
    texts = [
        *texts,
        "a b a ! \xe9 c d e",
        "\u0130 i\u0307 \u200f a a a",
        "a\u200bb a c",
        "c!c d!e (a)b 'a's",
    ]
    made, facts = leave_out(texts, words, 1.0, np.random.default_rng(seed))
    assert len(made) == len(texts)
    lost = 0
    for new, old in zip(made, texts, strict=True):
        if new == old:
            continue
        rest = iter(old.split())
        assert all(word in rest for word in new.split())
        assert len(new.split()) >= FEWEST_WORDS
        lost += len(old.split()) - len(new.split())
    assert facts["words"] == lost


def test_answers_that_are_unsure_tell_less():
    generator = np.random.default_rng(5)
    told = np.array(["good", "bad"] * 500)
    logits = np.where(told == "good", 1.0, -1.0)[:, None] * [[-1.0, 1.0]]
    texts = texts_of(told, generator)
    assert telling_words(texts, softmax(logits), multi_label=False) == {"good", "bad"}
    assert telling_words(texts, softmax(logits / 9), multi_label=False) == set()


@pytest.mark.parametrize("freedom", [1, 2, 6, 30])
@pytest.mark.parametrize("chance", [0.01, 1e-5, 1e-7])
def test_the_bound_is_that_of_a_chi_squared_variable_or_a_little_more(freedom, chance):
    assert 0.99 < _chi_squared(freedom, chance) / chdtri(freedom, chance) < 1.2

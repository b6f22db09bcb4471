"""The baselines learn from the train split alone, from whatever texts it holds."""

import numpy as np
import pytest

from linnet.data import Split
from linnet.evaluate.baselines import majority_class, tfidf_logistic_regression


def split(texts, labels, names=("no", "yes")):
    return Split("train", texts, np.array(labels, dtype=np.int64), names)


def test_majority_class_answers_the_commonest_label_of_train():
    answer = majority_class(split(["a", "b", "c"], [1, 0, 1]), ["x", "y"])
    assert answer.predictions.tolist() == [1, 1]


def test_words_are_learned():
    texts = [f"{word} {number}" for number in range(40) for word in ("good day", "bad day")]
    answer = tfidf_logistic_regression(split(texts, [1, 0] * 40), ["such a good one", "BAD!"])
    assert answer.predictions.tolist() == [1, 0]
    assert answer.seconds > 0


def test_pairs_of_words_are_learned():
    texts = ["not good", "good", "not bad", "bad"] * 20
    answer = tfidf_logistic_regression(split(texts, [0, 1, 1, 0] * 20), ["not good", "not bad"])
    assert answer.predictions.tolist() == [0, 1]


@pytest.mark.parametrize("texts", [["!", "?"], ["😀", "😡"], ["好", "坏"], ["a", "b"]])
def test_texts_without_a_long_word_can_be_learned_too(texts):
    assert tfidf_logistic_regression(split(texts, [0, 1]), texts).predictions.tolist() == [0, 1]


def test_many_labels():
    names = tuple(f"topic{k}" for k in range(20))
    texts = [f"{name} number {k}" for k in range(6) for name in names]
    answer = tfidf_logistic_regression(split(texts, list(range(20)) * 6, names), list(names))
    assert answer.predictions.tolist() == list(range(20))

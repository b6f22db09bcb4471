"""The generated sample is hard enough to mean something, and can be learnt."""

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from linnet.data.sources.generate import LABELS, ROWS, messages, table


@pytest.fixture(scope="module")
def sample() -> tuple[list[str], np.ndarray]:
    rows = [values for _, values in messages(seed=42, rows=ROWS)]
    return [text for text, _ in rows], np.array([LABELS.index(label) for _, label in rows])


def test_is_seeded_and_numbered() -> None:
    first, again, other = (list(table(seed, 200).rows) for seed in (1, 1, 2))
    assert first == again != other
    assert [number for number, _ in first] == list(range(1, 201))


def test_both_classes_are_about_as_large(sample: tuple[list[str], np.ndarray]) -> None:
    assert 0.45 < sample[1].mean() < 0.55


def test_is_varied_and_noisy(sample: tuple[list[str], np.ndarray]) -> None:
    texts, _ = sample
    assert len(set(texts)) > 0.9 * ROWS
    for mark in ("@", "#", "http://", "😀", "not ", "hardly", "but", "!!", "&amp;", "aaa", "  "):
        assert sum(mark in text for text in texts) > 20, mark


def test_no_single_word_gives_the_label_away(sample: tuple[list[str], np.ndarray]) -> None:
    texts, labels = sample
    words = CountVectorizer(binary=True, token_pattern=r"\S+").fit_transform(texts).tocsc()
    with_word = np.asarray(words.sum(axis=0)).ravel()
    positive_with_word = np.asarray(words[labels == 1].sum(axis=0)).ravel()
    right = positive_with_word + (labels == 0).sum() - (with_word - positive_with_word)
    assert max(right.max(), len(labels) - right.min()) / len(labels) < 0.70


def test_a_linear_model_learns_it_in_part(sample: tuple[list[str], np.ndarray]) -> None:
    texts, labels = sample
    model = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), min_df=2), LogisticRegression(C=10, max_iter=1000)
    )
    model.fit(texts[:4800], labels[:4800])
    assert 0.65 < model.score(texts[4800:], labels[4800:]) < 0.97

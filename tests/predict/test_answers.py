"""Logits to probabilities to labels: the temperature divides once, thresholds hold back, and an answer says so."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import linnet
from linnet.data import read_split
from linnet.predict import Classifier, MultiLabel, SingleLabel, sigmoid, softmax, task_of


def test_a_temperature_for_all_rows_or_one_for_each() -> None:
    logits = np.array([[2.0, -1.0], [0.5, 3.0]], np.float32)
    np.testing.assert_allclose(SingleLabel().probabilities(logits, 2.0), softmax(logits / 2))
    np.testing.assert_allclose(MultiLabel().probabilities(logits, 2.0), sigmoid(logits / 2))
    each = SingleLabel().probabilities(logits, np.array([[2.0], [4.0]]))
    np.testing.assert_allclose(each, [softmax(logits / 2)[0], softmax(logits / 4)[1]])


def test_only_the_most_probable_label_may_be_given_where_there_is_one() -> None:
    probabilities = np.array([[0.6, 0.3, 0.1], [0.4, 0.35, 0.25], [0.2, 0.1, 0.7], [0.4, 0.4, 0.2]])
    assert SingleLabel().decide(probabilities, None).argmax(axis=1).tolist() == [0, 0, 2, 0]
    assert SingleLabel().decide(probabilities, None).sum(axis=1).tolist() == [1, 1, 1, 1]
    assert (
        SingleLabel().decide(probabilities, [0.5, 0.3, None]).tolist()
        == [[True, False, False]] + [[False] * 3] * 3
    )
    assert MultiLabel().decide(probabilities, [0.4, 0.35, None]).tolist() == [
        [True, False, False],
        [True, True, False],
        [False, False, False],
        [True, True, False],
    ]


@given(
    st.lists(st.one_of(st.none(), st.floats(0.01, 0.99)), min_size=2, max_size=5),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_what_is_given_reaches_its_threshold(
    thresholds: list[float | None], multi_label: bool, seed: int
) -> None:
    probabilities = np.random.default_rng(seed).dirichlet(np.ones(len(thresholds)), 30)
    found = task_of(multi_label).decide(probabilities, thresholds)
    assert multi_label or (found.sum(axis=1) <= 1).all()
    for k, threshold in enumerate(thresholds):
        assert threshold is not None or not found[:, k].any()
        assert threshold is None or (probabilities[found[:, k], k] >= threshold).all()
    unheld = task_of(multi_label).decide(probabilities, None)
    assert not (found & ~unheld).any()


@pytest.fixture(scope="module")
def texts(splits: Path) -> list[str]:
    return read_split(splits, "test").texts


def holding_back(
    bundle: Path, thresholds: tuple[float | None, ...], **changes: object
) -> Classifier:
    whole = linnet.load(bundle).bundle
    manifest = whole.manifest.model_copy(
        update={"min_precision": 0.9, "thresholds": thresholds, **changes}
    )
    return Classifier(dataclasses.replace(whole, manifest=manifest))


def test_what_is_not_sure_enough_has_no_label_and_says_so(bundle: Path, texts: list[str]) -> None:
    plain, careful = linnet.load(bundle), holding_back(bundle, (0.9, 0.8))
    least = dict(zip(plain.labels, (0.9, 0.8), strict=True))
    abstained = 0
    for before, after in zip(plain.predict(texts), careful.predict(texts), strict=True):
        assert before.abstained is False and before.label is not None
        assert after.probability == pytest.approx(before.probability, abs=1e-5)
        assert after.probabilities == pytest.approx(before.probabilities, abs=1e-5)
        assert after.abstained is (before.probability < least[before.label])
        assert (after.label, after.labels) == (
            (None, ()) if after.abstained else (before.label, before.labels)
        )
        abstained += after.abstained
    assert 0 < abstained < len(texts)


def test_a_label_without_a_threshold_is_never_given(bundle: Path, texts: list[str]) -> None:
    answers = holding_back(bundle, (None, 0.5)).predict(texts)
    assert {answer.label for answer in answers} == {None, "positive"}
    assert all(answer.abstained is (answer.label is None) for answer in answers)


def test_fewer_labels_are_no_abstention_where_there_may_be_any_number(
    tone_bundle: Path, tone_splits: Path
) -> None:
    texts = read_split(tone_splits, "test").texts
    answers = holding_back(tone_bundle, (0.9, 0.9, None, 0.9)).predict(texts)
    assert not any(answer.abstained for answer in answers)
    assert not any("weather" in answer.labels for answer in answers)
    assert any(answer.label is None for answer in answers) and any(
        answer.labels for answer in answers
    )

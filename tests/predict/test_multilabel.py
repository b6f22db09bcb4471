"""Any number of labels: those that reach their thresholds, the most probable first, and none where none does."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import linnet
from linnet.bundle import Bundle
from linnet.data import read_split
from linnet.predict import Classifier, Prediction, sigmoid


@pytest.fixture(scope="module")
def classifier(tone_bundle: Path) -> Classifier:
    return linnet.load(tone_bundle)


@pytest.fixture(scope="module")
def texts(tone_splits: Path) -> list[str]:
    return read_split(tone_splits, "test").texts


def test_labels_are_those_that_reach_their_threshold(
    classifier: Classifier, texts: list[str]
) -> None:
    thresholds = dict(
        zip(classifier.labels, classifier.bundle.manifest.thresholds or (), strict=True)
    )
    answers = classifier.predict(texts)
    for answer in answers:
        assert set(answer.labels) == {
            name for name, p in answer.probabilities.items() if p >= thresholds[name]
        }
        found = [answer.probabilities[name] for name in answer.labels]
        assert found == sorted(found, reverse=True)
        if answer.labels:
            assert (answer.label, answer.probability) == (answer.labels[0], found[0])
        else:
            assert (answer.label, answer.probability) == (None, max(answer.probabilities.values()))
    assert {len(answer.labels) for answer in answers} >= {0, 1, 2}


def test_probabilities_are_each_for_itself(classifier: Classifier, texts: list[str]) -> None:
    probabilities = classifier.predict_proba(texts)
    assert probabilities == pytest.approx(
        1 / (1 + np.exp(-classifier.logits(texts).astype(np.float64)))
    )
    assert probabilities.sum(axis=1).max() > 1.2
    assert classifier.task.multi_label
    assert (
        classifier.decide(probabilities).sum(axis=1)
        == [len(item.labels) for item in classifier.predict(texts)]
    ).all()


def with_thresholds(bundle: Bundle, thresholds: tuple[float, ...]) -> Classifier:
    manifest = bundle.manifest.model_copy(update={"thresholds": thresholds})
    return Classifier(dataclasses.replace(bundle, manifest=manifest))


def test_a_label_may_apply_that_is_not_the_most_probable(classifier: Classifier) -> None:
    (before,) = classifier.predict(["good love it"])
    assert before.label == "praise"
    high = with_thresholds(classifier.bundle, (0.999999, 1e-6, 0.999999, 0.999999))
    (answer,) = high.predict(["good love it"])
    assert answer.labels == ("blame",) and answer.label == "blame"
    assert answer.probability == answer.probabilities["blame"] < answer.probabilities["praise"]


def test_one_label_a_text_is_a_tuple_of_one(bundle: Path) -> None:
    classifier = linnet.load(bundle)
    assert not classifier.task.multi_label
    for answer in classifier.predict(["good", "bad day", "rain"]):
        assert isinstance(answer, Prediction)
        assert answer.labels == (answer.label,)
    assert classifier.decide(np.array([[0.5, 0.5], [0.1, 0.9]])).tolist() == [
        [True, False],
        [False, True],
    ]


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_sigmoid_overflows_nowhere(logit: float) -> None:
    (found,) = sigmoid(np.array([logit], np.float32))
    assert found == pytest.approx(1 / (1 + math.exp(-logit)) if logit > -700 else 0.0)

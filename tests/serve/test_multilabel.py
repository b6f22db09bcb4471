"""The service of a multi-label bundle says which labels apply, also none."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

import linnet
from linnet.config import ServeConfig
from linnet.serve import create_app


@pytest.fixture(scope="module")
def classifier(tone_bundle: Path) -> linnet.Classifier:
    return linnet.load(tone_bundle)


@pytest.fixture(scope="module")
def client(classifier: linnet.Classifier, settings: ServeConfig) -> Iterator[TestClient]:
    with TestClient(create_app(classifier, settings)) as client:
        yield client


TEXTS = ["good love was it", "was it so very", "bad sun hate rain this"]


def test_the_answers_are_the_classifiers(client: TestClient, classifier: linnet.Classifier) -> None:
    answers = client.post("/v1/predict", json={"texts": TEXTS}).json()["predictions"]
    for item, expected in zip(answers, classifier.predict(TEXTS), strict=True):
        assert item["labels"] == list(expected.labels)
        assert item["label"] == expected.label
        assert item["probabilities"] == pytest.approx(expected.probabilities)
    assert [item["labels"][:1] for item in answers[:2]] == [["praise"], []]
    assert answers[1]["label"] is None
    assert set(answers[2]["labels"]) == {"blame", "weather"}


def test_personal_data_make_no_difference(client: TestClient) -> None:
    texts = ["good love @jane write to a@b.co", "good love @user write to <email>"]
    first, second = client.post("/v1/predict", json={"texts": texts}).json()["predictions"]
    assert first == second

"""The service of a multi-label bundle says which labels apply, also none."""

import pytest
from starlette.testclient import TestClient

import linnet
from linnet.serve import Service, create_app


@pytest.fixture(scope="module")
def classifier(tone_bundle):
    return linnet.load(tone_bundle)


@pytest.fixture(scope="module")
def client(tone_bundle, config):
    with TestClient(create_app(Service(config, str(tone_bundle)))) as client:
        yield client


TEXTS = ["good love was it", "was it so very", "bad sun hate rain this"]


def test_the_answers_are_the_classifiers(client, classifier):
    answers = client.post("/v1/predict", json={"texts": TEXTS}).json()["predictions"]
    for item, expected in zip(answers, classifier.predict(TEXTS), strict=True):
        assert item["labels"] == list(expected.labels)
        assert item["label"] == expected.label
        assert item["probabilities"] == pytest.approx(expected.probabilities)
    assert [item["labels"][:1] for item in answers[:2]] == [["praise"], []]
    assert answers[1]["label"] is None
    assert set(answers[2]["labels"]) == {"blame", "weather"}


def test_personal_data_make_no_difference(client):
    texts = ["good love @jane write to a@b.co", "good love @user write to <email>"]
    first, second = client.post("/v1/predict", json={"texts": texts}).json()["predictions"]
    assert first["id"] != second["id"]
    assert first | {"id": ""} == second | {"id": ""}

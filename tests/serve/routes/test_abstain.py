"""A service whose bundle abstains gives no label where it isn't sure enough, and says what it was asked to reach."""

import pytest
from starlette.testclient import TestClient

import linnet
from linnet.serve import Service, create_app

TEXTS = ["love love good sun", "hate hate bad rain", "good bad love hate", "the film is this"]


@pytest.fixture(scope="module")
def holding_back(reseal, tmp_path_factory):
    """The tiny bundle, holding back what is not sure enough of either label."""
    copy = tmp_path_factory.mktemp("abstain") / "bundle"
    return reseal(copy, min_precision=0.95, thresholds=(0.8, 0.9))


@pytest.fixture(scope="module")
def client(holding_back, config):
    with TestClient(create_app(Service(config, str(holding_back)))) as client:
        yield client


def test_an_answer_without_a_label_says_why(client, holding_back):
    body = client.post("/v1/predict", json={"texts": TEXTS}).json()
    for item, expected in zip(
        body["predictions"], linnet.load(holding_back).predict(TEXTS), strict=True
    ):
        assert item["abstained"] is expected.abstained
        assert (item["label"], item["labels"]) == (expected.label, list(expected.labels))
        assert item["probability"] == max(item["probabilities"].values())
        if item["abstained"]:
            assert (item["label"], item["labels"]) == (None, [])
    assert {item["abstained"] for item in body["predictions"]} == {True, False}


def test_what_it_was_asked_to_reach_is_told(client):
    for route in ("/v1/models",):
        assert client.get(route).json()["arms"][0]["min_precision"] == 0.95


def test_the_service_warms_up_with_a_bundle_that_answers_nothing(reseal, config, tmp_path):
    silent = reseal(tmp_path / "silent", min_precision=0.95, thresholds=(0.999999, None))
    with TestClient(create_app(Service(config, str(silent)))) as client:
        answers = client.post("/v1/predict", json={"texts": TEXTS}).json()["predictions"]
    assert all(item["abstained"] for item in answers)

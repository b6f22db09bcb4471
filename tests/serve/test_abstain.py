"""A service whose bundle abstains gives no label where it isn't sure enough, and says what it was asked to reach."""

import dataclasses

import pytest
from starlette.testclient import TestClient

import linnet
from linnet.serve import create_app

TEXTS = ["love love good sun", "hate hate bad rain", "good bad love hate", "the film is this"]


@pytest.fixture
def classifier(bundle):
    """The tiny bundle, holding back what is not sure enough of either label."""
    whole = linnet.load(bundle).bundle
    changes = {"min_precision": 0.95, "thresholds": (0.8, 0.9)}
    return linnet.Classifier(dataclasses.replace(whole, manifest=whole.manifest.model_copy(update=changes)))


def test_an_answer_without_a_label_says_why(client: TestClient, classifier: linnet.Classifier) -> None:
    body = client.post("/v1/predict", json={"texts": TEXTS}).json()
    assert body["model"]["min_precision"] == 0.95
    for item, expected in zip(body["predictions"], classifier.predict(TEXTS), strict=True):
        assert item["abstained"] is expected.abstained
        assert (item["label"], item["labels"]) == (expected.label, list(expected.labels))
        assert item["probability"] == max(item["probabilities"].values())
        if item["abstained"]:
            assert (item["label"], item["labels"]) == (None, [])
    assert {item["abstained"] for item in body["predictions"]} == {True, False}


def test_readiness_tells_it_too(client: TestClient) -> None:
    assert client.get("/readyz").json()["model"]["min_precision"] == 0.95


def test_the_service_warms_up_with_a_bundle_that_answers_nothing(bundle, settings) -> None:
    whole = linnet.load(bundle).bundle
    changes = {"min_precision": 0.95, "thresholds": (0.999999, None)}
    silent = linnet.Classifier(dataclasses.replace(whole, manifest=whole.manifest.model_copy(update=changes)))
    with TestClient(create_app(silent, settings)) as client:
        assert all(
            item["abstained"] for item in client.post("/v1/predict", json={"texts": TEXTS}).json()["predictions"]
        )

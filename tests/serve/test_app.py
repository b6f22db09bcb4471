"""What the routes answer when all is well."""

import json
import math
import re

import pytest

from linnet.config import load_config
from linnet.serve import create_app, openapi

TEXTS = ["I love this film", "so bad &amp; so very not good", "rain " * 100]


def test_the_answers_are_the_classifiers(client, classifier):
    answer = client.post("/v1/predict", json={"texts": TEXTS})
    assert answer.status_code == 200
    body = answer.json()
    assert body["model"] == {"name": classifier.name, "digest": classifier.digest, "min_precision": None}
    assert len(body["predictions"]) == 3
    for item, expected in zip(body["predictions"], classifier.predict(TEXTS), strict=True):
        assert set(item) == {"label", "probability", "probabilities", "truncated", "labels", "abstained", "fast"}
        assert (item["label"], item["truncated"]) == (expected.label, expected.truncated)
        assert (item["abstained"], item["fast"]) == (False, False)
        assert item["labels"] == list(expected.labels) == [item["label"]]
        assert item["probability"] == max(item["probabilities"].values())
        assert math.isclose(sum(item["probabilities"].values()), 1)
        assert item["probabilities"] == pytest.approx(expected.probabilities)
        assert tuple(item["probabilities"]) == classifier.labels
    assert [item["truncated"] for item in body["predictions"]] == [False, False, True]


def test_the_order_of_the_texts_is_kept(client):
    forth = client.post("/v1/predict", json={"texts": TEXTS}).json()["predictions"]
    back = client.post("/v1/predict", json={"texts": TEXTS[::-1]}).json()["predictions"]
    assert [item["probability"] for item in forth] == pytest.approx([item["probability"] for item in back[::-1]])


@pytest.mark.parametrize("media_type", ["application/json", "APPLICATION/JSON; charset=utf-8", "application/x+json"])
def test_json_by_its_names(client, media_type):
    answer = client.post("/v1/predict", content='{"texts": ["a"]}', headers={"Content-Type": media_type})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b'{"texts": ["a"], "texts": ["b", "c"]}',
        '{"texts": ["naïve", "שלום \\u202e", "👩\\u200d👧"]}'.encode(),
        b'{"texts": ["\\ud83d\\ude00 an emoji as a pair of escapes"]}',
        b'\n\t {"texts"\n:["a"]}  ',
    ],
)
def test_odd_but_valid_bodies(client, body):
    answer = client.post("/v1/predict", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 200
    assert len(answer.json()["predictions"]) == len(json.loads(body)["texts"])


def test_the_limit_on_texts_is_inclusive(client, settings):
    answer = client.post("/v1/predict", json={"texts": ["a"] * settings.max_texts})
    assert len(answer.json()["predictions"]) == settings.max_texts


def test_health_and_readiness(client, classifier):
    assert client.get("/healthz").json() == {"status": "ok"}
    ready = client.get("/readyz")
    assert ready.status_code == 200
    model = {"name": classifier.name, "digest": classifier.digest, "min_precision": None}
    engine = {"engine": "onnxruntime", "variant": "fp32", "num_threads": 1, "num_sessions": 1, "max_batch_tokens": 512}
    found = ready.json()
    assert found.pop("reason") == classifier.reason
    assert found == {"status": "ready", "model": model, "engine": engine}


def test_the_description_is_the_same_for_every_model(client):
    assert client.get("/openapi.json").json() == openapi()


def test_every_route_is_described_with_its_failures():
    description = openapi()
    assert set(description["paths"]) == {"/v1/predict", "/healthz", "/readyz"}
    for methods in description["paths"].values():
        for operation in methods.values():
            assert operation["summary"] and operation["description"]
            for status, answer in operation["responses"].items():
                schema = answer["content"]["application/json"]["schema"]
                assert status == "200" or schema == {"$ref": "#/components/schemas/ErrorResponse"}
    assert set(description["paths"]["/v1/predict"]["post"]["responses"]) == {
        "200", "400", "413", "415", "422", "500", "503"
    }  # fmt: skip


def test_the_examples_in_the_description_work(client):
    schema = openapi()["components"]["schemas"]["PredictRequest"]
    for example in schema["examples"]:
        assert client.post("/v1/predict", json=example).status_code == 200


def test_the_docs_page_needs_no_other_host(client):
    page = client.get("/docs")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert not re.search(r"""(src|href)=["']?(https?:)?//|@import|url\(""", page.text)
    assert "connect-src 'self'" in page.headers["content-security-policy"]
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_two_apps_share_nothing(classifier):
    apps = [create_app(classifier, load_config(overrides={"serve.max_texts": n}).serve) for n in (1, 2)]
    assert [app.state.service.settings.max_texts for app in apps] == [1, 2]
    assert apps[0].state.service.classifier is apps[1].state.service.classifier

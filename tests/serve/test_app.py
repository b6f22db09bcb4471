"""What the routes answer when all is well."""

import json
import math
import re
from dataclasses import asdict

import pytest

from linnet import Prediction
from linnet.serve import openapi

TEXTS = ["I love this film", "so bad &amp; so very not good", "rain " * 100]


def test_the_answers_are_the_classifiers(client, classifier):
    answer = client.post("/v1/predict", json={"texts": TEXTS})
    assert answer.status_code == 200
    body = answer.json()
    assert len(body["predictions"]) == 3
    for item, expected in zip(body["predictions"], classifier.predict(TEXTS), strict=True):
        assert set(item) == {"id", "arm", "digest", *Prediction.__dataclass_fields__}
        assert (item["arm"], item["digest"]) == ("champion", classifier.digest)
        assert (item["label"], item["truncated"]) == (expected.label, expected.truncated)
        assert (item["abstained"], item["fast"]) == (False, False)
        assert item["unknown_share"] == expected.unknown_share
        assert item["labels"] == list(expected.labels) == [item["label"]]
        assert item["probability"] == max(item["probabilities"].values())
        assert math.isclose(sum(item["probabilities"].values()), 1)
        assert item["probabilities"] == pytest.approx(expected.probabilities)
        assert tuple(item["probabilities"]) == classifier.labels
    assert [item["truncated"] for item in body["predictions"]] == [False, False, True]
    # The tiny vocabulary has no "&".
    assert [item["unknown_share"] for item in body["predictions"]] == [0.0, 1 / 7, 0.0]
    ids = [item["id"] for item in body["predictions"]]
    assert all(re.fullmatch(rf"[0-9a-f]{{32}}-{index}", one) for index, one in enumerate(ids))
    assert body["request_id"] == answer.headers["x-request-id"]


def test_the_order_of_the_texts_is_kept(client):
    forth = client.post("/v1/predict", json={"texts": TEXTS}).json()["predictions"]
    back = client.post("/v1/predict", json={"texts": TEXTS[::-1]}).json()["predictions"]
    assert [item["probability"] for item in forth] == pytest.approx(
        [item["probability"] for item in back[::-1]]
    )


@pytest.mark.parametrize(
    "media_type", ["application/json", "APPLICATION/JSON; charset=utf-8", "application/x+json"]
)
def test_json_by_its_names(client, media_type):
    answer = client.post(
        "/v1/predict", content='{"texts": ["a"]}', headers={"Content-Type": media_type}
    )
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


def test_the_limit_on_texts_is_inclusive(client, config):
    answer = client.post("/v1/predict", json={"texts": ["a"] * config.serve.max_texts})
    assert len(answer.json()["predictions"]) == config.serve.max_texts


def test_health_and_readiness(client, classifier):
    assert client.get("/healthz").json() == {"status": "ok"}
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json()) == (200, {"status": "ready"})
    model = {
        "name": classifier.name,
        "digest": classifier.digest,
        "min_precision": None,
        "multi_label": False,
    }
    arm = {
        "arm": "champion",
        "role": "champion",
        "share": 1.0,
        "rolled_back": False,
        "labels": list(classifier.labels),
        **model,
    }
    engine = {
        "engine": "onnxruntime",
        "variant": "fp32",
        "num_threads": 1,
        "num_sessions": 1,
        "max_batch_tokens": 512,
    }
    arms = [arm | {"engine": engine, "reason": classifier.reason}]
    assert client.get("/v1/models").json() == {"arms": arms}


def test_what_moved_an_answer_is_the_classifiers_word(client, classifier):
    found = client.post("/v1/explain", json={"text": "I love this &amp; that"}).json()
    expected = asdict(classifier.explain("I love this &amp; that"))
    words, wanted = found.pop("words"), expected.pop("words")
    assert [word.pop("weight") for word in words] == pytest.approx(
        [word.pop("weight") for word in wanted], abs=1e-5
    )
    assert words == list(wanted)
    assert found.pop("request_id") and found.pop("probability") == pytest.approx(
        expected.pop("probability")
    )
    assert found == expected | {"arm": "champion", "digest": classifier.digest}


@pytest.mark.parametrize(
    ("change", "code"), [({"label": "none"}, "bad_label"), ({"text": ""}, "bad_text")]
)
def test_what_can_not_be_explained_is_refused(client, change, code):
    answer = client.post("/v1/explain", json={"text": "good day"} | change)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, code)


def test_the_description_is_the_same_for_every_model(client):
    assert client.get("/openapi.json").json() == openapi()


def test_every_route_is_described_with_its_failures():
    description = openapi()
    assert set(description["paths"]) == {
        "/v1/predict", "/v1/explain", "/v1/feedback", "/v1/models", "/admin/models",
        "/admin/operate", "/admin/shares", "/admin/rollback", "/metrics", "/healthz", "/readyz",
        "/ping", "/execution-parameters", "/invocations",
        "/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/{name}", "/v2/models/{name}/versions/{version}",
        "/v2/models/{name}/ready", "/v2/models/{name}/versions/{version}/ready",
        "/v2/models/{name}/infer", "/v2/models/{name}/versions/{version}/infer",
    }  # fmt: skip
    for path, methods in description["paths"].items():
        failure = "ProtocolError" if path.startswith("/v2") else "ErrorResponse"
        for operation in methods.values():
            assert operation["summary"] and operation["description"]
            for status, answer in operation["responses"].items():
                if "text/plain" in answer["content"]:
                    continue
                schema = answer["content"]["application/json"]["schema"]
                assert status == "200" or schema == {"$ref": f"#/components/schemas/{failure}"}
    assert set(description["paths"]["/v1/predict"]["post"]["responses"]) == {
        "200", "400", "413", "415", "422", "429", "500", "503", "504"
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

"""The Open Inference Protocol's REST routes against what it publishes: open_inference_rest.yaml, version 2.0.

https://github.com/kserve/open-inference-protocol, specification/protocol; its tables are in inference_rest.md.
"""

import json

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

import linnet
from linnet.config import ArmConfig
from linnet.serve import Service, create_app
from linnet.serve.errors import APIError
from linnet.serve.middleware.keys import Keys, add_key
from linnet.serve.models import service
from linnet.serve.models.workers import Pool

STRING, STRINGS = {"type": "string"}, {"type": "array", "items": {"type": "string"}}
SHAPE = {"type": "array", "items": {"type": "integer"}}
# The yaml's components; `additionalProperties` is of this test, for those whose table in inference_rest.md is complete.
TENSOR_DATA = {
    "type": "array",
    "items": {
        "anyOf": [
            {"$ref": "#/$defs/tensor_data"},
            {"type": "number"},
            {"type": "string"},
            {"type": "boolean"},
        ]
    },
}
METADATA_TENSOR = {
    "type": "object",
    "properties": {"name": STRING, "datatype": STRING, "shape": SHAPE},
    "required": ["name", "datatype", "shape"],
    "additionalProperties": False,
}
RESPONSE_OUTPUT = {
    "type": "object",
    "properties": {
        "name": STRING,
        "shape": SHAPE,
        "datatype": STRING,
        "parameters": {"type": "object"},
        "data": {"$ref": "#/$defs/tensor_data"},
    },
    "required": ["name", "shape", "datatype", "data"],
    "additionalProperties": False,
}
SCHEMAS = {
    "metadata_server_response": {
        "type": "object",
        "properties": {"name": STRING, "version": STRING, "extensions": STRINGS},
        "required": ["name", "version", "extensions"],
        "additionalProperties": False,
    },
    "metadata_model_response": {
        "type": "object",
        "properties": {
            "name": STRING,
            "versions": STRINGS,
            "platform": STRING,
            "inputs": {"type": "array", "items": METADATA_TENSOR},
            "outputs": {"type": "array", "items": METADATA_TENSOR},
        },
        "required": ["name", "platform", "inputs", "outputs"],
    },
    "inference_response": {
        "type": "object",
        "properties": {
            "model_name": STRING,
            "model_version": STRING,
            "id": STRING,
            "parameters": {"type": "object"},
            "outputs": {"type": "array", "items": RESPONSE_OUTPUT},
        },
        "required": ["model_name", "outputs"],
        "additionalProperties": False,
    },
    "ready_model_response": {
        "type": "object",
        "properties": {"name": STRING, "ready": {"type": "boolean"}},
        "required": ["name", "ready"],
        "additionalProperties": False,
    },
    "ready_server_response": {
        "type": "object",
        "properties": {"live": {"type": "boolean"}},
        "required": ["live"],
    },
    "inference_error_response": {
        "type": "object",
        "properties": {"error": STRING},
        "required": ["error"],
        "additionalProperties": False,
    },
}
DATATYPES = {"BYTES": str, "FP64": float, "BOOL": bool}
TEXTS = ["I love this film", "so bad &amp; so very not good", "rain " * 100]
NAMES = ["label", "probability", "probabilities", "applies", "truncated", "abstained", "id"]


def hold(answer, schema: str, status: int = 200) -> dict:
    """An answer's content, held against what the protocol publishes."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    jsonschema.validate(answer.json(), SCHEMAS[schema] | {"$defs": {"tensor_data": TENSOR_DATA}})
    return answer.json()


def body_of(*texts: str, **changes) -> dict:
    return {
        "inputs": [
            {"name": "text", "shape": [len(texts)], "datatype": "BYTES", "data": list(texts)}
            | changes
        ]
    }


def infer(client: TestClient, body: object, path: str = "champion", **headers: str):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post(f"/v2/models/{path}/infer", content=content, headers=headers)


def tensors(answer) -> dict[str, list]:
    """The outputs by name, each as rows of its shape."""
    found = {}
    for output in hold(answer, "inference_response")["outputs"]:
        size = 1
        for dimension in output["shape"]:
            size *= dimension
        assert len(output["data"]) == size
        assert all(type(value) is DATATYPES[output["datatype"]] for value in output["data"])
        width = [*output["shape"], 1][1]
        rows = [output["data"][start : start + width] for start in range(0, size, width)]
        found[output["name"]] = rows if len(output["shape"]) == 2 else [value for (value,) in rows]
    return found


@pytest.mark.parametrize("path", ["/v2", "/v2/"])
def test_server_metadata(client, path):
    found = hold(client.get(path), "metadata_server_response")
    assert found == {
        "name": "linnet",
        "version": linnet.__version__,
        "extensions": ["binary_tensor_data"],
    }


def test_server_health(client, app):
    assert hold(client.get("/v2/health/live"), "ready_server_response") == {
        "live": True,
        "ready": True,
    }
    assert hold(client.get("/v2/health/ready"), "ready_server_response")["live"] is True
    starting = TestClient(app)
    assert hold(starting.get("/v2/health/live"), "ready_server_response") == {
        "live": True,
        "ready": False,
    }
    assert (
        "has not started"
        in hold(starting.get("/v2/health/ready"), "inference_error_response", 503)["error"]
    )


def paths(classifier) -> list[str]:
    digest = classifier.digest
    return [
        name + version
        for name in ("champion", classifier.name)
        for version in ("", f"/versions/{digest}", f"/versions/{digest[:12]}")
    ]


def test_model_metadata_and_readiness(client, classifier):
    for path in paths(classifier):
        name = path.partition("/")[0]
        found = hold(client.get(f"/v2/models/{path}"), "metadata_model_response")
        assert (found["name"], found["versions"], found["platform"]) == (
            name,
            [classifier.digest],
            "onnx_onnxv1",
        )
        assert found["inputs"] == [{"name": "text", "datatype": "BYTES", "shape": [-1]}]
        assert [output["name"] for output in found["outputs"]] == NAMES
        assert found["parameters"] == {"labels": list(classifier.labels)}
        assert hold(client.get(f"/v2/models/{path}/ready"), "ready_model_response") == {
            "name": name,
            "ready": True,
        }


def test_a_model_whose_worker_is_down_is_not_ready(client, monkeypatch):
    monkeypatch.setattr(Pool, "unready", "A worker is being started again.")
    for path in ("models/champion/ready", "health/ready"):
        assert "again" in hold(client.get(f"/v2/{path}"), "inference_error_response", 503)["error"]
    assert hold(client.get("/v2/health/live"), "ready_server_response") == {
        "live": True,
        "ready": False,
    }


def test_every_arm_but_a_shadow_is_a_model(bundle, config):
    arms = {
        "next": ArmConfig(bundle=str(bundle), share=1.0),
        "quiet": ArmConfig(bundle=str(bundle), shadow=True),
    }
    both = config.model_copy(update={"serve": config.serve.model_copy(update={"arms": arms})})
    with TestClient(create_app(Service(both, str(bundle)))) as client:
        for name in ("champion", "next", "tiny"):
            assert (
                hold(infer(client, body_of("good"), name), "inference_response")["model_name"]
                == name
            )
        arm = client.post("/v1/predict", json={"texts": ["good"]}).json()["predictions"][0]["arm"]
        assert arm == "next"  # by its share, which names don't ask for
        error = hold(infer(client, body_of("good"), "quiet"), "inference_error_response", 404)[
            "error"
        ]
    assert "one of the models champion, next;" in error


def test_inference_is_the_classifiers_word_and_as_its_metadata_says(client, classifier):
    described = {
        output["name"]: output for output in client.get("/v2/models/champion").json()["outputs"]
    }
    for path in paths(classifier):
        answer = infer(client, {"id": "42"} | body_of(*TEXTS), path)
        content = hold(answer, "inference_response")
        assert (content["model_name"], content["id"]) == (path.partition("/")[0], "42")
        assert content["model_version"] == classifier.digest
        for output in content["outputs"]:
            said = described[output["name"]]
            assert output["datatype"] == said["datatype"]
            assert output["shape"] == [len(TEXTS) if size == -1 else size for size in said["shape"]]
        found = tensors(answer)
        assert list(found) == NAMES
        for index, expected in enumerate(classifier.predict(TEXTS)):
            assert found["label"][index] == expected.label
            assert found["probability"][index] == pytest.approx(expected.probability)
            assert found["probabilities"][index] == pytest.approx(
                list(expected.probabilities.values())
            )
            assert found["applies"][index] == [
                label in expected.labels for label in classifier.labels
            ]
            assert (found["truncated"][index], found["abstained"][index]) == (
                expected.truncated,
                False,
            )
            assert found["id"][index].endswith(f"-{index}")


def test_an_id_that_was_not_sent_is_not_invented(client):
    assert "id" not in hold(infer(client, body_of("good")), "inference_response")


@pytest.mark.parametrize(
    "changes",
    [
        {"shape": [2], "data": ["good", "bad"]},
        {"shape": [2, 1], "data": ["good", "bad"]},
        {"shape": [2, 1], "data": [["good"], ["bad"]]},
        {"shape": [-1], "data": ["good", "bad"]},
        {"shape": [-1, 1], "data": [["good"], ["bad"]]},
        {"parameters": {"content_type": "str"}},
    ],
)
def test_data_flat_or_nested(client, changes):
    """inference_rest.md, "Request Input"; "Tensor Data" takes both."""
    found = tensors(infer(client, body_of("good", "bad", **changes)))
    assert found["label"] == tensors(infer(client, body_of("good", "bad")))["label"]


@pytest.mark.parametrize(
    "media_type",
    [
        None,
        "application/json",
        "application/json; charset=utf-8",
        "application/vnd.example.v2+json",
        "application/x-www-form-urlencoded",  # of curl -d
        "application/octet-stream",
        "text/plain",
        "/;;=",
    ],
)
def test_a_request_need_not_say_that_it_is_json(client, media_type):
    headers = {"Content-Type": media_type} if media_type else {}
    assert "Content-Type" in headers or "content-type" not in client.headers
    hold(infer(client, body_of("good"), **headers), "inference_response")


def test_members_without_a_meaning_here_are_ignored(client):
    """As KServe's client sends `model_name`, and Triton's `priority` and `timeout`."""
    request = body_of("good", extra=1, parameters={"content_type": "str"}) | {
        "model_name": "champion",
        "model_version": None,
        "texts": ["bad"],
        "parameters": {"priority": 1, "timeout": 5_000_000, "sequence_id": 7},
        "outputs": [{"name": "label", "extra": None}],
    }
    plain = tensors(infer(client, body_of("good")))
    assert tensors(infer(client, request)) == {"label": plain["label"]}
    assert client.post("/v1/predict", json={"texts": ["good"], "extra": 1}).status_code == 422


@pytest.mark.parametrize("body", [{"inputs": []}, body_of(), body_of(shape=[0, 1])])
def test_no_texts_are_no_rows(client, classifier, body):
    answer = infer(client, body | {"id": "0"})
    shapes = [output["shape"] for output in hold(answer, "inference_response")["outputs"]]
    assert shapes == [[0], [0], [0, 2], [0, 2], [0], [0], [0]]
    assert not any(tensors(answer).values())
    assert (answer.json()["id"], answer.json()["model_version"]) == ("0", classifier.digest)


def test_outputs_are_given_as_asked(client):
    asked = {
        "outputs": [
            {"name": "id"},
            {"name": "label", "parameters": {"binary_data": False}},
            {"name": "id"},
        ]
    }
    assert list(tensors(infer(client, body_of("good") | asked))) == ["id", "label"]
    assert list(tensors(infer(client, body_of("good") | {"outputs": []}))) == NAMES


GOOD = {"name": "text", "shape": [1], "datatype": "BYTES", "data": ["good"]}
BAD = {
    "no inputs": {},
    "two inputs": {"inputs": [GOOD, GOOD]},
    "another input": {"inputs": [GOOD | {"name": "input_ids"}]},
    "another type": {"inputs": [GOOD | {"datatype": "INT64", "data": [1]}]},
    "numbers": {"inputs": [GOOD | {"data": [1]}]},
    "no data": {"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES"}]},
    "empty data": {"inputs": [GOOD | {"data": []}]},
    "a shape of nothing": {"inputs": [GOOD | {"shape": [0]}]},
    "two unknown dimensions": {"inputs": [GOOD | {"shape": [-1, -1]}]},
    "an unknown width": {"inputs": [GOOD | {"shape": [1, -1]}]},
    "a negative dimension": {"inputs": [GOOD | {"shape": [-2]}]},
    "inputs that are null": {"inputs": None},
    "a shape of strings": {"inputs": [GOOD | {"shape": ["1"]}]},
    "no shape": {"inputs": [GOOD | {"shape": []}]},
    "three dimensions": {"inputs": [GOOD | {"shape": [1, 1, 1]}]},
    "a larger shape": {"inputs": [GOOD | {"shape": [2]}]},
    "a shape without end": {"inputs": [GOOD | {"shape": [10**100]}]},
    "wide rows": {"inputs": [GOOD | {"shape": [1, 2], "data": ["a", "b"]}]},
    "nested in a flat shape": {"inputs": [GOOD | {"data": [["good"]]}]},
    "half nested": {"inputs": [GOOD | {"shape": [2, 1], "data": [["good"], "bad"]}]},
    "nested twice": {"inputs": [GOOD | {"shape": [1, 1], "data": [[["good"]]]}]},
    "an unknown output": body_of("good") | {"outputs": [{"name": "logits"}]},
    "an id that is a number": body_of("good") | {"id": 42},
    "a type other than text": {"inputs": [GOOD | {"datatype": "FP32", "data": [1.5]}]},
    "texts in base64": {"inputs": [GOOD | {"parameters": {"content_type": "base64"}}]},
    "classes": body_of("good")
    | {"outputs": [{"name": "probabilities", "parameters": {"classification": 2}}]},
    "shared memory": body_of("good")
    | {"outputs": [{"name": "label", "parameters": {"shared_memory_region": "x"}}]},
    "no list of outputs": body_of("good") | {"outputs": "label"},
    "parameters that are none": body_of("good") | {"parameters": "x"},
    "binary data and none sent": {"inputs": [GOOD | {"parameters": {"binary_data_size": 8}}]},
    "binary data of a size and no header": {
        "inputs": [
            {"name": "text", "shape": [1], "datatype": "BYTES"}
            | {"parameters": {"binary_data_size": 8}}
        ]
    },
    "too many texts": body_of(*["good"] * 9),
    "a list": [],
    "no JSON": b"{",
    "latin-1": b'{"id": "\xe9"}',
    "no body": b"",
    "nested without end": b"[" * 9_000,
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_request_is_400_in_the_protocols_shape(client, name):
    assert hold(infer(client, BAD[name]), "inference_error_response", 400)["error"].endswith(".")


@pytest.mark.parametrize("text", ["", "\0", "\ud800", " \u3000"])
def test_a_text_that_can_not_be_used_fails_the_request_and_is_named(client, text):
    error = hold(infer(client, body_of("good", "bad", text)), "inference_error_response", 400)[
        "error"
    ]
    assert error.startswith("Text 2: ")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "models/other", 404),
        ("GET", "models/other/ready", 404),
        ("POST", "models/other/infer", 404),
        ("POST", "models/champion/versions/1/infer", 404),
        ("POST", "models/champion/versions/" + "f" * 64 + "/infer", 404),
        ("GET", "models/champion/versions/" + "f" * 12, 404),
        ("GET", "models/champion/versions//ready", 404),
        ("GET", "models", 404),
        ("GET", "models/champion/infer", 405),
        ("DELETE", "health/live", 405),
    ],
)
def test_what_is_not_there_is_said_in_the_protocols_shape(client, method, path, status):
    content = json.dumps(body_of("good")).encode() if method == "POST" else None
    hold(client.request(method, f"/v2/{path}", content=content), "inference_error_response", status)


def test_the_failures_around_the_routes_have_the_protocols_shape_too(
    client, config, bundle, tmp_path
):
    large = infer(client, body_of("x" * config.serve.max_body_bytes))
    assert "at most" in hold(large, "inference_error_response", 413)["error"]
    hold(
        infer(client, body_of("good"), **{"X-Request-Timeout": "0"}),
        "inference_error_response",
        400,
    )
    closed = TestClient(create_app(Service(config, str(bundle)), Keys(_keys(tmp_path))))
    for path in ("", "/models/champion"):
        answer = closed.get(f"/v2{path}")
        hold(answer, "inference_error_response", 401)
        assert answer.headers["www-authenticate"] == "Bearer"
    assert closed.get("/v2/health/live").status_code == 200


def _keys(folder):
    path = folder / "keys.json"
    add_key(path, "somebody", ("predict",))
    return path


@pytest.mark.parametrize(
    ("status", "headers"), [(429, {"Retry-After": "1"}), (503, {"Retry-After": "1"}), (504, {})]
)
def test_the_services_own_failures_keep_their_status(client, monkeypatch, status, headers):
    async def fail(*_):
        raise APIError(status, "some_code", "Try again later.", headers=headers)

    monkeypatch.setattr(service.Service, "predict", fail)
    answer = infer(client, body_of("good"))
    assert hold(answer, "inference_error_response", status) == {"error": "Try again later."}
    assert answer.headers.get("retry-after") == headers.get("Retry-After")


def test_a_defect_is_not_told(client, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr(service.Service, "check_count", fail)
    assert (
        "secret"
        not in hold(infer(client, body_of("good")), "inference_error_response", 500)["error"]
    )


def test_several_labels_a_text(tone_bundle, config):
    classifier = linnet.load(tone_bundle)
    texts = ["good love was it", "was it so very", "bad sun hate rain this"]
    with TestClient(create_app(Service(config, str(tone_bundle)))) as client:
        found = tensors(infer(client, body_of(*texts)))
    for index, expected in enumerate(classifier.predict(texts)):
        assert found["applies"][index] == [label in expected.labels for label in classifier.labels]
        assert found["label"][index] == (expected.label or "")
    assert "" in found["label"]


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100, deadline=None
)
@given(
    texts=st.lists(st.text() | st.text(st.characters(), max_size=12), max_size=8),
    shape=st.none() | st.lists(st.integers(-2, 9), max_size=3),
    nested=st.booleans(),
)
def test_no_tensor_is_a_defect(client, texts, shape, nested):
    data = [[text] for text in texts] if nested else texts
    answer = infer(
        client, body_of(*texts, data=data, **({} if shape is None else {"shape": shape}))
    )
    if answer.status_code == 200:
        assert len(tensors(answer)["label"]) == len(texts)
    else:
        hold(answer, "inference_error_response", 400)

"""One JSON shape on every failing route, and never a 500 for what a client sent."""

import asyncio
import json
import logging
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from linnet.errors import ModelError
from linnet.serve.middleware.failures import MAX_COMPLAINTS, ServerErrorMiddleware
from linnet.serve.middleware.identity import RequestIdMiddleware
from linnet.serve.models import service

JSON = {"Content-Type": "application/json"}
SECRET = "a secret of /srv/models"


def post(body: object, **headers: str) -> dict:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return {"method": "POST", "url": "/v1/predict", "content": content, "headers": JSON | headers}


FAILING = {
    "no such route": ({"method": "GET", "url": "/v3"}, 404, "not_found"),
    "a trailing slash": ({"method": "POST", "url": "/v1/predict/"}, 404, "not_found"),
    "wrong method": ({"method": "GET", "url": "/v1/predict"}, 405, "method_not_allowed"),
    "wrong method, too": ({"method": "DELETE", "url": "/healthz"}, 405, "method_not_allowed"),
    "an odd method": ({"method": "BREW", "url": "/docs"}, 405, "method_not_allowed"),
    "declared too large": (post({"texts": ["x" * 30_000]}), 413, "body_too_large"),
    "too large in chunks": (
        post(b"") | {"content": (b" " * 1000 for _ in range(30))},
        413,
        "body_too_large",
    ),
    "no content type": (post({"texts": ["a"]}) | {"headers": {}}, 415, "unsupported_media_type"),
    "a form": (
        post(b"texts=a", **{"Content-Type": "application/x-www-form-urlencoded"}),
        415,
        "unsupported_media_type",
    ),
    "an odd content type": (post(b"{}", **{"Content-Type": "/;;="}), 415, "unsupported_media_type"),
    "no body": (post(b""), 400, "bad_json"),
    "not JSON": (post(b"{texts: [a]}"), 400, "bad_json"),
    "half a JSON": (post(b'{"texts": ["a"'), 400, "bad_json"),
    "two JSONs": (post(b'{"texts": ["a"]}{}'), 400, "bad_json"),
    "latin-1": (post('{"texts": ["é"]}'.encode("latin-1")), 400, "bad_json"),
    "binary": (post(bytes(range(256))), 400, "bad_json"),
    "damaged gzip": (
        post(b"\x1f\x8b\x08\x00abc", **{"Content-Encoding": "gzip"}),
        400,
        "bad_content_encoding",
    ),
    "brotli": (post(b"{}", **{"Content-Encoding": "br"}), 415, "unsupported_content_encoding"),
    "nested without end": (post(b"[" * 9_000 + b"]" * 9_000), 400, "bad_json"),
    "a number without end": (post(b'{"texts": ' + b"9" * 9_000 + b"}"), 400, "bad_json"),
    "a list": (post([]), 422, "invalid_request"),
    "null": (post(None), 422, "invalid_request"),
    "a word": (post("texts"), 422, "invalid_request"),
    "NaN": (post(b'{"texts": NaN}'), 422, "invalid_request"),
    "no texts": (post({}), 422, "invalid_request"),
    "an unknown key": (post({"texts": ["a"], "text": "a"}), 422, "invalid_request"),
    "half a surrogate pair as a key": (
        post(b'{"texts": ["a"], "\\ud800": 1}'),
        422,
        "invalid_request",
    ),
    "one text": (post({"texts": "a"}), 422, "invalid_request"),
    "an empty list": (post({"texts": []}), 422, "invalid_request"),
    "a number among them": (post({"texts": ["a", 1]}), 422, "invalid_request"),
    "a null among them": (post({"texts": ["a", None]}), 422, "invalid_request"),
    "a list among them": (post({"texts": [["a"]]}), 422, "invalid_request"),
    "a timeout of nothing": (
        post({"texts": ["a"]}, **{"X-Request-Timeout": "0"}),
        400,
        "bad_timeout",
    ),
    "a timeout in words": (
        post({"texts": ["a"]}, **{"X-Request-Timeout": "soon"}),
        400,
        "bad_timeout",
    ),
    "a timeout without end": (
        post({"texts": ["a"]}, **{"X-Request-Timeout": "inf"}),
        400,
        "bad_timeout",
    ),
    "no such arm": (post({"texts": ["a"], "arm": "other"}), 422, "unknown_arm"),
    "too many": (post({"texts": ["a"] * 9}), 422, "too_many_texts"),
    "an empty text": (post({"texts": [""]}), 422, "bad_text"),
    "white space": (post({"texts": ["", " \n\u3000"]}), 422, "bad_text"),
    "a NUL": (post({"texts": ["b\0"]}), 422, "bad_text"),
    "half a surrogate pair": (post(b'{"texts": ["\\ud800"]}'), 422, "bad_text"),
    "entities in entities": (post({"texts": ["&" + "#38;" * 20 + "lt;"]}), 422, "bad_text"),
}


def error_of(answer) -> dict:
    """The error of an answer, held against the one shape."""
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json()) == {"error"}
    error = answer.json()["error"]
    assert set(error) - {"details"} == {"code", "message", "request_id"}
    assert error["request_id"] == answer.headers["x-request-id"]
    assert error["message"].endswith(".")
    return error


@pytest.mark.parametrize("name", FAILING)
def test_every_failure_has_the_one_shape(client, name):
    request, status, code = FAILING[name]
    answer = client.request(**request)
    assert answer.status_code == status, answer.text
    assert error_of(answer)["code"] == code


@pytest.mark.parametrize("text", ["", "b\0", "\u200b"])
def test_the_text_that_can_not_be_used_is_named_and_the_others_are_answered(client, text):
    answer = client.post("/v1/predict", json={"texts": ["a", "b", text, "c"]})
    assert answer.status_code == 200
    items = answer.json()["predictions"]
    assert ["label" in item for item in items] == [True, True, False, True]
    error = items[2]["error"]
    assert error["code"] == "bad_text"
    assert error["message"].startswith("Text 2: ")
    assert error["details"]["index"] == 2
    assert error["details"]["reason"] in {"empty_text", "nul_byte"}


def test_the_field_that_is_off_is_named_and_its_value_is_not_told(client):
    error = error_of(client.post("/v1/predict", json={"texts": ["a", {"private": "thing"}]}))
    assert error["details"]["fields"] == [
        {"field": "body.texts.1", "message": "Input should be a valid string"}
    ]
    assert "private" not in json.dumps(error)


def test_complaints_are_bounded(client):
    error = error_of(
        client.post("/v1/predict", json={f"{'k' * 200}{number}": 1 for number in range(50)})
    )
    assert len(error["details"]["fields"]) == MAX_COMPLAINTS
    assert len(error["message"]) < 2_000


def test_a_refused_method_is_told_which_are_taken(client):
    assert client.get("/v1/predict").headers["allow"] == "OPTIONS, POST"


def test_a_body_too_large_ends_the_connection(client):
    assert client.request(**FAILING["declared too large"][0]).headers["connection"] == "close"


@pytest.mark.parametrize("route", ["/v1/predict", "/readyz"])
def test_a_service_that_has_not_started_is_not_ready(app, route):
    client = TestClient(app)  # not entered: its lifespan does not run
    answer = (
        client.post(route, json={"texts": ["a"]}) if route.startswith("/v1") else client.get(route)
    )
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert error_of(answer)["code"] == "not_ready"
    assert "has not started" in error_of(answer)["message"]
    assert client.get("/healthz").status_code == 200


def test_a_service_that_stops_is_no_longer_ready(app):
    client = TestClient(app)
    with client:
        assert client.get("/readyz").status_code == 200
    assert "is shutting down" in error_of(client.get("/readyz"))["message"]


@pytest.mark.parametrize(
    "error", [ZeroDivisionError(SECRET), ModelError(SECRET), MemoryError(SECRET)]
)
def test_a_defect_is_logged_and_not_told(client, monkeypatch, caplog, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(service.Service, "check_count", fail)
    with caplog.at_level(logging.ERROR, "linnet.serve"):
        answer = client.post("/v1/predict", json={"texts": ["a"]}, headers={"X-Request-ID": "mine"})
    assert answer.status_code == 500
    assert error_of(answer)["code"] == "internal_error"
    assert SECRET not in answer.text
    assert "mine" in caplog.text and "Traceback" in caplog.text and SECRET in caplog.text
    assert client.get("/healthz").status_code == 200


def test_a_defect_of_a_route_within_the_framework_has_the_one_shape_too(client, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError(SECRET)

    monkeypatch.setattr(service.Service, "check_ready", fail)
    answer = client.get("/readyz")
    assert (answer.status_code, error_of(answer)["code"]) == (500, "internal_error")
    assert SECRET not in answer.text


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters()) | st.just("texts"), inner, max_size=4)
    ),
    max_leaves=12,
)
texts = (
    st.text()
    | st.text(st.characters(), max_size=20)
    | st.sampled_from(["", "\0", "&amp;", "\ud800"])
)
bodies = st.one_of(
    st.binary(),
    json_values.map(lambda value: json.dumps(value).encode()),
    st.lists(texts, max_size=10).map(lambda value: json.dumps({"texts": value}).encode()),
    st.lists(json_values, max_size=4).map(lambda value: json.dumps({"texts": value}).encode()),
    st.builds(
        lambda head, tail: b'{"texts": ["' + head + b'"]' + tail,
        st.binary(),
        st.sampled_from([b"}", b"", b",}"]),
    ),
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None
)
@given(body=bodies)
def test_no_body_is_a_defect(client, body):
    answer = client.post("/v1/predict", content=body, headers=JSON)
    if answer.status_code == 200:
        assert len(answer.json()["predictions"]) == len(json.loads(body)["texts"])
    else:
        assert answer.status_code in {400, 422}
        error_of(answer)


@settings(max_examples=100, deadline=None)
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "OPTIONS", "PATCH"]),
    path=st.text(st.characters(codec="utf-8"), max_size=30),
    headers=st.dictionaries(
        st.sampled_from(["Content-Type", "X-Request-ID", "Accept", "Content-Length"]),
        st.binary(max_size=30).map(lambda value: value.replace(b"\n", b"").replace(b"\r", b"")),
    ),
)
def test_no_path_or_header_is_a_defect(client, method, path, headers):
    answer = client.request(method, "/" + quote(path), headers=headers)
    assert answer.status_code < 500
    if answer.status_code >= 400:
        error_of(answer)


def test_a_request_that_is_cancelled_is_answered_as_any_failure(caplog):
    async def app(scope, receive, send):
        raise asyncio.CancelledError

    reply = TestClient(RequestIdMiddleware(ServerErrorMiddleware(app))).get("/v1/models")
    assert reply.status_code == 503 and reply.headers["retry-after"] == "1"
    assert reply.json()["error"]["code"] == "not_ready"
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]

"""Pages of other origins: let in where the setting names them, and never to what is the operator's."""

import pytest
from starlette.testclient import TestClient

from linnet.config import load_config
from linnet.errors import ConfigError
from linnet.serve import Service, create_app
from linnet.serve.middleware.keys import Keys, add_key

PAGE = "https://app.example"
OTHER = "https://evil.example"


def make_client(origins, keys=None):
    overrides = {
        "prediction_log.url": "",
        "serve.cors_origins": origins,
        "serve.max_body_bytes": 100,
    }
    return TestClient(create_app(Service(load_config(overrides=overrides), "nowhere"), keys))


@pytest.fixture(scope="module")
def client():
    return make_client([PAGE])


def preflight(client, origin=PAGE, path="/v1/predict", method="POST", headers="content-type"):
    asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}
    return client.options(path, headers={"Origin": origin} | asked)


def cors_headers(answer):
    return {name for name in answer.headers if name.startswith("access-control-")}


def test_off_by_default():
    client = make_client([])
    for answer in (preflight(client), client.get("/healthz", headers={"Origin": PAGE})):
        assert not cors_headers(answer) and "vary" not in answer.headers


@pytest.mark.parametrize(
    "headers",
    ["content-type", "Authorization, X-API-Key, x-request-id,x-request-timeout,traceparent"],
)
def test_a_named_page_may_ask(client, headers):
    answer = preflight(client, headers=headers)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, PAGE)
    assert "access-control-allow-credentials" not in answer.headers
    assert "Origin" in answer.headers["vary"]
    got = client.get("/healthz", headers={"Origin": PAGE})
    assert got.headers["access-control-allow-origin"] == PAGE
    assert {"X-Request-ID", "Retry-After"} <= set(
        got.headers["access-control-expose-headers"].split(", ")
    )
    assert "Origin" in got.headers["vary"]
    assert "Origin" in client.get("/healthz").headers["vary"]


@pytest.mark.parametrize(
    "asked",
    [
        {"origin": OTHER},
        {"origin": "null"},
        {"origin": PAGE + ".evil.example"},
        {"origin": "http://app.example"},
        {"headers": "x-other"},
        {"method": "DELETE"},
    ],
)
def test_another_page_header_or_method_is_refused_in_the_one_shape(client, asked):
    answer = preflight(client, **asked)
    assert answer.status_code == 403
    error = answer.json()["error"]
    assert error["code"] == "origin_not_allowed"
    assert error["request_id"] == answer.headers["x-request-id"]
    assert not cors_headers(answer)
    if "origin" in asked:
        got = client.get("/healthz", headers={"Origin": asked["origin"]})
        assert "access-control-allow-origin" not in got.headers


@pytest.mark.parametrize("path", ["/admin/models", "/admin/other", "/metrics"])
@pytest.mark.parametrize("origins", [[PAGE], ["*"]])
def test_what_is_the_operator_s_is_never_opened(path, origins):
    client = make_client(origins)
    answer = preflight(client, path=path, method="GET")
    assert not cors_headers(answer)
    assert not cors_headers(client.get(path, headers={"Origin": PAGE}))
    assert not cors_headers(client.post(path, json={}, headers={"Origin": PAGE}))


def test_every_page_where_the_setting_says_so():
    client = make_client(["*"])
    for answer in (preflight(client, OTHER), client.get("/healthz", headers={"Origin": OTHER})):
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers


def test_preflights_need_no_key_and_failures_can_be_read(tmp_path):
    _, key = add_key(tmp_path / "keys.json", "a", ["predict"], requests_per_minute=2)
    client = make_client([PAGE], Keys(tmp_path / "keys.json"))
    assert preflight(client).status_code == 200
    page = {"Origin": PAGE, "X-API-Key": key}
    answers = [
        client.post("/v1/predict", json={"texts": []}, headers={"Origin": PAGE}),
        client.post("/v1/feedback", content=b" " * 101, headers=page),
        client.post("/invocations", content=b" " * 101, headers=page),
        client.post("/invocations", content=b" " * 101, headers=page),
        client.post("/invocations", content=b" " * 101, headers=page),
    ]
    assert [answer.status_code for answer in answers] == [401, 403, 503, 503, 429]
    for answer in answers:
        assert answer.headers["access-control-allow-origin"] == PAGE
        assert answer.json()["error"]["code"]
    assert answers[-1].headers["retry-after"]


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("https://App.Example", "https://app.example"),
        ("https://app.example:443", "https://app.example"),
        ("http://app.example:80", "http://app.example"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("chrome-extension://abcdef", "chrome-extension://abcdef"),
        ("*", "*"),
    ],
)
def test_origins_are_kept_as_browsers_write_them(written, kept):
    assert load_config(overrides={"serve.cors_origins": [written]}).serve.cors_origins == (kept,)


@pytest.mark.parametrize(
    "written",
    ["app.example", "https://app.example/", "https://*.example", "null", "", "https://", "https://a b"]
)  # fmt: skip
def test_what_no_browser_writes_is_refused(written):
    with pytest.raises(ConfigError, match=r"cors_origins.*without a path such as"):
        load_config(overrides={"serve.cors_origins": [written]})

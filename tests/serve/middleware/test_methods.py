"""HEAD as GET without a body, OPTIONS and `Allow`; around routes that need no model."""

import pytest
from starlette.testclient import TestClient

from linnet.config import load_config
from linnet.serve import Service, create_app
from linnet.serve.middleware.connection import Connection
from linnet.serve.middleware.connections import Connections
from linnet.serve.middleware.keys import Keys, add_key

READ = ["/healthz", "/", "/docs", "/operate", "/openapi.json", "/metrics", "/v1/models", "/readyz", "/ping",
        "/execution-parameters", "/v2", "/v2/", "/v2/health/live", "/v2/models/champion", "/admin/models",
        "/nowhere", "/v1/predict"]  # fmt: skip
ALLOWED = {
    "/healthz": "GET, HEAD, OPTIONS",
    "/openapi.json": "GET, HEAD, OPTIONS",
    "/v1/predict": "OPTIONS, POST",
    "/admin/models": "OPTIONS, POST",
    "/v2/models/a/infer": "OPTIONS, POST",
    "/v2/models/a/versions/b/ready": "GET, HEAD, OPTIONS",
}


def make_app(keys=None):
    """A service that has not started: its models are never read."""
    return create_app(Service(load_config(overrides={"prediction_log.url": ""}), "nowhere"), keys)


@pytest.fixture(scope="module")
def client():
    return TestClient(make_app())


@pytest.mark.parametrize("path", READ)
def test_head_is_get_without_the_body(client, path):
    got, head = client.get(path), client.head(path)
    assert head.status_code == got.status_code
    assert head.content == b"" != got.content
    ours = {"x-request-id": "", "content-length": ""}
    assert dict(head.headers) | ours == dict(got.headers) | ours
    if path != "/metrics":  # of which the length changes from one to the next
        assert head.headers["content-length"] == str(len(got.content))


def test_head_needs_the_key_that_get_needs(tmp_path):
    _, key = add_key(tmp_path / "keys.json", "a", ["predict"])
    client = TestClient(make_app(Keys(tmp_path / "keys.json")))
    for path in READ:
        for headers in ({}, {"X-API-Key": key}):
            got, head = client.get(path, headers=headers), client.head(path, headers=headers)
            assert got.status_code == head.status_code
    assert client.head("/metrics").status_code == 401
    assert client.options("/v1/predict").status_code == 401
    assert client.options("/v1/predict", headers={"X-API-Key": key}).status_code == 204


@pytest.mark.parametrize("path", ALLOWED)
def test_the_methods_of_a_path_are_told(client, path):
    answer = client.options(path)
    assert (answer.status_code, answer.headers["allow"]) == (204, ALLOWED[path])
    refused = client.put(path)
    assert (refused.status_code, refused.headers["allow"]) == (405, ALLOWED[path])


def test_a_path_that_is_none_takes_no_method(client):
    assert client.options("/nowhere").status_code == 404
    assert client.options("*").status_code == 404


def test_the_log_and_the_metrics_name_the_route_of_head(client, caplog):
    with caplog.at_level("INFO", "linnet.serve"):
        client.head("/v2/models/secret")
    (line,) = caplog.messages
    assert "HEAD /v2/models/{name} " in line and "secret" not in line


def test_on_the_wire_no_body_follows_and_the_connection_goes_on(wired):
    from .test_wire import partial, send

    connection = partial(
        Connection, seconds=20.0, open_connections=Connections(20), observe=lambda *_: None
    )
    with wired(make_app(), connection) as port:
        asked = b"".join(
            b"HEAD %s HTTP/1.1\r\nHost: a\r\n\r\n" % path
            for path in (b"/", b"/nowhere", b"/v1/models")
        )
        got = send(port, asked + b"HEAD /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    *heads, rest = got.split(b"\r\n\r\n")
    assert rest == b""
    assert [head[9:12] for head in heads] == [b"200", b"404", b"503", b"200"]
    assert b"content-length: 15" in heads[-1]

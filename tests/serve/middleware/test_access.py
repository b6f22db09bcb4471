"""Who may do what, around a tiny app: every route closed but the free ones, and no header a way around."""

import asyncio
import logging
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI, Request
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from linnet.config import load_config
from linnet.errors import ConfigError, UsageError
from linnet.serve.middleware.access import (
    FREE,
    NEEDED,
    AuthMiddleware,
    give_back_texts,
    keys_for,
    take_texts,
)
from linnet.serve.middleware.failures import ServerErrorMiddleware, handle_failures
from linnet.serve.middleware.identity import RequestIdMiddleware
from linnet.serve.middleware.keys import Keys, add_key, revoke_key
from linnet.serve.middleware.quota import Quotas

BELOW = {"/admin/keys": "admin", "/v2/models/m/infer": "predict", "/v2/models/m/ready": "predict"}
ROUTES = {**NEEDED, **BELOW}
UNKNOWN = [
    "/secret",
    "/V1/predict",
    "/v1/predict/",
    "//v1/predict",
    "/v1",
    "/admin",
    "/healthz/",
]


def make_app(keys: Keys, quotas: Quotas) -> FastAPI:
    """Every path answers with its own name, also those that the map of scopes doesn't know."""
    app = FastAPI(redirect_slashes=False, docs_url=None, redoc_url=None, openapi_url=None)

    @app.api_route("/v1/predict", methods=["POST"])
    async def predict(request: Request) -> str:
        texts = len(await request.json())
        take_texts(request.scope, texts)
        give_back_texts(request.scope, 1)
        return "/v1/predict"

    @app.api_route("/{path:path}", methods=["GET", "POST", "OPTIONS"])
    async def any_path(path: str) -> str:
        return f"/{path}"

    handle_failures(app)
    app.add_middleware(AuthMiddleware, keys=keys, quotas=quotas)
    app.add_middleware(ServerErrorMiddleware)
    app.add_middleware(RequestIdMiddleware)
    return app


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("keys")


@pytest.fixture(scope="module")
def made(folder) -> dict[str, str]:
    """A key of each scope and some that open nothing any more."""
    path = folder / "keys.json"
    scopes = ("predict", "feedback", "admin", "metrics")
    made = {scope: add_key(path, scope, [scope])[1] for scope in scopes}
    made["all"] = add_key(path, "all", scopes)[1]
    made["expired"] = add_key(path, "expired", scopes, expires=datetime(2020, 1, 1, tzinfo=UTC))[1]
    key, made["revoked"] = add_key(path, "revoked", scopes)
    revoke_key(path, key.id)
    return made


@pytest.fixture(scope="module")
def client(folder, made) -> Iterator[TestClient]:
    with TestClient(make_app(Keys(folder / "keys.json"), Quotas())) as client:
        yield client


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


# What the Open Inference Protocol's routes say, whose failures have no code.
SAID = {"no_key": "got none", "not_allowed": "takes a key of the scope", "bad_key": "key"}


def error_of(answer) -> dict:
    error = answer.json()["error"]
    if isinstance(error, str):
        assert answer.request.url.path.startswith("/v2")
        return {
            "code": next(code for code, said in SAID.items() if said in error),
            "message": error,
        }
    assert error["request_id"] == answer.headers["x-request-id"]
    assert error["message"].endswith(".")
    return error


@pytest.mark.parametrize("path", FREE)
def test_free_routes_ask_for_nothing(client, path):
    assert client.get(path).json() == path
    assert client.get(path, headers=bearer("wrong")).status_code == 200


@pytest.mark.parametrize(("path", "scope"), ROUTES.items())
def test_every_other_route_takes_a_key_of_its_scope_alone(client, made, path, scope):
    none = client.post(path, json=["a"])
    assert (none.status_code, error_of(none)["code"]) == (401, "no_key")
    assert none.headers["www-authenticate"] == "Bearer"
    for name in ("predict", "feedback", "admin", "metrics", "all"):
        answer = client.post(path, json=["a"], headers=bearer(made[name]))
        if name in (scope, "all"):
            assert answer.json() == path
        else:
            assert (answer.status_code, error_of(answer)["code"]) == (403, "not_allowed")
            assert (
                answer.headers["www-authenticate"]
                == f'Bearer error="insufficient_scope", scope="{scope}"'
            )


@pytest.mark.parametrize("path", UNKNOWN)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_a_route_that_is_not_on_the_map_is_closed_to_every_key(client, made, path, method):
    url = f"http://testserver{path}"
    assert client.request(method, url).status_code == 401
    answer = client.request(method, url, headers=bearer(made["all"]))
    assert (answer.status_code, error_of(answer)["code"]) == (404, "not_found")


@pytest.mark.parametrize("name", ["expired", "revoked"])
def test_a_key_that_opens_nothing_any_more_says_why(client, made, name):
    answer = client.get("/metrics", headers=bearer(made[name]))
    assert (answer.status_code, error_of(answer)["code"]) == (401, "bad_key")
    assert name in error_of(answer)["message"]
    wrong = client.get("/metrics", headers=bearer(made[name][:-1] + "g"))
    assert name not in error_of(wrong)["message"]  # only who has the key learns of its fate


def test_the_ways_to_send_a_key(client, made):
    key = made["all"]
    for headers in (
        {"authorization": f"bearer {key}"},
        {"Authorization": f"BEARER   {key} "},
        {"X-API-Key": key},
        {"X-API-Key": key} | bearer(key),
        {"X-API-Key": key, "Authorization": "Basic dTpw"},  # of a proxy before us
    ):
        assert client.get("/metrics", headers=headers).status_code == 200, headers


def test_what_is_no_way_to_send_a_key(client, made):
    key = made["all"]
    for headers, code in (
        ({"Authorization": key}, "no_key"),
        ({"Authorization": f"Basic {key}"}, "no_key"),
        ({"Authorization": "Bearer"}, "no_key"),
        ({"Authorization": "Bearer "}, "no_key"),
        ({"Authorization": f"Bearer {key} {key}"}, "no_key"),
        ({"Cookie": f"key={key}"}, "no_key"),
        ({"X-API-Key": ""}, "bad_key"),
        ({"X-API-Key": f"{key}, {key}"}, "bad_key"),
        ({"X-API-Key": made["predict"]} | bearer(key), "bad_key"),
        ([("X-API-Key", key), ("X-API-Key", made["predict"])], "bad_key"),
        ({"Authorization": f"Bearer {'x' * 60_000}"}, "bad_key"),
    ):
        answer = client.get("/metrics", headers=headers)
        assert (answer.status_code, error_of(answer)["code"]) == (401, code), headers
    assert client.get("/metrics", params={"key": key}).status_code == 401


names = st.sampled_from(
    ["Authorization", "X-API-Key", "authorization", "Proxy-Authorization", "X-Original-URL", "Host"]
)
values = st.binary(max_size=100).map(lambda value: value.replace(b"\n", b"").replace(b"\r", b""))
bearers = values.map(lambda value: b"Bearer " + value) | values.map(
    lambda value: b"bearer\tlk_" + value
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None
)
@given(
    headers=st.lists(st.tuples(names, values | bearers), max_size=4),
    path=st.sampled_from([*ROUTES, *UNKNOWN]),
)
def test_no_header_opens_a_door(client, headers, path):
    answer = client.get(f"http://testserver{path}", headers=headers)
    assert answer.status_code == 401
    assert error_of(answer)["code"] in {"no_key", "bad_key"}


def test_the_log_names_the_key_s_id_and_never_the_key(client, made, caplog):
    with caplog.at_level(logging.DEBUG, "linnet"):
        client.get("/metrics", headers=bearer(made["all"]))
        client.get("/metrics", headers=bearer(made["predict"]))
        client.get("/metrics", headers=bearer(made["expired"]))
        client.get("/metrics", headers=bearer("lk_00000000_" + "0" * 64))
    ids = [getattr(record, "key_id", None) for record in caplog.records]
    assert ids == [made["all"][3:11], made["predict"][3:11], None, None]
    assert [record.route for record in caplog.records][1:] == ["/metrics"] * 3
    for key in made.values():
        assert key[-64:] not in caplog.text and not any(
            key[-64:] in str(vars(record)) for record in caplog.records
        )


def test_a_websocket_is_closed(folder, made):
    async def run() -> list[dict]:
        sent = []

        async def send(message) -> None:
            sent.append(message)

        await AuthMiddleware(None, Keys(folder / "keys.json"), Quotas())(
            {"type": "websocket", "path": "/"}, None, send
        )
        return sent

    assert asyncio.run(run()) == [{"type": "websocket.close", "code": 1008}]


def test_limits_are_answered_in_the_one_shape(tmp_path):
    _, whole = add_key(
        tmp_path / "keys.json", "a", ["predict"], requests_per_minute=3, texts_per_day=3
    )
    with TestClient(make_app(Keys(tmp_path / "keys.json"), Quotas())) as client:
        first = client.post(
            "/v1/predict", json=["a", "b"], headers=bearer(whole)
        )  # one is given back
        second = client.post("/v1/predict", json=["a", "b", "c"], headers=bearer(whole))
        third = client.post("/v1/predict", json=["a", "b"], headers=bearer(whole))
        fourth = client.post("/v1/predict", json=["a"], headers=bearer(whole))
    assert [answer.status_code for answer in (first, second, third, fourth)] == [200, 429, 200, 429]
    assert error_of(second)["code"] == "quota_used_up" and error_of(second)["details"] == {
        "texts_left": 2
    }
    assert 0 < int(second.headers["retry-after"]) <= 24 * 3600
    assert error_of(fourth)["code"] == "rate_limited"
    assert 0 < int(fourth.headers["retry-after"]) <= 20


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """The app behind real uvicorn."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none", lifespan="off"))
        thread = threading.Thread(target=server.run, args=[[listener]])
        thread.start()
        try:
            while not server.started:
                time.sleep(0.01)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def status_of(url: str, key: str, body: bytes = b'["a"]') -> int:
    request = urllib.request.Request(
        url, body, {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_keys_are_rotated_under_requests(tmp_path):
    path = tmp_path / "keys.json"
    old, first = add_key(path, "old", ["predict"])
    kept = add_key(path, "kept", ["predict"])[1]
    stop, seen = threading.Event(), []

    def ask() -> None:
        while not stop.is_set():
            seen.append(status_of(f"{url}/v1/predict", kept))

    with serving(make_app(Keys(path), Quotas())) as url:
        thread = threading.Thread(target=ask)
        thread.start()
        try:
            assert status_of(f"{url}/v1/predict", first) == 200
            second = add_key(path, "new", ["predict"])[1]
            revoke_key(path, old.id)
            deadline = time.monotonic() + 60
            while status_of(f"{url}/v1/predict", second) != 200 and time.monotonic() < deadline:
                time.sleep(0.05)
            assert status_of(f"{url}/v1/predict", second) == 200
            assert status_of(f"{url}/v1/predict", first) == 401
            path.unlink()
            while status_of(f"{url}/v1/predict", second) != 401 and time.monotonic() < deadline:
                time.sleep(0.05)
            assert status_of(f"{url}/healthz", second) == 200
        finally:
            stop.set()
            thread.join()
    gone = seen.index(401)
    assert set(seen[:gone]) == {200} and set(seen[gone:]) == {401}


def test_a_refusal_comes_before_the_body_does(tmp_path):
    add_key(tmp_path / "keys.json", "a", ["predict"])
    with serving(make_app(Keys(tmp_path / "keys.json"), Quotas())) as url:
        with socket.create_connection(
            ("127.0.0.1", int(url.rpartition(":")[2])), timeout=60
        ) as connection:
            connection.sendall(
                b"POST /v1/predict HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"
            )
            assert connection.recv(100).startswith(b"HTTP/1.1 401 ")
        assert status_of(f"{url}/v1/predict", "wrong", b" " * 200_000) == 401


def serve_settings(**values):
    return load_config(overrides={f"serve.{name}": value for name, value in values.items()}).serve


OPEN = ["0.0.0.0", "192.0.2.1", "::", "2001:db8::1", "fe80::1%eth0", "::ffff:192.0.2.1"]


@pytest.mark.parametrize("address", OPEN)
def test_an_open_address_needs_keys_or_a_word(tmp_path, monkeypatch, address):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"`linnet keys add NAME`.* --no-auth"):
        keys_for(serve_settings(), address)
    assert keys_for(serve_settings(no_auth=True), address) is None
    key, whole = add_key(Path("keys.json"), "a", ["predict"])
    assert keys_for(serve_settings(), address).find(whole) == key
    assert keys_for(serve_settings(no_auth=True), address) is None
    revoke_key(Path("keys.json"), key.id)
    with pytest.raises(UsageError, match=r"no key that is in force.* --no-auth"):
        keys_for(serve_settings(), address)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.1.2.3", "::1"])
def test_loopback_needs_none_but_asks_for_those_there_are(tmp_path, monkeypatch, address):
    monkeypatch.chdir(tmp_path)
    assert keys_for(serve_settings(), address) is None
    with pytest.raises(UsageError, match=r"mine\.json is missing"):
        keys_for(serve_settings(keys="mine.json"), address)
    key, whole = add_key(Path("keys.json"), "a", ["predict"])
    assert keys_for(serve_settings(), address).find(whole) == key


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_a_file_that_is_there_and_is_none_never_opens(tmp_path, monkeypatch, address):
    monkeypatch.chdir(tmp_path)
    path = Path("keys.json")
    path.symlink_to("nowhere")
    with pytest.raises(ConfigError, match="There is no file of keys"):
        keys_for(serve_settings(), address)
    path.unlink()
    path.write_text("{}")
    with pytest.raises(ConfigError, match="is not a file of keys"):
        keys_for(serve_settings(), address)
    path.unlink()
    path.mkdir()
    with pytest.raises(ConfigError, match="Is a directory"):
        keys_for(serve_settings(), address)

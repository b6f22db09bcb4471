"""Bytes on a real connection, around an app that gives back what reached it: what clients and proxies send."""

import json
import socket
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from linnet.errors import UsageError
from linnet.serve.middleware import connection
from linnet.serve.middleware.connection import MAX_HEAD_BYTES, MAX_HEADERS, Connection, check_hooks
from linnet.serve.middleware.connections import Connections

H2C = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAA\r\n"
WEBSOCKET = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
refusals: list[tuple[int, str | None]] = []


async def echo(scope: dict[str, Any], receive: Callable[[], Any], send: Callable[..., Any]) -> None:
    """Answers with the request as JSON."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    seen = {name: scope[name] for name in ("method", "path", "http_version")}
    seen |= {
        "query": scope["query_string"].decode(),
        "body": body.decode(),
        "headers": [name.decode() for name, _ in scope["headers"]],
        "host": dict(scope["headers"]).get(b"host", b"").decode(),
    }
    answer = json.dumps(seen).encode()
    head = {"type": "http.response.start", "status": 200}
    await send(head | {"headers": [(b"content-length", str(len(answer)).encode())]})
    await send({"type": "http.response.body", "body": answer})


@pytest.fixture(scope="module")
def port(wired) -> Iterator[int]:
    """Where the echo listens."""
    observe = lambda _, status, __, code: refusals.append((status, code))  # noqa: E731
    with wired(
        echo, partial(Connection, seconds=20.0, open_connections=Connections(20), observe=observe)
    ) as port:
        yield port


def send(port: int, *parts: bytes) -> bytes:
    """All that comes back for parts that are sent one after another, until the connection is closed."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        for part in parts:
            client.sendall(part)
        while data := client.recv(65536):
            received += data
    return received


def answers(received: bytes) -> list[dict[str, Any]]:
    """The bodies of answers that came on one connection; of each the status too."""
    found = []
    while received:
        head, _, received = received.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        length = int(headers.get("content-length", 0))
        body = json.loads(received[:length] or "{}")
        found.append(body | {"status": int(status.split()[1]), "answered": headers})
        received = received[length:]
    return found


def request(method: str = "POST", target: str = "/a", headers: str = "", body: str = "hi") -> bytes:
    return (
        f"{method} {target} HTTP/1.1\r\nHost: a\r\n{headers}Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


LAST = request("GET", "/last", "Connection: close\r\n", "")


@pytest.mark.parametrize("offer", [H2C, WEBSOCKET, H2C.lower(), H2C.replace("h2c", "h2c, foo/2")])
@pytest.mark.parametrize("size", [0, 2, 30_000])
def test_an_offer_to_upgrade_is_passed_over_and_the_body_kept(port, offer, size):
    body = "x" * size
    whole = request(headers=offer, body=body)
    for parts in ([whole + LAST], [whole, LAST], [whole[:60], whole[60:-1], whole[-1:] + LAST]):
        first, last = answers(send(port, *parts))
        assert (first["status"], first["body"], first["path"]) == (200, body, "/a")
        assert "upgrade" not in first["headers"] and "connection" in first["headers"]
        assert (last["status"], last["path"]) == (200, "/last")


def test_offers_on_a_connection_that_ends_in_chunks_and_by_http_1_0(port):
    closing = request(headers=H2C.replace("Upgrade, ", "Upgrade, close, "))
    assert [one["body"] for one in answers(send(port, closing))] == ["hi"]
    old = request(headers=H2C).replace(b"HTTP/1.1", b"HTTP/1.0")
    assert [(one["body"], one["http_version"]) for one in answers(send(port, old))] == [
        ("hi", "1.0")
    ]
    chunked = (
        f"POST /a HTTP/1.1\r\nHost: a\r\n{H2C}Transfer-Encoding: chunked\r\n\r\n"
        "2\r\nhi\r\n0\r\n\r\n"
    )
    assert [one["body"] for one in answers(send(port, chunked.encode() + LAST))] == ["hi", ""]


def test_many_offers_at_once(port):
    whole = request(headers=H2C) * 50 + LAST
    assert [one["body"] for one in answers(send(port, whole))] == ["hi"] * 50 + [""]


def test_an_offer_does_not_hide_two_lengths(port):
    smuggled = request(headers=f"{H2C}Transfer-Encoding: chunked\r\n", body="0\r\n\r\n") + LAST
    assert [one["status"] for one in answers(send(port, smuggled))] == [400]


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("http://a/x?y=1", "/x", "y=1"),
        ("http://a", "/", ""),
        ("http://a?y=1", "/", "y=1"),
        ("http://[::1]:80/x", "/x", ""),
        ("//x", "//x", ""),
        ("/x/", "/x/", ""),
        ("/x%2Fy", "/x/y", ""),
        ("*", "*", ""),
    ],
)
def test_targets(port, target, path, query):
    (one,) = answers(send(port, request("OPTIONS", target, "Connection: close\r\n")))
    assert (one["status"], one["path"], one["query"], one["body"]) == (200, path, query, "hi")


@pytest.mark.parametrize(
    "garbage",
    [
        b"get /a HTTP/1.1\r\n\r\n",
        b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\n\r\n",
        b"GET a HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_no_request_has_the_one_shape_and_is_counted(port, garbage):
    refusals.clear()
    (one,) = answers(send(port, garbage))
    assert (one["status"], one["error"]["code"]) == (400, "bad_request")
    assert one["error"]["request_id"] == one["answered"]["x-request-id"]
    assert refusals == [(400, "bad_request")]


@pytest.mark.parametrize(
    ("head", "status", "code"),
    [
        ("GET /a HTTP/1.1\r\n", 400, "bad_host"),
        ("GET /a HTTP/1.1\r\nHost: a\r\nHost: a\r\n", 400, "bad_host"),
        ("GET /a HTTP/1.0\r\nHost: a\r\nHost: b\r\n", 400, "bad_host"),
        ("GET /a HTTP/1.1\r\nHost: a b\r\n", 400, "bad_host"),
        ("GET /a HTTP/1.1\r\nHost: a/b\r\n", 400, "bad_host"),
        ("GET /a HTTP/2.0\r\nHost: a\r\n", 505, "http_version_not_supported"),
        ("GET /a HTTP/0.9\r\nHost: a\r\n", 505, "http_version_not_supported"),
        ("POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n", 400, "bad_request"),
        ("GET /a HTTP/1.1\r\nHost: a\r\n" + "a:b\r\n" * MAX_HEADERS, 431, "head_too_large"),
    ],
)
def test_heads_that_are_refused_have_the_one_shape_and_are_counted(port, head, status, code):
    refusals.clear()
    (one,) = answers(send(port, f"{head}\r\n".encode()))
    assert (one["status"], one["error"]["code"]) == (status, code)
    assert one["error"]["request_id"] == one["answered"]["x-request-id"]
    assert one["error"]["message"].endswith(".")
    assert refusals == [(status, code)]


def test_heads_that_are_unusual_and_right(port):
    empty = "GET /a HTTP/1.1\r\nHost:\r\nConnection: close\r\n"
    for head in ("GET /a HTTP/1.0\r\n", "GET /a HTTP/1.0\r\nHost: [::1]:8\r\n", empty):
        (one,) = answers(send(port, f"{head}\r\n".encode()))
        assert one["status"] == 200
    many = "a:b\r\n" * (MAX_HEADERS - 3)
    (one,) = answers(send(port, request(headers=f"{many}Connection: close\r\n")))
    assert one["status"] == 200


@pytest.mark.parametrize(
    ("target", "host"),
    [("http://b:80/x", "b:80"), ("http://b", "b"), ("http://[::1]:8/", "[::1]:8"), ("/x", "a")],
)
def test_the_host_of_a_whole_target_counts(port, target, host):
    """RFC 9112, 3.2.2: a name in the target takes the place of the header's."""
    (one,) = answers(send(port, request("GET", target, "Connection: close\r\n", "")))
    assert one["host"] == host


def test_pipelined_requests_are_answered_in_order(port):
    whole = b"".join(request(target=f"/{number}") for number in range(20)) + LAST
    paths = [one["path"] for one in answers(send(port, whole))]
    assert paths == [f"/{number}" for number in range(20)] + ["/last"]


def test_a_client_that_waits_to_be_asked_for_its_body_is_asked(port):
    whole = request(headers="Expect: 100-Continue\r\nConnection: close\r\n")
    head, body = whole[:-2], whole[-2:]
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(head)
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(body)
        received = b""
        while data := client.recv(65536):
            received += data
    assert answers(received)[0]["body"] == "hi"


@pytest.mark.parametrize("headers", ["", "Connection: keep-alive\r\n"])
def test_http_1_0_is_answered_and_closed(port, headers):
    old = request("GET", headers=headers, body="").replace(b"HTTP/1.1", b"HTTP/1.0")
    (one,) = answers(send(port, old))  # which waits for the end of the connection
    assert (one["status"], one["http_version"]) == (200, "1.0")


CHUNKED = b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_chunks_with_extensions(port):
    body = b'1;a=b\r\nh\r\n1;c="d"\r\ni\r\n0;e\r\n\r\n'
    assert [one["body"] for one in answers(send(port, CHUNKED + body + LAST))] == ["hi", ""]


def test_chunks_of_one_byte_may_be_many(port):
    body = b"1\r\nx\r\n" * 50_000 + b"0\r\n\r\n"
    first, _ = answers(send(port, CHUNKED + body + LAST))
    assert first["body"] == "x" * 50_000


def test_a_trailer_is_no_header(port):
    body = b"2\r\nhi\r\n0\r\nX-API-Key: lk_1\r\nX-Request-ID: mine\r\n\r\n"
    first, _ = answers(send(port, CHUNKED + body + LAST))
    assert first["body"] == "hi"
    assert first["headers"] == ["host", "transfer-encoding"]


@pytest.mark.parametrize(
    ("before", "endless"),
    [
        (b"2\r\nhi\r\n0\r\n", b"X-A: " + b"a" * 900 + b"\r\n"),
        (b"2\r\nhi\r\n0\r\nX-A: ", b"a" * 1000),
        (b"2;", b"a" * 1000),
    ],
)
def test_trailers_and_extensions_have_an_end(port, before, endless):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(CHUNKED + before)
        sent = 0
        try:
            while sent < 20_000_000:
                sent += client.send(endless * 50)
        except ConnectionError:
            pass
    assert sent < 20_000_000


@pytest.mark.parametrize("size", [MAX_HEAD_BYTES - 1000, MAX_HEAD_BYTES + 1000, 200_000])
@pytest.mark.parametrize("pieces", [1, 9])
def test_a_head_has_a_bound_however_it_comes(port, size, pieces):
    whole = request("GET", headers=f"X-A: {'a' * size}\r\nConnection: close\r\n", body="")
    step = -(-len(whole) // pieces)
    refusals.clear()
    try:
        got = answers(send(port, *(whole[at : at + step] for at in range(0, len(whole), step))))
    except ConnectionError:  # what was not read is lost, and the answer with it
        got = []
    if size < MAX_HEAD_BYTES:
        assert [one["status"] for one in got] == [200] and not refusals
    else:
        assert [one["status"] for one in got] in ([], [431])
        assert refusals == [(431, "head_too_large")]


def test_a_uvicorn_without_the_hook_is_refused_in_a_sentence(monkeypatch):
    check_hooks()

    class Older:
        _unset_keepalive_if_required = None

    monkeypatch.setattr(connection, "HttpToolsProtocol", Older)
    with pytest.raises(UsageError, match=r"it lacks _start_asgi_task, .*'uvicorn>=0\.45'"):
        check_hooks()

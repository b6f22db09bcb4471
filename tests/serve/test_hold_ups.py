"""The event loop is never held: the worst bodies on every route that takes one, on a real server."""

import asyncio
import gc
import gzip
import json
import socket
import threading
import time
from collections.abc import Iterator
from functools import partial

import pytest
import uvicorn

from linnet.config import load_config
from linnet.serve import Service, create_app
from linnet.serve.middleware.connection import Connection
from linnet.serve.middleware.connections import Connections

SECONDS = 0.02  # of the loop's own CPU time, which a busy machine does not lengthen
SIZE = 1_000_000  # `serve.max_body_bytes`
ROUTES = [
    "/v1/predict",
    "/v1/explain",
    "/v1/feedback",
    "/v2/models/champion/infer",
    "/invocations",
    "/admin/models",
]


def filled(start: str, piece: str, end: str) -> bytes:
    """A body of nearly `SIZE` bytes: one piece again and again."""
    room = SIZE - len(start.encode()) - len(end.encode())
    return (start + piece * (room // len(piece.encode())) + end).encode()


def numbered(start: str, piece: str, end: str) -> bytes:
    """As `filled`, with a hexadecimal number in each piece."""
    count = (SIZE - len(start) - len(end)) // (len(piece) + 3)
    return (start + "".join(piece % number for number in range(count)) + end).encode()


TENSOR = '{"inputs":[{"name":"text","shape":[1],"datatype":"BYTES",'
BODIES = {
    "unknown keys": numbered("{", '"%x":0,', '"z":0}'),
    "unknown keys below": numbered(TENSOR, '"%x":0,', '"data":["a"]}]}'),
    "unknown keys in objects": filled('{"outputs":[', '{"a":0,"b":0,"c":0},', "{}]}"),
    "one key again and again": filled("{", '"texts":0,', '"texts":["a"]}'),
    "lists in lists": b"[" * SIZE,
    "objects in objects": filled("", '{"a":', ""),
    "empty lists": filled('{"texts":[', "[],", "[]]}"),
    "empty objects": filled('{"instances":[', "{},", "{}]}"),
    "numbers": filled('{"texts":[', "0,", "0]}"),
    "long numbers": filled('{"texts":[', "9" * 4299 + ",", "0]}"),
    "one number": filled('{"texts":[', "9", "]}"),
    "one fraction": filled('{"texts":[0.', "1", "]}"),
    "fractions": filled('{"texts":[', "0." + "1" * 700 + "e-300,", "0]}"),
    "texts": filled('{"texts":[', '"a",', '"a"]}'),
    "instances": filled('{"instances":[', '{"text":"a"},', '{"text":"a"}]}'),
    "rows": filled(TENSOR + '"data":[', '["a"],', '["a"]]}]}'),
    "rows of many": filled(TENSOR + '"data":[[', '"a",', '"a"]]}]}'),
    "sizes": filled('{"inputs":[{"name":"text","shape":[', "1,", '1],"data":["a"]}]}'),
    "outputs": filled('{"outputs":[', '{"name":1},', '{"name":1}]}'),
    "arms": numbered('{"arms":{', '"%x":{"bundle":"a"},', '"z":{}}}'),
    "arms of nothing": numbered('{"arms":{', '"%x":0,', '"z":0}}'),
    "escapes": filled('{"texts":["', '\\"', '"]}'),
    "half a text": filled('{"texts":["', '\\"', ""),
    "a long key": filled('{"', "k", '":0}'),
    "a long path": filled('{"arms":{"champion":{"bundle":"', "a", '"}}}'),
    "half surrogate pairs": filled('{"texts":["', "\\ud800", '"]}'),
    "lines": filled("", '{"text":"a"}\n', ""),
    "lines of lists": filled("", '{"text":"a","b":[' + "[]," * 1200 + "0]}\n", ""),
    "lines with half a quote": filled("", '"\n[' + "[]," * 5000 + "0]\n", ""),
    "binary": bytes(range(256)) * 3900,
    "few unknown keys": numbered("{", '"%x":0,', '"z":0}')[:60_000] + b'"z":0}',
}


class TimedLoop(asyncio.SelectorEventLoop):
    """A loop that knows the most CPU time, in seconds, that it gave to one round of callbacks."""

    longest = 0.0

    def _run_once(self) -> None:
        started = time.thread_time()
        super()._run_once()  # type: ignore[misc]
        self.longest = max(self.longest, time.thread_time() - started)


@pytest.fixture(scope="module")
def served(bundle) -> Iterator[tuple[int, TimedLoop]]:
    """The port of a service with the usual limits, and the loop that it runs on."""
    settings = {"predict.num_threads": 1, "prediction_log.url": ""}
    app = create_app(Service(load_config(overrides=settings), str(bundle)))
    observe = app.state.watch.metrics.observe_request
    connection = partial(
        Connection, seconds=20.0, open_connections=Connections(20), observe=observe
    )
    server = uvicorn.Server(uvicorn.Config(app, http=connection, ws="none", log_config=None))
    loop = TimedLoop()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                runner.run(server.serve([listener]))

        thread = threading.Thread(target=run)
        thread.start()
        gc.collect()
        gc.freeze()  # as `linnet serve` does; what other tests left would be looked through here
        try:
            while not server.started:
                thread.join(0.01)
            yield listener.getsockname()[1], loop
        finally:
            server.should_exit = True
            thread.join()
            gc.unfreeze()


def post(port: int, path: str, body: bytes, *headers: str, chunk: int = 0) -> bytes:
    """The answer to a body on a connection of its own."""
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Connection: close", *headers]
    if chunk:
        lines.append("Transfer-Encoding: chunked")
        parts = [body[start : start + chunk] for start in range(0, len(body), chunk)]
        body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    else:
        lines.append(f"Content-Length: {len(body)}")
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        try:
            client.sendall("\r\n".join([*lines, "", ""]).encode() + body)
            while data := client.recv(65536):
                answer += data
        except ConnectionError:  # it was refused before it was read
            pass
    return answer


@pytest.mark.parametrize("path", ROUTES)
def test_no_body_holds_the_loop_up(served, path):
    port, loop = served
    slow = {}
    for name, body in BODIES.items():
        for media_type in ("application/json", "application/jsonlines"):
            if media_type != "application/json" and path != "/invocations":
                continue
            loop.longest = 0.0
            answer = post(port, path, body, f"Content-Type: {media_type}")
            assert len(answer) < 5_000 or answer.startswith(b"HTTP/1.1 200"), (name, len(answer))
            assert answer[9:10] in b"24", (name, answer[:100])
            if loop.longest > SECONDS:
                slow[name, media_type] = round(loop.longest * 1000)
    assert not slow


@pytest.mark.parametrize("path", ["/v1/predict", "/admin/models"])
def test_no_packing_holds_the_loop_up(served, path):
    port, loop = served
    kind = "Content-Type: application/json"
    for name in ("unknown keys", "empty lists", "escapes"):
        loop.longest = 0.0
        packed = gzip.compress(BODIES[name])
        assert post(port, path, packed, kind, "Content-Encoding: gzip")[9:10] in b"24"
        assert post(port, path, BODIES[name][:200_000], kind, chunk=1)[9:10] in b"24"
        assert loop.longest < SECONDS, name
    bomb = gzip.compress(bytes(100_000_000), 9)
    loop.longest = 0.0
    assert b" 413 " in post(port, path, bomb, kind, "Content-Encoding: gzip")[:20]
    assert loop.longest < SECONDS


def test_the_most_that_a_good_body_may_hold_is_answered(served):
    port, loop = served
    texts = ['a, [b] {c} "d" \\' * 200] * 256
    body = json.dumps({"texts": texts}).encode()
    assert 900_000 < len(body) < SIZE
    loop.longest = 0.0
    answer = post(port, "/v1/predict", body, "Content-Type: application/json")
    assert answer.startswith(b"HTTP/1.1 200") or b"overloaded" in answer

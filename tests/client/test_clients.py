"""Both clients against a real server that misbehaves as told: every text has an answer or an error, in its place."""

import asyncio
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate

import pytest
from starlette.responses import JSONResponse, Response

import linnet
from linnet.errors import LinnetError, ServiceError, TextError, UsageError

KEY = "lk_SECRET-of_this.caller"


class Blocking:
    """`AsyncClient` with the face of `Client`, so that one test is asked of both."""

    def __init__(self, *arguments, **settings):
        self._client = linnet.AsyncClient(*arguments, **settings)
        self._loop = asyncio.new_event_loop()

    def __getattr__(self, name):
        method = getattr(self._client, name)
        return lambda *arguments, **options: self._loop.run_until_complete(
            method(*arguments, **options)
        )

    def __repr__(self):
        return repr(self._client)

    def predict_iter(self, texts, **options):
        async def collect():
            return [result async for result in self._client.predict_iter(texts, **options)]

        return self._loop.run_until_complete(collect())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
        self._loop.close()


@pytest.fixture(params=[linnet.Client, Blocking], ids=["sync", "async"])
def connect(request):
    return request.param


@pytest.fixture
def client(connect, service) -> Iterator[linnet.Client]:
    with connect(service.url, KEY, timeout=20, max_texts=8, max_bytes=2_000) as client:
        yield client


def refusal(status: int, code: str = "told", **headers: str) -> Response:
    body = f'{{"error": {{"code": "{code}", "message": "As told.", "request_id": "theirs"}}}}'
    return Response(
        body, status, {name.replace("_", "-"): value for name, value in headers.items()}
    )


def ids(results) -> list[str]:
    return [result.id if not isinstance(result, LinnetError) else result.code for result in results]


def test_predict_explain_feedback_models_ready(client, service):
    (answer,) = client.predict(["so good"], arm="main", sticky_key="user 7")
    assert (answer.label, answer.labels, answer.probability) == ("positive", ("positive",), 0.9)
    assert (answer.id, answer.arm, answer.truncated, answer.abstained) == (
        "so good",
        "main",
        False,
        False,
    )
    assert service.asked[-1][2] == {"texts": ["so good"], "arm": "main", "key": "user 7"}
    explained = client.explain("so good", "negative", arm="main")
    assert explained.text == "so good"
    assert (explained.label, explained.words[0].text, explained.words[0].weight) == (
        "negative",
        "so good",
        1.5,
    )
    client.feedback(answer.id, "negative")
    assert service.asked[-1][0::2] == ("/v1/feedback", {"id": "so good", "label": "negative"})
    (arm,) = client.models()
    assert (arm.role, arm.share, arm.labels) == ("champion", 1.0, ("negative", "positive"))
    assert client.ready() is True
    assert all(headers["authorization"] == f"Bearer {KEY}" for _, headers, _ in service.asked)


def test_any_number_of_texts_in_order(client, service):
    texts = [f"text {number} {'é' * (number % 300)}" for number in range(500)]
    assert ids(client.predict(texts)) == texts
    assert all(len(asked["texts"]) <= 8 for _, _, asked in service.asked)
    assert client.predict([]) == [] and client.predict(iter(["one"]))[0].id == "one"


def test_what_can_not_be_answered_keeps_its_place(client, service):
    texts = ["good", "  ", None, "half \ud800", "bad \x00 <b>"]
    results = list(client.predict_iter(texts))
    assert ids(results) == ["good", "bad_text", "bad_text", "bad_text", "bad \x00 <b>"]
    assert [result.reason for result in results if isinstance(result, TextError)] == [
        "not_text",
        "lone_surrogate",
    ]
    assert (results[1].status, results[1].details) == (200, {"reason": "empty_text"})
    with pytest.raises(ServiceError, match="3 of 5 texts have no answer") as caught:
        client.predict(texts)
    assert ids(caught.value.results) == ids(results)
    asked = len(service.asked)
    assert ids(client.predict_iter([None, "\ud800"])) == ["bad_text", "bad_text"]
    assert len(service.asked) == asked  # there was nothing to send


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_will_pass_is_tried_again_as_the_same_request(client, service, status):
    service.told = [refusal(status, Retry_After="0.2"), refusal(status)]
    started = time.monotonic()
    assert ids(client.predict(["good"])) == ["good"]
    assert time.monotonic() - started >= 0.2
    assert len(service.asked) == 3
    assert len({headers["x-request-id"] for _, headers, _ in service.asked}) == 1
    left = [float(headers["x-request-timeout"]) for _, headers, _ in service.asked]
    assert 20 >= left[0] >= left[1] + 0.2 and left[1] >= left[2] > 0


def test_a_date_is_waited_for(client, service):
    service.told = [refusal(503, Retry_After=formatdate(time.time() + 2, usegmt=True))]
    started = time.monotonic()
    client.feedback("x", "good")
    assert 0.9 < time.monotonic() - started < 10  # dates are of whole seconds
    assert [asked for *_, asked in service.asked] == [{"id": "x", "label": "good"}] * 2


def test_waiting_in_vain_is_not_begun(client, service):
    service.told = [refusal(429, "quota_used_up", Retry_After="3600")]
    started = time.monotonic()
    with pytest.raises(ServiceError) as caught:
        client.models()
    assert time.monotonic() - started < 5
    error = caught.value
    assert (error.code, error.status, error.exit_code) == ("quota_used_up", 429, 8)
    assert error.request_id == service.asked[0][1]["x-request-id"]


@pytest.mark.parametrize(
    ("status", "code"), [(401, "no_key"), (403, "not_allowed"), (404, "unknown_prediction")]
)
def test_what_will_not_pass_is_raised_at_once(client, service, status, code):
    service.told = [refusal(status, code, Retry_After="1")]
    with pytest.raises(
        ServiceError, match=rf"As told\. \({code}, HTTP {status}, request [0-9a-f]{{32}}\)"
    ):
        client.feedback("x", "good")
    assert len(service.asked) == 1


def test_what_the_service_finds_too_large_is_sent_in_halves(connect, service):
    with connect(service.url) as client:
        texts = [f"text {number}" for number in range(30)]
        assert ids(client.predict(texts)) == texts
        long = ["a" * 1500, "b" * 1500, "c" * 3000, "d"]
        assert ids(client.predict_iter(long)) == [long[0], long[1], "body_too_large", "d"]


def test_one_request_that_fails_by_itself_leaves_the_others(client, service):
    service.told = [refusal(500, "internal_error")]
    texts = [str(number) for number in range(20)]
    results = ids(client.predict_iter(texts))
    assert results.count("internal_error") in (4, 8)  # one request's, whichever came first
    assert all(
        result in (text, "internal_error") for text, result in zip(texts, results, strict=True)
    )


@pytest.mark.parametrize(("code", "passes"), [("worker_died", True), ("model_failed", False)])
def test_a_text_that_failed_among_others_is_sent_again_if_that_passes(
    client, service, code, passes
):
    error = {"code": code, "message": "As told."}
    service.told = [
        JSONResponse(
            {"predictions": [service.answer_to("a"), {"error": error}, service.answer_to("c")]}
        )
    ]
    results = list(client.predict_iter(["a", "b", "c"]))
    assert ids(results) == ["a", "b" if passes else code, "c"]
    assert [asked["texts"] for *_, asked in service.asked] == [["a", "b", "c"], ["b"]][: 1 + passes]


def test_after_an_outage_nothing_more_is_sent(connect, service):
    service.told = [refusal(401, "bad_key") for _ in range(50)]
    with connect(service.url, max_texts=2) as client:
        results = list(client.predict_iter([*(str(number) for number in range(40)), None]))
    assert len(results) == 41 and isinstance(results[-1], TextError)
    assert set(ids(results[:-1])) == {"bad_key", "not_sent"}
    assert len(service.asked) <= 8
    assert "As told." in results[-2].message


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[1",
        b"<html>",
        b'{"predictions": []}',
        b'{"predictions": [{"label": "x"}]}',
        b"\xff\xfe",
    ],
)
def test_an_answer_that_is_none(client, service, body):
    service.told = [Response(body)]
    (result,) = client.predict_iter(["private words"])
    assert (result.code, result.status) == ("bad_answer", 200)
    assert "private" not in str(result)


def test_a_proxys_page_is_named_for_what_it_is(client, service):
    service.told = [Response("<html>not Linnet's</html>", 418)]
    with pytest.raises(ServiceError, match="HTTP 418") as caught:
        client.explain("x")
    assert caught.value.code == "http_418" and "<html>" not in str(caught.value)


def test_a_redirect_is_not_followed_and_takes_no_key_along(client, service):
    service.told = [Response(status_code=307, headers={"Location": "http://127.0.0.1:9/v1/models"})]
    with pytest.raises(ServiceError) as caught:
        client.models()
    assert caught.value.code == "http_307"


def test_the_deadline_is_of_all_tries_together(connect, service):
    async def slow(_):
        await asyncio.sleep(3)

    service.told = [refusal(503, Retry_After="0.1"), slow]
    with connect(service.url, timeout=0.8) as client:
        started = time.monotonic()
        (result,) = client.predict_iter(["good"])
        assert 0.7 < time.monotonic() - started < 2.5
    assert (result.code, result.status) == ("deadline_exceeded", None)


def test_ready_is_asked_once(client, service):
    service.told = [refusal(503, "not_ready", Retry_After="1")]
    assert client.ready() is False
    assert len(service.asked) == 1
    service.told = [refusal(404, "not_found")]
    with pytest.raises(ServiceError):
        client.ready()


@contextmanager
def raw_server(*answers: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """A server that sends these bytes, one a connection, and closes."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            for bytes_sent in answers:
                connection, _ = listener.accept()
                with connection:
                    asked.append(connection.recv(65536))
                    connection.sendall(bytes_sent)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
        thread.join(30)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"predictions"',
        b"nonsense\r\n\r\n",
    ],
    ids=["nothing", "half a head", "half a body", "no HTTP"],
)
def test_a_cut_connection_is_no_answer(connect, sent):
    with raw_server(sent) as (url, asked), connect(url, timeout=20) as client:
        (result,) = client.predict_iter(["good"])
    assert (result.code, result.status) == ("connection_lost", None)
    assert len(asked) == 1  # it may have been done, so it is not asked again


def test_an_answer_in_drops_meets_the_deadline():
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(head)
                for _ in range(100):
                    time.sleep(0.05)
                    try:
                        connection.sendall(b" ")
                    except OSError:
                        return

        threading.Thread(target=drip, daemon=True).start()
        with linnet.Client(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=0.5) as client:
            started = time.monotonic()
            with pytest.raises(ServiceError) as caught:
                client.models()
            assert time.monotonic() - started < 3
    assert caught.value.code == "deadline_exceeded"


def test_a_service_that_is_gone_and_comes_back(connect):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with connect(f"http://127.0.0.1:{port}", timeout=0.4) as client:
        assert client.ready() is False
        first, second = client.predict_iter(["a", "b"])
        assert first.code == second.code == "unreachable"
    answer = b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"arms": []}'.replace(b"11", b"12")

    def come_back() -> None:
        time.sleep(0.3)
        with socket.create_server(("127.0.0.1", port)) as listener:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

    thread = threading.Thread(target=come_back)
    thread.start()
    with connect(f"http://127.0.0.1:{port}", timeout=30) as client:
        assert client.models() == []
    thread.join(30)


@pytest.mark.parametrize("concurrency", [1, 3])
def test_async_has_so_many_requests_under_way_and_keeps_order(service, concurrency):
    async def late(request):
        # The earlier the request, the later its answer.
        await asyncio.sleep(0.3 - 0.03 * len(service.asked))

    service.told = [late] * 10
    texts = [str(number) for number in range(40)]

    async def ask():
        async with linnet.AsyncClient(service.url, max_texts=4, concurrency=concurrency) as client:
            return [answer.id for answer in await client.predict(texts)]

    assert asyncio.run(ask()) == texts
    assert service.most_at_once == concurrency


def test_who_stops_listening_stops_asking(service):
    async def ask():
        async with linnet.AsyncClient(service.url, max_texts=1, concurrency=3) as client:
            results = client.predict_iter(str(number) for number in range(1000))
            assert (await anext(results)).id == "0"
            await results.aclose()
            assert len(asyncio.all_tasks()) == 1

    asyncio.run(ask())
    assert len(service.asked) <= 6


def test_several_threads_share_a_client(service):
    with linnet.Client(service.url, max_texts=2) as client:
        found: dict[int, list[str]] = {}

        def ask(number: int) -> None:
            found[number] = [a.id for a in client.predict([f"{number}.{i}" for i in range(20)])]

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert found == {number: [f"{number}.{i}" for i in range(20)] for number in range(5)}


def test_a_key_is_told_to_no_one(connect, service):
    service.told = [refusal(401, "bad_key")]
    with connect(service.url, KEY) as client:
        with pytest.raises(ServiceError) as caught:
            client.models()
        said = [repr(client), str(caught.value), repr(caught.value), repr(caught.value.__dict__)]
    with connect("http://127.0.0.1:1", KEY, timeout=0.1) as client:
        with pytest.raises(ServiceError) as caught:
            client.models()
        said += [
            str(caught.value),
            repr(caught.value.__cause__),
            repr(caught.value.__cause__.__dict__),
        ]
    assert not any("SECRET" in sentence for sentence in said)


@pytest.mark.parametrize("key", ["", "two words", "line\nSECRET", "é", "tab\t"])
def test_what_can_be_no_key(connect, key):
    with pytest.raises(UsageError, match="key") as caught:
        connect("http://localhost", key)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8000",
        "ftp://host",
        "http://",
        "http://u:SECRET@host",
        "http://host?key=SECRET",
        None,
        "http://[::1",
    ],
)
def test_what_is_no_address(connect, url):
    with pytest.raises(UsageError, match="Expected the service's address") as caught:
        connect(url)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    "settings", [{"timeout": 0}, {"timeout": float("nan")}, {"max_texts": 0}, {"max_bytes": -1}]
)
def test_numbers_that_mean_nothing(connect, settings):
    with pytest.raises(UsageError):
        connect("http://localhost", **settings)
    with pytest.raises(UsageError, match="concurrency"):
        linnet.AsyncClient("http://localhost", concurrency=0)


def test_one_string_is_not_taken_for_many_texts(client):
    with pytest.raises(UsageError, match=r"\[text\]"):
        client.predict("good")


def test_a_prefix_stays(connect, service):
    with connect(f"{service.url}/tweets/") as client:
        client.ready()
    assert service.asked[0][0] == "/tweets/readyz"


def test_without_the_extra_a_sentence_says_so():
    code = "import sys; sys.modules['httpx2'] = None\nimport linnet\nlinnet.Client"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stderr.endswith("pip install 'linnet-text[client]'\n"), done.stderr


def test_the_client_loads_nothing_that_answers():
    code = (
        "import sys, linnet; linnet.Client\n"
        "print({'numpy', 'onnxruntime', 'tokenizers', 'fastapi'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "set()\n", done.stderr

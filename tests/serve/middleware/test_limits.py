"""The bound on a request's body: inclusive, and reached before the body is read to its end."""

import anyio
import pytest

from linnet.serve.errors import APIError
from linnet.serve.middleware.limits import BodySizeLimitMiddleware

JSON = {"Content-Type": "application/json"}


def body_of(size: int) -> bytes:
    frame = b'{"texts": ["%s"]}'
    return frame % (b"a" * (size - len(frame) + 2))


@pytest.mark.parametrize(("more", "status"), [(0, 200), (1, 413)])
@pytest.mark.parametrize("chunked", [False, True])
def test_the_bound_is_inclusive(client, config, more, status, chunked):
    body = body_of(config.serve.max_body_bytes + more)
    content = iter([body[:7], body[7:]]) if chunked else body
    assert client.post("/v1/predict", content=content, headers=JSON).status_code == status


def receive_all(limit: int, headers: list[tuple[bytes, bytes]], chunks: int) -> tuple[int, bool]:
    """Send 10-byte chunks through the middleware to an app that reads them all: chunks taken, whether refused."""
    taken = 0

    async def receive():
        nonlocal taken
        taken += 1
        return {"type": "http.request", "body": b"x" * 10, "more_body": taken < chunks}

    async def app(scope, receive, send):
        while (await receive())["more_body"]:
            pass

    async def ask() -> bool:
        try:
            await BodySizeLimitMiddleware(app, limit)(
                {"type": "http", "headers": headers}, receive, None
            )
        except APIError as refusal:
            assert refusal.status_code == 413
            return True
        return False

    return anyio.run(ask), taken


def test_a_declared_length_is_refused_before_anything_is_read():
    assert receive_all(100, [(b"content-length", b"101")], chunks=11) == (True, 0)


@pytest.mark.parametrize(
    "declared", [[], [(b"content-length", b"50")], [(b"content-length", b"-1")]]
)
def test_what_is_sent_is_counted_whatever_was_declared(declared):
    assert receive_all(100, declared, chunks=1000) == (True, 11)
    assert receive_all(100, declared, chunks=10) == (False, 10)


def test_a_length_of_many_digits_is_large():
    assert receive_all(100, [(b"content-length", b"9" * 400)], chunks=1) == (True, 0)

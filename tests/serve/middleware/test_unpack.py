"""Packed bodies: unpacked as they come, within the bound, and refused where they are damaged or of another kind."""

import asyncio
import gzip
import json
import tracemalloc
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linnet.serve.errors import APIError
from linnet.serve.middleware.limits import BodySizeLimitMiddleware
from linnet.serve.middleware.unpack import MAX_MEMBERS, PIECE, UnpackMiddleware

MOST = 1_000_000
JSON = {"Content-Type": "application/json"}


def raw(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


PACKERS = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "GZip": gzip.compress,
    "deflate": zlib.compress,
    "Deflate": raw,
    "identity, gzip": gzip.compress,
    "identity": bytes,
    "": bytes,
}


def read(packed: bytes, coding: str, size: int = 10_000, most: int = MOST) -> bytes:
    """What an app reads of a body that comes in parts of a size."""
    parts = [packed[at : at + size] for at in range(0, len(packed), size)] or [b""]
    left = iter(parts)
    count = len(parts)

    async def receive():
        nonlocal count
        count -= 1
        return {"type": "http.request", "body": next(left), "more_body": count > 0}

    async def app(scope, receive, send):
        nonlocal body
        more = True
        while more:
            message = await receive()
            assert len(message["body"]) <= max(PIECE, size)
            body += message["body"]
            more = message["more_body"]

    body = b""
    scope = {"type": "http", "headers": [(b"content-encoding", coding.encode())]}
    asyncio.run(BodySizeLimitMiddleware(UnpackMiddleware(app, most), most)(scope, receive, None))
    return body


def refusal(packed: bytes, coding: str = "gzip", **options: int) -> tuple[int, str]:
    with pytest.raises(APIError) as caught:
        read(packed, coding, **options)
    return caught.value.status_code, caught.value.code


@settings(max_examples=60, deadline=None)
@given(body=st.binary(max_size=5000), coding=st.sampled_from([*PACKERS]), size=st.integers(1, 400))
def test_what_is_packed_comes_out_however_it_is_cut(body, coding, size):
    assert read(PACKERS[coding](body), coding, size) == body


@settings(max_examples=100, deadline=None)
@given(body=st.binary(min_size=1, max_size=2000), cut=st.integers(1, 12), data=st.data())
def test_what_is_cut_off_or_has_more_behind_it_is_refused(body, cut, data):
    coding = data.draw(st.sampled_from(["gzip", "deflate", "Deflate"]))
    packed = PACKERS[coding](body)
    cut = min(cut, len(packed) - 1)
    assert refusal(packed[:-cut], coding) == (400, "bad_content_encoding")
    assert refusal(packed + b"\0garbage", coding) == (400, "bad_content_encoding")


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
@pytest.mark.parametrize("damaged", [b"a", b"{}", b"\x1f\x8b\x08\x00abc", b"\xff" * 50])
def test_what_is_not_packed_so_is_refused(coding, damaged):
    assert refusal(damaged, coding) == (400, "bad_content_encoding")


def test_a_wrong_checksum_is_refused():
    packed = bytearray(gzip.compress(b"hello"))
    packed[-5] ^= 1
    assert refusal(bytes(packed)) == (400, "bad_content_encoding")


def test_a_body_of_nothing_is_one():
    assert read(b"", "gzip") == read(gzip.compress(b""), "gzip") == b""


def test_members_one_after_another_are_one_body():
    packed = gzip.compress(b"a") + gzip.compress(b"") + gzip.compress(b"b" * 1000)
    for size in (1, 7, 10_000):
        assert read(packed, "gzip", size) == b"a" + b"b" * 1000


def test_members_without_end_are_refused():
    assert read(gzip.compress(b"") * MAX_MEMBERS, "gzip") == b""
    assert refusal(gzip.compress(b"") * (MAX_MEMBERS + 1)) == (400, "bad_content_encoding")


@pytest.mark.parametrize("coding", ["gzip", "deflate", "Deflate"])
@pytest.mark.parametrize("size", [MOST, PIECE, PIECE + 1, PIECE + 100, 2 * PIECE])
def test_the_bound_is_of_unpacked_bytes_and_inclusive(coding, size):
    packed = PACKERS[coding](b" " * size)
    assert len(read(packed, coding)) == size
    assert refusal(packed, coding, most=size - 1) == (413, "body_too_large")


def test_a_bomb_costs_no_more_than_the_bound():
    packer = zlib.compressobj(wbits=31)
    bomb = b"".join(packer.compress(bytes(1_000_000)) for _ in range(500)) + packer.flush()
    tracemalloc.start()
    try:
        assert refusal(bomb, size=65_536) == (413, "body_too_large")
        assert tracemalloc.get_traced_memory()[1] < 5 * MOST
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "gzip, gzip", "deflate, gzip", "é"])
def test_another_coding_is_415_and_says_which_are_taken(coding):
    with pytest.raises(APIError) as caught:
        read(gzip.compress(b"a"), coding)
    assert (caught.value.status_code, caught.value.code) == (415, "unsupported_content_encoding")
    assert caught.value.headers == {"Accept-Encoding": "gzip, deflate, identity"}
    assert "gzip, deflate, identity" in caught.value.message


ASKED = {
    "/v1/predict": {"texts": ["good day"]},
    "/v1/explain": {"text": "good day"},
    "/invocations": {"texts": ["good day"]},
    "/v2/models/champion/infer": {
        "inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["good day"]}]
    },
}


@pytest.mark.parametrize("path", ASKED)
@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_every_route_takes_packed_bodies(client, path, coding):
    content = PACKERS[coding](json.dumps(ASKED[path]).encode())
    answer = client.post(path, content=content, headers=JSON | {"Content-Encoding": coding})
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("path", ASKED)
def test_every_route_refuses_bombs_and_other_codings(client, path, config):
    bomb = gzip.compress(bytes(config.serve.max_body_bytes + 1))
    answer = client.post(path, content=bomb, headers=JSON | {"Content-Encoding": "gzip"})
    assert (answer.status_code, answer.headers["connection"]) == (413, "close")
    answer = client.post(path, content=b"a", headers=JSON | {"Content-Encoding": "br"})
    assert answer.status_code == 415
    assert answer.headers["accept-encoding"] == "gzip, deflate, identity"

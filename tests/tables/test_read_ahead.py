"""What is read ahead is what the stream holds, to the byte, and its errors come through."""

import io
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linnet.tables.read_ahead import BLOCK, BLOCKS_AHEAD, read_ahead


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 3 * BLOCK), st.lists(st.integers(1, BLOCK), min_size=1, max_size=5))
def test_every_byte_comes_once_and_in_order(size, portions):
    content = (bytes(range(256)) * (size // 256 + 1))[:size]
    with read_ahead(io.BytesIO(content)) as stream:
        found = b"".join(stream.read(portion) for portion in portions) + stream.read()
        assert stream.read() == b""
    assert found == content


def test_lines_come_as_from_the_file_itself():
    content = b"".join(b"%d\n" % number for number in range(300_000)) + b"no end"
    with read_ahead(io.BytesIO(content)) as stream:
        assert list(stream) == content.splitlines(keepends=True)


class Broken(io.RawIOBase):
    def __init__(self):
        self.reads = 0

    def read(self, size=-1):
        self.reads += 1
        if self.reads > 2:
            raise EOFError("cut")
        return b"a" * 10


def test_an_error_is_raised_where_the_bytes_are_read():
    with read_ahead(Broken()) as stream, pytest.raises(EOFError, match="cut"):
        stream.read(1000)


def test_leaving_early_ends_the_thread():
    before = threading.active_count()
    with read_ahead(io.BytesIO(b"a" * BLOCK * BLOCKS_AHEAD * 3)) as stream:
        assert stream.read(3) == b"aaa"
    assert threading.active_count() == before

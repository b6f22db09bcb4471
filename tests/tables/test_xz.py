"""All that an .xz holds is read, or it is an error."""

import io
import lzma
import random

import pytest

from linnet.tables.xz import XzFile

CONTENT = random.Random(0).randbytes(300_000).hex().encode()
HALF = len(CONTENT) // 2
FIRST = lzma.compress(CONTENT[:HALF])
SECOND = lzma.compress(CONTENT[HALF:])


def read(packed: bytes, size: int = 1000) -> bytes:
    file = XzFile(io.BytesIO(packed))
    return b"".join(iter(lambda: file.read(size), b""))


@pytest.mark.parametrize("zeros", [0, 4, 400_000])
def test_streams_with_zeros_between_and_behind_are_one(zeros: int) -> None:
    padding = bytes(zeros)
    packed = FIRST + padding + SECOND + padding
    assert read(packed) == CONTENT
    # The standard library stops at the zeros without a word.
    assert (lzma.decompress(packed) == CONTENT) == (zeros == 0)


@pytest.mark.parametrize("behind", [b"garbage", b"\xfe" + SECOND[1:], b"\0" * 4 + b"x" * 100])
def test_what_is_no_stream_is_an_error(behind: bytes) -> None:
    assert lzma.decompress(FIRST + behind) == CONTENT[:HALF]
    with pytest.raises((lzma.LZMAError, EOFError)):
        read(FIRST + behind)


@pytest.mark.parametrize(
    "cut", [0, 1, 20, len(FIRST) // 2, len(FIRST) - 1, len(FIRST) + 3, len(FIRST + SECOND) - 1]
)
def test_a_cut_is_an_error(cut: int) -> None:
    with pytest.raises(EOFError):
        read((FIRST + SECOND)[:cut])


def test_places_are_those_of_the_plain_bytes() -> None:
    file = XzFile(io.BytesIO(FIRST + SECOND))
    draw = random.Random(0)
    assert file.seek(0, io.SEEK_END) == len(CONTENT)
    for _ in range(5):
        place = draw.randrange(len(CONTENT))
        assert file.seek(place) == place == file.tell()
        assert file.read(1) == CONTENT[place : place + 1]
    place = file.tell()
    assert file.seek(7, io.SEEK_CUR) == place + 7
    assert file.seek(-10, io.SEEK_END) == len(CONTENT) - 10
    assert file.read(100) == CONTENT[-10:]
    assert file.seek(len(CONTENT) + 5) == len(CONTENT)

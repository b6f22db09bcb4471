"""Bytes become text in one encoding, and the error says what else is in the file."""

import io
import shutil
import subprocess
from pathlib import Path

import pytest

from linnet.errors import DataError
from linnet.tables.lines import (
    CHUNK,
    HEAD_ROWS,
    TO_UTF8,
    decode,
    is_utf8,
    look_ahead,
    numbered_lines,
)

PATH = Path("rows.csv")


def text(content: bytes, encoding: str = "utf-8") -> list[tuple[int, str]]:
    return list(decode(numbered_lines(io.BytesIO(content), PATH), PATH, encoding))


@pytest.mark.parametrize(
    ("content", "row", "other"),
    [
        (b"a\n" * 9 + "é\n".encode() + b"\xe9\n", 11, 10),
        (b"\xe9\n" + b"a\n" * 9 + b"\xe8\n" + "é\n".encode(), 1, 12),
    ],
)
def test_mixed_encodings(content: bytes, row: int, other: int, tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=f"row {row}: byte 0xe9 .*Row {other} has letters that are: .* mixes"
    ) as caught:
        text(content)
    assert TO_UTF8 in str(caught.value)
    if not shutil.which("perl"):
        pytest.skip("no perl here to try the advice with")
    (tmp_path / "FILE").write_bytes(content)
    subprocess.run(TO_UTF8, shell=True, check=True, cwd=tmp_path)
    mended = text((tmp_path / "NEW").read_bytes())
    assert mended[row - 1] == (row, "é\n")
    assert mended[other - 1] == (other, "é\n")


def test_one_other_encoding_is_to_be_named() -> None:
    with pytest.raises(
        DataError, match=r"row 2: byte 0xe9 .*--set data\.encoding=latin-1 or cp1252"
    ):
        text(b"a\n\xe9\n\xe8\n")
    with pytest.raises(
        DataError, match=r"row 1: byte 0x81 .* is not cp1252\. Name the file's encoding"
    ):
        text(b"\x81\n", "cp1252")


@pytest.mark.parametrize(("size", "rows"), [(10, HEAD_ROWS), (1_000_000, 9)])
def test_looking_ahead_ends_after_rows_or_bytes(size: int, rows: int) -> None:
    lines = [(number, b"x" * size) for number in range(1, 1200 if rows > 9 else 20)]
    head, everything = look_ahead(iter(lines))
    assert len(head.lines) == rows and head.cut
    assert list(everything) == lines


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", True),
        (b"a", True),
        (b"x" * (CHUNK - 1) + "é".encode(), True),
        (b"x" * (CHUNK - 1) + b"\xe9", False),
        (b"x" * CHUNK * 2 + b"\xe9a", False),
    ],
)
def test_is_utf8(content: bytes, expected: bool) -> None:
    assert is_utf8(io.BytesIO(content)) is expected

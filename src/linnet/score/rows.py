"""Rows of a text file as they stand in it, in parts of bounded size. Knows nothing of what answers them."""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import IO, Any

from linnet.raw.lines import MAX_LINE, check_line

PART_BYTES = 1_000_000  # tokenising a part takes one to six hundred times as many
LINE_END = re.compile(rb"\r?\n\Z|\r\Z")
NOT_DECODED = re.compile(
    r"[\udc80-\udcff]"
)  # how `surrogateescape` keeps bytes that aren't in the encoding


@dataclass(frozen=True, slots=True)
class Row:
    """One row.

    Attributes:
        raw: Its bytes, the end of its line included.
        end: Position in the unpacked file of the byte after it.
        text: What stands where the text should; None where nothing does.
        reason: Why it can't be scored, where that is known already; else empty.
        broken: Whether its columns can't be told, so that it goes whole into one.
    """

    raw: bytes
    end: int
    text: Any = None
    reason: str = ""
    broken: bool = False

    @property
    def body(self) -> bytes:
        """Its bytes without the end of its line."""
        return LINE_END.sub(b"", self.raw)

    @property
    def line_end(self) -> bytes:
        """The end of its line, which the last one of a file may lack."""
        return self.raw[len(self.body) :]


@dataclass(frozen=True)
class Part:
    """Rows that are scored and written at once.

    Attributes:
        rows: The rows, in order.
        texts: What stands where each one's text should.
        reasons: Why each one can't be scored; empty where that is not known yet.
        end: Where the next part begins.
    """

    rows: Any
    texts: list[Any]
    reasons: list[str]
    end: int


def parts(rows: Iterator[Row], most: int) -> Iterator[Part]:
    """Rows in parts of at most so many, fewer where they are long; the same for the same rows, wherever it begins."""
    taken: list[Row] = []
    size = 0
    for row in rows:
        taken.append(row)
        size += len(row.raw)
        if len(taken) == most or size >= PART_BYTES:
            yield _part(taken)
            taken, size = [], 0
    if taken:
        yield _part(taken)


def _part(rows: list[Row]) -> Part:
    return Part(rows, [row.text for row in rows], [row.reason for row in rows], rows[-1].end)


def read_lines(stream: IO[bytes], path: Path, first: int = 1) -> Iterator[bytes]:
    """The lines of a stream, with their ends.

    Args:
        stream: Its bytes.
        path: Its name, for messages.
        first: The number of the next line.

    Raises:
        DataError: A line without end, or UTF-16 or UTF-32.
    """
    for number, line in enumerate(iter(partial(stream.readline, MAX_LINE), b""), start=first):
        check_line(line, number, path)
        yield line


def open_lines(stream: IO[bytes], path: Path) -> tuple[bytes, Iterator[bytes]]:
    """The mark of UTF-8 that a file begins with, or nothing, and its lines without it.

    Raises:
        DataError: As for `read_lines`.
    """
    lines = read_lines(stream, path)
    first = next(lines, b"")
    mark = codecs.BOM_UTF8 if first.startswith(codecs.BOM_UTF8) else b""
    rest = first[len(mark) :]
    return mark, chain([rest] if rest else [], lines)


def written_lines(stream: IO[bytes]) -> Iterator[bytes]:
    """The lines of a file that was written here, which may be longer than those read, without the mark of UTF-8."""
    first = stream.readline().removeprefix(codecs.BOM_UTF8)
    return chain([first] if first else [], iter(stream.readline, b""))


def not_decoded(text: Any) -> bool:
    """Whether a text holds bytes that are not in the file's encoding."""
    return isinstance(text, str) and not text.isascii() and NOT_DECODED.search(text) is not None

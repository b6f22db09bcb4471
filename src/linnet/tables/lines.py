"""Bytes to lines, each with its number from 1, and lines to text in the file's encoding.

Knows the limits of a line and the marks of an encoding. Knows nothing of what a line holds.
"""

import codecs
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any

from linnet.errors import ConfigError, DataError

UTF8 = "utf-8"
MAX_LINE = 16_000_000
HEAD_ROWS = 1000
HEAD_BYTES = 8_000_000
CHUNK = 1 << 20
# Rows after a wrong one that are searched for letters that are UTF-8.
SEARCHED = 100_000
# Reads each line that is not UTF-8 as latin-1. Systems with a shell usually have perl.
TO_UTF8 = "perl -ne 'my $l = $_; utf8::encode($_) unless utf8::decode($l); print' FILE > NEW"
# The mark of UTF-32 begins with that of UTF-16, so it is looked for first.
WIDE = {
    "UTF-32": (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE),
    "UTF-16": (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE),
}
MARKS = re.compile(rb"(?:\xef\xbb\xbf)*")
# `surrogateescape` keeps bytes that are not in the encoding as these.
NOT_DECODED = re.compile(r"[\udc80-\udcff]")

Line = tuple[int, bytes]


@dataclass(frozen=True)
class Head:
    """The first lines of a file: at most a thousand, or 8 MB.

    Attributes:
        lines: Their bytes, without a byte order mark.
        cut: Whether the file has more.
    """

    lines: list[bytes]
    cut: bool

    def decoded(self, encoding: str) -> list[str]:
        """The lines as text; bytes that are not in the encoding become lone surrogates."""
        return [line.decode(encoding, "surrogateescape") for line in self.lines]


def read_lines(stream: IO[bytes], path: Path, first: int = 1) -> Iterator[bytes]:
    """The lines of a stream, with their ends and any byte order mark.

    Args:
        stream: Its bytes.
        path: Its name, for messages.
        first: The number of the next line.

    Raises:
        DataError: A line is too long, or the file is UTF-16 or UTF-32.
    """
    for number, line in enumerate(iter(partial(stream.readline, MAX_LINE), b""), start=first):
        if number == 1:
            check_wide(line, path)
        if len(line) == MAX_LINE:
            raise _too_long(line, number, path)
        yield line


def written_lines(stream: IO[bytes]) -> Iterator[bytes]:
    """The lines of a file that was written here, of any length, without its mark."""
    first = split_mark(stream.readline())[1]
    return chain([first] if first else [], iter(stream.readline, b""))


def numbered_lines(stream: IO[bytes], path: Path) -> Iterator[Line]:
    """The lines of a file, with their ends and without a byte order mark.

    Raises:
        DataError: As for `read_lines`.
    """
    for number, line in enumerate(read_lines(stream, path), start=1):
        yield number, split_mark(line)[1] if number == 1 else line


def split_mark(line: bytes) -> tuple[bytes, bytes]:
    """The byte order marks of UTF-8 that a first line begins with, and the rest of it.

    Files that were joined, or written by two tools, begin with two.
    """
    end = MARKS.match(line).end()  # type: ignore[union-attr]  # it matches nothing, too
    return line[:end], line[end:]


def look_ahead(lines: Iterator[Line]) -> tuple[Head, Iterator[Line]]:
    """The first lines, and all lines, these included.

    The second iterator may be used only after the first lines were looked at.
    """
    first: list[Line] = []
    size = 0
    for line in islice(lines, HEAD_ROWS):
        first.append(line)
        size += len(line[1])
        if size > HEAD_BYTES:
            break
    following = list(islice(lines, 1))
    head = Head([line for _, line in first], cut=bool(following))
    return head, chain(first, following, lines)


def check_ends(head: Head, path: Path) -> None:
    """Refuse a file whose only ends of lines are carriage returns.

    Raises:
        DataError: Names the command that converts it.
    """
    if len(head.lines) == 1 and not head.cut and b"\r" in head.lines[0].rstrip(b"\r\n"):
        raise DataError(f"{path}: its lines end in carriage returns alone. {_convert(path)}")


def plain_encoding(encoding: str, setting: str) -> str:
    """The encoding to read lines in: `utf-8` for `utf-8-sig`, as a mark is looked for anyway.

    Args:
        encoding: Its name.
        setting: The setting that it is the value of, for the message.

    Raises:
        ConfigError: There is no such encoding, or it is no superset of ASCII.
    """
    try:
        usable = b"a\n".decode(encoding) == "a\n"
    except (LookupError, ValueError):
        usable = False
    if not usable:
        raise ConfigError(
            f"{setting} is {encoding!r}; expected one that contains ASCII, such as "
            "utf-8, latin-1 or cp1252. Convert a file of another encoding: "
            "iconv -f ENCODING -t UTF-8"
        )
    return UTF8 if codecs.lookup(encoding).name == "utf-8-sig" else encoding


def decode(lines: Iterator[Line], path: Path, encoding: str) -> Iterator[tuple[int, str]]:
    """Lines as text.

    Raises:
        DataError: A line is not in the encoding; says whether others of the file are.
    """
    foreign = 0
    for number, line in lines:
        try:
            yield number, line.decode(encoding)
        except UnicodeDecodeError as error:
            byte = f"byte 0x{line[error.start]:02x} at position {error.start + 1} is not {encoding}"
            if encoding != UTF8:
                other = "latin-1" if encoding.lower() != "latin-1" else "cp1252"
                advice = (
                    f"Name the file's encoding, such as --set data.encoding={other}, "
                    "or convert it to UTF-8."
                )
            elif foreign or (foreign := _first_foreign(lines)):
                advice = (
                    f"Row {foreign} has letters that are: the file mixes encodings. "
                    f"Convert the rows that are not: {TO_UTF8}"
                )
            else:
                advice = (
                    "Name the file's encoding, such as --set data.encoding=latin-1 or cp1252, "
                    "or convert it to UTF-8."
                )
            raise DataError(f"{path}, row {number}: {byte}. {advice}") from None
        if not foreign and not line.isascii():
            foreign = number


def is_utf8(stream: IO[bytes]) -> bool:
    """Whether a whole file is UTF-8."""
    decoder = codecs.getincrementaldecoder(UTF8)()
    try:
        for chunk in iter(partial(stream.read, CHUNK), b""):
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def not_decoded(text: Any) -> bool:
    """Whether a text holds bytes that are not in the file's encoding."""
    if isinstance(text, bytes):
        return True  # other bytes of Parquet are strings already
    return isinstance(text, str) and not text.isascii() and NOT_DECODED.search(text) is not None


def blank(lines: Sequence[bytes]) -> bool:
    """Whether no line holds anything but white space."""
    return not any(line.strip() for line in lines)


def check_wide(start: bytes, path: Path) -> None:
    """Refuse a file whose letters take two or four bytes each.

    Args:
        start: Its first bytes.
        path: Its name, for the message.

    Raises:
        DataError: Names the command that converts it.
    """
    for encoding, marks in WIDE.items():
        if start.startswith(marks):
            raise DataError(
                f"{path} is {encoding}. Convert it: iconv -f {encoding} -t UTF-8 "
                f"{shlex.quote(str(path))} > {shlex.quote(f'utf8-{path.name}')}"
            )


def _too_long(line: bytes, number: int, path: Path) -> DataError:
    advice = "Expected lines of text."
    if number == 1 and b"\r" in line[:HEAD_BYTES]:
        advice = f"If its lines end in carriage returns alone: {_convert(path)}"
    return DataError(f"{path}, line {number}: longer than {MAX_LINE:,} bytes. {advice}")


def _convert(path: Path) -> str:
    new = shlex.quote(f"lf-{path.name}")
    return f"Convert it: tr '\\r' '\\n' < {shlex.quote(str(path))} > {new}"


def _first_foreign(lines: Iterator[Line]) -> int:
    for number, line in islice(lines, SEARCHED):
        if not line.isascii():
            try:
                line.decode(UTF8)
            except UnicodeDecodeError:
                continue
            return number
    return 0

"""Bytes to lines, each with its number from 1, and lines to text in the file's encoding.

Knows nothing of what stands in a line.
"""

import codecs
from collections.abc import Iterator
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import IO

from linnet.errors import DataError
from linnet.raw.lines import MAX_LINE, check_line

HEAD_ROWS = 1000
HEAD_BYTES = 8_000_000
CHUNK = 1 << 20
# Rows after a wrong one that are searched for letters that are UTF-8.
SEARCHED = 100_000
# Takes each line that isn't UTF-8 for latin-1; perl is where a shell is.
MEND = "perl -ne 'my $l = $_; utf8::encode($_) unless utf8::decode($l); print' FILE > NEW"

Line = tuple[int, bytes]


def numbered_lines(stream: IO[bytes], path: Path) -> Iterator[Line]:
    """The lines of a file, with their ends and without a byte order mark.

    Raises:
        DataError: A line without end, or UTF-16 or UTF-32.
    """
    for number, line in enumerate(iter(partial(stream.readline, MAX_LINE), b""), start=1):
        check_line(line, number, path)
        yield number, line.removeprefix(codecs.BOM_UTF8) if number == 1 else line


def look_ahead(lines: Iterator[Line]) -> tuple[list[Line], Iterator[Line]]:
    """The first lines, up to a thousand or to 8 MB; and all lines, these included."""
    head: list[Line] = []
    size = 0
    for line in islice(lines, HEAD_ROWS):
        head.append(line)
        size += len(line[1])
        if size > HEAD_BYTES:
            break
    return head, chain(head, lines)


def decode(lines: Iterator[Line], path: Path, encoding: str) -> Iterator[tuple[int, str]]:
    """Lines as text.

    Raises:
        DataError: A line is not in the encoding; tells whether others of the file are.
    """
    foreign = 0
    for number, line in lines:
        try:
            yield number, line.decode(encoding)
        except UnicodeDecodeError as error:
            byte = f"byte 0x{line[error.start]:02x} at position {error.start + 1} is not {encoding}"
            if encoding != "utf-8":
                other = "latin-1" if encoding.lower() != "latin-1" else "cp1252"
                advice = (
                    f"Name the file's encoding, such as --set data.encoding={other}, "
                    "or convert it to UTF-8."
                )
            elif foreign or (foreign := _first_foreign(lines)):
                advice = (
                    f"Row {foreign} has letters that are: the file mixes encodings. "
                    f"Convert the rows that are not: {MEND}"
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
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for chunk in iter(partial(stream.read, CHUNK), b""):
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _first_foreign(lines: Iterator[Line]) -> int:
    for number, line in islice(lines, SEARCHED):
        if not line.isascii():
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                continue
            return number
    return 0

"""JSON values out of a document: the objects of a list, or objects written over several lines.

The file is read in pieces, so that a list may be of any length; one value takes at most `MAX_LINE`
bytes.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from linnet.errors import DataError
from linnet.tables.lines import MAX_LINE, UTF8, check_wide

CHUNK = 1 << 20
DEEP = 100  # lists in lists, beyond which a file is no table of any kind
BETWEEN = " \t\r\n,[]"
# Python strings of one byte per character, so that places in them are places in the file.
BYTES = "latin-1"
LIST_TO_LINES = "jq -c 'arrays[], objects'"

DECODER = json.JSONDecoder()


def is_document(lines: Sequence[bytes]) -> bool:
    """Whether JSON is one list, or objects over several lines, and not an object on each line.

    Args:
        lines: The first lines of the file, without a byte order mark.
    """
    place, first = next(((i, line) for i, line in enumerate(lines) if line.strip()), (0, b""))
    start = first.lstrip()
    if start.startswith(b"["):
        return True
    if not start.startswith(b"{") or _end_of_value(start) > 0:
        return False
    # A row that is broken is no beginning of a value of several lines.
    return _end_of_value(b"".join(lines[place:]).lstrip()) > 0


def read_values(stream: IO[bytes], path: Path, position: int = 0) -> Iterator[tuple[bytes, int]]:
    """The bytes of each value, and the position behind it.

    Args:
        stream: The file's bytes from that position on, which is the beginning or the end of a
            value.
        path: Its name, for messages.
        position: The position.

    Raises:
        DataError: It is no JSON, ends in the middle, or has a value that is too long.
    """
    text = ""
    place = opened = number = 0
    whole = position == 0
    step = CHUNK
    ended = False
    while True:
        while place < len(text) and text[place] in BETWEEN:
            opened += {"[": 1, "]": -1}.get(text[place], 0)
            place += 1
        end = _end_of_value(text, place) if place < len(text) else 0
        # A number may go on behind the piece that was read.
        if end and (end < len(text) or ended):
            number += 1
            yield text[place:end].encode(BYTES), position + end
            place = end
            step = CHUNK
            continue
        if ended or len(text) - place > MAX_LINE:
            break
        position += place
        text = text[place:]
        place = 0
        piece = stream.read(step)
        step = min(2 * step, MAX_LINE)
        ended = not piece
        if whole and not text:
            check_wide(piece, path)
        text += piece.decode(BYTES)
        if position == 0 and text.startswith("\xef\xbb\xbf"):
            text = text[3:]
            position = 3
    if place < len(text):
        raise _not_json(text[place:], number, path)
    if whole and opened > DEEP:
        raise DataError(f"{path}, row 1: lists or objects nested too deeply. Flatten them.")
    if whole and opened > 0:
        raise DataError(
            f"{path} ends in the middle of a list, after value {number:,}: it is cut. "
            "Fetch it again."
        )


def on_one_line(value: bytes) -> bytes:
    """A value without line ends, which JSON has between its parts alone."""
    return value.translate(bytes.maketrans(b"\r\n", b"  "))


def _end_of_value(text: str | bytes, place: int = 0) -> int:
    """Where the value ends that begins at a place; 0 if there is none."""
    if isinstance(text, bytes):
        text = text.decode(BYTES)
    try:
        return DECODER.raw_decode(text, place)[1]
    except (ValueError, RecursionError):
        return 0


def _not_json(text: str, number: int, path: Path) -> DataError:
    where = f"{path}, value {number + 1:,}"
    if len(text) > MAX_LINE:
        return DataError(
            f"{where}: not JSON, or longer than {MAX_LINE:,} bytes. Expected a list of objects."
        )
    try:
        json.loads(text.encode(BYTES).decode(UTF8, "replace"))
    except json.JSONDecodeError as error:
        return DataError(f"{where}: not JSON: {error}. Expected a list of objects.")
    except RecursionError:
        return DataError(f"{where}: lists or objects nested too deeply. Flatten them.")
    except ValueError:
        return DataError(
            f"{where}: a whole number of thousands of digits. Write it as a string, in quotes."
        )
    return DataError(f"{where}: not JSON. Expected a list of objects.")

"""What no line of a text file may be, and no encoding."""

import codecs
import shlex
from pathlib import Path

from linnet.errors import ConfigError, DataError

MAX_LINE = 16_000_000
# The mark of UTF-32 begins with that of UTF-16, so it is looked for first.
WIDE = {
    "UTF-32": (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE),
    "UTF-16": (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE),
}


def check_line(line: bytes, number: int, path: Path) -> None:
    """Refuse a line of which no more than `MAX_LINE` bytes were read, and a first one that is of no text.

    Args:
        line: Its bytes, the mark of the encoding included.
        number: Which it is, from 1.
        path: Its file, for the message.

    Raises:
        DataError: A line without end, or UTF-16 or UTF-32.
    """
    for encoding, marks in WIDE.items() if number == 1 else ():
        if line.startswith(marks):
            raise DataError(
                f"{path} is {encoding}. Convert it: iconv -f {encoding} -t UTF-8 "
                f"{shlex.quote(str(path))} > {shlex.quote(f'utf8-{path.name}')}"
            )
    if len(line) == MAX_LINE:
        raise DataError(
            f"{path}, line {number}: longer than {MAX_LINE:,} bytes. Expected lines of text."
        )


def check_encoding(encoding: str, setting: str) -> None:
    """Refuse an encoding whose lines can't be told apart as bytes.

    Args:
        encoding: Its name.
        setting: The setting that it is the value of, for the message.

    Raises:
        ConfigError: There is no such encoding, or ASCII doesn't stand for itself in it.
    """
    try:
        usable = b"a\n".decode(encoding) == "a\n"
    except (LookupError, ValueError):
        usable = False
    if not usable:
        raise ConfigError(
            f"{setting} is {encoding!r}; expected one in which ASCII stands for itself, such as utf-8, latin-1 or "
            "cp1252. Convert a file of another encoding: iconv -f ENCODING -t UTF-8"
        )

r"""Text that can be shown anywhere: control characters and what is not Unicode become escapes.

A file name that is not UTF-8 reaches Python with surrogates in place of its bytes (PEP 383). It is
shown with `\xe9` for the byte 0xE9. Knows nothing of where the text goes.
"""

import codecs
import os
import re

ERRORS = "linnet-escape"  # the name of the codec error handler, for streams
SURROGATE = re.compile("[\ud800-\udfff]")
# C0 but tab and line feed, delete, C1, line and paragraph separators, and the marks that reorder
# text.
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
NO_FILE = re.compile("[\ud800-\udc7f\udd00-\udfff]")
ESCAPED_BYTES = re.compile(r"\\x([89a-fA-F][0-9a-fA-F])")


def escape_surrogates(text: str, backslash: str = "\\") -> str:
    r"""Replace each surrogate by an escape: `\xe9` for a byte of a file name, else `\ud800`.

    Args:
        text: Any string.
        backslash: How the escape begins; two backslashes inside of a JSON or TOML string.
    """
    return SURROGATE.sub(lambda match: backslash + _escape(match[0]), text)


def printable(text: str) -> str:
    """Escape surrogates and control characters; tabs and line feeds stay."""
    return CONTROL.sub(lambda match: "\\" + _escape(match[0]), escape_surrogates(text))


def printable_cell(text: str) -> str:
    """What `printable` gives, on one line: tabs and line feeds are escaped as well."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


def file_name(text: str) -> str:
    """The file name that an escaped one shows, if only that one exists; else the text itself.

    So a settings file can name a file whose name is not UTF-8.

    Raises:
        ValueError: No file can have this name.
    """
    if NO_FILE.search(text):
        raise ValueError("expected the name of a file; no file name holds such a character")
    if not ESCAPED_BYTES.search(text) or os.path.lexists(text):
        return text
    original = ESCAPED_BYTES.sub(lambda match: chr(0xDC00 + int(match[1], 16)), text)
    return original if os.path.lexists(original) else text


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        code -= 0xDC00
    if code <= 0xFF:
        return f"x{code:02x}"
    return f"u{code:04x}" if code <= 0xFFFF else f"U{code:08x}"


def _escape_unencodable(error: UnicodeError) -> tuple[str, int]:
    """A codec error handler: what an encoding lacks is escaped.

    Whoever reads such a stream back, as pytest does, gets U+FFFD for bytes of other programs.
    """
    if isinstance(error, UnicodeDecodeError):
        return "\ufffd", error.end
    if not isinstance(error, UnicodeEncodeError):
        raise error
    characters = error.object[error.start : error.end]
    return "".join("\\" + _escape(character) for character in characters), error.end


codecs.register_error(ERRORS, _escape_unencodable)

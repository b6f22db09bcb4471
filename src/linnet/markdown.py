"""Text of others inside of Markdown: it is shown as it is, and can neither format nor add lines.

By the backslash escapes and code spans of CommonMark 0.31 and the tables and math of GitHub.
Knows nothing of what is written.
"""

import re

from linnet.printable import printable

SPECIAL = re.compile(r"([\\`*_\[\]<>&~|$#])")


def inline(text: str) -> str:
    """The text on one line with every character escaped that could begin markup or HTML."""
    return SPECIAL.sub(r"\\\1", _one_line(text))


def code(text: str) -> str:
    """The text on one line as a code span, whose fence is longer than any backticks in the text."""
    line = _one_line(text)
    longest = max(map(len, re.findall("`+", line)), default=0)
    fence = "`" * (longest + 1)
    space = " " if longest else ""
    return f"{fence}{space}{line}{space}{fence}"


def _one_line(text: str) -> str:
    return printable(" ".join(text.split()))

"""Text of others inside of Markdown: it is shown as it is, and can neither format nor add lines.

By the backslash escapes and code spans of CommonMark 0.31 and the tables and math of GitHub.
Knows nothing of what is written.
"""

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

import jinja2

from linnet.printable import printable

SPECIAL = re.compile(r"([\\`*_\[\]<>&~|$#])")
LISTED = 20  # entries of a list that are shown


class Markdown(str):
    """Text that is Markdown already, so that a template does not escape it."""

    __slots__ = ()


def render(template_name: str, **values: Any) -> str:
    """Fill a Markdown template of linnet/templates. All values except `Markdown` are escaped.

    Args:
        template_name: Such as "card.md".
        **values: What the template names. A missing one is an error.

    Raises:
        jinja2.UndefinedError: The template names a value that isn't given.
    """
    return _environment().get_template(template_name).render(**values)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("linnet"),
        autoescape=False,  # noqa: S701, `finalize` escapes Markdown
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: value if isinstance(value, Markdown) else inline(str(value)),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"code": code, "listed": listed}
    return environment


def listed(names: Sequence[str]) -> Markdown:
    """The first names of a list, escaped, and the number of the others."""
    shown = ", ".join(inline(name) for name in names[:LISTED])
    others = len(names) - LISTED
    return Markdown(f"{shown} and {others} more" if others > 0 else shown)


def inline(text: str) -> Markdown:
    """The text on one line with every character escaped that could begin markup or HTML."""
    return Markdown(SPECIAL.sub(r"\\\1", _one_line(text)))


def code(text: str) -> Markdown:
    """The text on one line as a code span, whose fence is longer than any backticks in the text."""
    line = _one_line(text)
    longest = max(map(len, re.findall("`+", line)), default=0)
    fence = "`" * (longest + 1)
    space = " " if longest else ""
    return Markdown(f"{fence}{space}{line}{space}{fence}")


def _one_line(text: str) -> str:
    return printable(" ".join(text.split()))

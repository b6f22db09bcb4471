"""A list that was written as text, such as `['neg', 'other']`, read as the list that it was.

Read are lists, tuples and sets as Python, JSON and NumPy write them. Nothing is evaluated.
"""

import re

from linnet.labels import SURROGATE

MAX_LENGTH = 100_000
# One pair of brackets round the items, and the name that Python or NumPy writes before it.
WHOLE = re.compile(
    r"(?:(?:np\.|numpy\.)?(?:array|set|frozenset|list|tuple)\()?\s*"
    r"(?:\[(?P<list>.*)\]|\{(?P<set>.*)\}|\((?P<tuple>.*)\))\s*(?:,\s*dtype=[^()]*)?\)?",
    re.DOTALL,
)
EMPTY_SETS = {"set()", "frozenset()"}
ITEM = re.compile(
    r"\s*(?:[bu]?\"(?P<double>(?:[^\"\\]|\\.)*)\"|[bu]?'(?P<single>(?:[^'\\]|\\.)*)'"
    r"|(?P<bare>[+-]?[0-9.][0-9.eE+-]*|True|False|None|true|false|null|NaN|nan))\s*(?P<comma>,?)",
    re.DOTALL,
)
MISSING = {"None", "null", "NaN", "nan"}
ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|x[0-9a-fA-F]{2}|.)", re.DOTALL)
LETTERS = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "0": "\0"}
# One pair of brackets round something that is no list of quoted strings or numbers.
BRACKETS = re.compile(r"\[[^\[\]]*\]|\{[^{}]*\}|\([^()]*\)", re.DOTALL)


def read_list(text: str) -> tuple[str | None, ...] | None:
    """The items of a list written as text, None for a missing one; None if it is no list."""
    text = text.strip()
    if text in EMPTY_SETS:
        return ()
    if not text or text[-1] not in "])}" or len(text) > MAX_LENGTH:
        return None
    whole = WHOLE.fullmatch(text)
    if not whole:
        return None
    kind = next(name for name, inner in whole.groupdict().items() if inner is not None)
    inner = whole[kind].strip()
    place = 0
    comma = False
    items: list[str | None] = []
    while place < len(inner):
        item = ITEM.match(inner, place)
        if not item:
            return None
        items.append(_value(item))
        place = item.end()
        comma = bool(item["comma"])
    if kind == "tuple" and len(items) == 1 and not comma:
        return None  # a word in parentheses
    return tuple(items)


def is_unread_list(text: str, separator: str) -> bool:
    """Whether a text is in brackets and has a separator inside, as a list without quotes has."""
    return separator in text and bool(BRACKETS.fullmatch(text.strip()))


def _value(item: re.Match[str]) -> str | None:
    if item["bare"] is not None:
        return None if item["bare"] in MISSING else item["bare"]
    quoted = item["double"] if item["double"] is not None else item["single"]
    text = ESCAPE.sub(_character, quoted)
    if SURROGATE.search(text):  # JSON writes characters beyond U+FFFF as two halves
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    return text


def _character(match: re.Match[str]) -> str:
    escape = match[1]
    if len(escape) > 1:
        number = int(escape[1:], 16)
        return chr(number) if number <= 0x10FFFF else "\ufffd"
    return LETTERS.get(escape, escape)

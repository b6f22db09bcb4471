"""The only label path: every label that is read, configured or sent is cleaned and compared here.

`prepare` passes the labels of rows and corrections through it, `export` those of a checkpoint, and
the service those of feedback. Knows nothing of files, rows or models.

    clean        normal form C, invisible ends stripped, white space inside folded to one space
    equal        the same after cleaning; also equal numbers or booleans, where all labels are such
    look alike   equal up to case, surrounding punctuation or leading zeros: kept apart, but named
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal

from linnet.errors import LabelError

MAX_LENGTH = 1000
LISTED = 10
JOINERS = "\u200c\u200d"  # which Persian words and emoji need inside
# Default_Ignorable_Code_Point without variation selectors and tags, which belong to emoji.
INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u3164\ufeff\uffa0"
    + "".join(map(chr, [*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070)]))
    + "".join(map(chr, range(0xFFF0, 0xFFF9)))
)
CONTROLS = "".join(map(chr, [*range(0x20), *range(0x7F, 0xA0)]))
SPACES = "".join(character for character in map(chr, range(0x3001)) if character.isspace())
ENDS = SPACES + CONTROLS + INVISIBLE
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
SURROGATE = re.compile(r"[\ud800-\udfff]")
IGNORABLE = re.compile(f"[{INVISIBLE}{JOINERS}\ufe00-\ufe0f]")
HIDDEN = re.compile(f"[{''.join(set(INVISIBLE) - set(JOINERS))}]")
PUNCTUATION = "\"'`´.,;:!?()[]{}<>«»“”‘’„‚…*_ "
NUMBER = re.compile(r"[+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,2})?")
CODE = re.compile(r"[+-]?0[0-9]")
BOOLEANS = {"true", "false"}
MISSING_WORDS = {"nan", "none", "null", "nil", "na", "n/a", "#n/a", "<na>", "nat"}


def strip_ends(raw: str) -> str:
    """The text in normal form C, without white space and invisible characters at its ends."""
    return unicodedata.normalize("NFC", raw.strip(ENDS))


def clean_label(raw: str) -> str:
    """Clean one label. A clean label stays as it is; one without a visible character becomes empty.

    Args:
        raw: Any string.

    Raises:
        LabelError: It is too long, or has a control character or half of a surrogate pair inside.
    """
    if raw.isascii() and raw.isprintable() and "  " not in raw and len(raw) <= MAX_LENGTH:
        return raw.strip()
    label = raw.strip(ENDS)
    if len(label) > MAX_LENGTH:
        raise LabelError(
            f"a label of {len(label):,} characters: {label!r:.60}. Expected at most {MAX_LENGTH:,}"
        )
    label = unicodedata.normalize("NFC", " ".join(label.split()))
    if found := CONTROL.search(label) or SURROGATE.search(label):
        kind = "half of a surrogate pair" if SURROGATE.match(found[0]) else "a control character"
        raise LabelError(f"a label with {kind} ({found[0]!r}): {label!r:.60}")
    return label


def clean_names(names: Iterable[object]) -> tuple[str, ...]:
    """Clean the label names of a model, or those that a setting lists, in their order.

    Raises:
        LabelError: One can't be used, or two of them are one label.
    """
    found: dict[str, object] = {}
    for name in names:
        label = clean_label(str(name))
        if label in found:
            raise LabelError(f"two names of one label: {found[label]!r:.60} and {name!r:.60}")
        found[label] = name
    return tuple(found)


def find_label(raw: str, names: Sequence[str]) -> str | None:
    """The one of `names` that is the same label as `raw`; None if none is, or if it is no label."""
    if raw in names:
        return raw
    try:
        label = clean_label(raw)
        known = {clean_label(name): name for name in names}
    except LabelError:
        return None
    called = one_name_each([*known, label])
    return next((known[name] for name in known if called[name] == called[label]), None)


def one_name_each(labels: Iterable[str]) -> dict[str, str]:
    """Each clean label with its name: equal numbers get one, where all labels are numbers.

    A whole number is written without a fraction (`1.0` is `1`), another without zeros at its end.
    One with leading zeros is a code and stays as it is. Where all labels are `true` or `false` in
    any case, they are written in lower case, as JSON does. Words for a missing value don't count.
    """
    labels = list(labels)
    meant = [label for label in labels if label.casefold() not in MISSING_WORDS]
    rename: Callable[[str], str] = str
    if meant and all(map(NUMBER.fullmatch, meant)):
        rename = _rename_number
    elif meant and all(label.casefold() in BOOLEANS for label in meant):
        rename = str.casefold
    renamed = {label: rename(label) for label in meant}
    return {label: renamed.get(label, label) for label in labels}


def look_alikes(labels: Iterable[str]) -> list[list[str]]:
    """Groups of labels that look alike, each sorted, in the order of their first."""
    groups: dict[str, list[str]] = defaultdict(list)
    for label in labels:
        groups[_look(label)].append(label)
    return sorted(sorted(group) for group in groups.values() if len(group) > 1)


def shown(label: str) -> str:
    """A label in quotes for a message, cut if it is long; what one can't see is escaped."""
    quoted = repr(label) if unicodedata.is_normalized("NFC", label) else ascii(label)
    return quoted[:60]


def listed(rows: Mapping[str, int]) -> str:
    """The first ten labels with their numbers of rows, and how many more there are."""
    first = [f"{shown(label)} ({count:,})" for label, count in [*rows.items()][:LISTED]]
    more = len(rows) - len(first)
    return ", ".join(first) + (f" and {more:,} more" if more else "")


def _rename_number(label: str) -> str:
    return label if CODE.match(label) else _plain_number(label)


def _plain_number(label: str) -> str:
    number = Decimal(label)
    if number == number.to_integral_value():
        return str(int(number))
    return f"{number:f}".rstrip("0")


def _look(label: str) -> str:
    if NUMBER.fullmatch(label):
        return _plain_number(label)
    plain = IGNORABLE.sub("", unicodedata.normalize("NFKC", label)).casefold()
    words = re.split(r"[\s_-]+", plain.strip(PUNCTUATION))
    return " ".join(words) if any(words) else label

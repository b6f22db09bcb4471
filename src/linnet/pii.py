"""Personal data in a text, put behind a name of its kind: addresses, handles, telephone numbers.

Knows a text alone, and no names of people or places: what it finds is found by its shape. Every
pattern takes linear time on any text, and masking a masked text changes nothing.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import cache
from typing import Literal

Personal = Literal["email", "phone", "handle"]

# In these patterns WORD stands for what a word is made of: see `_compiled`. The look-behind and the
# possessive quantifiers see to it that no run of characters is read more than twice. Addresses that
# touch are taken as one, as nothing would tell where the next one starts.
ADDRESS = r"[WORD.%+-]++@(?:[WORD-]++\.)+[^\W\d_][WORD-]++"
EMAIL = rf"(?<![WORD.%+-])(?:{ADDRESS})++"
HANDLE = r"(?<![WORD])@\w[WORD]*+"

# Digits in groups, as long as they go on; a comma or colon between two digits makes it a price or a
# time.
DIGITS = re.compile(r"\+?\(?[0-9]++(?:(?:[ .()/-]{1,3}+|[,:])[0-9]++)*+")
BEFORE = r"(?<=[WORD@#$€£¥/=])"
AFTER = r"[WORD@%€£°]"
LONGEST = 32  # characters of a telephone number with all its separators
# of ITU-T E.164, and of a local number
FEWEST_DIGITS = 7
MOST_DIGITS = 15
NO_PHONE = re.compile(
    r"""
      [0-9]{4} (?P<date>[-/. ]) [0-9]{1,2} (?P=date) [0-9]{1,2} (?:\ [0-9]{1,2})?         # 2009-05-12, and its hour
    | [0-9]{1,2} (?P<day>[-/.]) [0-9]{1,2} (?P=day) (?:[0-9]{4}|[0-9]{2}) (?:\ [0-9]{1,2})?
    | (?:(?:19|20)[0-9]{2} (?:[^0-9]+|$)){2,}                                             # 2008-2009
    | [0-9]{1,3} (?:\.[0-9]{1,3}){3}                                                      # 192.168.100.123
    | [0-9]{1,2} (?P<thousand>[. ]) [0-9]{3} (?:(?P=thousand)[0-9]{3})*                   # 10.000.000
    | [0-9]+ \. [0-9]+                                                                    # 3.14159265
    """,
    re.VERBOSE,
)


def mask(text: str, kinds: Sequence[str]) -> str:
    """Replace personal data.

    Args:
        text: A clean text.
        kinds: Which kinds, keys of `PERSONAL`, in any order; of none the text is given back as it
            is.
    """
    for kind, replace in PERSONAL.items():
        if kind in kinds:
            text = replace(text)
    return text


@cache
def _word() -> str:
    # A mark left behind would join the replacement in normal form C ("@user" and a caron make
    # "@useř"), so marks count as part of the word they follow. The planes above hold selectors
    # alone, which join nothing.
    return r"\w" + "".join(
        mark for mark in map(chr, range(0x300, 0x1F000)) if unicodedata.category(mark)[0] == "M"
    )


# and not at the import, as to find all marks would be a twentieth of what a service takes to start
@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern.replace("WORD", _word()))


def _mask_phones(text: str) -> str:
    end_of_phone = -1

    def replace(run: re.Match[str]) -> str:
        nonlocal end_of_phone
        # "+15551234567+15551234568": the first number must not hide the second.
        replaced = _phones(run, follows_phone=run.start() == end_of_phone)
        if replaced.endswith("<phone>"):
            end_of_phone = run.end()
        return replaced

    return DIGITS.sub(replace, text)


def _phones(run: re.Match[str], follows_phone: bool) -> str:
    """Replace the telephone numbers of a run of digits: the whole run, or some of its pieces."""
    text = run.string
    free = (
        follows_phone or not _compiled(BEFORE).match(text, run.start()),
        not _compiled(AFTER).match(text, run.end()),
    )
    if _is_phone(run[0]) and all(free):
        return "<phone>"
    pieces = run[0].split(" ")
    last = len(pieces) - 1
    found = [
        _is_phone(piece) and (index > 0 or free[0]) and (index < last or free[1])
        for index, piece in enumerate(pieces)
    ]
    if not any(found):
        return run[0]
    # What is between two numbers is read as a whole too, as it would be the next time.
    parts: list[str] = []
    waiting: list[str] = []
    start = 0
    for index in range(len(pieces) + 1):
        if index <= last and not found[index]:
            waiting.append(pieces[index])
            continue
        if waiting:
            between = " ".join(waiting)
            whole = _is_phone(between) and (start > 0 or free[0]) and (index <= last or free[1])
            parts.append("<phone>" if whole else between)
        if index <= last:
            parts.append("<phone>")
        waiting = []
        start = index + 1
    return " ".join(parts)


def _is_phone(run: str) -> bool:
    if len(run) > LONGEST or "," in run or ":" in run:
        return False
    groups = re.findall("[0-9]+", run)
    if not FEWEST_DIGITS <= sum(map(len, groups)) <= MOST_DIGITS:
        return False
    if run.startswith("+"):
        return True
    if len(groups) == 1:
        return len(groups[0]) in {10, 11}
    # Numbers side by side are no telephone number: it has a group of three digits, or starts with a
    # 0.
    like_one = (
        len(groups) <= 6
        and min(map(len, groups[1:])) >= 2
        and (max(map(len, groups)) >= 3 or run[0] == "0")
    )
    return like_one and not NO_PHONE.fullmatch(run)


# In the order in which they are replaced: an address holds what looks like a handle, and a handle
# may hold digits.
PERSONAL: dict[str, Callable[[str], str]] = {
    "email": lambda text: _compiled(EMAIL).sub("<email>", text) if "@" in text else text,
    "handle": lambda text: _compiled(HANDLE).sub("@user", text) if "@" in text else text,
    "phone": _mask_phones,
}

"""Columns that each say, row by row, whether one label applies: 0 and 1, or true and false."""

from collections.abc import Sequence
from typing import Any

from linnet.data.sources.strings import as_string

YES = {"1", "1.0", "true"}
NO = {"0", "0.0", "false"}
UNKNOWN = {"", "-1", "-1.0"}  # -1 as in the test labels of Jigsaw's Toxic Comments


def plain(value: Any) -> str:
    """A value as `YES`, `NO` and `UNKNOWN` have it, whatever its type and case."""
    return (as_string(value) or "").strip().casefold()


def says_yes_and_no(values: Sequence[Any]) -> bool:
    """Whether all values of a column say yes, no or nothing, and some say yes or no."""
    found = set(map(plain, values))
    return found <= YES | NO | UNKNOWN and not found <= UNKNOWN

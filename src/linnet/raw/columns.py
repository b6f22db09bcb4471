"""Which column is the text, which is the label, and a text that stands in several columns."""

from collections.abc import Sequence
from typing import Any

from linnet.errors import DataError

SEPARATOR = ","
TEXT_NAMES = "text tweet sentence content review message comment body utterance question sms headline title".split()
LABEL_NAMES = "label target class category sentiment polarity intent topic emotion rating".split()
USUAL_NAMES = {"text": TEXT_NAMES, "label": LABEL_NAMES}


def find_column(columns: Sequence[str], wanted: str, role: str) -> int:
    """Position of one column.

    Args:
        columns: The names there are.
        wanted: A name, a position from 0, or empty to find it by its name.
        role: What for: `text`, `label`, or another word for messages; only those two are found by their names.

    Raises:
        DataError: There is no such column; names those there are.
    """
    usual = USUAL_NAMES.get(role, [])
    if wanted in columns:
        return columns.index(wanted)
    if wanted.isdecimal() and int(wanted[:9]) < len(columns):
        return int(wanted)
    if wanted:
        raise DataError(f"There is no column {wanted!r} for the {role}. {known(columns)}")
    plain = [name.strip().casefold() for name in columns]
    for name in usual:
        if name in plain:
            return plain.index(name)
    raise DataError(
        f"Can't tell which column is the {role}: none has a usual name ({', '.join(usual[:5])} ...). "
        f"{known(columns)} Choose one with --{role}-column, by name; "
        "or by position from 0 if the file has no header."
    )


def find_text(columns: Sequence[str], wanted: str) -> list[int]:
    """Positions of the columns whose values, joined by `join`, are the text.

    Args:
        columns: The names there are.
        wanted: As for `find_column`, or several names or positions with commas between.

    Raises:
        DataError: There is no such column, or one is named twice.
    """
    if wanted in columns or SEPARATOR not in wanted:
        return [find_column(columns, wanted, "text")]
    names = [part.strip() for part in wanted.split(SEPARATOR)]
    if not all(names):
        raise DataError(
            f"--text-column {wanted!r:.200} names a column without a name. Expected such as title,body."
        )
    places = [find_column(columns, name, "text") for name in names]
    if len(set(places)) < len(places):
        raise DataError(f"--text-column {wanted!r:.200} names one column twice. Name each once.")
    return places


def join(parts: Sequence[Any]) -> Any:
    """One text; a part that is no text, which the whole can't be then either; or None where all are missing."""
    there = [
        part for part in parts if part is not None and part == part
    ]  # NaN is no part: it equals nothing
    strange = next((part for part in there if not isinstance(part, str)), None)
    return strange if strange is not None else " ".join(filter(None, there)) if there else None


def positions_only(column: str) -> bool:
    """Whether a column, or each of several, is named by its position."""
    return all(part.strip().isdecimal() for part in column.split(SEPARATOR))


def known(columns: Sequence[str]) -> str:
    """A sentence that names the columns there are, at most twenty of them."""
    names = ", ".join(f"{name!r:.60}" for name in columns[:20]) + (
        ", ..." if len(columns) > 20 else ""
    )
    return f"The columns are {names}."

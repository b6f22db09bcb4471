"""Which column is the text, which is the label, and a text that is spread over several columns."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linnet.errors import DataError

SEPARATOR = ","
MAX_COLUMNS = 10_000
TEXT_NAMES = (
    "text tweet sentence content review message comment body utterance question sms headline title"
).split()
LABEL_NAMES = "label target class category sentiment polarity intent topic emotion rating".split()
USUAL_NAMES = {"text": TEXT_NAMES, "label": LABEL_NAMES}


@dataclass(frozen=True)
class Asked:
    """The columns that a user named, for the question whether a file has a header.

    Attributes:
        names: Names or positions of the text, of its parts and of the label.
        headerless: Whether all of them are positions, so that the file has no header.
    """

    names: tuple[str, ...] = ()
    headerless: bool = False

    @classmethod
    def of(cls, text: str, label: str | None = None) -> "Asked":
        """From the settings.

        Args:
            text: A name or a position, several with commas between, or empty.
            label: The same of one label, or None where none is read.
        """
        both = [text, *([] if label is None else [label])]
        names = [name for one in both for name in (one, *map(str.strip, one.split(SEPARATOR)))]
        return cls(tuple(filter(None, names)), all(map(positions_only, both)))


def find_column(columns: Sequence[str], wanted: str, role: str) -> int:
    """Position of one column.

    Args:
        columns: The names there are.
        wanted: A name, a position from 0, or empty to find it by its name.
        role: What for: `text`, `label`, or another word for messages; only those two are found by
            their names.

    Raises:
        DataError: There is no such column; names those there are.
    """
    usual = USUAL_NAMES.get(role, [])
    if wanted and wanted in columns:
        return _only(columns, wanted)
    if wanted.isdecimal() and int(wanted[:9]) < len(columns):
        return int(wanted)
    if wanted:
        raise DataError(f"There is no column {wanted!r:.200} for the {role}. {known(columns)}")
    plain = [name.strip().casefold() for name in columns]
    for name in usual:
        if name in plain:
            return _only(plain, name)
    raise DataError(
        f"No column could be recognised as the {role}. "
        f"None has a usual name ({', '.join(usual[:5])} ...). "
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
    if (wanted and wanted in columns) or SEPARATOR not in wanted:
        return [find_column(columns, wanted, "text")]
    names = [part.strip() for part in wanted.split(SEPARATOR)]
    if not all(names):
        raise DataError(
            f"--text-column {wanted!r:.200} has an empty name. Expected a list such as title,body."
        )
    places = [find_column(columns, name, "text") for name in names]
    if len(set(places)) < len(places):
        raise DataError(f"--text-column {wanted!r:.200} names one column twice. Name each once.")
    return places


def join(parts: Sequence[Any]) -> Any:
    """One text; a part that is no text, if there is one; or None where all are missing."""
    # NaN is no part: it equals nothing.
    there = [part for part in parts if part is not None and part == part]
    strange = next((part for part in there if not isinstance(part, str)), None)
    return strange if strange is not None else " ".join(filter(None, there)) if there else None


def positions_only(column: str) -> bool:
    """Whether a column, or each of several, is named by its position."""
    return all(part.strip().isdecimal() for part in column.split(SEPARATOR))


def column_names(names: Iterable[str]) -> tuple[str, ...]:
    """Names without white space around them; one without a name gets its position for one."""
    found = [name.strip() for name in names]
    return tuple(name or _unnamed(index, found) for index, name in enumerate(found))


def check_names(columns: Sequence[str], path: Path) -> None:
    """Refuse more columns than any table of texts has, and a name that two of them have.

    Raises:
        DataError: Names the limit or the column.
    """
    check_width(len(columns), path)
    twice = sorted(name for name, count in Counter(columns).items() if count > 1)
    if twice:
        raise DataError(
            f"{path}: the column {twice[0]!r:.60} is in the header more than once. "
            "Rename one of them."
        )


def check_width(width: int, path: Path) -> None:
    """Refuse more columns than any table of texts has.

    Raises:
        DataError: Names the limit.
    """
    if width > MAX_COLUMNS:
        raise DataError(
            f"{path} has {width:,} columns by its first row; expected at most {MAX_COLUMNS:,}. "
            "Is that row a header? Keep the text, the label and what else is needed."
        )


def _only(columns: Sequence[str], name: str) -> int:
    """The position of a name that one column has.

    Raises:
        DataError: Two columns have it.
    """
    if columns.count(name) > 1:
        raise DataError(
            f"There are {columns.count(name)} columns {name!r:.60}. "
            "Rename all but one, or name one by its position."
        )
    return columns.index(name)


def _unnamed(index: int, names: Sequence[str]) -> str:
    name = f"column_{index}"
    while name in names:
        name = f"_{name}"
    return name


def known(columns: Sequence[str]) -> str:
    """A sentence that names the columns there are, at most twenty of them."""
    names = ", ".join(f"{name!r:.60}" for name in columns[:20]) + (
        ", ..." if len(columns) > 20 else ""
    )
    return f"The columns are {names}."

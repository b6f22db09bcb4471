"""Which column is the text, which is the label, and what a split calls the others."""

from collections.abc import Sequence

from linnet.errors import DataError

TEXT_NAMES = "text tweet sentence content review message comment body utterance question sms headline title".split()
LABEL_NAMES = "label target class category sentiment polarity intent topic emotion rating".split()
USUAL_NAMES = {"text": TEXT_NAMES, "label": LABEL_NAMES}


def find_columns(columns: Sequence[str], text: str, label: str) -> tuple[int, int]:
    """Positions of the text and of the label.

    Args:
        columns: The names there are.
        text: A name, a position from 0, or empty to find it by its name.
        label: The same for the label.

    Raises:
        DataError: There is no such column, or both are the same; names the columns there are.
    """
    places = find_column(columns, text, "text"), find_column(columns, label, "label")
    if places[0] == places[1]:
        raise DataError(f"The column {columns[places[0]]!r} can't be both the text and the label. {_known(columns)}")
    return places


def split_names(columns: Sequence[str], text: int, label: int) -> list[str]:
    """What a split calls each raw column: `text`, `label`, and its own name for any other.

    Another column that has one of those two names gets `raw_` before it, so that none is lost.
    """
    names: list[str] = []
    for index, name in enumerate(columns):
        taken = {"text", "label", *names}
        while index not in (text, label) and name in taken:
            name = f"raw_{name}"
        names.append({text: "text", label: "label"}.get(index, name))
    return names


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
        raise DataError(f"There is no column {wanted!r} for the {role}. {_known(columns)}")
    plain = [name.strip().casefold() for name in columns]
    for name in usual:
        if name in plain:
            return plain.index(name)
    raise DataError(
        f"Can't tell which column is the {role}: none has a usual name ({', '.join(usual[:5])} ...). "
        f"{_known(columns)} Choose one with --{role}-column, by name; "
        "or by position from 0 if the file has no header."
    )


def _known(columns: Sequence[str]) -> str:
    names = ", ".join(f"{name!r:.60}" for name in columns[:20]) + (", ..." if len(columns) > 20 else "")
    return f"The columns are {names}."

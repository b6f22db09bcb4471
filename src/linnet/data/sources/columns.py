"""The columns of the text and of the label together, and what a split calls the others."""

from collections.abc import Sequence
from itertools import islice

from linnet.data.sources.yes_no import says_yes_and_no
from linnet.errors import DataError
from linnet.tables.columns import LABEL_NAMES, SEPARATOR, find_column, known
from linnet.tables.table import Table

ROWS = 1000  # that are looked at for a suggestion


def find_columns(columns: Sequence[str], text: str, label: str) -> tuple[int, tuple[int, ...]]:
    """Positions of the text and of the label, or of several columns that each are a label.

    Args:
        columns: The names there are.
        text: A name, a position from 0, or empty to find it by its name.
        label: The same for the label, or several with commas between.

    Raises:
        DataError: There is no such column, or one is named twice; names the columns there are.
    """
    place = find_column(columns, text, "text")
    labels = find_labels(columns, label)
    if place in labels:
        raise DataError(
            f"The column {columns[place]!r} can't be both the text and the label. {known(columns)}"
        )
    return place, labels


def find_labels(columns: Sequence[str], wanted: str) -> tuple[int, ...]:
    """Positions of the columns that hold the label: of one, or of several with commas between.

    Raises:
        DataError: There is no such column, or one is named twice.
    """
    names = [wanted]
    if wanted not in columns and SEPARATOR in wanted:
        names = [name.strip() for name in wanted.split(SEPARATOR)]
        if not all(names):
            raise DataError(
                f"--label-column {wanted!r:.200} has an empty name. Expected such as toxic,insult."
            )
    places = tuple(find_column(columns, name, "label") for name in names)
    if len(set(places)) < len(places):
        raise DataError(f"--label-column {wanted!r:.200} names one column twice. Name each once.")
    return places


def check_label(table: Table, text: str, label: str) -> None:
    """Refuse a table without a usual label column, and name those that say yes and no, if any.

    Args:
        table: Its rows are read only if it is refused.
        text: What names the text, as in `find_columns`.
        label: What names the label; nothing is checked if it is not empty.

    Raises:
        DataError: Suggests the flag that reads one column per label.
    """
    usual = {name.strip().casefold() for name in table.columns} & set(LABEL_NAMES)
    if label or usual:
        return
    rows = [row for _, row in islice(table.rows, ROWS) if len(row) == len(table.columns)]
    parts = {text, *(part.strip() for part in text.split(SEPARATOR))}
    found = [
        name
        for name, values in zip(table.columns, zip(*rows, strict=True), strict=False)
        if name not in parts and says_yes_and_no(values)
    ]
    if len(found) > 1 and not any(SEPARATOR in name for name in found):
        raise DataError(
            "No column could be recognised as the label. None has a usual name "
            f"({', '.join(LABEL_NAMES[:5])} ...). {len(found):,} columns hold 0 and 1 only. "
            f"If each of them is a label, read them with --label-column {SEPARATOR.join(found)}"
        )


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

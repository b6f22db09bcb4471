"""One answer for every reader: how the first lines of a file of fields are written.

`recognise` finds the separator, what quotes mean, whether there is a header, and the columns. The
strict and the lossless mode both ask it, so that what `prepare` reads, `score` reads alike.
"""

import csv
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Literal

from linnet.errors import DataError
from linnet.tables.columns import (
    LABEL_NAMES,
    TEXT_NAMES,
    Asked,
    check_width,
    column_names,
)
from linnet.tables.lines import Head, check_ends
from linnet.tables.quoting import MAX_FIELD, Dialect, Quoting, restored, tab_quoting

SEPARATORS = (",", ";", "\t", "|")
SPACE = " "  # R's write.table() puts one between quoted fields
SPOKEN = {"\t": "tab", SPACE: "space"}
# The line by which Excel is given the separator; a tool that pads rows repeats it.
SEP_LINE = re.compile(r'"?sep=(\\t|[^\w\s"]|\t)\1*"?[\r\n]*', re.IGNORECASE)
SPACED_QUOTE = re.compile(r' +".*" *', re.DOTALL)
DECIMAL = re.compile(r"(?<=\d),(?=\d)")
# Share of the rows that have the header's width where a few are wrong, and where most are right.
NEARLY_ALL = 0.9
MOST = 0.5
# From so many rows on, first fields that are all different are names of rows whatever they look
# like.
MANY_ROWS = 20

Shift = Literal["", "row names", "end"]


@dataclass(frozen=True)
class Layout:
    """A file of fields, recognised.

    Attributes:
        dialect: How its fields are written.
        skipped: Lines before the header, or before the first row: blank ones and Excel's `sep=`.
        header: Whether the first row names the columns.
        columns: Their names; by position where there is no header.
        shift: Which column the header lacks that every row has: `row names` before all others, or
            one at the `end`.
        single: Whether the header is one name without any separator, so that each row is one field.
        notes: What the user should know.
    """

    dialect: Dialect
    skipped: int
    header: bool
    columns: tuple[str, ...]
    shift: Shift = ""
    single: bool = False
    notes: tuple[str, ...] = ()


def recognise(
    head: Head,
    path: Path,
    promised: str,
    encoding: str,
    asked: Asked,
    whole: Callable[[], Iterable[str]] | None,
) -> Layout:
    """Look at the first lines of a file of fields.

    Args:
        head: The lines.
        path: Its name, for messages.
        promised: The separator by its name: a comma or a tab.
        encoding: Its encoding.
        asked: The columns that the user named.
        whole: Gives all its lines once more; None where they can be read only once.

    Raises:
        DataError: It is empty, has no header that can be read, or its rows don't fit its header.
    """
    check_ends(head, path)
    csv.field_size_limit(MAX_FIELD)  # the module knows only one limit for all
    lines = head.decoded(encoding)
    skipped, said = _skip(lines)
    lines = lines[skipped:]
    if not lines:
        raise DataError(f"{path} is empty: it holds no row. Expected a header and rows.")
    start = _Start(lines, head.cut, encoding)
    fit = start.fit(said) if said else start.best(promised, asked.headerless, path)
    if fit.dialect.separator == "\t" and not fit.dialect.escaped:
        quoting: Quoting = csv.QUOTE_NONE
        if not head.cut:
            quoting = tab_quoting(lines, fit.dialect.spaced)
        elif whole:
            # The first lines alone would let the order of the rows decide.
            quoting = tab_quoting(islice(whole(), skipped, None), fit.dialect.spaced)
        spaced = fit.dialect.spaced and quoting == csv.QUOTE_MINIMAL
        fit = start.cut_by(replace(fit.dialect, quoting=quoting, spaced=spaced))
    return _layout(fit, skipped, asked, path)


def table_format(head: Head, encoding: str, asked: Asked, *, sure: bool) -> str:
    """The format of a table whose name says nothing: `tsv`, `csv`, or empty if it is no table.

    Args:
        head: The first lines.
        encoding: Their encoding.
        asked: The columns that the user named.
        sure: Whether the header must name both a text and a label, as the lines may be something
            else.
    """
    lines = head.decoded(encoding)
    skipped, said = _skip(lines)
    if not lines[skipped:]:
        return ""
    start = _Start(lines[skipped:], head.cut, encoding)
    for separator in (said,) if said else ("\t", ",", ";", "|"):
        fit = start.fit(separator)
        if (fit.exact or fit.shift) and len(fit.rows) > 1:
            names = {name.strip().casefold() for name in fit.rows[0]}
            named = bool(asked.names) and set(map(str.casefold, asked.names)) <= names
            text = names & set(TEXT_NAMES)
            label = names & set(LABEL_NAMES)
            tabs = separator == "\t" and not sure
            many = len(fit.rows) > MANY_ROWS and not sure
            if named or said or (text and (label or tabs or many)) or (asked.headerless and tabs):
                return "tsv" if separator == "\t" else "csv"
    return ""


@dataclass(frozen=True)
class _Fit:
    """The first lines, cut by one dialect.

    Attributes:
        dialect: How they are cut.
        rows: The rows that are not blank; none where their quotes don't match.
        lines: The lines.
    """

    dialect: Dialect
    rows: list[list[str]]
    lines: Sequence[str]

    @cached_property
    def widths(self) -> set[int]:
        """Numbers of fields that the rows have."""
        return set(map(len, self.rows))

    @property
    def exact(self) -> bool:
        """Whether all rows have as many fields, and more than one."""
        return len(self.widths) == 1 and self.widths != {1}

    @cached_property
    def shift(self) -> Shift:
        """The column that all rows have and the header lacks."""
        width = len(self.rows[0]) if self.rows else 0
        behind = self.rows[1:]
        if len(behind) < 2 or {len(row) for row in behind} != {width + 1}:
            return ""
        if width > 1 and all(row[-1].strip() == "" for row in behind):
            return "end"
        names = [row[0].strip() for row in behind]
        numbers = all(map(str.isdecimal, names))
        if width == 1:
            counted = [str(int(names[0]) + step) for step in range(len(names))] if numbers else []
            return "row names" if names == counted else ""
        different = len(set(names)) == len(names)
        return "row names" if different and (numbers or len(names) >= MANY_ROWS) else ""

    def share(self) -> float:
        """Share of the rows behind the header that have its width, if that is more than one."""
        separator = self.dialect.separator
        widths = [len(row) for row in self.rows] or [
            line.count(separator) + 1 for line in self.lines if line.strip()
        ]
        return widths[1:].count(widths[0]) / max(1, len(widths) - 1) if widths[0] > 1 else 0.0


@dataclass(frozen=True)
class _Start:
    """The first lines from the header on, whether there are more, and their encoding."""

    lines: list[str]
    cut: bool
    encoding: str

    def best(self, promised: str, headerless: bool, path: Path) -> _Fit:
        """The separator by which all rows have as many fields; the promised one if it does as well.

        Raises:
            DataError: The header is cut by another separator than the rows.
        """
        order = [promised, *(other for other in SEPARATORS if other != promised)]
        if '" "' in self.lines[0]:
            order.append(SPACE)
        fits = {separator: self.fit(separator) for separator in order}
        exact = [separator for separator in order if fits[separator].exact]
        if len(exact) > 1 and exact[0] == "," and self._commas_are_decimal():
            exact = exact[1:]
        shifted = [separator for separator in order if fits[separator].shift]
        share = {separator: fit.share() for separator, fit in fits.items()}
        nearly = [separator for separator in order if share[separator] > NEARLY_ALL]
        first = self.lines[0]
        if found := exact or shifted or nearly:
            return fits[found[0]]
        if headerless or promised in first:
            return fits[promised]
        others = [separator for separator in order if separator in first]
        likely = max(others, key=share.__getitem__, default=promised)
        if others and share[likely] <= MOST and len(self.lines) > 1:
            expected, other = (SPOKEN.get(one, one) for one in (promised, others[0]))
            raise DataError(
                f"{path}: the header is one column by the separator {expected!r} and several by "
                f"{other!r}, by which its first rows differ in their number of fields. "
                f"Write it again with {expected!r} between fields."
            )
        return fits[likely]

    def fit(self, separator: str) -> _Fit:
        """The lines cut by a separator, with quotes as they make most sense."""
        plain = Dialect(separator, encoding=self.encoding)
        variants = [plain]
        if any('\\"' in line for line in self.lines):
            variants.append(replace(plain, escaped=True))
        if any(f'{separator} "' in line or f'{separator}  "' in line for line in self.lines):
            variants += [replace(variant, spaced=True) for variant in variants]
        fits = [self.cut_by(variant) for variant in variants]
        if separator == "\t" and not fits[0].exact:
            fits.append(self.cut_by(replace(plain, quoting=csv.QUOTE_NONE)))
        good = [fit for fit in fits if fit.exact] or [fit for fit in fits if fit.shift]
        if not good:
            return fits[0]
        if any(SPACED_QUOTE.fullmatch(field) for row in good[0].rows for field in row):
            return next((fit for fit in good if fit.dialect.spaced), good[0])
        return good[0]

    def cut_by(self, dialect: Dialect) -> _Fit:
        """The lines cut by one dialect."""
        rows: list[list[str]] = []
        try:
            for row in dialect.reader(map(dialect.readable, self.lines)):
                rows.append(row)
        except csv.Error:
            # The lines may end inside a quoted field, so the last row is not judged.
            if not self.cut or len(rows) < NEARLY_ALL * len(self.lines) - 1:
                rows = []
        return _Fit(dialect, [row for row in rows if len(row) > 1 or _visible(row)], self.lines)

    def _commas_are_decimal(self) -> bool:
        text = "".join(self.lines)
        return len(DECIMAL.findall(text)) == text.count(",")


def _visible(row: Sequence[str]) -> bool:
    return any(field.strip() for field in row)


def _skip(lines: Sequence[str]) -> tuple[int, str]:
    """Lines before the first row, and the separator that one of them says."""
    skipped = 0
    said = ""
    for line in lines:
        found = SEP_LINE.fullmatch(line) if not said else None
        if found:
            said = "\t" if found[1] == "\\t" else found[1]
        elif line.strip():
            break
        skipped += 1
    return skipped, said


def _layout(fit: _Fit, skipped: int, asked: Asked, path: Path) -> Layout:
    first = _first_row(fit, skipped, path)
    check_width(len(first), path)
    header = not asked.headerless or _numbers_for_names(first, asked)
    if not header:
        columns = tuple(f"column_{index}" for index in range(len(first)))
        return Layout(
            fit.dialect, skipped, False, columns, notes=tuple(_looks_like_a_header(first, asked))
        )
    if any("\0" in name for name in first):
        raise DataError(
            f"{path}: there are NUL bytes in its first row, so it is UTF-16 without a mark that "
            "says so, or no text. Convert it to UTF-8, such as by iconv -f UTF-16LE -t UTF-8."
        )
    shift = fit.shift
    notes = []
    if shift == "row names":
        first = ["", *first]
        notes.append(
            "Every row has one field more than the header has names: "
            "the first was taken for the name of the row."
        )
    elif shift == "end":
        first = [*first, ""]
        notes.append("Every row ends in a separator that the header lacks.")
    elif _too_wide(fit):
        raise DataError(
            f"{path}: every row has one field more than the header has names. "
            "Name all columns in the header, or quote the fields that hold a separator."
        )
    single = len(first) == 1 and not any(separator in fit.lines[0] for separator in SEPARATORS)
    return Layout(fit.dialect, skipped, True, column_names(first), shift, single, tuple(notes))


def _first_row(fit: _Fit, skipped: int, path: Path) -> list[str]:
    reader = fit.dialect.reader(map(fit.dialect.readable, fit.lines))
    try:
        return restored(next((row for row in reader if row), []))
    except csv.Error as error:
        raise wrong_quotes(path, skipped + 1, error) from None


def _too_wide(fit: _Fit) -> bool:
    width = len(fit.rows[0]) if fit.rows else 0
    behind = fit.rows[1:]
    return width > 1 and len(behind) >= MANY_ROWS and {len(row) for row in behind} == {width + 1}


def _numbers_for_names(first: Sequence[str], asked: Asked) -> bool:
    """Whether the first row holds the very numbers asked for, as a frame without names has it."""
    cells = [cell.strip() for cell in first if cell.strip()]
    names = {name for name in asked.names if name.isdecimal()}
    distinct = len(set(cells)) == len(cells)
    return distinct and all(map(str.isdecimal, cells)) and names <= set(cells)


def _looks_like_a_header(first: Sequence[str], asked: Asked) -> list[str]:
    places = {int(name[:9]) for name in asked.names if name.isdecimal()}
    for place in sorted(places):
        cell = first[place].strip() if place < len(first) else ""
        if cell.casefold() in (*TEXT_NAMES, *LABEL_NAMES):
            return [
                f"The first row looks like a header: it has {cell!r} in column {place}. "
                "It was read as data, because columns named by their positions mean that there is "
                "no header. "
                f"Name the columns instead, such as {cell!r}."
            ]
    return []


def wrong_quotes(path: Path, row: int, error: csv.Error) -> DataError:
    """The error of a row whose quotes make no row of it."""
    return DataError(
        f"{path}, row {row}: {error}. A quote may be open that is never closed, or be inside a "
        'field without being doubled. Correct that row. Quotes written as \\" are read where all '
        "first rows are written so."
    )

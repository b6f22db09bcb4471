"""Read the labels of all rows: each spelling once, and the names at the end."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from linnet.config import DataConfig
from linnet.data.clean.label_cells import Cell
from linnet.data.clean.label_forms import LabelForms
from linnet.data.clean.label_lists import is_unread_list, read_list
from linnet.data.sources import sentiment140
from linnet.errors import ConfigError, LabelError
from linnet.labels import clean_label, clean_names, find_label, one_name_each, strip_ends
from linnet.tables.labelled_lines import FASTTEXT

MAX_LABELS = 10_000
MISSING = -1
SEPARATORS = (",", "|", ";", "/")


@dataclass(frozen=True)
class Labelling:
    """The labels of the rows.

    Attributes:
        names: Labels by id.
        sets: If multi-label, the sets of ids of the rows; else empty.
        ids: The id of each code, or its position in `sets` if multi-label, int64.
        forms: How the labels were written.
    """

    names: tuple[str, ...]
    sets: tuple[tuple[int, ...], ...]
    ids: np.ndarray
    forms: LabelForms


class Labels:
    """The labels of a table, collected row by row.

    Args:
        settings: They may name the labels, and the separator of several labels in one row.
        shape: The format that the reader recognised; Sentiment140's numbers have names.
        columns: Columns with a yes or no for one label each; empty for one label column.

    Raises:
        ConfigError: The settings name one label twice.
    """

    def __init__(self, settings: DataConfig, shape: str | None, columns: Sequence[str] = ()):
        self._separator = settings.label_separator
        self._several = bool(self._separator or columns)
        self._may_be_several = self._several or shape == FASTTEXT
        self._renamed: dict[str, str] = {}
        configured = settings.labels
        if shape == "sentiment140":
            self._renamed = sentiment140.LABELS
            configured = settings.labels or sentiment140.TRAINED
        try:
            self._configured = clean_names(configured)
            self._names = dict.fromkeys(self._configured or clean_names(columns))
        except LabelError as error:
            raise ConfigError(f"data.labels, or the label columns, hold {error}.") from None
        self._known: dict[str, str] = {}
        self._codes: dict[Cell, int] = {}
        self._read: list[tuple[str, ...]] = []
        self._written: list[dict[str, str]] = []
        self._lists: list[bool] = []

    def code(self, cell: Cell, number: int) -> int:
        """The number of a row's label cell, or `MISSING`.

        Args:
            cell: The cell of the row or of the corrections.
            number: The row number, for messages.

        Raises:
            LabelError: A label nobody asked for, several where each row has one, or too many
                different ones.
        """
        code = self._codes.get(cell)
        if code is None:
            code = self._codes[cell] = self._learn(cell, number)
        return code

    @property
    def codes(self) -> int:
        """How many codes there are."""
        return len(self._read)

    def names(self, code: int) -> tuple[str, ...]:
        """The labels of a code, sorted, as they are called as long as not all are known."""
        return self._read[code]

    def same(self, first: int, second: int) -> bool:
        """Whether two codes are the same labels, up to equal numbers."""
        called = one_name_each([*self._read[first], *self._read[second]])
        one, other = ({called[name] for name in self._read[code]} for code in (first, second))
        return one == other

    def settle(self, counts: np.ndarray) -> Labelling:
        """What the labels are called, now that all are known.

        Args:
            counts: Rows of each code, int (codes,).
        """
        called = one_name_each(self._names)
        if self._configured:
            called = {name: name for name in self._names}
        names = list(dict.fromkeys(called.values()))
        if not self._configured:
            numeric = all(name.removeprefix("-").isdecimal() for name in names)
            names.sort(key=(lambda name: (int(name), name)) if numeric else None)
        place = {name: index for index, name in enumerate(names)}
        ids = [tuple(sorted({place[called[name]] for name in read})) for read in self._read]
        several = self._several or any(len(each) > 1 for each in ids)
        written = [{form: called[name] for name, form in each.items()} for each in self._written]
        forms = LabelForms.find(
            names, ids, written, self._lists, counts, several, several and not self._several
        )
        if not several:
            return Labelling(tuple(names), (), np.array(ids, dtype=np.int64).reshape(-1), forms)
        sets = sorted(set(ids))
        position = {each: index for index, each in enumerate(sets)}
        positions = np.array([position[each] for each in ids], dtype=np.int64)
        return Labelling(tuple(names), tuple(sets), positions, forms)

    def _learn(self, cell: Cell, number: int) -> int:
        if cell is None:
            return MISSING
        as_list = read_list(strip_ends(cell)) if isinstance(cell, str) else cell
        items = self._split(cell, number) if as_list is None else as_list
        pieces = [item for item in items if item is not None]
        if self._separator and isinstance(cell, tuple):
            self._check_separator(pieces, number)
        read = {self._name(piece, number): piece.strip() for piece in pieces}
        read.pop("", None)  # an empty field, or nothing between two separators
        if not read and (not self._several or (items and not pieces)):
            return MISSING
        if len(read) > 1 and not self._may_be_several:
            raise LabelError(self._too_many(cell, pieces, number))
        self._read.append(tuple(sorted(read)))
        self._written.append({name: self._renamed.get(read[name], read[name]) for name in read})
        self._lists.append(isinstance(cell, str) and as_list is not None)
        return len(self._read) - 1

    def _split(self, text: Cell, number: int) -> tuple[str, ...]:
        """The labels of a string that is no list."""
        assert isinstance(text, str)
        if not self._separator:
            return (text,)
        if is_unread_list(strip_ends(text), self._separator):
            raise LabelError(
                f"Row {number} has the labels {text!r:.60}, in brackets but not a list as JSON or "
                "Python writes it. "
                'Put the labels in quotes, such as ["a", "b"], or take the brackets away.'
            )
        return tuple(text.split(self._separator))

    def _check_separator(self, pieces: Sequence[str], number: int) -> None:
        inside = next((piece for piece in pieces if self._separator in piece), None)
        if inside is not None:
            raise LabelError(
                f"Row {number} has the label {inside!r:.60}, which contains {self._separator!r}. "
                "Choose another --label-separator, one that no label contains."
            )

    def _name(self, piece: str, number: int) -> str:
        name = self._known.get(piece)
        if name is None:
            name = self._known[piece] = self._learn_name(piece, number)
        return name

    def _learn_name(self, piece: str, number: int) -> str:
        try:
            cleaned = clean_label(piece)
        except LabelError as error:
            raise LabelError(
                f"Row {number} has {error}. Is it the right column? Choose it with --label-column."
            ) from None
        name = self._renamed.get(cleaned, cleaned)
        if not name or name in self._names:
            return name
        if self._configured:
            found = find_label(name, self._configured)
            if found is None:
                raise LabelError(self._refusal(cleaned, name, number))
            return found
        if len(self._names) == MAX_LABELS:
            raise LabelError(
                f"The label column holds more than {MAX_LABELS:,} different labels "
                f"(row {number}: {piece!r:.60}). "
                "Is it the right column? Choose it with --label-column."
            )
        self._names[name] = None
        return name

    def _too_many(self, cell: Cell, pieces: Sequence[str], number: int) -> str:
        separator = next(
            (mark for mark in SEPARATORS if not any(mark in piece for piece in pieces)), "\t"
        )
        shown = cell if isinstance(cell, str) else list(cell or ())
        return (
            f"Row {number} has a list for a label: {shown!r:.60}. Expected one label in each row. "
            f"If rows have several labels, read the lists with --label-separator '{separator}'."
        )

    def _refusal(self, raw: str, name: str, number: int) -> str:
        expected = ", ".join(map(repr, self._configured))
        label = f"{raw!r}" if name == raw else f"{raw!r} ({name})"
        labels = json.dumps([*self._configured, name], ensure_ascii=False)
        more = shlex.quote(f"data.labels={labels}")
        return (
            f"Row {number} has the label {label}. Expected one of {expected}. "
            f"Remove the row, or allow the label: --set {more}"
        )

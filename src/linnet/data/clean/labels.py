"""Raw labels to names, and names to ids: one label a row, or several."""

import json

import numpy as np

from linnet.config import DataConfig
from linnet.data.read import sentiment140
from linnet.errors import LabelError

MAX_LABELS = 10_000
MAX_LENGTH = 1000


class Labels:
    """The labels of a file, learned as they turn up.

    Args:
        settings: May name the labels, and what stands between several labels of one row.
        shape: What the reader recognised the file as; Sentiment140's numbers have names.
    """

    def __init__(self, settings: DataConfig, shape: str | None):
        self._separator = settings.label_separator
        self._configured = settings.labels
        self._renamed: dict[str, str] = {}
        if shape == "sentiment140":
            self._renamed = sentiment140.LABELS
            self._configured = settings.labels or sentiment140.TRAINED
        self._names = list(self._configured)
        self._codes = {name: code for code, name in enumerate(self._names)}
        self._sets: dict[tuple[int, ...], int] = {}
        self._seen: dict[str, int] = {}

    def code(self, raw: str, number: int) -> int:
        """A number that stands for what a row is labelled with until all rows are read; see `ids`.

        Args:
            raw: What stands in the row, or in the corrections.
            number: Of the row, for messages.

        Raises:
            LabelError: A label nobody asked for, or too many different ones.
        """
        code = self._seen.get(raw)
        if code is None:
            code = self._seen[raw] = self._learn(raw, number)
        return code

    def known_as(self, raw: str) -> str:
        """What the label, or each label, is called in the splits."""
        if self._separator:
            return self._separator.join(self._split(raw))
        return self._renamed.get(raw, raw)

    def ids(self) -> tuple[tuple[str, ...], tuple[tuple[int, ...], ...], np.ndarray]:
        """Names by id; the sets of ids that rows have, none if each has one label; and the id or set of each code."""
        names = list(self._names)
        if not self._configured:
            numeric = all(name.removeprefix("-").isdecimal() for name in names)
            names.sort(key=(lambda name: (int(name), name)) if numeric else None)
        place = {name: index for index, name in enumerate(names)}
        id_of_code = [place[name] for name in self._names]
        if not self._separator:
            return tuple(names), (), np.array(id_of_code, dtype=np.int64)
        sets = [tuple(sorted(id_of_code[code] for code in codes)) for codes in self._sets]
        order = sorted(range(len(sets)), key=sets.__getitem__)
        positions = np.empty(len(sets), dtype=np.int64)
        positions[order] = np.arange(len(sets))
        return tuple(names), tuple(sets[index] for index in order), positions

    def _learn(self, raw: str, number: int) -> int:
        if not self._separator:
            return self._code_of_name(raw, number)
        codes = tuple(sorted(self._code_of_name(name, number) for name in self._split(raw)))
        return self._sets.setdefault(codes, len(self._sets))

    def _split(self, raw: str) -> list[str]:
        parts = (part.strip() for part in raw.split(self._separator))
        return list(dict.fromkeys(self._renamed.get(part, part) for part in parts if part))

    def _code_of_name(self, raw: str, number: int) -> int:
        name = self._renamed.get(raw, raw)
        code = self._codes.get(name)
        if code is None:
            if len(name) > MAX_LENGTH:
                raise LabelError(
                    f"Row {number} has a label of {len(name):,} characters: {raw!r:.60}... Expected at most "
                    f"{MAX_LENGTH:,}. Is it the right column? Choose it with --label-column."
                )
            if self._configured:
                raise LabelError(self._refusal(raw, name, number))
            if len(self._codes) == MAX_LABELS:
                raise LabelError(
                    f"The label column holds more than {MAX_LABELS:,} different labels (row {number}: {raw!r:.60}). "
                    "Is it the right column? Choose it with --label-column."
                )
            code = self._codes[name] = len(self._codes)
            self._names.append(name)
        return code

    def _refusal(self, raw: str, name: str, number: int) -> str:
        expected = ", ".join(map(repr, self._configured))
        said = f"{raw!r}" if name == raw else f"{raw!r} ({name})"
        more = json.dumps([*self._configured, name], ensure_ascii=False)
        return (
            f"Row {number} has the label {said}; expected one of {expected}. "
            f"Take the row out, or allow the label: --set 'data.labels={more}'"
        )

"""Report how labels were written, and what looks wrong."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from linnet.labels import HIDDEN, MISSING_WORDS, listed, look_alikes, shown

GROUPS = 5


@dataclass(frozen=True)
class LabelForms:
    """Counts of rows, before duplicates and others are dropped.

    Attributes:
        merged: Each label with other spellings, and the rows of each spelling.
        look_alike: Groups of labels that differ only in case or form, with their rows.
        missing_words: Labels that other programs write for a missing value, with their rows.
        hidden: Labels with invisible characters inside, with their rows.
        lists_as_text: Rows whose label is a list that was written as text.
        without_label: Multi-label rows without any label.
        several: Rows with more than one label.
        recognised: Whether multi-label was recognised from the rows and not from the settings.
    """

    merged: dict[str, dict[str, int]]
    look_alike: list[dict[str, int]]
    missing_words: dict[str, int]
    hidden: dict[str, int]
    lists_as_text: int
    without_label: int
    several: int
    recognised: bool

    @classmethod
    def find(
        cls,
        names: Sequence[str],
        ids: Sequence[tuple[int, ...]],
        written: Sequence[Mapping[str, str]],
        lists: Sequence[bool],
        counts: np.ndarray,
        several: bool,
        recognised: bool,
    ) -> "LabelForms":
        """Look at all labels.

        Args:
            names: Labels by id.
            ids: The ids of each code.
            written: The spellings of each code's labels, each with its label.
            lists: Whether each code was a list written as text.
            counts: Rows of each code, int (codes,).
            several: Whether a row may have several labels.
            recognised: Whether the rows showed it and not the settings.
        """
        rows = dict.fromkeys(names, 0)
        spellings: dict[str, Counter[str]] = {name: Counter() for name in names}
        sizes = Counter[int]()
        for each, forms, count in zip(ids, written, counts.tolist(), strict=True):
            sizes[len(each)] += count
            for index in each:
                rows[names[index]] += count
            for form, name in forms.items():
                spellings[name][form] += count * (form != name)
        merged = {name: +forms for name, forms in spellings.items()}
        return cls(
            merged={name: dict(sorted(forms.items())) for name, forms in merged.items() if forms},
            look_alike=[{name: rows[name] for name in group} for group in look_alikes(names)],
            missing_words={name: rows[name] for name in names if name.casefold() in MISSING_WORDS},
            hidden={name: rows[name] for name in names if HIDDEN.search(name)},
            lists_as_text=int(counts[np.array(lists, dtype=bool)].sum()),
            without_label=sizes[0] if several else 0,
            several=sum(count for size, count in sizes.items() if size > 1),
            recognised=recognised,
        )

    def notes(self) -> list[str]:
        """Sentences, the gravest first."""
        return [
            *self._look_alikes(),
            *self._missing_words(),
            *self._hidden(),
            *self._recognised(),
            *self._merged(),
            *self._lists(),
            *self._without_label(),
        ]

    def _look_alikes(self) -> Iterator[str]:
        if self.look_alike:
            groups = "; ".join(map(listed, self.look_alike[:GROUPS]))
            more = len(self.look_alike) - GROUPS
            groups += f"; and {more:,} more groups" if more > 0 else ""
            yield (
                f"These labels look alike but are different classes (rows): {groups}. "
                "If they mean the same, write them alike, or correct them with --corrections."
            )

    def _missing_words(self) -> Iterator[str]:
        if self.missing_words:
            yield (
                f"These labels look like missing values, but are used as classes (rows): "
                f"{listed(self.missing_words)}. If they are missing, leave the field empty."
            )

    def _hidden(self) -> Iterator[str]:
        if self.hidden:
            yield (
                f"These labels have invisible characters inside (rows): {listed(self.hidden)}. "
                "Remove them if they are not meant."
            )

    def _merged(self) -> Iterator[str]:
        if self.merged:
            spellings = "; ".join(
                f"{shown(name)} also as {listed(forms)}"
                for name, forms in [*self.merged.items()][:GROUPS]
            )
            more = len(self.merged) - GROUPS
            spellings += f"; and {more:,} more labels" if more > 0 else ""
            yield f"Spellings of one label are one class (rows): {spellings}."

    def _recognised(self) -> Iterator[str]:
        if self.recognised:
            yield (
                f"{self.several:,} rows have more than one label, "
                "so a text may have several of these labels."
            )

    def _lists(self) -> Iterator[str]:
        if self.lists_as_text:
            yield (
                f"The labels of {self.lists_as_text:,} rows are lists that were written as text. "
                "They are read as lists."
            )

    def _without_label(self) -> Iterator[str]:
        if self.without_label:
            yield (
                f"{self.without_label:,} rows have no label (an empty field or list, or 0 in every "
                "column). They are used as texts to which none of the labels applies. "
                "Take them out if nobody labelled them."
            )

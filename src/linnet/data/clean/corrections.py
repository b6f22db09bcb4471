"""A reviewer's verdicts: texts whose label is another than the raw file says, or that are to go.

The file is a CSV with the columns `text` and `label`, such as suspects.csv after review; other columns are
passed over. An empty label takes the text out; `[]` says that none of several labels applies. The
apostrophe that suspects.csv puts before the first character of a formula is taken off.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from linnet.errors import DataError, TextError
from linnet.labels import strip_ends
from linnet.tables.formulas import undefused
from linnet.tables.quoting import MAX_FIELD
from linnet.text import clean

COLUMNS = {"text", "label"}


@dataclass
class Corrections:
    """Clean texts and what they are to be labelled.

    Attributes:
        labels: Clean text to label; empty for a text that is to go.
        changed: Rows whose label was changed.
        met: The texts that were met.
    """

    labels: dict[str, str] = field(default_factory=dict)
    changed: int = 0
    met: set[str] = field(default_factory=set)

    @classmethod
    def read(cls, path: Path, mask: Sequence[str] = ()) -> "Corrections":
        """Read a file of corrections, its texts cleaned and masked as those that they correct.

        Raises:
            DataError: No such file, no such columns, or one text with two labels.
        """
        labels: dict[str, str] = {}
        csv.field_size_limit(MAX_FIELD)
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                rows = csv.DictReader(file, strict=True)
                if missing := COLUMNS - set(rows.fieldnames or ()):
                    raise DataError(
                        f"{path} has no column {' and no column '.join(sorted(missing))}."
                    )
                for row in rows:
                    text = clean(undefused(row["text"]), mask)
                    label = undefused(strip_ends(row["label"] or ""))
                    if labels.setdefault(text, label) != label:
                        raise DataError(
                            f"{path}, line {rows.line_num}: this text was given the label {labels[text]!r} before, now "
                            f"{label!r}. Keep one of the two."
                        )
        except OSError as error:
            raise DataError(f"Corrections can't be read from {path}: {error.strerror}.") from None
        except (csv.Error, UnicodeDecodeError, TextError) as error:
            raise DataError(
                f"{path} is no CSV of corrections: {error}. Expected UTF-8 with text and label."
            ) from None
        return cls(labels)

    def find(self, text: str) -> str | None:
        """The correct label of a clean text: empty if it is to go, None without a correction."""
        correct = self.labels.get(text)
        if correct is not None:
            self.met.add(text)
        return correct

    def summary(self) -> dict[str, int]:
        """How many texts were listed, how many of them met, and how many rows changed."""
        return {"texts": len(self.labels), "texts_met": len(self.met), "rows_changed": self.changed}

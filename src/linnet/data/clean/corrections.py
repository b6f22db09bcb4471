"""Apply a reviewer's corrections: texts with another label, or texts to remove.

The file is a CSV with the columns `text` and `label`, such as suspects.csv after review. Other
columns are ignored. An empty label removes the text. In multi-label data, `[]` means no label.
The apostrophe that suspects.csv puts before a formula is removed.
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
    """Clean texts and their correct labels.

    Attributes:
        labels: Clean text to label; an empty label removes the text.
        changed: Rows whose label was changed.
        met: The texts that the data contain.
    """

    labels: dict[str, str] = field(default_factory=dict)
    changed: int = 0
    met: set[str] = field(default_factory=set)

    @classmethod
    def read(cls, path: Path, mask: Sequence[str] = ()) -> "Corrections":
        """Read a file of corrections. Its texts are cleaned and masked like those of the data.

        Raises:
            DataError: The file or a column is missing, or one text has two labels.
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
                            f"{path}, line {rows.line_num}: this text has the label {label!r}, "
                            f"but {labels[text]!r} in an earlier line. Keep one of the two."
                        )
        except OSError as error:
            raise DataError(f"Corrections can't be read from {path}: {error.strerror}.") from None
        except (csv.Error, UnicodeDecodeError, TextError) as error:
            raise DataError(
                f"{path} is no CSV of corrections: {error}. Expected UTF-8 with text and label."
            ) from None
        return cls(labels)

    def find(self, text: str) -> str | None:
        """The correct label of a clean text; empty removes it, None means no correction."""
        correct = self.labels.get(text)
        if correct is not None:
            self.met.add(text)
        return correct

    def summary(self) -> dict[str, int]:
        """Number of texts listed, of texts found in the data, and of changed rows."""
        return {"texts": len(self.labels), "texts_met": len(self.met), "rows_changed": self.changed}

"""Rows as the readers give them: values for data sets, values with their bytes for files to score.

A strict reader neither drops nor repairs rows. What is wrong with a row shows in its values (too
few, too many, none); what is wrong with the file is a DataError. A lossless reader gives every row
with its bytes, and the reason why its columns can't be found. Knows nothing of what texts and
labels are.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

LINE_END = re.compile(rb"\r*\n\Z|\r+\Z")

Row = tuple[int, Sequence[Any]]


@dataclass(frozen=True)
class Table:
    """A file as the strict mode reads it.

    Attributes:
        columns: Their names.
        rows: Row number (of the line where a row starts; in Parquet and JSON arrays, of the row;
            from 1) and values. A row with more values than columns, or fewer, is one that the file
            has wrong; no values are a blank line.
        dialect: How the file was read, for the data card.
        notes: What the user should know of how it was read.
        metadata: Of the schema, where the format has any.
    """

    columns: tuple[str, ...]
    rows: Iterator[Row]
    dialect: dict[str, Any]
    notes: tuple[str, ...] = ()
    metadata: Mapping[bytes, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RawRow:
    """A row as the lossless mode reads it.

    Attributes:
        raw: Its bytes, the end of its line included.
        end: Position in the unpacked file of the byte after it.
        text: The value in the text's column; None where there is none.
        reason: Why it can't be scored, where that is known already; else empty.
        broken: Whether its columns can't be found, so that it goes whole into one.
        fields: Its values, where its bytes would not be one row to other readers; else None.
    """

    raw: bytes
    end: int
    text: Any = None
    reason: str = ""
    broken: bool = False
    fields: Sequence[str] | None = None

    @property
    def body(self) -> bytes:
        """Its bytes without the end of its line."""
        return LINE_END.sub(b"", self.raw)

    @property
    def line_end(self) -> bytes:
        """The end of its line, which the last one of a file may lack."""
        return self.raw[len(self.body) :]


def misfit(values: int, width: int) -> str:
    """Why a row of so many values is none of a table of this width."""
    if values > width:
        return "too_many_fields"
    return "too_few_fields" if values else "blank_line"

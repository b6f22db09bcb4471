"""A text on each line, with its bytes; of fastText's and TREC's lines without its label."""

from collections.abc import Collection, Iterator
from itertools import chain
from pathlib import Path
from typing import IO

from linnet.tables.labelled_lines import LABEL_TEXT, PLAIN, labels_of, shape_of, text_of
from linnet.tables.lines import (
    Head,
    check_ends,
    look_ahead,
    not_decoded,
    read_lines,
    split_mark,
)
from linnet.tables.table import RawRow

LINE = "line"  # the column of lines that are more than their text


class LosslessLines:
    """The lines of a file, from any position on.

    Args:
        stream: Its bytes.
        path: Its name, for messages.
        encoding: Its encoding, as `plain_encoding` gives it.
        labels: Lines may begin with one of these, and then the rest is the text.
        ahead: Whether the first lines may be looked at before the first row is given.

    Attributes:
        before: The file's byte order mark, if it has one.
        start: Where the first row begins.
        column: What the lines are called: `text`, or `line` where they are more than their text.
        notes: What the user should know of how the file was read.

    Raises:
        DataError: Its lines end in carriage returns alone.
    """

    def __init__(
        self,
        stream: IO[bytes],
        path: Path,
        encoding: str,
        labels: Collection[str] = (),
        ahead: bool = True,
    ):
        self._stream = stream
        self._path = path
        self._encoding = encoding
        lines = read_lines(stream, path)
        self.before, rest = split_mark(next(lines, b""))
        self.start = len(self.before)
        self._lines: Iterator[bytes] = chain([rest] if rest else [], lines)
        self._shape = ""
        if ahead:
            head, numbered = look_ahead(enumerate(self._lines))
            self._lines = (line for _, line in numbered)
            check_ends(head, path)
            self._shape = self._shape_of(head, labels)
        self.column = LINE if self._shape else PLAIN[0]
        self.notes: tuple[str, ...] = ()
        if self._shape:
            self.notes = (
                f"The lines begin with their labels ({self._shape}): the rest of each was scored.",
            )

    def _shape_of(self, head: Head, labels: Collection[str]) -> str:
        shape = shape_of(head.lines)
        # Many texts begin with few words, such as tweets with RT; these must be labels that are
        # known.
        known = shape != LABEL_TEXT or labels_of(head.decoded(self._encoding), shape) <= set(labels)
        return shape if known else ""

    def rows(self, position: int) -> Iterator[RawRow]:
        """Every row from a position on, where one begins.

        Args:
            position: Of its first byte.

        Raises:
            DataError: A line without end.
        """
        lines = self._lines
        if position > self.start:
            self._stream.seek(position)
            lines = read_lines(self._stream, self._path, first=2)
        for line in lines:
            position += len(line)
            text = RawRow(line, 0).body.decode(self._encoding, "surrogateescape")
            if self._shape:
                text = text_of(text, self._shape)
            yield RawRow(line, position, text, "wrong_encoding" if not_decoded(text) else "")

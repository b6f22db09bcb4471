"""Read texts from one file and labels from another, such as train_text.txt and train_labels.txt.

A mapping.txt in the same folder names the labels.
"""

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import IO

from linnet.errors import DataError
from linnet.tables.lines import decode, numbered_lines
from linnet.tables.source import LINES, Reading, Source
from linnet.tables.table import Row

PARALLEL = "text and label files"
COLUMNS = ("text", "label")
MAPPING = "mapping.txt"
LABEL_NAMES = ("labels", "label")


def find_parallel(text: Source) -> Source | None:
    """Join a file of texts with its file of labels, if there is one.

    Raises:
        DataError: The file of labels can't be read.
    """
    before, found, after = text.path.name.rpartition("text")
    if text.format != LINES or not found:
        return None
    for name in LABEL_NAMES:
        for end in (after, after.removeprefix("s")):
            path = text.path.with_name(before + name + end)
            if path.is_file():
                mapping = text.path.with_name(MAPPING)
                parts = [
                    text,
                    Source.find(path),
                    *([Source.find(mapping)] if mapping.is_file() else []),
                ]
                return Source(text.path, PARALLEL, parts=tuple(parts))
    return None


def parallel_rows(source: Source, reading: Reading, encoding: str) -> Iterator[Row]:
    """Yield texts and labels with their line numbers.

    Raises:
        DataError: One file has more lines than the other, or a label has no name in the mapping.
    """
    text, label = source.parts[:2]
    names = _names(source.parts[2], reading, encoding) if source.parts[2:] else {}
    with reading.open(text) as texts, reading.open(label) as labels:
        pairs = zip_longest(
            _lines(texts, text.path, encoding), _lines(labels, label.path, encoding)
        )
        for number, (line, raw) in enumerate(pairs, start=1):
            if line is None or raw is None:
                longer = number + sum(1 for _ in pairs)
                counts = (number - 1, longer) if line is None else (longer, number - 1)
                raise DataError(
                    f"{text.path} has {counts[0]:,} lines and {label.path.name} has {counts[1]:,}. "
                    "Expected one label for each text, on the same line."
                )
            name = raw.strip()
            if names and name and name not in names:
                raise DataError(
                    f"{label.path}, row {number}: the label {name!r:.60} is not one of the "
                    f"{len(names):,} in {MAPPING}. Name it there, or move {MAPPING} away."
                )
            yield number, (line, names.get(name, name)) if line.strip() or name else ()


def _names(mapping: Source, reading: Reading, encoding: str) -> dict[str, str]:
    with reading.open(mapping) as stream:
        pairs = [
            line.split("\t") for line in _lines(stream, mapping.path, encoding) if line.strip()
        ]
    if any(len(pair) < 2 or not pair[1].strip() for pair in pairs):
        raise DataError(
            f"{mapping.path}: expected a label, a tab and its name on each line. "
            "Repair it, or move it away."
        )
    return {pair[0].strip(): pair[1].strip() for pair in pairs}


def _lines(stream: IO[bytes], path: Path, encoding: str) -> Iterator[str]:
    return (line.rstrip("\r\n") for _, line in decode(numbered_lines(stream, path), path, encoding))

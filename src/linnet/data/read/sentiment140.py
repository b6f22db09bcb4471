"""Sentiment140 as it is published: no header, six quoted columns, latin-1, polarity 0, 2 or 4."""

import csv
from collections.abc import Sequence

ENCODING = "latin-1"
COLUMNS = ("target", "ids", "date", "flag", "user", "text")
LABELS = {"0": "negative", "2": "neutral", "4": "positive"}
# The training file has these two; the third stands in the hand-labelled test file alone.
TRAINED = ("negative", "positive")


def matches(lines: Sequence[bytes]) -> bool:
    """Whether the first lines of a file have the data set's shape."""
    lines = [line for line in lines[:100] if line.strip()]
    if not lines or not all(line.startswith((b'"0","', b'"2","', b'"4","')) for line in lines):
        return False
    rows = csv.reader(line.decode(ENCODING) for line in lines)
    try:
        return all(len(row) == len(COLUMNS) for row in rows)
    except csv.Error:
        return False

"""What somebody said is true of a text: one row of feedback, and which of several rows counts."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

USER = "user"
SOURCES = ("audit", "disagree", "queue", USER)
# Feedback that arrives in another order than it was given is at most so much older. If it is older
# than that, the clock was put back, and it is the latest all the same.
REORDERED_SECONDS = 60
TRUTH_COLUMNS = ("id", "source", "labels", "time", "annotator")


@dataclass(frozen=True, slots=True)
class Truth:
    """One row of feedback. The strings are `storable`.

    Attributes:
        id: The id of the answers that it is about.
        source: Why somebody looked at the text: `user` (of their own accord), `audit` (drawn at
            random), `disagree` (arms answered differently) or `queue` (chosen as worth a label).
            They are never mixed.
        labels: The labels that truly apply, mostly one, maybe none.
        time: When it was said, seconds since 1970 in UTC.
        annotator: Who said it; "" if that is not known.
    """

    id: str
    source: str
    labels: tuple[str, ...]
    time: float
    annotator: str = ""

    def replaces(self, earlier: "Truth | None") -> bool:
        """Whether this counts in place of a row that was stored before it."""
        return earlier is None or not 0 < earlier.time - self.time <= REORDERED_SECONDS


def latest(truths: Iterable[Truth]) -> Truth | None:
    """The one that counts of several about one id, in the order in which they were stored."""
    counts: Truth | None = None
    for truth in truths:
        if truth.replaces(counts):
            counts = truth
    return counts


def latest_by_source(truths: Iterable[Truth]) -> tuple[Truth, ...]:
    """The one that counts of each source, in the order in which they were stored."""
    counts: dict[str, Truth] = {}
    for truth in truths:
        if truth.replaces(counts.get(truth.source)):
            counts[truth.source] = truth
    return tuple(counts.values())


def truth_to_row(truth: Truth) -> tuple[Any, ...]:
    """Values in the order of `TRUTH_COLUMNS`."""
    labels = json.dumps(truth.labels, ensure_ascii=False)
    return truth.id, truth.source, labels, truth.time, truth.annotator


def row_to_truth(row: Sequence[Any]) -> Truth:
    """The truth of a row."""
    name, source, labels, time, annotator = row
    return Truth(name, source, tuple(json.loads(labels)), time, annotator)

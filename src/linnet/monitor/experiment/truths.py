"""Labels that people gave, by where they come from. The sources are never mixed."""

import json
from dataclasses import dataclass, field
from functools import lru_cache

from linnet.monitor.prediction_log import Store, Truth

PAGE = 100_000  # rows of feedback that are read at once
DAY = 86_400
USER = "user"
AUDIT = "audit"
COMPARED = {AUDIT, "disagree"}  # sources that may compare two arms


@dataclass(slots=True)
class Labels:
    """What feedback says, by id.

    Attributes:
        by_user: What users said.
        by_audit: What audits said.
        compared: What audits or looks at disagreements said; the latest of both.
        by_day: Answers by day and source.
        relabelled: Answers about which labellers of one source disagree.
    """

    by_user: dict[str, frozenset[str]] = field(default_factory=dict)
    by_audit: dict[str, frozenset[str]] = field(default_factory=dict)
    compared: dict[str, frozenset[str]] = field(default_factory=dict)
    by_day: dict[tuple[int, str], int] = field(default_factory=dict)
    relabelled: int = 0


def read_labels(store: Store) -> Labels:
    """Read all feedback; of each source the latest counts."""
    latest: dict[tuple[str, str], Truth] = {}
    said: dict[tuple[str, str], dict[str, frozenset[str]]] = {}
    after = 0
    while found := store.truths(after, PAGE):
        after = found[-1][0]
        for _, truth in found:
            key = truth.id, truth.source
            if truth.replaces(latest.get(key)):
                latest[key] = truth
            said.setdefault(key, {})[truth.annotator] = frozenset(truth.labels)
    labels = Labels()
    for (identity, source), truth in sorted(latest.items(), key=lambda item: item[1].time):
        answer = frozenset(truth.labels)
        day = int(max(0.0, truth.time) // DAY * DAY)
        labels.by_day[day, source] = labels.by_day.get((day, source), 0) + 1
        if source == USER:
            labels.by_user[identity] = answer
        if source == AUDIT:
            labels.by_audit[identity] = answer
        if source in COMPARED:
            labels.compared[identity] = answer
    labels.relabelled = sum(len(set(answers.values())) > 1 for answers in said.values())
    return labels


def is_right(answer: str, abstained: bool, truth: frozenset[str]) -> bool:
    """Whether an answer, a JSON list of labels, is the whole truth. Abstaining never is."""
    return not abstained and _labels(answer) == truth


def same_answer(first: tuple[str, bool], second: tuple[str, bool]) -> bool:
    """Whether two answers are equal; abstaining differs from any answer."""
    return first == second or (first[1] == second[1] and _labels(first[0]) == _labels(second[0]))


@lru_cache(maxsize=10_000)
def _labels(answer: str) -> frozenset[str]:
    return frozenset(json.loads(answer))

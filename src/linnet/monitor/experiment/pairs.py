"""The answers of the champion and of its shadows to the same texts. A text counts once."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from linnet.monitor.experiment.plan import CHAMPION, Plan
from linnet.monitor.experiment.statistics import Pairs
from linnet.monitor.experiment.truths import Labels, is_right, same_answer

Answer = tuple[str, bool]  # labels as JSON, and whether the model abstained


@dataclass(slots=True)
class _Shadow:
    """The texts that one shadow and the champion answered, by the hash of the text."""

    same: set[int] = field(default_factory=set)
    different: dict[int, tuple[Answer, Answer]] = field(default_factory=dict)
    found: int = 0
    expected: int = 0

    def add(self, text: int, champion: Answer, shadow: Answer) -> None:
        self.found += 1
        if text in self.same or text in self.different:
            return  # a repeated text is no new evidence
        if same_answer(champion, shadow):
            self.same.add(text)
        else:
            self.different[text] = champion, shadow


class PairCounter:
    """Joins the rows of one id. Rows of one answer are stored near to each other.

    Args:
        plan: What is compared.
        labels: What feedback says.
        until: The champion's later rows wait for theirs.
    """

    def __init__(self, plan: Plan, labels: Labels, until: float):
        self._plan = plan
        self._labels = labels
        self._until = until
        self._shadows = {name: _Shadow() for name, epochs in plan.shadows.items() if epochs}
        self._truths: dict[int, frozenset[str]] = {}
        # By id and shadow. Of the page before as well, so that no row waits for ever.
        self._champion: list[dict[tuple[str, str], tuple[int, Answer]]] = [{}, {}]
        self._waiting: list[dict[tuple[str, str], tuple[int, Answer]]] = [{}, {}]

    def take(self, page: dict[str, Any]) -> None:
        """Count a page of the log."""
        self._champion = [self._champion[1], {}]
        self._waiting = [self._waiting[1], {}]
        epochs = np.array(sorted(self._plan.shadow_epochs), np.int64)
        for k in np.flatnonzero(np.isin(page["epoch"], epochs)):
            text = int(page["text_hash"][k])
            identity = page["id"][k]
            if identity in self._labels.compared:
                self._truths[text] = self._labels.compared[identity]
            answer = page["labels"][k], bool(page["abstained"][k])
            if page["shadow"][k]:
                self._take_shadow(page["arm"][k], int(page["epoch"][k]), identity, text, answer)
            elif page["arm"][k] == CHAMPION and page["time"][k] <= self._until:
                self._take_champion(int(page["epoch"][k]), identity, text, answer)

    def counts(self, failed: dict[str, int]) -> dict[str, Pairs]:
        """The counts of each shadow.

        Args:
            failed: Texts that each shadow did not answer.
        """
        return {name: self._counts(name, failed.get(name, 0)) for name in self._shadows}

    def _take_champion(self, epoch: int, identity: str, text: int, answer: Answer) -> None:
        for name, shadow in self._shadows.items():
            share = self._plan.shadows[name].get(epoch)
            if share is None:
                continue
            shadow.expected += share >= 1
            earlier = _pop(self._waiting, (identity, name))
            if earlier:
                shadow.add(text, answer, earlier[1])
            else:
                self._champion[1][identity, name] = text, answer

    def _take_shadow(self, name: str, epoch: int, identity: str, text: int, answer: Answer) -> None:
        if epoch not in self._plan.shadows.get(name, ()):
            return
        champion = _pop(self._champion, (identity, name))
        if champion:
            self._shadows[name].add(text, champion[1], answer)
        else:
            self._waiting[1][identity, name] = text, answer

    def _counts(self, name: str, failed: int) -> Pairs:
        shadow = self._shadows[name]
        outcomes = {(False, False): 0, (False, True): 0, (True, False): 0, (True, True): 0}
        pending = 0
        for text, answers in shadow.different.items():
            truth = self._truths.get(text)
            if truth is None:
                pending += 1
            else:
                champion, challenger = (is_right(*answer, truth) for answer in answers)
                outcomes[champion, challenger] += 1
        # Where a shadow gets each text, a pair may also be missing without a failure.
        missing = max(failed, shadow.expected - shadow.found)
        return Pairs(
            same=len(shadow.same) + outcomes[False, False] + outcomes[True, True],
            better=outcomes[False, True],
            worse=outcomes[True, False],
            pending=pending,
            expected=max(shadow.expected, shadow.found + missing),
            missing=missing,
        )


def _pop(
    generations: list[dict[tuple[str, str], tuple[int, Answer]]], key: tuple[str, str]
) -> tuple[int, Answer] | None:
    return generations[1].pop(key, None) or generations[0].pop(key, None)

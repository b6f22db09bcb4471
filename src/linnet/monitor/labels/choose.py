"""Choose the rows that are worth a label.

Half are audit rows, a random sample that measures accuracy, until the interval is narrow enough.
Then come texts that two arms answer differently, then in turn: the least sure answers, the most
surprising texts, and confident answers that users called wrong. Equal logs give equal rows.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np

from linnet.monitor.evidence import interval_at_any_look
from linnet.monitor.labels.ledger import SOURCE_OF, Asked, Reason
from linnet.monitor.labels.near_copies import NearCopies
from linnet.monitor.labels.view import BY_PEOPLE, LogView
from linnet.monitor.prediction_log.hashing import audited, draw

CANDIDATES = 20  # per row of the queue; some are near copies of others
ASSUMED_ACCURACY = 0.85  # as long as no audit row has an answer


@dataclass(frozen=True)
class Choice:
    """One row of a queue.

    Attributes:
        id: Of the answer.
        place: Of the returned answer in the view.
        reason: Why, as in `Asked`.
        inclusion: The probability with which such a row is asked for; None if it was chosen.
    """

    id: str
    place: int
    reason: Reason
    inclusion: float | None


@dataclass(frozen=True)
class Wish:
    """What is asked for.

    Attributes:
        size: Rows of the queue.
        rate: Share of the answers that the audit draws.
        width: Half of the width of the accuracy's interval from which on no audit row is needed.
        arms: The two arms whose disagreements count; empty for all.
        since: Rows that teach are of this time or later, seconds since 1970.
    """

    size: int
    rate: float
    width: float = 0.03
    arms: tuple[str, ...] = ()
    since: float = 0.0


class Candidates:
    """The rows that may be asked for, by reason, the first ones first.

    Args:
        view: The log.
        asked: The rows that were asked for before, by id.
        wish: What is asked for.
    """

    def __init__(self, view: LogView, asked: Mapping[str, Asked], wish: Wish):
        self._view = view
        self._asked = asked
        self._wish = wish
        self._most = CANDIDATES * wish.size
        # The last answer that was returned of each id; a retry may have several.
        self._returned = {view.id[place]: int(place) for place in view.returned}
        self._hashes = self._asked_hashes()
        audit = list(self._audit())
        self.again = list(self._again())
        self.wanted_audit = min(math.ceil(wish.size / 2), self._still_needed())
        self.audit = audit[: self._most]
        self.disagree = list(self._disagree())
        self.queue = list(self._queue())

    @property
    def numbers(self) -> list[int]:
        """The numbers of all their rows in the log, to read their texts."""
        every = [*self.again, *self.audit, *self.disagree, *self.queue]
        return [int(self._view.number[choice.place]) for choice in every]

    def choose(self, texts: Mapping[int, str]) -> list[Choice]:
        """The rows of the queue.

        A text is asked for once. Near copies of a text are left out only among the rows that
        teach: an audit must stay random, and a disagreement without an answer counts against.

        Args:
            texts: By the number of the row. A row without one is not chosen.
        """
        chosen: list[Choice] = []
        exact: set[str] = set()
        near = NearCopies()

        def take(choices: Iterable[Choice], most: int, thin: bool = False) -> None:
            for choice in choices:
                text = texts.get(int(self._view.number[choice.place]))
                if len(chosen) >= most:
                    return
                if text is None or text in exact or (thin and near.has(text)):
                    continue
                exact.add(text)
                near.add(text)
                chosen.append(choice)

        size = self._wish.size
        take(self.again, size)
        take(self.audit, min(len(chosen) + self.wanted_audit, size))
        take(self.disagree, size)
        take(self.queue, size, thin=True)
        if self.wanted_audit:
            take(self.audit, size)  # its rows are useful as long as the width is not met
        return chosen

    def _asked_hashes(self) -> dict[str, set[int]]:
        """The texts that were asked for, by the source of their answers."""
        found: dict[str, set[int]] = {source: set() for source in BY_PEOPLE}
        for name, place in self._returned.items():
            text = int(self._view.text_hash[place])
            if not text:
                continue
            if row := self._asked.get(name):
                found[SOURCE_OF[row.reason]].add(text)
            for source in self._view.truths.get(name, ()):
                if source in found:
                    found[source].add(text)
        return found

    def _open(self, name: str, *sources: str) -> bool:
        """Whether an id was not asked for, nor its text for one of the sources."""
        if name in self._asked or any(s in BY_PEOPLE for s in self._view.truths.get(name, ())):
            return False
        place = self._returned[name]
        text = int(self._view.text_hash[place])
        return bool(self._view.has_text[place]) and not (
            text and any(text in self._hashes[source] for source in sources)
        )

    def _again(self) -> Iterator[Choice]:
        for name, row in sorted(self._asked.items()):
            if row.again and name in self._returned:
                yield Choice(name, self._returned[name], row.reason, row.inclusion)

    def _audit(self) -> Iterator[Choice]:
        rate = self._wish.rate
        drawn = [name for name in self._returned if audited(name, rate)]
        # In this order the first ones are the audit of a lower rate, so they are random as well.
        for name in sorted(drawn, key=lambda name: (draw(f"audit\0{name}"), name)):
            if self._open(name, "audit"):
                yield Choice(name, self._returned[name], "audit", rate)

    def _still_needed(self) -> int:
        right = wrong = pending = 0
        for name, place in self._returned.items():
            truth = self._view.truths.get(name, {}).get("audit")
            if truth is not None:
                is_right = self._view.answer(place) == truth.labels
                right += is_right
                wrong += not is_right
            elif (row := self._asked.get(name)) and row.reason == "audit":
                pending += 1
        return max(labels_needed(right, wrong, self._wish.width) - pending, 0)

    def _disagree(self) -> Iterator[Choice]:
        view = self._view
        found = []
        for name, places in _of_several_arms(view, self._wish.arms).items():
            differ = len({view.answer(place) for place in places}) > 1
            if differ and name in self._returned and self._open(name, "audit", "disagree"):
                found.append(name)
        found.sort(key=lambda name: (draw(f"disagree\0{name}"), name))
        share = min(1.0, self._wish.size / len(found)) if found else 1.0
        for name in found[: self._most]:
            yield Choice(name, self._returned[name], "disagree", round(share, 6))

    def _queue(self) -> Iterator[Choice]:
        view = self._view
        places = np.array(
            [
                place
                for name, place in self._returned.items()
                if view.time[place] >= self._wish.since and self._open(name, *BY_PEOPLE)
            ],
            dtype=np.int64,
        )
        surprising = places[~np.isnan(view.surprise[places])]
        lists: list[tuple[Reason, list[int]]] = [
            ("margin", _first(places, view.margin[places], self._most)),
            ("surprise", _first(surprising, -view.surprise[surprising], self._most)),
            ("user_doubt", self._doubted(places)),
        ]
        seen = set()
        for row in zip_longest(*([(reason, p) for p in found] for reason, found in lists)):
            for pair in row:
                if pair is not None and pair[1] not in seen:
                    seen.add(pair[1])
                    yield Choice(view.id[pair[1]], pair[1], pair[0], None)

    def _doubted(self, places: np.ndarray) -> list[int]:
        """Answers that a user called wrong, the most confident first."""
        view = self._view
        found = [
            place
            for place in places.tolist()
            if (truth := view.truths.get(view.id[place], {}).get("user"))
            and truth.labels != view.answer(place)
        ]
        return sorted(found, key=lambda place: (-view.probability[place], place))[: self._most]


def labels_needed(right: int, wrong: int, width: float) -> int:
    """How many more audited labels make the interval of the accuracy narrow enough.

    Args:
        right: Audited answers that were right.
        wrong: Those that were not.
        width: Half of the interval's width.
    """
    count = right + wrong
    accuracy = right / count if count else ASSUMED_ACCURACY

    def is_met(labels: int) -> bool:
        low, high = interval_at_any_look(
            round(accuracy * labels), labels - round(accuracy * labels)
        )
        return high - low <= 2 * width

    if count and is_met(count):
        return 0
    return _smallest(is_met, count) - count


def _smallest(is_met: Callable[[int], bool], low: int) -> int:
    """The smallest number above `low` that meets a condition that then goes on to hold."""
    high = 2 * max(low, 1)
    while not is_met(high):
        low = high
        high = 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if is_met(middle):
            high = middle
        else:
            low = middle
    return high


def _first(places: np.ndarray, values: np.ndarray, most: int) -> list[int]:
    """The places with the lowest values."""
    order = np.lexsort((places, values))[:most]
    chosen: list[int] = places[order].tolist()
    return chosen


def _of_several_arms(view: LogView, arms: tuple[str, ...]) -> dict[str, list[int]]:
    """Places of the answers of each id that several arms answered, of the named ones if any."""
    first: dict[str, int] = {}
    several: dict[str, list[int]] = {}
    for place, name in enumerate(view.id):
        if arms and view.arm[place] not in arms:
            continue
        if name in several:
            several[name].append(place)
        elif name in first:
            several[name] = [first[name], place]
        else:
            first[name] = place
    return several

"""Take answers into the log: each is taken, or refused with a reason.

Several answers to one row become the majority's. A tie goes back to the queue. The votes stay in
the list of queued rows, so that a later answer can break the tie.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from linnet.files import locked
from linnet.monitor.labels.agreement import Agreement, agreement
from linnet.monitor.labels.answer_files import Answer, labels_of
from linnet.monitor.labels.ledger import SOURCE_OF, Asked, Ledger
from linnet.monitor.labels.queue import LOCK
from linnet.monitor.labels.view import LogView, read_view
from linnet.monitor.prediction_log import Store, Truth
from linnet.monitor.prediction_log.hashing import audited

COPIED = ("audit", "disagree")  # sources whose answers count for every row with the same text
USER = "user"
AT_ONCE = 500  # rows in one transaction


@dataclass
class Taken:
    """What became of the answers.

    Attributes:
        answers: How many there were.
        refused: How many were refused, by reason.
        taken: How many were taken, by source.
        copies: Rows with the same text that got the same answer.
        ties: Rows that are asked for again.
        agreement: Of several annotators; None if no row has two answers.
        audit_asked: Audit rows that were asked for so far.
        audit_answered: Those of them that have an answer.
    """

    answers: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    taken: Counter[str] = field(default_factory=Counter)
    copies: int = 0
    ties: int = 0
    agreement: Agreement | None = None
    audit_asked: int = 0
    audit_answered: int = 0


@dataclass(frozen=True)
class Labels:
    """The labels that an answer may have.

    Attributes:
        names: Of the model; empty for those that the log has.
        several: Whether a text may have several labels or none; None to look in the log.
    """

    names: tuple[str, ...] = ()
    several: bool | None = None


def take_answers(
    store: Store,
    folder: Path,
    answers: Sequence[Answer],
    labels: Labels,
    rate: float,
    now: float,
) -> Taken:
    """Put answers into the log.

    Args:
        store: The log.
        folder: The monitor's folder, which keeps the list of queued rows.
        answers: Of one or several files; each has an annotator.
        labels: Those that an answer may have.
        rate: Share of the answers that the audit draws.
        now: Seconds since 1970.

    Raises:
        UsageError: The list of queued rows can't be read.
        StorageError: A disk or database refused.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / LOCK):
        ledger = Ledger.read(folder)
        view = read_view(store)
        taken = Taken(len(answers))
        names = labels.names or view.known_labels()
        several = view.is_multi_label() if labels.several is None else labels.several
        votes = _Votes(view, ledger, taken, rate)
        for answer, given in _readable(answers, names, several, taken):
            votes.add(answer, given)
        truths = votes.settle(now)
        copies = _copies(view, truths, rate, now)
        taken.copies = len(copies)
        _store(store, [*truths, *copies])
        ledger.write()
        taken.agreement = agreement(votes.all)
        asked = [name for name, row in ledger.rows.items() if row.reason == "audit"]
        answered = {truth.id for truth in truths if truth.source == "audit"}
        taken.audit_asked = len(asked)
        taken.audit_answered = sum(
            name in answered or "audit" in view.truths.get(name, {}) for name in asked
        )
    return taken


def _readable(
    answers: Sequence[Answer], names: Sequence[str], several: bool, taken: Taken
) -> Iterator[tuple[Answer, tuple[str, ...]]]:
    """The answers that give labels, without those that contradict themselves."""
    usable = []
    for answer in answers:
        given = answer.refused or labels_of(answer.cell, names, several)
        if given is None:
            given = "empty"
        if isinstance(given, str):
            taken.refused[given] += 1
        else:
            usable.append((answer, given))
    said: dict[tuple[str, str], set[tuple[str, ...]]] = {}
    for answer, given in usable:
        said.setdefault((answer.id, answer.annotator), set()).add(given)
    done = set()
    for answer, given in usable:
        key = (answer.id, answer.annotator)
        if len(said[key]) > 1:
            taken.refused["contradiction"] += 1
        elif key in done:
            taken.refused["twice"] += 1
        else:
            done.add(key)
            yield answer, given


class _Votes:
    """The answers by row, and what they decide."""

    def __init__(self, view: LogView, ledger: Ledger, taken: Taken, rate: float):
        self._view = view
        self._ledger = ledger
        self._taken = taken
        self._rate = rate
        self._returned = {view.id[place]: int(place) for place in view.returned}
        # Rows that nobody asked for here; they are not kept in the list.
        self._own: dict[str, dict[str, tuple[str, ...]]] = {}
        self._new: dict[str, int] = {}

    @property
    def all(self) -> list[dict[str, tuple[str, ...]]]:
        """The votes of every row."""
        return [*(row.votes for row in self._ledger.rows.values()), *self._own.values()]

    def add(self, answer: Answer, given: tuple[str, ...]) -> None:
        """Count one vote, or refuse it."""
        refusal = self._refusal(answer, given)
        if refusal:
            self._taken.refused[refusal] += 1
            return
        if answer.id not in self._ledger.rows and answer.reason in SOURCE_OF:
            self._ledger.rows[answer.id] = _asked_elsewhere(answer)
        self._votes_of(answer.id)[answer.annotator] = given
        self._new[answer.id] = self._new.get(answer.id, 0) + 1

    def settle(self, now: float) -> list[Truth]:
        """What the majority says of each row with a new vote."""
        truths = []
        for name, count in self._new.items():
            row = self._ledger.rows.get(name)
            votes = self._votes_of(name)
            winner = majority(votes)
            source = SOURCE_OF[row.reason] if row else USER
            if row:
                row.again = winner is None
            if winner is None:
                self._taken.ties += 1
                self._taken.refused["tie"] += count
                continue
            self._taken.taken[source] += count
            before = self._view.truths.get(name, {}).get(source)
            if before is None or before.labels != winner:
                truths.append(Truth(name, source, winner, now, ", ".join(sorted(votes))))
        return truths

    def _votes_of(self, name: str) -> dict[str, tuple[str, ...]]:
        row = self._ledger.rows.get(name)
        return row.votes if row else self._own.setdefault(name, {})

    def _refusal(self, answer: Answer, given: tuple[str, ...]) -> str:
        if answer.id not in self._returned:
            return "unknown_id"
        row = self._ledger.rows.get(answer.id)
        if row and row.votes.get(answer.annotator) == given:
            return "twice"
        if row is None and answer.reason not in SOURCE_OF:
            said = self._view.truths.get(answer.id, {}).get(USER)
            same = said and said.labels == given and said.annotator == answer.annotator
            return "twice" if same else ""
        drawn = row or answer.reason != "audit"
        return "" if drawn or audited(answer.id, answer.inclusion or self._rate) else "not_audited"


def _asked_elsewhere(answer: Answer) -> Asked:
    """A row of a queue that this folder has no list of; the file says why it was asked for."""
    return Asked.model_validate(
        {
            "reason": answer.reason,
            "inclusion": answer.inclusion,
            "batch": 0,
            "position": 0,
        }
    )


def majority(votes: Mapping[str, tuple[str, ...]]) -> tuple[str, ...] | None:
    """The labels that most annotators gave; None for a tie."""
    ranked = Counter(votes.values()).most_common(2)
    if len(ranked) > 1 and ranked[0][1] == ranked[1][1]:
        return None
    return ranked[0][0]


def _copies(view: LogView, truths: Sequence[Truth], rate: float, now: float) -> list[Truth]:
    """The same answer for the other rows with the same text.

    A text is asked for once. Without this its other rows would count as not answered.
    """
    answers: dict[tuple[str, int], Truth] = {}
    said = {name: dict(each) for name, each in view.truths.items()}
    for truth in truths:
        said.setdefault(truth.id, {})[truth.source] = truth
    places = {view.id[place]: int(place) for place in view.returned}
    for name, each in said.items():
        text = int(view.text_hash[places[name]]) if name in places else 0
        for source in COPIED:
            if text and source in each:
                earlier = answers.get((source, text))
                if earlier is None or earlier.time < each[source].time:
                    answers[source, text] = each[source]
    found = []
    disagreeing = _disagreeing(view)
    for name, place in places.items():
        text = int(view.text_hash[place])
        for source in COPIED:
            answer = answers.get((source, text)) if text else None
            drawn = audited(name, rate) if source == "audit" else name in disagreeing
            if answer and drawn and source not in said.get(name, {}):
                found.append(Truth(name, source, answer.labels, now, answer.annotator))
    return found


def _disagreeing(view: LogView) -> set[str]:
    """Ids that several arms answered differently."""
    first: dict[str, tuple[str, ...] | None] = {}
    found = set()
    for place, name in enumerate(view.id):
        answer = view.answer(place)
        if first.setdefault(name, answer) != answer:
            found.add(name)
    return found


def _store(store: Store, truths: Sequence[Truth]) -> None:
    for start in range(0, len(truths), AT_ONCE):
        store.judge(truths[start : start + AT_ONCE])

"""Guardrails of an experiment: the events of challengers against those of the champion.

Failures, slow answers, abstentions and truncations of assigned texts are counted in the process
that answers them, so that a bad model is found without a file or a log. An event counts once for
each unit and kind, its first: a unit stays in its arm, so a user's tenth failure says nothing new.
Texts of requests that named their arm do not count, because nothing assigned them. Neither do the
texts of shadows. What users report never counts.

The share is the one at the moment of the text's assignment. Memory is bounded: if many units had
events, only a sample of the units is counted further, by a hash that no arm depends on.

A stall of one process makes many texts slow at once. Slow answers of a challenger are therefore
evidence only when they came in `SLOW_MOMENTS` different seconds.
"""

import math
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from linnet.errors import TextError
from linnet.monitor.evidence import (
    GUARDRAIL_WEIGHTS,
    EventCounts,
    combined_evidence,
    log_limit,
)
from linnet.serve.errors import CLIENT_LEFT
from linnet.serve.models.answering import OTHER_TEXT_FAILED
from linnet.serve.models.arms import CHAMPION, Arm, Arms
from linnet.serve.models.items import Item

MOST_UNITS = 2**14  # with an event of one kind that are remembered
LATENCIES = 2000  # of the champion that are kept
FEWEST_LATENCIES = 200  # from which the limit of slow answers may be taken
SLOW_QUANTILE = 0.95
SLOW_MOMENTS = 10
NO_FAULT = {CLIENT_LEFT[1], OTHER_TEXT_FAILED}  # codes of failures that no arm is to blame for


class FirstEvents:
    """Whether an event is the first of its unit, in bounded memory.

    Args:
        most: Units to remember. If there are more, half of all units is counted from then on.
    """

    def __init__(self, most: int = MOST_UNITS):
        self._most = most
        self._mask = 0
        self._seen: set[int] = set()

    def __len__(self) -> int:
        return len(self._seen)

    def add(self, unit: str) -> bool:
        """Whether this event counts."""
        # Python's own hash of a text is SipHash with a key of this process.
        number = hash(unit)
        if number & self._mask or number in self._seen:
            return False
        self._seen.add(number)
        while len(self._seen) > self._most:
            self._mask = self._mask << 1 | 1
            self._seen = {one for one in self._seen if not one & self._mask}
        return True


@dataclass
class Guard:
    """The events of one challenger and of the champion next to it.

    Attributes:
        digest: The challenger's bundle.
        counts: Kind to its events.
        slow_moments: Seconds in which the challenger had slow answers.
    """

    digest: str
    counts: dict[str, EventCounts] = field(
        default_factory=lambda: {kind: EventCounts() for kind in GUARDRAIL_WEIGHTS}
    )
    slow_moments: int = 0
    _slow_second: int = -1
    _known: dict[str, float] = field(default_factory=dict)  # evidence of kinds, since their event

    def add(self, kind: str, share: float, in_challenger: bool) -> None:
        """Count an event at a share of the challenger in both arms' traffic."""
        self.counts[kind].add(share, in_challenger)
        self._known.pop(kind, None)
        second = int(time.monotonic())
        if in_challenger and kind == "slow" and second != self._slow_second:
            self._slow_second = second
            self.slow_moments += 1

    def log_evidence(self) -> float:
        """The evidence of harm of all kinds together, as a natural logarithm."""
        for kind, counts in self.counts.items():
            if kind not in self._known:
                self._known[kind] = counts.log_evidence_of_harm()
        known = dict(self._known)
        if self.slow_moments < SLOW_MOMENTS:
            known["slow"] = 0.0
        return combined_evidence(known)

    def log_evidence_by_kind(self) -> dict[str, float]:
        """The evidence of harm of each kind, as a natural logarithm."""
        self.log_evidence()
        return dict(self._known)

    def summary(self) -> str:
        """The kinds in which the challenger has more events than its share, for people."""
        found = []
        for kind, counts in self.counts.items():
            expected = sum(share * sum(pair) for share, pair in counts.counts.items())
            if counts.challenger > expected:
                found.append(f"{kind} {counts.challenger} where {expected:.1f} were expected")
        return ", ".join(found) or "no kind of event above its share"


class Guardrails:
    """Counts events, and says when a challenger is harmful. Of one event loop alone.

    Args:
        evidence: The limit of the evidence of harm.
        servers: How many servers run the experiment, each on its own counts.
        slow_ms: Milliseconds above which an answer is slow. 0: the champion's 95th percentile of
            the time before the experiment, or of its first answers.

    Attributes:
        guards: The counts of each challenger, by its name.
        limit: Of the evidence, as a natural logarithm.
        slow_seconds: Above which an answer is slow; None: not fixed yet.
    """

    def __init__(self, evidence: float, servers: int = 1, slow_ms: float = 0.0):
        self.limit = log_limit(evidence, servers)
        self.guards: dict[str, Guard] = {}
        self._asked_slow = slow_ms / 1000
        self.slow_seconds: float | None = self._asked_slow or None
        self._first = {kind: FirstEvents() for kind in GUARDRAIL_WEIGHTS}
        self._latencies: deque[float] = deque(maxlen=LATENCIES)
        self._experiment = ""
        self._champion = ""
        self._shared: Arms | None = None  # whose parts are known
        self._parts: dict[str, float] = {}

    def watch(self, arms: Arms) -> None:
        """Compare these arms from now on. Counts of an experiment that goes on are kept."""
        champion = arms.champion.pool.bundle.digest
        if champion != self._champion:
            self._latencies.clear()
        if (champion, arms.experiment) != (self._champion, self._experiment):
            self.guards = {}
            self._first = {kind: FirstEvents() for kind in GUARDRAIL_WEIGHTS}
            self.slow_seconds = self._asked_slow or None
        self._champion = champion
        self._experiment = arms.experiment
        self._shared = None
        former = self.guards
        self.guards = {}
        for arm in arms.challengers:
            digest = arm.pool.bundle.digest
            guard = former.get(arm.name)
            self.guards[arm.name] = guard if guard and guard.digest == digest else Guard(digest)
        if any(arm.share for arm in arms.challengers):
            self._fix_slow()

    def restart(self, arm: str) -> None:
        """Forget the events of a challenger. Units that had one stay remembered."""
        self.guards[arm] = Guard(self.guards[arm].digest)

    def see(self, item: Item) -> str | None:
        """Count the events of one text.

        Returns:
            The challenger whose evidence of harm is at the limit or above; mostly None.
        """
        if item.shadow or item.request.named:
            return None
        arm = item.arm
        answer = item.answer
        seconds = item.seconds
        if answer is not None and arm.name == CHAMPION:
            self._latencies.append(seconds)
        if not self.guards:
            return None
        if self.slow_seconds is None:
            self._fix_slow()
        kinds = []
        if self.slow_seconds is not None and seconds > self.slow_seconds:
            kinds.append("slow")
        if answer is not None:
            if answer.prediction.abstained:
                kinds.append("abstained")
            if answer.prediction.truncated:
                kinds.append("truncated")
        elif not isinstance(item.error, TextError) and item.code not in NO_FAULT:
            kinds.append("failures")
        return self._count(item, kinds) if kinds else None

    def evidence(self) -> dict[tuple[str, str], float]:
        """The decimal logarithm of the evidence of harm by challenger and kind, and for "all"."""
        found = {}
        for name, guard in self.guards.items():
            for kind, value in guard.log_evidence_by_kind().items():
                found[name, kind] = value / math.log(10)
            found[name, "all"] = guard.log_evidence() / math.log(10)
        return found

    def _count(self, item: Item, kinds: Sequence[str]) -> str | None:
        arms = item.request.arms
        shares = self._shares(arms)
        if item.arm.name == CHAMPION:
            guards = self.guards if item.arm.pool.bundle.digest == self._champion else {}
        else:
            guards = _of(self.guards, item.arm)
        guards = {name: guard for name, guard in guards.items() if name in shares}
        if not guards:
            return None
        in_challenger = item.arm.name != CHAMPION
        counted = [kind for kind in kinds if self._first[kind].add(item.unit)]
        for kind in counted:
            for name, guard in guards.items():
                guard.add(kind, shares[name], in_challenger)
        # Events of the champion only lower the evidence.
        if counted and in_challenger and guards[item.arm.name].log_evidence() >= self.limit:
            return item.arm.name
        return None

    def _shares(self, arms: Arms) -> dict[str, float]:
        """Each challenger's share of its own and the champion's traffic, where both have some."""
        if arms is not self._shared:
            champion = arms.champion.share
            self._shared = arms
            self._parts = {
                arm.name: arm.share / (arm.share + champion)
                for arm in arms.challengers
                if arm.share > 0 and champion > 0 and arms.experiment == self._experiment
            }
        return self._parts

    def _fix_slow(self) -> None:
        if self.slow_seconds is None and len(self._latencies) >= FEWEST_LATENCIES:
            ordered = sorted(self._latencies)
            self.slow_seconds = ordered[int(SLOW_QUANTILE * len(ordered))]


def _of(guards: Mapping[str, Guard], arm: Arm) -> dict[str, Guard]:
    guard = guards.get(arm.name)
    return {arm.name: guard} if guard and guard.digest == arm.pool.bundle.digest else {}

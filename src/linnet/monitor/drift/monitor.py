"""The watch over a log: each stretch updates the arms, and alarms are raised, latched and grouped.

Only streams with an adopted reference raise alarms. One bound holds for all of them together: the
probability of any alarm within the horizon, while each mean stays in its zone, is at most
`Plan.false_alarms`.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from math import inf, log
from typing import Any

from linnet.errors import UsageError
from linnet.monitor.drift.arm import Arm, Block, Stream, Tolerances
from linnet.monitor.drift.hours import Stretch
from linnet.monitor.drift.references import References
from linnet.monitor.drift.state import State
from linnet.monitor.drift.streams import LabelIndex
from linnet.monitor.evidence import drifted_streams, evidence_limit

LN10 = log(10)
DAY = 86_400
RETIRED_BLOCKS = 24  # after which a bundle without an adopted reference is forgotten


@dataclass(frozen=True, slots=True)
class Plan:
    """What is fixed before the first block, so that no bet depends on what it judges.

    Attributes:
        block_seconds: The length of a block.
        horizon_days: The time for which the bound on false alarms holds.
        false_alarms: The bound: the probability of any false alarm within the horizon.
        tolerance_rank: A change of a mean rank that does not matter.
        tolerance_share: A change of a share that does not matter.
    """

    block_seconds: int
    horizon_days: int
    false_alarms: float
    tolerance_rank: float
    tolerance_share: float

    @property
    def blocks(self) -> int:
        """The horizon in blocks."""
        return max(1, self.horizon_days * DAY // self.block_seconds)

    @property
    def log_limit(self) -> float:
        """The natural logarithm of the evidence that raises an alarm."""
        return evidence_limit(self.blocks, self.false_alarms)

    @property
    def tolerances(self) -> Tolerances:
        """Those of ranks and of shares."""
        return Tolerances(self.tolerance_rank, self.tolerance_share)

    def to_json(self) -> dict[str, Any]:
        """All of it, to find out whether it was changed."""
        return asdict(self)


@dataclass(slots=True)
class Monitor:
    """A state that grows by stretches.

    Attributes:
        plan: Fixed.
        references: Fixed.
        state: What is known so far.
        timeline: Entries of drift.json's timeline that this run added.
    """

    plan: Plan
    references: References
    state: State
    timeline: list[dict[str, Any]] = field(default_factory=list)
    _index: LabelIndex = field(default_factory=LabelIndex)

    def take(self, stretch: Stretch) -> None:
        """Judge a stretch of the log."""
        state = self.state
        state.position = stretch.last
        state.block = stretch.next_block
        adopted = self.references.adopted
        start = float(stretch.block * self.plan.block_seconds)
        if adopted and start < adopted.until:
            return  # the reference itself, and what was before it
        state.rows += stretch.rows
        state.ahead += stretch.ahead
        if state.first is None:
            state.first = stretch.first_time
        end = float(stretch.next_block * self.plan.block_seconds)
        day = int(start // DAY)
        for (name, digest), texts in stretch.texts.items():
            arm = self._arm(name, digest, stretch.block)
            arm.rows += stretch.answers[name, digest]
            if drawn := stretch.audited.get((name, digest)):
                arm.audited[day] = arm.audited.get(day, 0) + drawn
            block = arm.add(start, stretch.block, texts, self._index)
            if block is not None:
                self._after_block(arm, block, end)
        self._raise_alarms(end)
        self._forget_retired(stretch.block)

    def acknowledge(self, names: Sequence[str]) -> None:
        """End alarms, and forget their evidence.

        Args:
            names: `ARM/STREAM`, or `ARM` for all of its alarms.

        Raises:
            UsageError: There is no such alarm. None was ended then.
        """
        alarms = self.alarms()
        chosen = []
        for name in names:
            found = [key for key in alarms if name in (f"{key[0]}/{key[1]}", key[0])]
            if not found:
                open_ones = ", ".join(f"{arm}/{stream}" for arm, stream in alarms) or "none"
                raise UsageError(f"There is no alarm {name!r} to acknowledge. Open: {open_ones}.")
            chosen += found
        for key in chosen:
            alarms[key].acknowledge(self.settled_until() or 0.0)

    def settled_until(self) -> float | None:
        """All before this moment was judged, in seconds since 1970."""
        block = self.state.block
        return None if block is None else float(block * self.plan.block_seconds)

    def alarms(self) -> dict[tuple[str, str], Stream]:
        """The open alarms, by arm and stream, the oldest first."""
        found = {
            (arm.name, name): stream
            for arm in self.state.current().values()
            for name, stream in arm.streams.items()
            if stream.alarm_since is not None
        }
        return dict(sorted(found.items(), key=lambda item: (item[1].alarm_since, item[0])))

    def unlike_training(self, arm: Arm) -> list[str]:
        """Streams that differ from the validation rows of the arm's bundle."""
        if arm.kind == "adopted":
            adopted = self.references.adopted_arm(arm.name, arm.digest)
            return list(adopted.unlike_training) if adopted else []
        evidence = {name: one.detector.log_evidence() for name, one in arm.streams.items()}
        return sorted(drifted_streams(evidence, self.plan.log_limit))

    def _arm(self, name: str, digest: str, block: int) -> Arm:
        kind, references = self.references.of(name, digest)
        arm = self.state.arms.get((name, digest))
        if arm is None or (kind is not None and arm.kind != kind):
            arm = Arm.new(name, digest, kind, references, self.plan.tolerances, block)
            self.state.arms[name, digest] = arm
        return arm

    def _after_block(self, arm: Arm, block: Block, end: float) -> None:
        half = self.plan.log_limit / 2
        streams = {}
        for name, mean in block.means.items():
            stream = arm.streams[name]
            evidence = stream.detector.log_evidence()
            if evidence < half:
                stream.rising_since = None
            elif stream.rising_since is None:
                stream.rising_since = block.start
            streams[name] = [round(mean, 4), log10(evidence)]
        self.timeline.append(
            {
                "start": block.start,
                "end": end,
                "arm": arm.name,
                "rows": block.texts,
                "streams": streams,
            }
        )

    def _raise_alarms(self, end: float) -> None:
        streams = {
            f"{arm.name}/{arm.digest}/{name}": stream
            for arm in self.state.arms.values()
            if arm.kind == "adopted"
            for name, stream in arm.streams.items()
        }
        evidence = {name: stream.detector.log_evidence() for name, stream in streams.items()}
        # Bundles that are gone count with nothing, so that a deployment does not loosen the bound.
        for missing in range(len(streams), self.references.adopted_streams()):
            evidence[f"missing {missing}"] = -inf
        raised = [
            streams[name]
            for name in drifted_streams(evidence, self.plan.log_limit)
            if streams[name].alarm_since is None
        ]
        latched = [stream for stream in streams.values() if stream.alarm_since is not None]
        for stream in raised:
            stream.alarm_since = end
            if stream.rising_since is None:
                stream.rising_since = end
            stream.incident = self._incident(stream.rising_since, latched)
            latched.append(stream)

    def _incident(self, rising_since: float, latched: Sequence[Stream]) -> int:
        """The incident whose alarm the stream was rising with, else a new one."""
        for other in sorted(latched, key=lambda one: -one.incident):
            if rising_since <= (other.alarm_since or 0.0):
                return other.incident
        self.state.incidents += 1
        return self.state.incidents

    def _forget_retired(self, block: int) -> None:
        current = {(arm.name, arm.digest) for arm in self.state.current().values()}
        for key, arm in list(self.state.arms.items()):
            patience = self.plan.blocks if arm.kind == "adopted" or key in current else 0
            if block - arm.seen > max(patience, RETIRED_BLOCKS):
                del self.state.arms[key]


def log10(natural: float) -> float | None:
    """A natural logarithm in base 10 for a file, rounded; None: nothing was seen."""
    return None if natural == -inf else round(natural / LN10, 4)

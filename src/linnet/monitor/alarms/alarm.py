"""What somebody is alarmed of: a stream that left its zone, or a decision that asks for action.

An alarm has a key that lasts as long as its cause, so it is sent once for it.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from linnet.monitor.results import Results

Kind = Literal["drift", "decision", "test"]
Severity = Literal["page", "ticket"]
ANCHORS = {
    "drift": "a-stream-has-an-alarm",
    "retrain": "the-verdict-is-retrain",
    "roll_back": "the-verdict-is-roll-back",
    "invalid": "the-verdict-is-invalid",
    "test": "alarms",
}
VERDICTS = {
    "retrain": "Linnet advises to retrain the model",
    "roll_back": "Linnet advises to roll back",
    "invalid": "Linnet can give no verdict, because the figures can't be trusted",
}


@dataclass(frozen=True)
class Alarm:
    """One alarm.

    Attributes:
        kind: What raised it.
        key: Equal for as long as the cause lasts.
        severity: "page" wakes somebody, "ticket" waits for the morning.
        text: A sentence for people.
        anchor: The paragraph of the runbook.
        facts: More for programs.
    """

    kind: Kind
    key: str
    severity: Severity
    text: str
    anchor: str
    facts: dict[str, Any]

    @property
    def id(self) -> str:
        """Names the alarm to a receiver, which so knows one that comes twice: 32 digits."""
        return hashlib.sha256(self.key.encode("utf-8", "replace")).hexdigest()[:32]


def due_alarms(results: Results) -> list[Alarm]:
    """The alarms that the results raise now, whether they were sent or not."""
    return [*_drift(results), *_decision(results)]


def example_alarm() -> Alarm:
    """An alarm that tries the way to whoever is alarmed."""
    return Alarm(
        "test",
        f"test {datetime.now(UTC).isoformat()}",
        "ticket",
        "This is a test alarm of Linnet. Nothing is wrong.",
        ANCHORS["test"],
        {},
    )


def _drift(results: Results) -> Iterator[Alarm]:
    drift = results.drift
    if drift is None:
        return
    for alarm in drift.alarms:
        arm = drift.arms.get(alarm.arm)
        stream = arm.streams.get(alarm.stream) if arm else None
        if stream and stream.acknowledged is not None:
            continue
        since = _moment(alarm.since)
        where = f"is {alarm.direction} its zone" if alarm.direction else "left its zone"
        yield Alarm(
            "drift",
            json.dumps(["drift", alarm.arm, arm.digest if arm else "", alarm.stream, alarm.since]),
            "ticket",
            f"The stream {alarm.stream} of the model {alarm.arm} {where} since {since}.",
            ANCHORS["drift"],
            {
                "arm": alarm.arm,
                "digest": arm.digest if arm else None,
                "stream": alarm.stream,
                "since": since,
                "direction": alarm.direction,
                "evidence_log10": alarm.evidence_log10,
                "incident": alarm.incident,
            },
        )


def _decision(results: Results) -> Iterator[Alarm]:
    decision = results.decision
    if decision is None or decision.verdict not in VERDICTS:
        return
    name = f" {decision.arm}" if decision.arm and decision.verdict == "roll_back" else ""
    rules = [str(reason.get("rule")) for reason in decision.reasons]
    yield Alarm(
        "decision",
        json.dumps(["decision", decision.verdict, decision.arm, sorted(rules)]),
        "page" if decision.verdict == "roll_back" else "ticket",
        f"{VERDICTS[decision.verdict]}{name}.",
        ANCHORS[decision.verdict],
        {"verdict": decision.verdict, "arm": decision.arm, "rules": rules},
    )


def _moment(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
    except (OverflowError, OSError, ValueError):  # a clock that was far off
        return f"{seconds:.0f}"

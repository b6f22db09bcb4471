"""drift.json, and the same in a few lines for a terminal."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from linnet.files import canonical_json, write_text
from linnet.monitor.drift.adopt import utc
from linnet.monitor.drift.arm import Arm
from linnet.monitor.drift.monitor import Monitor, log10
from linnet.monitor.drift.streams import LABEL

FILE = "drift.json"
FORMAT = 1
TIMELINE = 500  # blocks of each arm
TRUNCATED = "..."


def drift_json(
    monitor: Monitor,
    losses: Mapping[str, int],
    earlier: Sequence[Mapping[str, Any]],
    accuracies: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """The content of drift.json; equal logs give equal contents.

    Args:
        monitor: After its last stretch.
        losses: Records that the log itself dropped, by reason.
        earlier: The timeline of the file before.
        accuracies: By the arm's name.
    """
    state = monitor.state
    arms = {
        name: _arm(monitor, arm) | ({"accuracy": accuracies[name]} if name in accuracies else {})
        for name, arm in state.current().items()
    }
    return {
        "format": FORMAT,
        "log": {
            "rows": state.rows,
            "settled_until": monitor.settled_until(),
            "first": state.first,
            "losses": dict(losses),
            "failures": state.failures[1],
            "from_the_future": state.ahead,
        },
        "promise": promise(monitor),
        "reference": _reference(monitor),
        "arms": arms,
        "alarms": [
            {
                "arm": arm,
                "stream": name,
                "since": stream.alarm_since,
                "rising_since": stream.rising_since,
                "evidence_log10": log10(stream.detector.log_evidence()),
                "direction": stream.detector.direction(),
                "incident": stream.incident,
            }
            for (arm, name), stream in monitor.alarms().items()
        ],
        "timeline": _timeline(monitor, earlier),
    }


def promise(monitor: Monitor) -> dict[str, Any]:
    """What the alarms promise, and under which conditions."""
    plan = monitor.plan
    streams = monitor.references.adopted_streams()
    block = duration(plan.block_seconds)
    return {
        "horizon_days": plan.horizon_days,
        "block_seconds": plan.block_seconds,
        "blocks": plan.blocks,
        "false_alarms": plan.false_alarms,
        "evidence_limit_log10": log10(plan.log_limit),
        "tolerance_rank": plan.tolerance_rank,
        "tolerance_share": plan.tolerance_share,
        "streams": streams,
        "sentence": (
            f"Any false alarm of the {streams} streams within {plan.horizon_days} days: at most "
            f"{plan.false_alarms:.0%}, if each mean stays in its zone (the reference's, plus "
            f"{plan.tolerance_rank} of a rank or {plan.tolerance_share} of a share). "
            f"Blocks of {block}; equal texts of a block count once."
        ),
    }


def duration(seconds: int) -> str:
    """A length of time for people."""
    for unit, size in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds % size == 0:
            count = seconds // size
            return f"{count} {unit}" + ("s" if count > 1 else "")
    return f"{seconds} seconds"


def read_timeline(folder: Path, until: float | None) -> list[dict[str, Any]]:
    """The entries of an earlier drift.json up to a moment; none if the file can't be used."""
    try:
        content = json.loads((folder / FILE).read_bytes())
        return [entry for entry in content["timeline"] if entry["end"] <= (until or 0.0)]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def write(folder: Path, content: Mapping[str, Any]) -> None:
    """Write drift.json.

    Raises:
        StorageError: The disk refused.
    """
    write_text(folder / FILE, canonical_json(content))


def table(content: Mapping[str, Any]) -> list[str]:
    """A line per stream, with the arms' names above; nothing where there are no arms."""
    lines = []
    for name, arm in content["arms"].items():
        lines.append(
            f"{name}  {arm['rows']:,} answers, {arm['distinct_texts']:,} distinct texts, "
            f"bundle {arm['digest'][:12]}, compared with {arm['reference'] or 'nothing'}"
        )
        if not arm["streams"]:
            continue
        lines.append(f"  {'stream':<28} {'mean':>6} {'usual':>6}  {'zone':<13}  evidence")
        for stream, one in arm["streams"].items():
            mean = "-" if one["mean"] is None else f"{one['mean']:.3f}"
            zone = f"{one['zone'][0]:.3f}-{one['zone'][1]:.3f}"
            shown = "-" if one["evidence_log10"] is None else f"{one['evidence_log10']:.1f}"
            limit = content["promise"]["evidence_limit_log10"]
            alarm = ""
            if one["alarm_since"] is not None:
                alarm = f"  ALARM since {utc(one['alarm_since'])}, {one['direction']} the zone"
            lines.append(
                f"  {_short(stream):<28} {mean:>6} {one['reference_mean']:>6.3f}  {zone:<13}  "
                f"{shown} of {limit:.1f}{alarm}"
            )
    return lines


def verdict(content: Mapping[str, Any]) -> str:
    """One line that says what is the matter."""
    alarms = content["alarms"]
    if not content["log"]["rows"]:
        return "Nothing to judge yet: no block of the log is complete."
    if alarms:
        incidents = len({alarm["incident"] for alarm in alarms})
        names = ", ".join(
            f"{alarm['arm']}/{_short(alarm['stream'])} ({alarm['direction']})" for alarm in alarms
        )
        return (
            f"{len(alarms)} alarm{'s' * (len(alarms) > 1)} in {incidents} "
            f"incident{'s' * (incidents > 1)} since {utc(alarms[0]['since'])}: {names}."
        )
    unlike = sorted({name for arm in content["arms"].values() for name in arm["unlike_training"]})
    if content["reference"]["kind"] == "training":
        what = f"unlike the validation rows in {', '.join(unlike)}" if unlike else "like them"
        return (
            f"No reference is adopted, so nothing can raise an alarm. The traffic is {what}. "
            "Adopt traffic that you accept with --adopt SINCE..UNTIL."
        ).replace("is like them", "is like the validation rows")
    return "No alarm: every stream is in its zone."


def _reference(monitor: Monitor) -> dict[str, Any]:
    adopted = monitor.references.adopted
    if adopted is None:
        return {"kind": "training", "since": None, "until": None, "rows": None, "digest": None}
    return {
        "kind": "adopted",
        "since": adopted.since,
        "until": adopted.until,
        "rows": sum(arm.rows for arm in adopted.arms.values()),
        "digest": adopted.digest,
    }


def _arm(monitor: Monitor, arm: Arm) -> dict[str, Any]:
    streams = {}
    for name, stream in arm.streams.items():
        mean = stream.mean
        streams[name] = {
            "mean": None if mean is None else round(mean, 4),
            "reference_mean": round(arm.references[name].mean, 4),
            "zone": [round(stream.detector.zone.low, 4), round(stream.detector.zone.high, 4)],
            "rows": stream.rows,
            "evidence_log10": log10(stream.detector.log_evidence()),
            "direction": stream.detector.direction() if stream.rows else None,
            "alarm_since": stream.alarm_since,
            "acknowledged": stream.acknowledged,
        }
    return {
        "digest": arm.digest,
        "rows": arm.rows,
        "distinct_texts": arm.distinct_texts,
        "reference": arm.kind,
        "state": _state(arm),
        "streams": streams,
        "unlike_training": monitor.unlike_training(arm),
    }


def _state(arm: Arm) -> str:
    if arm.kind is None:
        return "no_reference"
    if not arm.distinct_texts:
        return "too_few"
    alarm = any(stream.alarm_since is not None for stream in arm.streams.values())
    return "alarm" if alarm else "ok"


def _timeline(monitor: Monitor, earlier: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    by_arm: dict[str, list[dict[str, Any]]] = {}
    for entry in [*earlier, *monitor.timeline]:
        labels = {
            name.removeprefix(LABEL): mean
            for name, (mean, _) in entry["streams"].items()
            if name.startswith(LABEL)
        }
        by_arm.setdefault(entry["arm"], []).append({**entry, "labels": labels})
    kept = [entry for entries in by_arm.values() for entry in entries[-TIMELINE:]]
    return sorted(kept, key=lambda entry: (entry["end"], entry["arm"], entry["start"]))


def _short(name: str) -> str:
    return name if len(name) <= 28 else name[: 28 - len(TRUNCATED)] + TRUNCATED

"""One run of the monitor: from the log and its files to its files."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from linnet.bundle import Bundle
from linnet.errors import UsageError
from linnet.files import locked, write_text
from linnet.monitor.drift import report
from linnet.monitor.drift.accuracies import accuracies
from linnet.monitor.drift.adopt import KnownBundle, adopt, utc
from linnet.monitor.drift.hours import AHEAD_SECONDS, read_stretches
from linnet.monitor.drift.monitor import Monitor, Plan
from linnet.monitor.drift.references import (
    FILE as REFERENCE,
)
from linnet.monitor.drift.references import (
    References,
    read_adopted,
    share_streams,
    training_references,
)
from linnet.monitor.drift.state import State, read_state
from linnet.monitor.prediction_log import Store

LOCK = ".monitor.lock"
FAILURES = 10_000  # that are read at once


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run found.

    Attributes:
        content: Of drift.json.
        notes: Sentences for people about the log and the files.
    """

    content: Mapping[str, Any]
    notes: list[str] = field(default_factory=list)


def run(
    store: Store,
    bundles: Sequence[Bundle],
    folder: Path,
    plan: Plan,
    window: tuple[float, float] | None = None,
    acknowledged: Sequence[str] = (),
    now: float | None = None,
    audit_rate: float = 0.01,
) -> Outcome:
    """Judge what is new in the log, and write drift.json and state.json.

    The same log gives the same files, however often and wherever a run was killed.

    Args:
        store: The log.
        bundles: Those that answer.
        folder: Where the files are, made if missing.
        plan: The promise.
        window: Traffic to adopt as usual: since and until, in seconds since 1970.
        acknowledged: Alarms to end, `ARM/STREAM` or `ARM`.
        now: This machine's clock, to find rows from the future. None: its own.
        audit_rate: The share of texts that the log's settings draw for the audit.

    Raises:
        UsageError: A file can't be used, the log is not the one that they are about, or there is
            nothing to adopt or to acknowledge.
        StorageError: The database can't be read, or the disk refused a write.
    """
    now = time.time() if now is None else now
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / LOCK, wait=False) as held:
        if not held:
            raise UsageError(
                f"Another `linnet monitor` works in {folder}. Wait for it, or choose another --out."
            )
        if window is not None:
            _adopt(store, bundles, folder, plan, window, now)
        return _judge(store, bundles, folder, plan, acknowledged, now, audit_rate)


def _adopt(
    store: Store,
    bundles: Sequence[Bundle],
    folder: Path,
    plan: Plan,
    window: tuple[float, float],
    now: float,
) -> None:
    known = {
        bundle.digest: KnownBundle(
            tuple(bundle.manifest.labels),
            tuple(share_streams(bundle)),
            training_references(bundle),
        )
        for bundle in bundles
    }
    stretches = read_stretches(store, 0, None, plan.block_seconds, now)
    adopted = adopt(stretches, *window, plan.block_seconds, known, plan.tolerances)
    # The state of the reference before does not match this one, so it is made again from the log.
    write_text(folder / REFERENCE, adopted.dumps())


def _judge(
    store: Store,
    bundles: Sequence[Bundle],
    folder: Path,
    plan: Plan,
    acknowledged: Sequence[str],
    now: float,
    audit_rate: float,
) -> Outcome:
    references = References(
        read_adopted(folder), {bundle.digest: training_references(bundle) for bundle in bundles}
    )
    reference = references.adopted.digest if references.adopted else None
    notes: list[str] = []
    state = read_state(folder, references)
    if state is not None and state.settings != plan.to_json():
        notes.append("The settings of [monitor] changed, so the log is judged from its beginning.")
        state = None
    if state is None or state.reference != reference:
        state = State(plan.to_json(), reference)
    _check_log(store, state)
    monitor = Monitor(plan, references, state)
    earlier = report.read_timeline(folder, monitor.settled_until())
    monitor.acknowledge(acknowledged)
    _check_clock(state, plan, now, notes)
    stretches = read_stretches(
        store, state.position, state.block, plan.block_seconds, now, audit_rate
    )
    for stretch in stretches:
        monitor.take(stretch)
    _check_bundles(store, monitor, bundles, notes)
    state.position_id = _id_at(store, state.position)
    _count_failures(store, state)
    losses = store.losses()
    content = report.drift_json(
        monitor, losses, earlier, accuracies(store, monitor, bundles, audit_rate)
    )
    # In this order: what a kill between the two leaves in drift.json is found by its times.
    report.write(folder, content)
    state.write(folder)
    return Outcome(content, notes + _about_log(content, losses))


def _check_log(store: Store, state: State) -> None:
    """Refuse another log than that which the state is about. Retention may have deleted rows."""
    if not state.position or _id_at(store, state.position) == state.position_id:
        return
    next_rows = store.columns(["number"], state.position - 1, 1)["number"]
    any_rows = store.columns(["number"], 0, 1)["number"]
    another = int(next_rows[0]) == state.position if len(next_rows) else len(any_rows) > 0
    if another:
        raise UsageError(
            f"{store.name} is not the log that the monitor's folder is about: its row "
            f"{state.position} is another. Name that log, or choose another folder with --out."
        )


def _check_clock(state: State, plan: Plan, now: float, notes: list[str]) -> None:
    """Let blocks begin again if the next one is far ahead of the clock."""
    if state.block is not None and state.block * plan.block_seconds > now + AHEAD_SECONDS:
        notes.append("The clock was set back: blocks begin again with the next row.")
        state.block = None


def _id_at(store: Store, position: int) -> str | None:
    """The id of the row with a number; None: it is not there."""
    found = store.columns(["number", "id"], position - 1, 1) if position else {"number": []}
    if not len(found["number"]) or int(found["number"][0]) != position:
        return None
    return str(found["id"][0])


def _check_bundles(
    store: Store, monitor: Monitor, bundles: Sequence[Bundle], notes: list[str]
) -> None:
    arms = monitor.state.current().values()
    strange = [arm for arm in arms if arm.kind is None]
    if arms and len(strange) == len(arms) and len(monitor.state.arms) == len(strange):
        named = ", ".join(f"{bundle.path} ({bundle.digest[:12]})" for bundle in bundles)
        found = ", ".join(sorted({arm.digest[:12] for arm in strange}))
        raise UsageError(
            f"{store.name} has no answers of {named}, only of the bundle {found}. Name that bundle."
        )
    notes += [
        f"The arm {arm.name} answers with the bundle {arm.digest[:12]}. Name it too to watch it."
        for arm in strange
    ]


def _count_failures(store: Store, state: State) -> None:
    after, texts = state.failures
    while found := store.failures(after, FAILURES):
        after = found[-1][0]
        texts += sum(failure.texts for _, failure in found)
    state.failures = after, texts


def _about_log(content: Mapping[str, Any], losses: Mapping[str, int]) -> list[str]:
    notes = []
    if ahead := content["log"]["from_the_future"]:
        notes.append(
            f"{ahead:,} rows have a time in the future and were left out. "
            "Check the servers' clocks."
        )
    if losses:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(losses.items()))
        notes.append(f"The log lost records: {reasons}. Its figures may be wrong by as many.")
    return notes


def known_times(content: Mapping[str, Any]) -> str:
    """From when until when the log was judged."""
    log = content["log"]
    if log["first"] is None:
        return "nothing"
    return f"{utc(log['first'])} to {utc(log['settled_until'])}"

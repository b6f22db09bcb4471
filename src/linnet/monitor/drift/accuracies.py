"""How often each arm is right: its recent answers, and the audited ones, judged by `accuracy`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from linnet.bundle import Bundle
from linnet.monitor.accuracy import AccuracyTable, Answers, CalibrationAlarm, assess, measure
from linnet.monitor.drift.arm import Arm
from linnet.monitor.drift.monitor import DAY, Monitor
from linnet.monitor.prediction_log import Record, Store
from linnet.monitor.prediction_log.hashing import audited
from linnet.monitor.prediction_log.truth import Truth
from linnet.monitor.reference import Reference, read_reference

RECENT = 5000  # rows of the log that an estimate is about
PAGE = 10_000
DIGITS = 6  # of a figure in the file
AUDIT = "audit"
COLUMNS = (
    "number",
    "arm",
    "digest",
    "label",
    "probability",
    "abstained",
    "fast",
    "probabilities",
    "text_hash",
    "tokens",
    "words",
    "surprise",
)


def accuracies(
    store: Store, monitor: Monitor, bundles: Sequence[Bundle], audit_rate: float
) -> dict[str, dict[str, Any]]:
    """The accuracy of each arm whose bundle is known, for drift.json.

    The estimate is about the last `RECENT` rows that were judged. The audit is about all rows that
    the log still has of the arm's bundle, since the monitor's state began.

    Raises:
        BundleError: A reference.json can't be used.
        StorageError: The database can't be read.
    """
    known = {bundle.digest: bundle for bundle in bundles}
    truths = _audit_truths(store)
    records = store.of_ids(sorted(truths))
    first = store.columns(["time"], 0, 1)["time"]
    oldest_day = int(first[0] // DAY) if len(first) else 0
    alarms = list(monitor.alarms())
    found = {}
    for name, arm in monitor.state.current().items():
        if arm.digest not in known:
            continue
        bundle = known[arm.digest]
        reference = read_reference(bundle)
        own = [
            record
            for record in records
            if record.arm == name and record.digest == arm.digest and audited(record.id, audit_rate)
        ]
        own.sort(key=lambda record: (truths[record.id].time, record.id))
        answered = [record for record in own if not record.abstained]
        right = np.array([_is_right(record, truths[record.id]) for record in answered], bool)
        drawn = sum(count for day, count in arm.audited.items() if day >= oldest_day)
        missing = max(0, drawn - len(own))
        found[name] = _rounded(
            assess(
                reference,
                bundle.manifest.labels,
                _recent(store, arm, monitor.state.position, len(bundle.manifest.labels)),
                measure(int(right.sum()), int((~right).sum()), missing),
                _calibration(reference, answered, right),
                [stream for alarm_arm, stream in alarms if alarm_arm == name],
            )
        )
    return found


def _audit_truths(store: Store) -> dict[str, Truth]:
    found: dict[str, Truth] = {}
    after = 0
    while rows := store.truths(after, PAGE):
        after = rows[-1][0]
        for _, truth in rows:
            if truth.source == AUDIT and truth.replaces(found.get(truth.id)):
                found[truth.id] = truth
    return found


def _is_right(record: Record, truth: Truth) -> bool:
    return set(record.labels) == set(truth.labels)


def _calibration(
    reference: Reference, records: Sequence[Record], right: Any
) -> CalibrationAlarm | None:
    if not records or not reference.accuracy_table:
        return None
    alarm = CalibrationAlarm.of_validation(reference.accuracy, reference.rows)
    answers = Answers(
        np.array([record.probability for record in records]),
        [record.label for record in records],
        np.array([record.abstained for record in records]),
        np.array([record.fast for record in records]),
    )
    alarm.update(right, AccuracyTable(reference).expected(answers))
    return alarm


def _recent(store: Store, arm: Arm, position: int, labels: int) -> Answers:
    columns = store.columns(COLUMNS, max(0, position - RECENT), RECENT)
    numbers = np.asarray(columns["number"])
    keys = zip(columns["arm"], columns["digest"], strict=True)
    own = [key == (arm.name, arm.digest) for key in keys]
    rows = np.flatnonzero(np.array(own, bool) & (numbers <= position))
    _, first = np.unique(np.asarray(columns["text_hash"])[rows], return_index=True)
    hashes = np.asarray(columns["text_hash"])[rows]
    # Rows of older logs have no hash: each counts.
    keep = np.sort(first) if len(hashes) and hashes.all() else np.arange(len(rows))
    rows = rows[keep]
    tokens = np.asarray(columns["tokens"], float)[rows]
    words = np.asarray(columns["words"], float)[rows]
    with np.errstate(divide="ignore", invalid="ignore"):
        pieces = np.where(words > 0, 1 - words / tokens, np.nan)
    confidence = np.asarray(columns["probability"], float)[rows]
    return Answers(
        confidence,
        [columns["label"][row] for row in rows],
        np.asarray(columns["abstained"], bool)[rows],
        np.asarray(columns["fast"], bool)[rows],
        _probabilities([columns["probabilities"][row] for row in rows], labels),
        {
            "confidence": confidence,
            "tokens": tokens,
            "pieces": pieces,
            "surprise": np.asarray(columns["surprise"], float)[rows],
        },
    )


def _probabilities(stored: Sequence[bytes | None], labels: int) -> Any:
    """Float (n, labels); None if any is not known."""
    if not stored or any(one is None or len(one) != 2 * labels for one in stored):
        return None
    return np.frombuffer(b"".join(filter(None, stored)), "<f2").reshape(-1, labels).astype(float)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, DIGITS)
    if isinstance(value, Mapping):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(one) for one in value]
    return value

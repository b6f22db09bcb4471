"""Measured, estimated or unknown: the `accuracy` of an arm in drift.json."""

from collections.abc import Sequence
from typing import Any

from linnet.monitor.accuracy.answers import Answers
from linnet.monitor.accuracy.audit import Audit, labels_needed
from linnet.monitor.accuracy.calibration import CalibrationAlarm
from linnet.monitor.accuracy.estimate import AccuracyTable, Estimate
from linnet.monitor.accuracy.gates import WATCHED, apart, unlike_streams
from linnet.monitor.accuracy.label_shift import estimate_under_label_shift
from linnet.monitor.reference import Reference

MEASURED_HALF_WIDTH = 0.1  # of the interval at any look; some 140 labels
FEWEST_ANSWERS = 100  # for an estimate


def assess(
    reference: Reference | None,
    labels: Sequence[str],
    answers: Answers,
    audit: Audit | None = None,
    calibration: CalibrationAlarm | None = None,
    alarms: Sequence[str] = (),
) -> dict[str, Any]:
    """The accuracy of an arm.

    Measured wins if its interval is narrow enough. Else the estimate is shown, if nothing says
    that the traffic is unlike the validation rows. Else the accuracy is unknown.

    Args:
        reference: Of the arm's bundle; None: not known.
        labels: All labels of the model, in its order.
        answers: To the distinct texts of the window.
        audit: Its audited answers; None: nothing was labelled.
        calibration: Fed with the arm's audited answers.
        alarms: Streams with an active drift alarm.

    Returns:
        `state`, `value`, `low`, `high`, `reason`, `measured`, `estimated`, `labels_needed` and
        `calibration_evidence_log10`. The three numbers are None if the state is unknown.
        `estimated` holds what was computed even where it is not shown.
    """
    table, shifted = _estimates(reference, labels, answers)
    measured = audit.to_json() if audit else None
    found: dict[str, Any] = {
        "state": "unknown",
        "value": None,
        "low": None,
        "high": None,
        "reason": None,
        "measured": measured,
        "estimated": _to_json(table, shifted),
        "labels_needed": None,
        "calibration_evidence_log10": calibration.evidence_log10 if calibration else None,
    }
    if measured and audit and audit.half_width <= MEASURED_HALF_WIDTH:
        bounds = {key: measured[key] for key in ("value", "low", "high")}
        return found | bounds | {"state": "measured", "reason": f"{audit.labels:,} audited texts"}
    reason = _reason(reference, answers, table, shifted, audit, calibration, alarms)
    if reason is None and table is not None:
        bounds = {"value": table.value, "low": table.low, "high": table.high}
        return found | bounds | {"state": "estimated", "reason": _assumption(audit)}
    share = audit.right / audit.labels if audit else table.value if table else 0.5
    counted = audit.labels if audit else 0
    needed = labels_needed(share, MEASURED_HALF_WIDTH, counted)
    return found | {"reason": reason, "labels_needed": needed}


def _estimates(
    reference: Reference | None, labels: Sequence[str], answers: Answers
) -> tuple[Estimate | None, Estimate | None]:
    if reference is None or not reference.accuracy_table or not len(answers):
        return None, None
    table = AccuracyTable(reference).estimate(answers)
    return table, estimate_under_label_shift(reference, answers, labels)


def _reason(
    reference: Reference | None,
    answers: Answers,
    table: Estimate | None,
    shifted: Estimate | None,
    audit: Audit | None,
    calibration: CalibrationAlarm | None,
    alarms: Sequence[str],
) -> str | None:
    """Why the estimate is not shown; None: it is."""
    if reference is None or not reference.accuracy_table:
        return "The bundle has no accuracy table. Export it again."
    if table is None or table.rows < FEWEST_ANSWERS:
        count = table.rows if table else 0
        return f"The window has {count} answers, and an estimate needs {FEWEST_ANSWERS}."
    if calibration and calibration.raised:
        more = "more" if calibration.direction == "above" else "less"
        return f"Audited answers are right {more} often than in validation."
    if drifted := [name for name in WATCHED if name in alarms]:
        return f"A drift alarm is active on {_listed(drifted)}."
    if unlike := unlike_streams(reference, answers.streams):
        return f"The texts are unlike validation: {_listed(unlike)}."
    if shifted and apart(table, shifted):
        return (
            f"The two estimates differ: {table.value:.1%} by confidence, "
            f"{shifted.value:.1%} if only the shares of the labels changed."
        )
    if audit:
        seen = audit.to_json()
        if seen["low"] > table.high or seen["high"] < table.low:
            return "The audited texts contradict the estimate."
    return None


def _assumption(audit: Audit | None) -> str:
    seen = f", which {audit.labels:,} audited texts do not contradict" if audit else ""
    return f"if equal confidence means equal accuracy{seen}"


def _to_json(table: Estimate | None, shifted: Estimate | None) -> dict[str, Any] | None:
    if table is None:
        return None
    return {
        "value": table.value,
        "low": table.low,
        "high": table.high,
        "label_shift": shifted.value if shifted else None,
        "rows": table.rows,
    }


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)

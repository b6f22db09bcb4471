"""The guardrails of a challenger: which events it has more often than the champion.

What is harmful, and with which weight, is one list for the running service and for the log:
`linnet.monitor.evidence.harm`. What users report is shown, and never rolls anything back: an open
route for feedback would let one client do that.
"""

from math import exp, isfinite, log
from typing import Any

from linnet.monitor.evidence import interval_at_any_look, log_evidence_of_any_harm
from linnet.monitor.experiment.statistics import (
    ANY_FEEDBACK,
    HARMFUL,
    KINDS,
    REPORTED_WRONG,
    Challenger,
    ratio_test,
)

ALPHA = 0.05
OPEN = 20.0  # evidence of one guardrail at which the next step waits
MISMATCH = 100.0  # evidence against the share of units: 1 % false
LN10 = log(10)


def log10(log_value: float) -> float:
    """A natural logarithm as one to base 10, rounded so that equal counts give equal bytes."""
    return round(log_value / LN10, 4)


def rounded(value: float, digits: int = 6) -> float | None:
    """A number for a file; None for infinity."""
    return round(value, digits) if isfinite(value) else None


def guardrails(counts: Challenger) -> dict[str, dict[str, Any]]:
    """Each kind of event as experiment.json has it; `low` and `high` are of the ratio of rates."""
    found = {kind: _guardrail(counts, kind) for kind in KINDS}
    feedback = found[ANY_FEEDBACK]
    # Users of one arm who say more about it also report more errors.
    unequal = feedback["low"] > 1 or (feedback["high"] is not None and feedback["high"] < 1)
    found[REPORTED_WRONG]["doubtful"] = unequal
    return found


def harm_evidence_log10(counts: Challenger) -> float:
    """The evidence of harm of all harmful kinds together, as in the running service."""
    return log10(log_evidence_of_any_harm({kind: counts.event_counts(kind) for kind in HARMFUL}))


def open_guardrails(found: dict[str, dict[str, Any]]) -> list[str]:
    """Harmful kinds whose evidence alone is at 20 or more."""
    return [kind for kind in HARMFUL if found[kind]["evidence_log10"] >= round(log(OPEN) / LN10, 4)]


def unshown_guardrails(
    found: dict[str, dict[str, Any]], margin: float, rare: float
) -> dict[str, float | None]:
    """Harmful kinds that may still be worse than allowed, with the upper end of their ratio.

    A kind is shown to be harmless if the ratio of rates is below the margin. Where events are so
    rare that no ratio can be known, the challenger's rate itself may be shown to be negligible.

    Args:
        found: From `guardrails`.
        margin: The ratio of rates that is allowed.
        rare: The share of units with an event that is allowed whatever the champion's.
    """
    unshown = {}
    for kind in HARMFUL:
        one = found[kind]
        if one["high"] is not None and one["high"] < margin:
            continue
        if one["challenger"]["units"] and one["challenger_rate_high"] < rare:
            continue
        unshown[kind] = one["high"]
    return unshown


def sample_ratio(counts: Challenger) -> dict[str, Any]:
    """Whether the units fell to the arms as asked, when assigned and when answered.

    The evidence is the mean of the two tests, which is valid however they depend on each other.
    """
    assigned = ratio_test(counts.assigned).log_evidence()
    answered = ratio_test(counts.answered).log_evidence()
    evidence = log10(_log_mean_of_two(assigned, answered))
    units = sum(champion + challenger for _, champion, challenger in counts.assigned)
    asked = sum(share * (first + second) for share, first, second in counts.assigned)
    seen = sum(challenger for _, _, challenger in counts.assigned)
    limit = round(log(MISMATCH) / LN10, 4)
    return {
        "asked": round(asked / units, 6) if units else None,
        "seen": round(seen / units, 6) if units else None,
        "units": units,
        "assigned_log10": log10(assigned),
        "answered_log10": log10(answered),
        "evidence_log10": evidence,
        "limit_log10": limit,
        "mismatch": evidence >= limit,
    }


def _guardrail(counts: Challenger, kind: str) -> dict[str, Any]:
    events = counts.event_counts(kind)
    low, high = events.ratio_interval(ALPHA)
    units = max(counts.units, events.challenger)
    _, most = interval_at_any_look(events.challenger, units - events.challenger, ALPHA)
    return {
        "champion": {"events": events.champion, "units": counts.champion_units},
        "challenger": {"events": events.challenger, "units": counts.units},
        "ratio": _ratio(counts, kind),
        "low": round(low, 6),
        "high": rounded(high),
        "challenger_rate_high": round(most, 6),
        "evidence_log10": log10(events.log_evidence_of_harm()),
        "doubtful": False,
    }


def _ratio(counts: Challenger, kind: str) -> float | None:
    """Events of the challenger over those that its share of all events would give, as rates."""
    rows = counts.events.get(kind, [])
    challenger = sum(second for _, _, second in rows)
    # Mantel and Haenszel's estimate over the shares.
    above = sum((1 - share) * second for share, _, second in rows)
    below = sum(share * first for share, first, _ in rows)
    if not below:
        return None if challenger or not rows else 0.0
    return round(above / below, 6)


def _log_mean_of_two(first: float, second: float) -> float:
    largest = max(first, second)
    return largest + log((1 + exp(min(first, second) - largest)) / 2)

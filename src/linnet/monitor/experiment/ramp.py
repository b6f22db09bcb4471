"""The steps of a challenger from a shadow to all of the traffic, each with its conditions.

No condition here shows that the challenger is good; that is for `linnet decide`. These keep a step
from coming too early.
"""

from collections.abc import Mapping, Sequence
from math import log
from typing import Any

from linnet.monitor.experiment.accuracy import SHOWN
from linnet.monitor.experiment.guardrails import LN10, open_guardrails
from linnet.monitor.experiment.statistics import Challenger

WHOLE_DAY = 0.05  # share from which a step lasts `min_hours`, because days have their hours
MISSING = 0.05  # part of the pairs that may be missing
SHOWN_LOG10 = round(log(SHOWN) / LN10, 4)


def ramp(
    counts: Challenger,
    found: Mapping[str, Any],
    horizon: float | None,
    steps: Sequence[float],
    min_hours: float,
    min_units: int,
) -> dict[str, Any]:
    """The present share, the next one, and whether it may come.

    Args:
        counts: Of the challenger.
        found: What experiment.json says of it.
        horizon: Time of the last settled row.
        steps: The shares of the schedule, growing.
        min_hours: That a step takes at a share of 5 % or more.
        min_units: That the challenger is given at a share.
    """
    now = 0.0 if counts.role == "shadow" else counts.share
    following = next((step for step in steps if step > now + 1e-9), None)
    if counts.role == "shadow":
        conditions = _of_shadow(counts, found)
    else:
        needed = min_hours if now >= WHOLE_DAY else 0.0
        conditions = _of_share(counts, found, hours(counts.step_began, horizon), needed, min_units)
    return {
        "now": now,
        "next": following,
        "may_step": following is not None and all(one["met"] for one in conditions),
        "conditions": conditions,
    }


def hours(since: float | None, horizon: float | None) -> float:
    """Hours from a moment to the last settled row."""
    if since is None or horizon is None:
        return 0.0
    return round(max(0.0, horizon - since) / 3600, 2)


def _of_shadow(counts: Challenger, found: Mapping[str, Any]) -> list[dict[str, Any]]:
    pairs = counts.pairs
    shown = found["paired"]["non_inferiority_log10"] if found["paired"] else None
    missing = pairs.missing / pairs.expected if pairs and pairs.expected else 0.0
    return [
        _condition(
            "accuracy is no worse", shown is not None and shown >= SHOWN_LOG10, shown, SHOWN_LOG10
        ),
        _condition("pairs are complete", missing <= MISSING, round(missing, 4), MISSING),
    ]


def _of_share(
    counts: Challenger,
    found: Mapping[str, Any],
    spent: float,
    min_hours: float,
    min_units: int,
) -> list[dict[str, Any]]:
    opened = open_guardrails(found["guardrails"])
    ratio = found["ratio"]
    return [
        _condition("has a share", counts.share > 0, counts.share, None),
        _condition(
            "units at this share", counts.step_units >= min_units, counts.step_units, min_units
        ),
        _condition("hours at this share", spent >= min_hours, spent, min_hours),
        _condition("no open guardrail", not opened, len(opened), 0),
        _condition(
            "units as asked", not ratio["mismatch"], ratio["evidence_log10"], ratio["limit_log10"]
        ),
    ]


def _condition(name: str, met: bool, value: Any, needed: Any) -> dict[str, Any]:
    return {"name": name, "met": met, "value": value, "needed": needed}

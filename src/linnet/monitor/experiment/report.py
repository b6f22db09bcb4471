"""experiment.json: what the counts of an experiment say. Equal counts give equal bytes."""

from math import log
from typing import Any

from linnet.config import ExperimentConfig
from linnet.monitor.experiment.accuracy import paired, split_accuracy, user_feedback_note
from linnet.monitor.experiment.guardrails import (
    LN10,
    guardrails,
    harm_evidence_log10,
    sample_ratio,
)
from linnet.monitor.experiment.ramp import hours, ramp
from linnet.monitor.experiment.statistics import Challenger, Statistics

FILE = "experiment.json"
FORMAT = 1


def experiment_json(statistics: Statistics, settings: ExperimentConfig) -> dict[str, Any]:
    """The content of experiment.json.

    Args:
        statistics: The counts.
        settings: `[experiment]`: the limits, the margins and the steps.
    """
    return {
        "format": FORMAT,
        "experiment": statistics.experiment,
        "champion": statistics.champion,
        "horizon": statistics.horizon,
        "epochs": statistics.epochs,
        "challengers": {
            name: judge(counts, statistics.horizon, settings)
            for name, counts in sorted(statistics.challengers.items())
        },
        "losses": {
            "log_share": round(statistics.log_share, 6),
            "pairs_missing_share": round(statistics.missing_share, 6),
        },
        "notes": notes(statistics),
        "statistics": statistics.model_dump(mode="json"),
    }


def judge(counts: Challenger, horizon: float | None, settings: ExperimentConfig) -> dict[str, Any]:
    """One challenger as experiment.json has it."""
    found: dict[str, Any] = {
        "digest": counts.digest,
        "role": counts.role,
        "share": counts.share,
        "units": counts.units,
        "texts": counts.texts,
        "hours": hours(counts.began, horizon),
        "ratio": sample_ratio(counts),
        "guardrails": guardrails(counts),
        "harm_evidence_log10": harm_evidence_log10(counts),
        "harm_limit_log10": round(log(settings.evidence) / LN10, 4),
        "paired": paired(counts.pairs, settings.margin) if counts.pairs else None,
        "split_accuracy": split_accuracy(counts.audited) if counts.audited else None,
        "user_feedback_note": user_feedback_note(counts),
    }
    found["ramp"] = ramp(
        counts, found, horizon, settings.ramp, settings.min_hours, settings.min_units
    )
    return found


def notes(statistics: Statistics) -> list[str]:
    """What a reader of the figures has to know, a sentence each."""
    found = []
    if statistics.horizon is None:
        found.append("The log holds no settled row yet. Rows settle after a minute.")
    elif statistics.champion is None:
        found.append(
            "The log names no arms, because an older version wrote it. Run the service with this "
            "version."
        )
    elif not statistics.challengers:
        found.append("The service has no challenger and no shadow now, so nothing is compared.")
    if statistics.without_epoch and statistics.champion is not None:
        found.append(
            f"{statistics.without_epoch:,} rows of an older version name no arms and are left out."
        )
    if statistics.ahead:
        found.append(
            f"{statistics.ahead:,} rows have a time in the future and are left out. Check the "
            "servers' clocks."
        )
    if statistics.lost:
        found.append(
            f"The log lost {statistics.lost:,} records ({statistics.log_share:.2%}), mostly under "
            "load. Over 1 % the comparison is not valid."
        )
    split = [one for one in statistics.challengers.values() if one.units]
    if split and statistics.keyed_share < 0.5:
        found.append(
            "Most requests name no key, so distinct texts are the units. One user may be in both "
            "arms."
        )
    if failed := sum(one.failed_texts for one in split):
        found.append(f"{failed:,} failed texts of floods have no unit and are in no test.")
    if split and statistics.slow_ms is None:
        found.append("Too few answers of the champion are known to say what is slow.")
    if statistics.several_epochs:
        found.append("Servers had different arms or shares in the last minute.")
    if statistics.relabelled:
        found.append(
            f"The labellers of {statistics.relabelled:,} answers disagree; the latest label counts."
        )
    return found

"""Results as the commands write them: two weeks of a service whose traffic changes in the second."""

import json
import math
import random
from pathlib import Path
from typing import Any

START = 1_762_992_000.0  # 2025-11-13 00:00 UTC
HOURS = 14 * 24
CHANGED = 9 * 24  # hour from which half of the texts are foreign
LIMIT = math.log10(43_200)
ARMS = ("champion", "candidate")
DIGESTS = {"champion": "9f" * 32, "candidate": "5c" * 32}
# mean before, mean after, zone
STREAMS = {
    "surprise": (0.50, 0.64, (0.46, 0.54)),
    "confidence": (0.50, 0.455, (0.46, 0.54)),
    "tokens": (0.50, 0.51, (0.46, 0.54)),
    "pieces": (0.50, 0.52, (0.46, 0.54)),
    "truncated": (0.02, 0.03, (0.0, 0.08)),
    "abstained": (0.04, 0.06, (0.0, 0.10)),
    "fast": (0.72, 0.69, (0.66, 0.78)),
    "label:negative": (0.45, 0.58, (0.39, 0.51)),
    "label:neutral": (0.20, 0.17, (0.14, 0.26)),
    "label:positive": (0.35, 0.25, (0.29, 0.41)),
}
SURE = {"surprise", "label:negative"}  # the streams that alarm


def timeline() -> list[dict[str, Any]]:
    """Blocks of six hours of both arms."""
    draw = random.Random(0)
    blocks = []
    for arm in ARMS:
        evidence = dict.fromkeys(STREAMS, 0.0)
        for hour in range(0, HOURS, 6):
            late = hour >= CHANGED
            streams: dict[str, list[float]] = {}
            for name, (before, after, _) in STREAMS.items():
                mean = (after if late else before) + draw.gauss(0, 0.008)
                moved = draw.gauss(0.012, 0.07)
                if late and name in SURE and arm == "champion":
                    moved += 0.36
                elif late and name == "confidence":
                    moved += 0.11
                evidence[name] = max(0.0, evidence[name] + moved)
                streams[name] = [round(mean, 4), round(evidence[name], 4)]
            labels = {name[6:]: streams[name][0] for name in STREAMS if name.startswith("label:")}
            width = 0.12 / math.sqrt(1 + hour / 24)
            middle = 0.81 - (0.05 * (hour - CHANGED) / (HOURS - CHANGED) if late else 0)
            accuracy = {
                "measured": [round(middle - width, 4), round(middle + width, 4)],
                "estimated": None if hour >= CHANGED + 30 else [0.785, 0.835],
            }
            blocks.append(
                {"start": START + 3600 * hour, "rows": 600, "arm": arm, "streams": streams}
                | {"labels": labels, "accuracy": accuracy}
            )
    return blocks


def drift() -> dict[str, Any]:
    """drift.json."""
    blocks = timeline()
    since = START + 3600 * (CHANGED + 72)
    arms: dict[str, Any] = {}
    alarms = []
    for arm in ARMS:
        last = [block for block in blocks if block["arm"] == arm][-1]["streams"]
        streams = {}
        for name, (before, _, zone) in STREAMS.items():
            alarm = since if arm == "champion" and name in SURE else None
            direction = "above" if alarm else None
            streams[name] = {"mean": last[name][0], "reference_mean": before, "zone": list(zone)}
            streams[name] |= {"rows": 33_600, "evidence_log10": last[name][1]}
            streams[name] |= {"direction": direction, "alarm_since": alarm, "acknowledged": None}
            if alarm:
                alarms.append(
                    {"arm": arm, "stream": name, "since": alarm, "direction": "above"}
                    | {"evidence_log10": last[name][1], "incident": 1}
                )
        arms[arm] = {"digest": DIGESTS[arm], "rows": 33_600, "distinct_texts": 30_112}
        arms[arm] |= {"state": "alarm" if arm == "champion" else "ok", "streams": streams}
    measured = {"value": 0.771, "low": 0.731, "high": 0.808, "one_look": [0.744, 0.797]}
    measured |= {"labels": 912, "audited": 940, "missing": 28}
    measured |= {"low_if_missing_wrong": 0.708, "high_if_missing_right": 0.815}
    estimated = {"value": 0.806, "low": 0.785, "high": 0.829, "label_shift": 0.788, "rows": 33_600}
    arms["champion"]["accuracy"] = {"state": "measured", "value": 0.771, "low": 0.731}
    arms["champion"]["accuracy"] |= {"high": 0.808, "reason": None, "measured": measured}
    arms["champion"]["accuracy"] |= {"estimated": estimated, "labels_needed": None}
    arms["champion"]["accuracy"] |= {"calibration_evidence_log10": 1.9}
    arms["candidate"]["accuracy"] = {"state": "unknown", "value": None, "low": None, "high": None}
    arms["candidate"]["accuracy"] |= {
        "reason": "The texts are unlike validation: `surprise` since 25 November.",
        "measured": None,
        "estimated": None,
        "labels_needed": 240,
        "calibration_evidence_log10": 0.0,
    }
    return {
        "format": 1,
        "log": {"rows": 67_200, "settled_until": START + 3600 * HOURS, "first": START}
        | {"losses": {}, "failures": 12},
        "promise": {"horizon_days": 90, "block_seconds": 3600, "false_alarms": 0.05}
        | {"evidence_limit_log10": LIMIT, "blocks": HOURS}
        | {"tolerance_rank": 0.02, "tolerance_share": 0.05},
        "reference": {"kind": "adopted", "since": START - 864_000, "until": START, "rows": 20_000}
        | {"digest": "ab" * 32},
        "arms": arms,
        "alarms": alarms,
        "timeline": blocks,
    }


def guardrail(champion: int, challenger: int, ratio: float, low: float, high: float) -> Any:
    """One guardrail of experiment.json."""
    return {
        "champion": {"events": champion, "units": 28_400},
        "challenger": {"events": challenger, "units": 1_490},
        "ratio": ratio,
        "low": low,
        "high": high,
        "evidence_log10": -0.3,
        "doubtful": False,
    }


def experiment() -> dict[str, Any]:
    """experiment.json."""
    candidate = {
        "digest": DIGESTS["candidate"],
        "role": "challenger",
        "share": 0.05,
        "units": 1_490,
        "texts": 1_688,
        "hours": 31,
        "ratio": {"asked": 0.05, "seen": 0.0499, "evidence_log10": -0.9, "limit_log10": 2.0}
        | {"mismatch": False},
        "guardrails": {
            "failures": guardrail(171, 10, 1.11, 0.52, 2.31),
            "slow": guardrail(1_420, 66, 0.886, 0.66, 1.16),
            "abstained": guardrail(1_136, 49, 0.822, 0.59, 1.12),
            "truncated": guardrail(568, 31, 1.04, 0.68, 1.57),
        },
        "harm_evidence_log10": 0.21,
        "harm_limit_log10": 2,
        "paired": {"texts": 5_412, "same": 5_080, "better": 141, "worse": 96, "pending": 95}
        | {"difference": 0.0083, "low": -0.0049, "high": 0.0214, "non_inferiority_log10": 1.62}
        | {"harm_log10": -1.1, "labels_needed": 0, "margin": 0.01},
        "split_accuracy": None,
        "user_feedback_note": None,
        "ramp": {
            "now": 0.05,
            "next": 0.2,
            "may_step": True,
            "conditions": [
                {"name": "hours", "met": True, "value": 31, "needed": 24},
                {"name": "units", "met": True, "value": 1_490, "needed": 1_000},
                {"name": "not worse than the champion", "met": True, "value": 41.7, "needed": 20},
                {"name": "no open guardrail", "met": True, "value": 0, "needed": 0},
            ],
        },
    }
    return {
        "format": 1,
        "experiment": "November retraining",
        "champion": DIGESTS["champion"],
        "horizon": START + 3600 * HOURS,
        "epochs": 3,
        "challengers": {"candidate": candidate},
        "losses": {"log_share": 0.0, "pairs_missing_share": 0.002},
        "statistics": {},
    }


def decision() -> dict[str, Any]:
    """decision.json."""
    reasons = [
        {"rule": "paired accuracy is not worse", "measured": 0.0083, "threshold": -0.01}
        | {"evidence_log10": 1.62, "assumption": "labels of disagreements, over distinct texts"}
        | {"file": "experiment.json", "digest": "cd" * 32},
        {"rule": "no guardrail is open", "measured": 1.28, "threshold": 2, "evidence_log10": 0.21}
        | {"assumption": None, "file": "experiment.json", "digest": "cd" * 32},
    ]
    return {
        "format": 1,
        "verdict": "promote",
        "arm": "candidate",
        "next_share": 0.2,
        "horizon": START + 3600 * HOURS,
        "reasons": reasons,
        "missing": [],
        "statistics": {},
        "settings": {},
        "versions": {"linnet": "0.1.0"},
        "previous": None,
        "digest": "ef" * 32,
    }


def write(folder: Path, **files: Any) -> Path:
    """Write the three files, or those given instead: a value as JSON, bytes as they are, None: no file."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in {
        "drift": drift(),
        "experiment": experiment(),
        "decision": decision(),
        **files,
    }.items():
        path = folder / f"{name}.json"
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(
                content if isinstance(content, bytes) else json.dumps(content).encode()
            )
    return folder

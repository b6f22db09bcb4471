"""Traffic of a made-up classifier in a real log, and its bundle without weights."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from linnet.bundle import Bundle, write_manifest
from linnet.files import canonical_json
from linnet.monitor.prediction_log import Record, Store

START = 1_760_054_400.0  # 2025-10-10
HOUR = 3600.0
LABELS = ("negative", "neutral", "positive")
SHARES = (0.3, 0.3, 0.4)
RANKED = {"grid": list(np.linspace(0, 1, 101)), "mean": 0.5, "sd": 0.29, "n": 900}
FORMAT_2 = {
    "format": 2,
    "labels": dict(zip(LABELS, SHARES, strict=True)),
    "rates": {"truncated": 0.0, "abstained": 0.0, "fast": 0.0},
    "streams": {"confidence": RANKED, "tokens": RANKED},
    "accuracy_bins": [0.6, 0.8],
    "accuracy_table": [
        {"bin": k, "label": label, "fast": False, "n": 400, "right": 240 + 60 * k}
        for k in range(3)
        for label in LABELS
    ],
    "confusion": [{"true": label, "predicted": label, "n": 1200} for label in LABELS],
}
DIGEST_SEED = 7


def make_bundle(folder: Path, **changes: Any) -> Bundle:
    """A bundle as far as a monitor reads it."""
    folder.mkdir(parents=True)
    shares = dict(zip(LABELS, SHARES, strict=True))
    reference = {
        "format": 1,
        "rows": 4000,
        "accuracy": 0.8,
        "true_labels": shares,
        "predicted_labels": shares,
        "truncated": 0.0,
        "abstained": 0.0,
        "token_length": {"counts": [0] * 5 + [100] * 40},
    }
    (folder / "reference.json").write_text(canonical_json(reference | changes))
    return write_manifest(
        folder,
        name="made-up",
        created="2025-10-01T00:00:00+00:00",
        labels=LABELS,
        problem_type="single_label_classification",
        max_length=64,
        models={"fp32": "model.onnx"},
        temperature=1.0,
        lineage={"seed": DIGEST_SEED},
    )


def make_records(
    digest: str,
    hours: int,
    an_hour: int = 100,
    *,
    seed: int = 0,
    begin: float = START,
    arm: str = "champion",
    shares: tuple[float, ...] = SHARES,
    foreign: float = 0.0,
    **changes: Any,
) -> Iterator[Record]:
    """Answers in the order of their times.

    Args:
        digest: The bundle's.
        hours: How long.
        an_hour: Answers per hour.
        seed: Of the draws.
        begin: Time of the first, in seconds since 1970.
        arm: Who answers.
        shares: Of the labels.
        foreign: The share of texts that are longer, stranger and answered with less confidence.
        **changes: Attributes of all records.
    """
    draw = np.random.default_rng(seed)
    for k in range(hours * an_hour):
        strange = draw.random() < foreign
        label = LABELS[draw.choice(len(LABELS), p=shares)]
        values: dict[str, Any] = {
            "id": f"{arm}-{seed}-{begin:.0f}-{k:08d}",
            "time": begin + k * HOUR / an_hour,
            "arm": arm,
            "digest": digest,
            "label": label,
            "labels": (label,),
            "probability": float(draw.beta(2, 2) if strange else draw.beta(8, 2)),
            "tokens": int(draw.integers(25, 45) if strange else draw.integers(5, 45)),
            "truncated": False,
            "abstained": False,
            "fast": False,
            "shadow": False,
            "latency_ms": 5.0,
            "text_hash": int(draw.integers(1, 2**62)),
            "surprise": float(draw.gamma(9 if strange else 6)),
        }
        values["words"] = int(values["tokens"] * draw.uniform(0.6, 0.9))
        yield Record(**values | changes)


def fill(path: Path, *parts: Iterator[Record]) -> str:
    """Add records to a log; give its path."""
    with Store(str(path)) as store:
        for part in parts:
            store.add(list(part))
    return str(path)

"""A small log of two arms, as a service would have written it."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from linnet.monitor.prediction_log import Record, Store

NOW = 1_760_000_000.0
WORDS = "amber birch cedar delta ember fjord grove heath islet jetty knoll lagoon marsh".split()


def make_text(number: int) -> str:
    """A text that is no near copy of another one's."""
    return " ".join(random.Random(number).choices(WORDS, k=12)) + f" {number}"


def make_id(number: int) -> str:
    return f"{number * 7919:032x}-0"


@pytest.fixture
def fill() -> Callable[..., None]:
    """Adds answers of two arms; the second, a shadow, differs on every tenth text."""

    def add(store: Store, count: int = 400, first: int = 0, **changes: Any) -> None:
        records = []
        for number in range(first, first + count):
            positive = number % 2 == 0
            confidence = 0.5 + 0.5 * random.Random(number).random()
            for arm, shadow in (("champion", False), ("candidate", True)):
                is_other = shadow and number % 10 == 0
                label = "positive" if positive != is_other else "negative"
                values: dict[str, Any] = {
                    "id": make_id(number),
                    "time": NOW + number,
                    "arm": arm,
                    "digest": arm[0] * 64,
                    "label": label,
                    "labels": (label,),
                    "probability": confidence,
                    "tokens": 20,
                    "truncated": False,
                    "abstained": False,
                    "fast": False,
                    "shadow": shadow,
                    "latency_ms": 3.0,
                    "text": make_text(number),
                    "text_hash": number + 1,
                    "surprise": random.Random(-number).random(),
                }
                records.append(Record(**values | changes))
        assert store.add(records, texts=True) == 0

    return add


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(str(tmp_path / "log.db")) as opened:
        yield opened


def probabilities(*values: float) -> bytes:
    return np.array(values, dtype="<f2").tobytes()

"""A log as a service writes it while a challenger or a shadow is next to the champion."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from linnet.monitor import ArmInEpoch, Epoch, Failure, Record, Store, Truth

START = 1_760_000_000.0
NOW = START + 1e7
DIGESTS = {"champion": "a" * 64, "candidate": "b" * 64, "second": "c" * 64}


def epoch(
    share: float,
    role: str = "challenger",
    experiment: str = "test",
    time: float = START,
    **digests: str,
) -> Epoch:
    """The champion next to a candidate."""
    names = DIGESTS | digests
    left = 1 - share if role == "challenger" else 1.0
    arms = {
        "champion": ArmInEpoch(names["champion"], "champion", left),
        "candidate": ArmInEpoch(names["candidate"], role, share),
    }
    return Epoch.of(time, experiment, arms)


@dataclass
class Log:
    """Rows that wait to be stored; every call of `answer` is a second later."""

    records: list[Record] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    truths: list[Truth] = field(default_factory=list)
    epochs: dict[int, Epoch] = field(default_factory=dict)
    time: float = START
    number: int = 0

    def answer(
        self, of: Epoch | None, arm: str, unit: int, label: str = "good", **changes: Any
    ) -> str:
        """An answer of an arm; gives its id."""
        if of is not None:
            self.epochs[of.epoch] = of
        self.time += 1
        self.number += 1
        values: dict[str, Any] = {"id": f"{self.number:032x}-0", "time": self.time, "arm": arm}
        values |= {"digest": of.arms[arm].digest if of else DIGESTS[arm], "label": label}
        values |= {"labels": (label,), "probability": 0.9, "tokens": 9, "truncated": False}
        values |= {"abstained": False, "fast": False, "shadow": False, "latency_ms": 10.0}
        values |= {"epoch": of.epoch if of else 0, "unit": unit, "text_hash": unit}
        self.records.append(Record(**values | changes))
        return str(self.records[-1].id)

    def pair(self, of: Epoch, text: int, champion: str, shadow: str, **changes: Any) -> str:
        """The champion's answer and a shadow's to the same text; gives their id."""
        identity = self.answer(of, "champion", text, champion)
        self.answer(of, "candidate", text, shadow, id=identity, shadow=True, **changes)
        return identity

    def fail(
        self, of: Epoch, arm: str, unit: int | None, code: str = "model_failed", **changes: Any
    ) -> None:
        """A text that got no answer."""
        self.epochs[of.epoch] = of
        self.time += 1
        values: dict[str, Any] = {"time": self.time, "epoch": of.epoch, "arm": arm, "unit": unit}
        values |= {"named": False, "shadow": False, "code": code, "texts": 1}
        self.failures.append(Failure(**values | changes))

    def say(self, identity: str, label: str, source: str = "user", **changes: Any) -> None:
        """Feedback."""
        values: dict[str, Any] = {"time": self.time, "annotator": ""}
        self.truths.append(Truth(identity, source, (label,), **values | changes))

    def store(self, path: Path) -> Store:
        """Write it all; a last row lets the others settle."""
        self.time += 100
        last = [*self.epochs.values()][-1] if self.epochs else None
        self.answer(last, "champion", 10**9)
        store = Store(str(path))
        for one in self.epochs.values():
            store.add_epoch(one)
        assert store.add(self.records) == 0
        store.add_failures(self.failures)
        store.judge(self.truths)
        return store


def traffic(
    log: Log, of: Epoch, units: range, seed: int = 0, failing: float = 0.0, worse: float = 1.0
) -> None:
    """Two answers for each unit; a part of the units of each arm fails once before."""
    rng = np.random.default_rng(seed)
    share = of.arms["candidate"].share
    for unit in units:
        arm = "candidate" if rng.random() < share else "champion"
        if rng.random() < failing * (worse if arm == "candidate" else 1.0):
            log.fail(of, arm, unit)
        log.answer(of, arm, unit)
        log.answer(of, arm, unit)

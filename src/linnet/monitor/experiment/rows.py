"""The texts that a share assigned to an arm, as arrays in the order of their time.

Knows the tables of the log, and nothing of tests.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linnet.monitor.experiment.plan import Plan
from linnet.monitor.experiment.truths import Labels, is_right
from linnet.monitor.prediction_log import Store

PAGE = 100_000  # rows that are read at once
ARRAYS = ("time", "epoch", "arm", "unit", "text", "flags", "latency")
# Failures that no arm is to blame for: the client's own, and that of another text of a request.
NO_FAULT = {"client_left", "other_text_failed", "bad_text"}
TOO_LATE = "deadline_exceeded"

ANSWERED = 1
ABSTAINED = 2
TRUNCATED = 4
FAILED = 8
LATE = 16
REPORTED = 32  # a user's label differs from the answer
FEEDBACK = 64  # a user said anything
AUDITED = 128
RIGHT = 256  # as audited

COLUMNS = (
    "number id time arm digest labels truncated abstained shadow latency_ms epoch named unit "
    "text_hash"
).split()


def pages(store: Store, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The log's columns, some rows at a time; `number` has to be among the names."""
    after = 0
    while True:
        page = store.columns(names, after, PAGE)
        if not len(page["number"]):
            return
        after = int(page["number"][-1])
        yield page


@dataclass(slots=True)
class Rows:
    """Texts that arms were given, in the order of their time; each array is (n,).

    Attributes:
        time: When it was answered or given up.
        epoch: The arms and shares at that time.
        arm: The index of its arm in `names`.
        unit: Hash of what decided the arm.
        text: Hash of the text; 0: it was not answered.
        flags: What happened.
        latency: In milliseconds; 0 for failures.
        names: Arms.
    """

    time: NDArray[np.float64]
    epoch: NDArray[np.int64]
    arm: NDArray[np.int64]
    unit: NDArray[np.int64]
    text: NDArray[np.int64]
    flags: NDArray[np.int64]
    latency: NDArray[np.float64]
    names: list[str]

    def of(self, mask: NDArray[np.bool_]) -> "Rows":
        """Only some of them."""
        return Rows(
            self.time[mask],
            self.epoch[mask],
            self.arm[mask],
            self.unit[mask],
            self.text[mask],
            self.flags[mask],
            self.latency[mask],
            self.names,
        )


def join(parts: Sequence[Rows], names: list[str]) -> Rows:
    """All rows in the order of their time; equal times keep the order of the log."""

    def one(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(part, name) for part in parts])

    order = np.argsort(one("time"), kind="stable")
    arrays = {name: one(name)[order] for name in ARRAYS}
    return Rows(**arrays, names=names)


def assigned(page: dict[str, Any], names: list[str], epochs: set[int], labels: Labels) -> Rows:
    """The answers of a page that a share assigned: neither a shadow's nor of a named arm."""
    keep = np.isin(page["epoch"], np.array(sorted(epochs), np.int64))
    keep &= ~page["named"] & ~page["shadow"] & (page["unit"] != 0)
    places = np.flatnonzero(keep)
    index = {name: number for number, name in enumerate(names)}
    arm = np.array([index.get(page["arm"][k], -1) for k in places], np.int64)
    flags = np.full(len(places), ANSWERED, np.int64)
    flags |= ABSTAINED * page["abstained"][places] | TRUNCATED * page["truncated"][places]
    if labels.by_user or labels.by_audit:
        for place, k in enumerate(places):
            flags[place] |= _feedback(page, int(k), labels)
    rows = Rows(
        page["time"][places],
        page["epoch"][places],
        arm,
        page["unit"][places],
        page["text_hash"][places],
        flags,
        page["latency_ms"][places],
        names,
    )
    return rows.of(arm >= 0)


def _feedback(page: dict[str, Any], k: int, labels: Labels) -> int:
    identity = page["id"][k]
    flags = 0
    reported = labels.by_user.get(identity)
    if reported is not None:
        wrong = not is_right(page["labels"][k], bool(page["abstained"][k]), reported)
        flags |= FEEDBACK | (REPORTED if wrong else 0)
    audit = labels.by_audit.get(identity)
    if audit is not None:
        right = is_right(page["labels"][k], bool(page["abstained"][k]), audit)
        flags |= AUDITED | (RIGHT if right else 0)
    return flags


def failed(
    store: Store, names: list[str], plan: Plan, until: float
) -> tuple[Rows, dict[str, int], dict[str, int]]:
    """Texts that got no answer.

    Returns:
        Those with a unit that a share assigned; for each arm the texts without one; for each
        shadow the texts that it did not answer.
    """
    index = {name: number for number, name in enumerate(names)}
    epochs = plan.split_epochs
    found: list[tuple[float, int, int, int, int]] = []
    without_unit = dict.fromkeys(names, 0)
    of_shadows = dict.fromkeys(names, 0)
    after = 0
    while page := store.failures(after, PAGE):
        after = page[-1][0]
        for _, one in page:
            if one.time > until or one.arm not in index:
                continue
            if one.shadow:
                in_shadow = one.epoch in plan.shadows.get(one.arm, ())
                of_shadows[one.arm] += one.texts if in_shadow else 0
            elif one.epoch in epochs and not one.named and one.unit is None:
                without_unit[one.arm] += one.texts
            elif one.epoch in epochs and not one.named and one.unit is not None:
                flags = 0 if one.code in NO_FAULT else FAILED
                flags |= LATE if one.code == TOO_LATE else 0
                found.append((one.time, one.epoch, index[one.arm], one.unit, flags))
    table = np.array([one[1:] for one in found], np.int64).reshape(-1, 4)
    nothing = np.zeros(len(found), np.int64)
    rows = Rows(
        time=np.array([one[0] for one in found], float),
        epoch=table[:, 0],
        arm=table[:, 1],
        unit=table[:, 2],
        text=nothing,
        flags=table[:, 3],
        latency=nothing.astype(float),
        names=names,
    )
    return rows, without_unit, of_shadows

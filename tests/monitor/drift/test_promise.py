"""The promise, on whole monitors: few false alarms at the edge of the zones, whatever the traffic."""

import numpy as np

from linnet.monitor.drift.hours import Stretch
from linnet.monitor.drift.monitor import Monitor, Plan
from linnet.monitor.drift.references import Adopted, AdoptedArm, References
from linnet.monitor.drift.state import State
from linnet.monitor.drift.streams import StreamReference, Texts

LOGS = 60
BLOCKS = 96
# At 20 % more than 22 of 60 have a probability of 1 in 1,000.
PLAN = Plan(3600, 4, 0.2, 0.02, 0.05)
MOST = 22
KEY = ("champion", "d" * 64)
GRID = np.linspace(0, 1, 101)


def make_monitor() -> Monitor:
    many = 1_000_000  # so the zone is the tolerance
    streams = {"label:a": StreamReference.of_share(0.5, many)}
    streams |= {"truncated": StreamReference.of_share(0.1, many)}
    streams |= {"confidence": StreamReference(0.5, 12**-0.5, many, GRID)}
    adopted = Adopted(0.0, 0.0, {KEY[0]: AdoptedArm(KEY[1], many, streams)})
    return Monitor(PLAN, References(adopted), State({}, adopted.digest))


def stretch(block: int, draw: np.random.Generator, moved: float, burst: bool) -> Stretch:
    """An hour: means moved by parts of the tolerances; in a burst one text makes half of it."""
    n = int(draw.integers(20, 120))
    hashes = draw.integers(1, 2**62, n)
    if burst:
        hashes[n // 2 :] = 7
    labels = np.where(draw.random(n) < 0.5 + 0.051 * moved, '["a"]', '["b"]').tolist()
    values = {
        "truncated": (draw.random(n) < 0.1 + 0.0509 * moved).astype(float),
        "confidence": np.clip(draw.random(n) ** (1 / (1 + 0.083 * moved)), 0, 1),
    }
    texts = Texts(hashes, labels, values).distinct()
    return Stretch(block, block + 1, block + 1, block * 3600.0, n, 0, {KEY: n}, {KEY: texts})


def alarms(moved: float, logs: int = LOGS) -> int:
    count = 0
    for seed in range(logs):
        draw = np.random.default_rng(seed)
        monitor = make_monitor()
        for block in range(BLOCKS):
            monitor.take(stretch(block, draw, moved, burst=block % 10 == 0))
        count += bool(monitor.alarms())
    return count


def test_false_alarms_at_the_edge_are_as_few_as_promised():
    assert alarms(1.0) <= MOST


def test_twice_the_tolerance_is_found():
    assert alarms(3.0, logs=5) == 5

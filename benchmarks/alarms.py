"""How often does `linnet monitor` cry wolf, and how soon does it find a change?

    python benchmarks/alarms.py                        # simulated logs; some minutes on one core
    python benchmarks/alarms.py --data DATA            # real texts too; or LINNET_DATA=DATA

False alarms: 2,000 logs of 90 days with 8 streams, whose means are at the edges of their zones. After
each block somebody looks. The detectors are those of Linnet, for many logs at once; a part of them is
compared with `DriftDetector`. DATA holds the folders `drift`, `sentiment140` and `classification`; see
docs/results.md.
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from drift_texts import foreign_delays, real_years
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from linnet.monitor.evidence import DriftDetector, Zone, drifted_streams, evidence_limit
from linnet.monitor.evidence.drift import BETS, LEAST

DAYS = 90
BLOCKS = 24 * DAYS
BOUND = 0.05
LIMIT = evidence_limit(BLOCKS, BOUND)
TEXTS = 100  # distinct ones per hour
RUNS = 2000
AT_ONCE = 250
LEVELS = (np.arange(10) + 0.5) / 10  # of the ranks that are drawn
REFERENCE = 500_000  # distinct texts that were adopted: a week of 3,000 per hour
TOLERANCE_RANK = 0.02
TOLERANCE_SHARE = 0.05
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Stream:
    """One simulated stream: a rank, or an indicator with a share."""

    name: str
    share: float | None
    side: int  # 1: its mean is at the upper end of the zone; -1: at the lower end

    def zone(self, n: int, mean: float | None = None, widths: float = 3.3) -> Zone:
        """The zone around a reference of n texts."""
        if self.share is None:
            mean = 0.5 if mean is None else mean
            return Zone.around(mean, 12**-0.5, n, TOLERANCE_RANK, widths)
        mean = self.share if mean is None else mean
        return Zone.around(mean, (mean * (1 - mean)) ** 0.5, n, TOLERANCE_SHARE, widths)

    def edge(self, zone: Zone) -> float:
        """The mean at the end of the zone."""
        return zone.high if self.side > 0 else zone.low


STREAMS = [
    Stream("label:positive", 0.5, 1),
    Stream("label:negative", 0.3, -1),
    Stream("truncated", 0.02, 1),
    Stream("abstained", 0.1, 1),
    Stream("confidence", None, -1),
    Stream("tokens", None, 1),
    Stream("surprise", None, 1),
    Stream("pieces", None, -1),
]


def tilted(mean: float) -> Floats:
    """Probabilities of `LEVELS` with this mean: an exponential tilt of equal ones."""
    low = -40.0
    high = 40.0
    for _ in range(60):
        middle = (low + high) / 2
        weights = np.exp(middle * (LEVELS - 0.5))
        weights /= weights.sum()
        low, high = (middle, high) if weights @ LEVELS < mean else (low, middle)
    return weights


class Detectors:
    """The detectors of `DriftDetector` for several streams of several logs."""

    def __init__(self, zones: list[Zone], runs: int):
        self.evidence = np.zeros((runs, len(zones), 2, len(BETS)))  # M itself: it stays small
        self._possible = np.array([[zone.high < 1, zone.low > 0] for zone in zones])
        self._zones = zones

    def gains(self, stream: int, values: Floats) -> Floats:
        """The logarithm of the bets on each value; (values, 2, bets)."""
        zone = self._zones[stream]
        above = np.multiply.outer(values - zone.high, BETS / max(zone.high, LEAST))
        below = np.multiply.outer(zone.low - values, BETS / max(1 - zone.low, LEAST))
        return np.log1p(np.stack([above, below], axis=1))

    def update(self, log_gains: Floats) -> None:
        """Take a block; (runs, streams, 2, bets)."""
        np.add(self.evidence, 1, out=self.evidence)
        self.evidence *= np.exp(np.minimum(log_gains, 600))
        np.minimum(self.evidence, 1e250, out=self.evidence)
        self.evidence *= self._possible[None, :, :, None]

    def log_evidence(self) -> Floats:
        """The logarithm of the mean over bets and possible sides; (runs, streams)."""
        sides = self._possible.sum(axis=1)
        return np.log(self.evidence.mean(axis=3).sum(axis=2) / sides + 1e-300)


class Traffic:
    """Draws blocks of all streams for several logs."""

    def __init__(self, streams: list[Stream], zones: list[Zone], runs: int, seed: int):
        self.detectors = Detectors(zones, runs)
        self._streams = streams
        self._runs = runs
        self._draw = np.random.default_rng(seed)
        values = [LEVELS if stream.share is None else np.array([0.0, 1.0]) for stream in streams]
        self._gains = [self.detectors.gains(k, one) for k, one in enumerate(values)]

    def block(self, texts: int, means: list[float | Floats]) -> list[NDArray[np.int64]]:
        """Draw a block and bet on it; gives how often each value came in each log."""
        counts = []
        gains = np.empty(self.detectors.evidence.shape)
        for k, (stream, mean) in enumerate(zip(self._streams, means, strict=True)):
            if stream.share is None:
                drawn = self._draw.multinomial(texts, tilted(float(mean)), self._runs)
            else:
                ones = self._draw.binomial(texts, mean, self._runs)
                drawn = np.stack([texts - ones, ones], axis=1)
            counts.append(drawn)
            gains[:, k] = np.tensordot(drawn, self._gains[k], 1)
        self.detectors.update(gains)
        return counts

    def alarms(self, names: list[str]) -> NDArray[np.bool_]:
        """In which logs any stream has an alarm now; (runs,)."""
        evidence = self.detectors.log_evidence()
        found = np.zeros(self._runs, bool)
        for run in np.flatnonzero(evidence.max(axis=1) >= LIMIT):
            found[run] = bool(drifted_streams(dict(zip(names, evidence[run], strict=True)), LIMIT))
        return found


def check_detectors() -> None:
    """The simulated detectors are the real ones."""
    zones = [stream.zone(REFERENCE) for stream in STREAMS]
    traffic = Traffic(STREAMS, zones, 2, 1)
    real = [DriftDetector(zone) for zone in zones]
    for _ in range(30):
        counts = traffic.block(
            TEXTS, [stream.edge(z) for stream, z in zip(STREAMS, zones, strict=True)]
        )
        for detector, stream, drawn in zip(real, STREAMS, counts, strict=True):
            values = LEVELS if stream.share is None else np.array([0.0, 1.0])
            detector.update(np.repeat(values, drawn[0]))
    expected = [detector.log_evidence() for detector in real]
    assert np.allclose(traffic.detectors.log_evidence()[0], expected), "not the detectors of Linnet"


def season(hour: int) -> float:
    """A wave of a day and of a week, -1 to 1."""
    return float(0.7 * np.sin(2 * np.pi * hour / 24) + 0.3 * np.sin(2 * np.pi * hour / 168))


def at_edge(stream: Stream, zone: Zone, hour: int) -> float:
    """Always at the end of the zone."""
    return stream.edge(zone)


def touching(stream: Stream, zone: Zone, hour: int) -> float:
    """A season within the zone: its highest hours are at the zone's end."""
    wave = (0.01 if stream.share is None else 0.025) * (1 - season(hour))
    return stream.edge(zone) - stream.side * min(wave, (zone.high - zone.low) / 2)


def around(stream: Stream, zone: Zone, hour: int) -> float:
    """A season around the usual mean, so wide that its highest hours are outside of the zone."""
    usual = 0.5 if stream.share is None else stream.share
    tolerance = TOLERANCE_RANK if stream.share is None else TOLERANCE_SHARE
    return min(1.0, max(0.0, usual + 1.2 * tolerance * season(hour)))


def across(stream: Stream, zone: Zone, hour: int) -> float:
    """A season around the end of the zone: half of the hours are outside. Nothing is promised."""
    wave = (0.005 if stream.share is None else 0.0125) * season(hour)
    return min(1.0, max(0.0, stream.edge(zone) + wave))


def volume(hour: int, draw: np.random.Generator) -> int:
    """Distinct texts of an hour: few by night; a tenth of the hours are bursts.

    In a burst one text makes 40 % of the requests. It counts once.
    """
    texts = int(TEXTS * (1 + 0.7 * np.sin(2 * np.pi * hour / 24)))
    return int(texts * 0.6) + 1 if draw.random() < 0.1 else texts


def false_alarms(mean: Callable[[Stream, Zone, int], float], steady: bool, seed: int) -> int:
    """In how many logs there is any alarm within the horizon."""
    zones = [stream.zone(REFERENCE) for stream in STREAMS]
    names = [stream.name for stream in STREAMS]
    alarmed = 0
    for part in range(RUNS // AT_ONCE):
        draw = np.random.default_rng([seed, part])
        traffic = Traffic(STREAMS, zones, AT_ONCE, seed * 1000 + part)
        found = np.zeros(AT_ONCE, bool)
        for hour in range(BLOCKS):
            texts = TEXTS if steady else volume(hour, draw)
            means: list[float | Floats] = [
                mean(stream, zone, hour) for stream, zone in zip(STREAMS, zones, strict=True)
            ]
            traffic.block(texts, means)
            found |= traffic.alarms(names)
        alarmed += int(found.sum())
    return alarmed


def small_reference(widths: float, seed: int = 5) -> int:
    """False alarms of one share that is known from 2,000 texts alone; no zone if no widths.

    The truth does not change: the reference is a sample of the same traffic.
    """
    draw = np.random.default_rng(seed)
    shares = draw.binomial(2000, 0.5, RUNS) / 2000
    stream = Stream("label:positive", 0.5, 1)
    zones = [stream.zone(2000, share, widths) if widths else Zone(share, share) for share in shares]
    # Each log has a zone of its own: streams of one log in place of logs of one stream.
    detectors = Detectors(zones, 1)
    gains = np.stack([detectors.gains(k, np.array([0.0, 1.0])) for k in range(RUNS)])
    alarmed = np.zeros(RUNS, bool)
    for _ in range(BLOCKS):
        ones = draw.binomial(TEXTS, 0.5, RUNS)[:, None, None]
        detectors.update(((TEXTS - ones) * gains[:, 0] + ones * gains[:, 1])[None])
        alarmed |= detectors.log_evidence()[0] >= LIMIT
    return int(alarmed.sum())


def delay(share: float, together: bool, seed: int = 9) -> float:
    """Texts until the alarm, the median of 200 logs, after a week as usual.

    Args:
        share: Of the label, once it was 0.5.
        together: Whether it is one of 8 streams, so that its evidence must be larger.
        seed: Of the draws.
    """
    streams = STREAMS if together else STREAMS[:1]
    zones = [stream.zone(REFERENCE) for stream in streams]
    names = [stream.name for stream in streams]
    traffic = Traffic(streams, zones, 200, seed)
    usual: list[float | Floats] = [0.5 if s.share is None else s.share for s in streams]
    for _ in range(24 * 7):
        traffic.block(TEXTS, usual)
    assert not traffic.alarms(names).any()
    first = np.zeros(200)
    for block in range(1, 400):
        traffic.block(TEXTS, [share, *usual[1:]])
        first[(first == 0) & traffic.alarms(names)] = block
        if first.all():
            break
    assert first.all(), "not all were found"
    return float(np.median(first)) * TEXTS


def measure(data: Path | None) -> dict[str, Any]:
    """All figures."""
    check_detectors()
    found: dict[str, Any] = {
        "machine": platform.processor() or platform.machine(),
        "logs": RUNS,
        "days": DAYS,
        "streams": len(STREAMS),
        "texts per hour": TEXTS,
        "bound": BOUND,
        "false alarms": {
            "at the edge of every zone": false_alarms(at_edge, True, 1),
            "at the edge, nights and bursts": false_alarms(at_edge, False, 2),
            "seasons up to the edge, nights and bursts": false_alarms(touching, False, 3),
            "seasons of 1.2 tolerances around the usual": false_alarms(around, False, 6),
            "seasons across the edge (not promised)": false_alarms(across, False, 4),
            "one share, reference of 2,000 texts": small_reference(3.3),
            "the same without a zone (not Linnet)": small_reference(0.0),
        },
        "texts until the alarm": {
            f"{kind}, label share .50 to {share}": delay(share, together)
            for together, kind in ((False, "alone"), (True, "of 8 streams"))
            for share in (0.60, 0.65, 0.70)
        },
    }
    if data:
        found["foreign texts"] = foreign_delays(data)
        found["real years"] = real_years(data)
    return found


def show(found: dict[str, Any]) -> None:
    """Print tables."""
    console = Console()
    table = Table("2,000 logs of 90 days", "with any alarm", title="False alarms, bound 5 %")
    for name, count in found["false alarms"].items():
        table.add_row(name, f"{count} ({count / RUNS:.2%})")
    console.print(table)
    for title in ("texts until the alarm", "foreign texts", "real years"):
        if title in found:
            table = Table("", "", title=title)
            for name, value in found[title].items():
                table.add_row(name, f"{value:,}" if isinstance(value, int) else str(value))
            console.print(table)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=os.environ.get("LINNET_DATA"))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    arguments = parser.parse_args()
    started = time.perf_counter()
    found = measure(Path(arguments.data) if arguments.data else None)
    found["seconds"] = round(time.perf_counter() - started)
    show(found)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()

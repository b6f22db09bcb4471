"""Has the mean of a stream left its zone? A detector with a bound on false alarms over a horizon.

Source: Shin, Ramdas and Rinaldo 2024, E-detectors: a nonparametric framework for sequential change
detection, New England Journal of Statistics in Data Science 2 (arXiv 2203.03532), section 2.2
(Shiryaev-Roberts e-detectors). After each block, M becomes (M + 1) times the block's bets. While
the stream's mean stays in its zone, M less the number of blocks is a supermartingale. So M ever
reaches c within T blocks with a probability of at most T / c.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, log
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from linnet.monitor.evidence.mixture import log_mean

BETS = np.geomspace(0.01, 0.9, 12)  # parts of the largest bet that can't lose everything
LEAST = 0.01  # a zone that ends at 0 or 1 would allow any bet


@dataclass(frozen=True, slots=True)
class Zone:
    """The means of a stream that count as no change; values and ends are in [0, 1]."""

    low: float
    high: float

    @classmethod
    def around(cls, mean: float, sd: float, n: int, tolerance: float, widths: float = 3.3) -> Self:
        """The zone around a reference's mean.

        The reference is a sample, so its own mean is uncertain. A zone without that part raises
        false alarms for ever, at a rate that grows with the traffic.

        Args:
            mean: The reference's mean.
            sd: Its standard deviation.
            n: Its number of values.
            tolerance: The change that does not matter, in the stream's units.
            widths: Standard errors on each side. 3.3 holds for some 12 streams together.

        Raises:
            ValueError: The reference has no values.
        """
        if n < 1:
            raise ValueError("A reference without values has no zone.")
        half_width = tolerance + widths * sd / n**0.5
        return cls(max(0.0, mean - half_width), min(1.0, mean + half_width))


def evidence_limit(blocks: int, false_alarms: float) -> float:
    """The natural logarithm of the evidence that raises an alarm.

    Args:
        blocks: The horizon, in blocks.
        false_alarms: The probability of any false alarm within the horizon, at most.
    """
    return log(blocks / false_alarms)


class DriftDetector:
    """The evidence that one stream's mean has left its zone; small, and fixed in size.

    Args:
        zone: The means that count as no change.
        log_evidence: What an earlier detector of the same zone held, from `to_json`.
    """

    def __init__(self, zone: Zone, log_evidence: Sequence[Sequence[float]] | None = None):
        self.zone = zone
        # No value is beyond 0 or 1. A bet on that wins and loses nothing, and M would grow by 1
        # with each block until it is an alarm.
        self._possible = np.array([zone.high < 1, zone.low > 0])
        # Minus infinity: no block was seen, so M is 0. Rows are above and below, columns bets.
        self._log_m = np.full((2, len(BETS)), -np.inf)
        if log_evidence is not None:
            self._log_m = np.array([[_from_number(m) for m in side] for side in log_evidence])

    def update(self, values: NDArray[np.float64]) -> None:
        """Bet on a block.

        Args:
            values: Float (n,) in [0, 1]: the stream's values, independent of each other. A text
                that is repeated within the block counts once.

        Raises:
            ValueError: A value is outside [0, 1].
        """
        values = np.asarray(values, float)
        if not len(values):
            return
        if not (values.min() >= 0 and values.max() <= 1):  # NaN fails as well
            raise ValueError("Expected the values of a stream in [0, 1].")
        distinct, counts = np.unique(values, return_counts=True)
        above = distinct - self.zone.high
        below = self.zone.low - distinct
        for side, excess, most in (
            (0, above, self.zone.high),
            (1, below, 1 - self.zone.low),
        ):
            if not self._possible[side]:
                continue
            gain = np.log1p(np.outer(BETS / max(most, LEAST), excess)) @ counts
            self._log_m[side] = np.logaddexp(self._log_m[side], 0.0) + gain

    def log_evidence(self) -> float:
        """The natural logarithm of M, averaged over bets and over sides that values can reach."""
        return log_mean(self._log_m[self._possible].ravel())

    def direction(self) -> str:
        """`above` or `below`: on which side of the zone the evidence is."""
        if not self._possible.all():
            return "below" if self._possible[1] else "above"
        return "above" if log_mean(self._log_m[0]) >= log_mean(self._log_m[1]) else "below"

    def restart(self) -> None:
        """Forget all evidence, after an alarm was acknowledged."""
        self._log_m[:] = -np.inf

    def to_json(self) -> dict[str, Any]:
        """The zone and the evidence, to be read with `from_json`."""
        return {
            "zone": [self.zone.low, self.zone.high],
            "log_evidence": [[_to_number(m) for m in side] for side in self._log_m.tolist()],
        }

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        return cls(Zone(*state["zone"]), state["log_evidence"])


def drifted_streams(log_evidence: Mapping[str, float], log_limit: float) -> list[str]:
    """The streams whose alarm is justified, with one bound for all streams together.

    A stream is named if the mean evidence of each set of streams that holds it reaches the limit
    (closed testing with averages). The mean of e-detectors is an e-detector under any dependence,
    so any false name within the horizon has the probability of the limit at most.

    Source: Vovk and Wang 2021, E-values: calibration, combination and applications, Annals of
    Statistics 49, section 5 and algorithm 1.

    Args:
        log_evidence: For each stream, the natural logarithm of its M. Latched streams count with
            what they hold.
        log_limit: From `evidence_limit`.

    Returns:
        Names, the strongest evidence first.
    """
    names = sorted(log_evidence, key=lambda name: (-log_evidence[name], name))
    # In units of the limit; beyond exp(600) a stream carries all the others anyway.
    units = [exp(min(log_evidence[name] - log_limit, 600.0)) for name in names]
    named = []
    for index, name in enumerate(names):
        total = units[index]
        size = 1
        holds = total >= 1
        for other in sorted(units[:index] + units[index + 1 :]):
            total += other
            size += 1
            holds = holds and total >= size
        if not holds:
            break  # weaker streams can't hold either
        named.append(name)
    return named


def _to_number(value: float) -> float | None:
    return None if value == -np.inf else value


def _from_number(value: float | None) -> float:
    return -np.inf if value is None else value

"""The calibration alarm: audited answers are right more or less often than the table expects.

Each audited answer gives a residual: 1 or 0 for right or wrong, less the table's accuracy of its
cell. While the table holds, the residuals' mean is near 0. The detector of `evidence.drift` watches
it, one label per block.
"""

from collections.abc import Mapping
from math import log
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from linnet.monitor.evidence import DriftDetector, Zone, evidence_limit

TOLERANCE = 0.02  # of the accuracy; from some 2,700 validation rows on it holds their error too
HORIZON = 10_000  # labels
FALSE_ALARMS = 0.05  # within the horizon, at most
WIDTHS = 2.58  # standard errors of the validation accuracy


class CalibrationAlarm:
    """Evidence that the accuracy table no longer holds.

    Args:
        detector: Of the residuals, mapped from [-1, 1] to [0, 1].
        was_raised: Whether the alarm was raised before. It stays, as the table doesn't heal.
    """

    def __init__(self, detector: DriftDetector, was_raised: bool = False):
        self._detector = detector
        self._raised = was_raised

    @classmethod
    def of_validation(cls, accuracy: float, rows: int) -> Self:
        """The alarm at its start.

        Args:
            accuracy: Of the validation rows.
            rows: Their number.
        """
        error = (accuracy * (1 - accuracy) / max(rows, 1)) ** 0.5
        tolerance = min(max(TOLERANCE, WIDTHS * error), 0.5)
        return cls(DriftDetector(Zone(0.5 - tolerance / 2, 0.5 + tolerance / 2)))

    def update(self, right: NDArray[np.bool_], expected: NDArray[np.float64]) -> None:
        """Count audited answers, once each, in the order of their labels.

        Args:
            right: Bool (n,).
            expected: The table's accuracy of each, float (n,).
        """
        limit = evidence_limit(HORIZON, FALSE_ALARMS)
        for value in ((right - expected + 1) / 2).tolist():
            self._detector.update(np.array([value]))
            self._raised = self._raised or self._detector.log_evidence() >= limit

    @property
    def raised(self) -> bool:
        """Whether the evidence reached its limit at any time."""
        return self._raised

    @property
    def direction(self) -> str:
        """`above`: answers are right more often than expected; else `below`."""
        return self._detector.direction()

    @property
    def evidence_log10(self) -> float | None:
        """The evidence now; None before the first label."""
        evidence = self._detector.log_evidence()
        return evidence / log(10) if np.isfinite(evidence) else None

    def to_json(self) -> dict[str, Any]:
        """The state, to be read with `from_json`."""
        return {"detector": self._detector.to_json(), "raised": self._raised}

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        return cls(DriftDetector.from_json(state["detector"]), bool(state["raised"]))

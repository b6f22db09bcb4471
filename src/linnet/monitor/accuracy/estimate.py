"""Accuracy without labels: texts of equal confidence and label are as often right as in validation.

It holds where only the mix of confidences and labels changes. It does not hold where texts mean
something else than in validation, which no method without labels can see (Garg et al. 2022,
Leveraging Unlabeled Data to Predict Out-of-Distribution Performance, arXiv 2201.04234). So `gates`
decide whether it is shown. The idea is that of confidence-based performance estimation (Kivimaki
et al. 2025, arXiv 2407.08649), without a need for calibrated probabilities, and with the error of
the validation rows in the interval, which does not shrink with the traffic.
"""

from collections import Counter
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from linnet.monitor.accuracy.answers import Answers
from linnet.monitor.reference import Reference

PSEUDO_ROWS = 2  # by which a cell is drawn towards its bin
Z = NormalDist().inv_cdf(0.975)
Cell = tuple[int, str | None, bool]


@dataclass(frozen=True, slots=True)
class Estimate:
    """An accuracy and its standard error.

    Attributes:
        value: The share of right answers.
        standard_error: Of the value, for the validation rows and the traffic together.
        rows: The answers that it is about.
    """

    value: float
    standard_error: float
    rows: int

    @property
    def half_width(self) -> float:
        """Half of the 95 % interval, before it is cut at 0 and 1."""
        return Z * self.standard_error

    @property
    def low(self) -> float:
        """The low end of the 95 % interval."""
        return max(0.0, self.value - self.half_width)

    @property
    def high(self) -> float:
        """The high end of the 95 % interval."""
        return min(1.0, self.value + self.half_width)


class AccuracyTable:
    """The accuracy of each confidence, label and model, from reference.json.

    Args:
        reference: Of format 2, with at least one answered row.

    Raises:
        ValueError: The reference has no accuracy table.
    """

    def __init__(self, reference: Reference):
        rows = sum(cell.n for cell in reference.accuracy_table)
        if not rows:
            raise ValueError("The reference has no accuracy table.")
        self._edges = np.array(reference.accuracy_bins, float)
        self._overall = sum(cell.right for cell in reference.accuracy_table) / rows
        bins = len(self._edges) + 1
        of_all = np.zeros(bins)
        of_right = np.zeros(bins)
        for cell in reference.accuracy_table:
            of_all[cell.bin] += cell.n
            of_right[cell.bin] += cell.right
        self._bins = np.where(of_all > 0, of_right / np.maximum(of_all, 1), self._overall)
        self._cells: dict[Cell, tuple[int, int]] = {
            (cell.bin, cell.label, cell.fast): (cell.n, cell.right)
            for cell in reference.accuracy_table
        }
        self.rows = rows

    def cells(self, answers: Answers) -> list[Cell]:
        """The cell of each answer, abstained or not."""
        bins = np.searchsorted(self._edges, answers.confidence, side="right").tolist()
        return list(zip(bins, answers.labels, answers.fast.tolist(), strict=True))

    def accuracy(self, cell: Cell) -> tuple[float, int]:
        """How often answers of a cell are right, and the rows that show it."""
        n, right = self._cells.get(cell, (0, 0))
        return (right + PSEUDO_ROWS * float(self._bins[cell[0]])) / (n + PSEUDO_ROWS), n

    def expected(self, answers: Answers) -> NDArray[np.float64]:
        """How probable it is that each answer is right, float (n,)."""
        known = {cell: self.accuracy(cell)[0] for cell in set(self.cells(answers))}
        return np.array([known[cell] for cell in self.cells(answers)], float)

    def estimate(self, answers: Answers) -> Estimate | None:
        """The accuracy of those texts that were answered; None if there are none."""
        cells = self.cells(answers)
        counts = Counter(
            cell for cell, abstained in zip(cells, answers.abstained, strict=True) if not abstained
        )
        n = counts.total()
        if not n:
            return None
        value = 0.0
        variance = 0.0
        for cell, count in counts.items():
            share = count / n
            accuracy, rows = self.accuracy(cell)
            spread = accuracy * (1 - accuracy)
            value += share * accuracy
            # The first term is the error of the validation rows, the second that of the traffic.
            variance += share**2 * spread / (rows + PSEUDO_ROWS) + share * spread / n
        return Estimate(value, sqrt(variance), n)

"""Accuracy from the audit: texts drawn at random, which a person labelled.

Each text is drawn with the same known probability, whatever its answer. So the share of right
answers among them is an unbiased figure, without any model of the traffic. It presumes that the
accuracy is constant within the window.
"""

from dataclasses import dataclass
from typing import Any

from linnet.monitor.evidence import interval_at_any_look, interval_of_one_look

MOST_LABELS = 1_000_000  # if it takes more, this many is said


@dataclass(frozen=True, slots=True)
class Audit:
    """What the audit found.

    Attributes:
        right: Drawn texts whose answer is right.
        wrong: Those whose answer is wrong.
        missing: Those without a label. Labellers skip hard texts, so these are no random part.
    """

    right: int
    wrong: int
    missing: int

    @property
    def labels(self) -> int:
        """How many were labelled."""
        return self.right + self.wrong

    @property
    def half_width(self) -> float:
        """Half of the interval at any look."""
        low, high = interval_at_any_look(self.right, self.wrong)
        return (high - low) / 2

    def to_json(self) -> dict[str, Any]:
        """`measured` of drift.json: 95 % intervals, at any look and at one."""
        low, high = interval_at_any_look(self.right, self.wrong)
        worst, _ = interval_at_any_look(self.right, self.wrong + self.missing)
        _, best = interval_at_any_look(self.right + self.missing, self.wrong)
        return {
            "value": self.right / self.labels,
            "low": low,
            "high": high,
            "one_look": list(interval_of_one_look(self.right, self.wrong)),
            "labels": self.labels,
            "audited": self.labels + self.missing,
            "missing": self.missing,
            "low_if_missing_wrong": worst,
            "high_if_missing_right": best,
        }


def measure(right: int, wrong: int, missing: int) -> Audit | None:
    """Count an audit; None where nothing was labelled.

    Raises:
        ValueError: A count is negative.
    """
    if min(right, wrong, missing) < 0:
        raise ValueError(f"Expected counts of at least 0, got {right}, {wrong} and {missing}.")
    return Audit(right, wrong, missing) if right + wrong else None


def labels_needed(share: float, half_width: float, labels: int = 0) -> int:
    """How many more labels give an interval at any look of a half-width.

    Args:
        share: The accuracy that is expected.
        half_width: Of the interval that is wanted.
        labels: How many are there.
    """

    def reaches(n: int) -> bool:
        right = round(share * n)
        low, high = interval_at_any_look(right, n - right)
        return (high - low) / 2 <= half_width

    high = 1
    while not reaches(high) and high < MOST_LABELS:
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return max(0, high - labels)

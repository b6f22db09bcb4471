"""Whether a variant of a model costs too much accuracy to be served: it must show that it doesn't.

Knows numbers alone. Each variant is compared with float32 on the same rows, and what counts is the
largest drop of accuracy that those rows don't rule out (a one-sided paired limit,
`linnet.evaluate.intervals.largest_drop`). A variant passes where that is below the margin. So a
variant that costs the margin or more passes in at most 5 of 100 exports, at a confidence of 95 %;
this holds for each variant by itself. With few rows hardly any passes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linnet.config import EvaluateConfig
from linnet.errors import DataError
from linnet.evaluate import selective
from linnet.evaluate.intervals import Agreement, largest_drop, most_disagreement, rows_to_show
from linnet.predict import Task


@dataclass(frozen=True)
class Answers:
    """What a model answers to n rows with C labels.

    Attributes:
        logits: float (n, C).
        probabilities: float (n, C).
        predictions: Which labels are given, bool (n, C).
    """

    logits: NDArray[np.float32]
    probabilities: NDArray[np.float64]
    predictions: NDArray[np.bool_]


@dataclass(frozen=True)
class Gate:
    """The rows, and what is asked of a variant.

    Attributes:
        labels: Which labels apply, bool (n, C).
        label_names: Their names.
        task: Single-label or multi-label.
        reference: What float32 answers.
        margin: The drop of accuracy, as a share, that a variant must be shown to stay under.
        tolerance: Logits that differ by no more than this are equal; a variant of such logits
            passes.
        min_precision: The precision that the answers with each label must be shown to have, if so.
        settings: Of the confidence.
    """

    labels: NDArray[np.bool_]
    label_names: Sequence[str]
    task: Task
    reference: Answers
    margin: float
    tolerance: float
    min_precision: float | None
    settings: EvaluateConfig

    def check_rows(self) -> None:
        """Pass if there are so many rows that a variant can pass at all.

        Raises:
            DataError: There are fewer than it takes for one that is right and wrong just where
                float32 is.
        """
        fewest = (
            rows_to_show(Agreement(1, 0, 0, 0), self.margin, self.settings.confidence_level) or 1
        )
        if len(self.labels) < fewest:
            raise DataError(
                f"{len(self.labels):,} validation rows can't show of any variant that it costs "
                f"less than "
                f"{100 * self.margin:g} points of accuracy; it would take at least {fewest:,}"
            )

    def allowed_disagreement(self) -> float:
        """Share of changed answers up to which a variant without any loss passes in most cases."""
        return most_disagreement(len(self.labels), self.margin, self.settings.confidence_level) / 2

    def judge(self, variant: Answers) -> dict[str, Any]:
        """Compare a variant with float32.

        Returns:
            `accepted` and `reason`, a sentence without its full stop; `rows`, `accuracy_drop`
            (`value` and `limit`), `margin`, `confidence_level`, `label_agreement`,
            `max_probability_shift`, `max_logit_difference`, `rows_to_show` (null where no number
            would do), and `per_class` with `label`, `recall` (of float32), `recall_variant` and
            `support`.
        """
        right = [self._right(answers) for answers in (self.reference, variant)]
        agreement = Agreement.count(*right)
        level = self.settings.confidence_level
        rows = len(self.labels)
        shifts = np.abs(variant.probabilities - self.reference.probabilities)
        differences = np.abs(variant.logits - self.reference.logits)
        figures = {
            "rows": rows,
            "accuracy_drop": {
                "value": (agreement.only_first - agreement.only_second) / rows,
                "limit": largest_drop(agreement, level),
            },
            "margin": self.margin,
            "confidence_level": level,
            "label_agreement": float(
                (variant.predictions == self.reference.predictions).all(axis=1).mean()
            ),
            "max_probability_shift": float(shifts.max()),
            "max_logit_difference": float(differences.max()),
            "rows_to_show": rows_to_show(agreement, self.margin, level),
            "per_class": self._per_class(variant),
        }
        return self._verdict(figures, variant) | figures

    def _verdict(self, figures: dict[str, Any], variant: Answers) -> dict[str, Any]:
        drop = figures["accuracy_drop"]
        rows = figures["rows"]
        needed = figures["rows_to_show"]
        lost = f"{100 * drop['value']:+.2f} points of accuracy lost on {rows:,} validation rows"
        if figures["max_logit_difference"] <= self.tolerance:
            return {
                "accepted": True,
                "reason": f"equals float32, its logits up to {figures['max_logit_difference']:.1g}",
            }
        if unsure := self._below_precision(variant):
            asked = f"{self.min_precision:.2%}"
            return {
                "accepted": False,
                "reason": f"its answers {selective.listed(unsure)} are not shown to be right in "
                f"{asked}",
            }
        shown = f"{100 * drop['limit']:.2f} at {figures['confidence_level']:.0%} confidence"
        if drop["limit"] < self.margin:
            return {"accepted": True, "reason": f"{lost}, at most {shown}"}
        takes = "no number of rows would, at this loss"
        if needed is not None:
            takes = f"it would take about {needed:,} rows like these"
        wanted = f"not shown to be under {100 * self.margin:g}"
        return {"accepted": False, "reason": f"{lost}, but perhaps {shown}: {wanted}; {takes}"}

    def _right(self, answers: Answers) -> NDArray[np.bool_]:
        """Which rows are answered right, as if each had to be answered."""
        return self.task.right(self._forced(answers), self.labels)

    def _forced(self, answers: Answers) -> NDArray[np.bool_]:
        return self.task.forced(answers.probabilities, answers.predictions)

    def _below_precision(self, variant: Answers) -> list[str]:
        if self.min_precision is None:
            return []
        given = variant.predictions.sum(axis=0)
        right = (variant.predictions & self.labels).sum(axis=0)
        error_rate = (1 - self.settings.confidence_level) / len(self.label_names)
        shown = selective.precision_is_shown(right, given, self.min_precision, error_rate)
        return [
            name
            for name, any_given, fine in zip(self.label_names, given, shown, strict=True)
            if any_given and not fine
        ]

    def _per_class(self, variant: Answers) -> list[dict[str, Any]]:
        support = self.labels.sum(axis=0)
        recalls = [
            (self._forced(answers) & self.labels).sum(axis=0) / np.maximum(support, 1)
            for answers in (self.reference, variant)
        ]
        return [
            {
                "label": name,
                "recall": float(recalls[0][k]),
                "recall_variant": float(recalls[1][k]),
                "support": int(support[k]),
            }
            for k, name in enumerate(self.label_names)
        ]

"""What a judgement comes to:

its figures and drawings, and whether the model beats the baseline that counts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from linnet.evaluate.intervals import Estimate


@dataclass(frozen=True)
class Served:
    """The answers of a bundle to the n rows that are judged, with C labels.

    Attributes:
        probabilities: float (n, C).
        predictions: Which labels are given, bool (n, C).
        thresholds: The probability from which on each label is given; None if none is held back.
    """

    probabilities: NDArray[np.float64]
    predictions: NDArray[np.bool_]
    thresholds: Sequence[float | None] | None


@dataclass(frozen=True)
class Judgement:
    """What is particular to one kind of problem.

    Attributes:
        figures: Entries of report.json.
        drawings: Plots of report.html.
        template: Its template.
    """

    figures: dict[str, Any]
    drawings: dict[str, Markup]
    template: str


def verdict(
    value: Estimate,
    beaten: Mapping[str, float],
    baseline: Mapping[str, Any],
    confidence_level: float,
) -> dict[str, Any]:
    """One sentence, and the same for programs.

    Args:
        value: What the model reaches.
        beaten: What the baseline reaches, by the same measure.
        baseline: Its `title`, and the `difference` of the model to it.
        confidence_level: Of that difference's interval.
    """
    gap = baseline["difference"]
    title = baseline["title"]
    figures = (
        f"{100 * value.value:.1f} % against {100 * beaten['value']:.1f} %, "
        f"{100 * gap['value']:+.1f} points ({100 * confidence_level:g} % interval "
        f"{100 * gap['low']:+.1f} to {100 * gap['high']:+.1f})"
    )
    if gap["low"] > 0:
        sentence = f"The model beats {title}: {figures}."
    elif gap["high"] < 0:
        sentence = (
            f"The model is WORSE than {title}, which costs next to nothing: {figures}. Don't "
            f"serve it."
        )
    else:
        sentence = (
            f"The model is not shown to beat {title}, which costs next to nothing: {figures}."
        )
    return {"verdict": sentence, "beats_baseline": gap["low"] > 0}

"""From which probability on an answer is right often enough, and what share of the texts is then answered.

Every label gets the lowest threshold from which on its answers are shown to be right with the precision asked for.
"Shown" holds for all labels at once with the confidence asked for, although the thresholds are chosen on the rows that
show it. That is by Learn then Test: each threshold of a grid fixed beforehand stands for the hypothesis "from here on
the precision is below", which an exact binomial test rejects or not; the grid is walked downwards and left at the first
threshold that is not rejected, so that no further allowance for many tests is due. A walk from the very top would end
at once, as hardly any row is left to test on there: so it has several `STARTS`, one of them the question whether all
may be answered; they share the allowance, as the labels do.

Nothing here takes the model at its word, and precision need not rise with probability: a model that doesn't know when
it is right gets no thresholds. What is presumed is that the texts to come are like the rows.

Source: Angelopoulos et al. 2021, Learn then Test: Calibrating Predictive Algorithms to Achieve Risk Control, fixed
sequence testing with several starts.

Shapes: n rows, C labels; probabilities are float (n, C), labels and predictions say which labels apply, bool (n, C).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import binom

from linnet.config import EvaluateConfig
from linnet.evaluate.intervals import Estimate, percentile, proportion
from linnet.evaluate.multilabel import resampled_sums
from linnet.predict import decide

STEPS = 16  # of the grid, while the odds fall to a quarter
STARTS = (0, STEPS, 2 * STEPS, -1)  # at 16 times, 4 times and once the odds of the precision asked for; at the end
LOWEST = 0.01  # threshold
NAMES_SHOWN = 3

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


def choose(
    probabilities: Floats, labels: Bools, multi_label: bool, min_precision: float, confidence_level: float
) -> list[float | None]:
    """The threshold of each label from which on its answers are right in at least `min_precision` of cases.

    Args:
        probabilities: Of rows that the model has not learned from.
        labels: What is right.
        multi_label: Whether a text has any number of labels; else only its most probable one is ever given.
        min_precision: Between 0 and 1.
        confidence_level: With which that holds, for all labels at once.

    Returns:
        A threshold a label; None for a label that these rows don't show to reach `min_precision` anywhere.
    """
    count = labels.shape[1]
    lowest = LOWEST if multi_label else 1 / count  # the most probable of C has at least that
    candidates = decide(probabilities, None, multi_label)
    return [
        lowest_shown(
            probabilities[candidates[:, k], k],
            labels[candidates[:, k], k],
            min_precision,
            (1 - confidence_level) / count,
            lowest,
        )
        for k in range(count)
    ]


def lowest_shown(
    probabilities: Floats, right: Bools, min_precision: float, error_rate: float, lowest: float
) -> float | None:
    """The lowest threshold that is shown to leave answers of the precision asked for.

    Args:
        probabilities: Of one label, where it could be given, float (m,).
        right: Whether that would be right, bool (m,).
        min_precision: Between 0 and 1.
        error_rate: How often, at most, rows may show what is not so.
        lowest: The lowest threshold to try.

    Returns:
        The threshold; None where none is shown.
    """
    thresholds = grid(min_precision, lowest)
    answered, correct = (
        len(some) - np.searchsorted(np.sort(some), thresholds) for some in (probabilities, probabilities[right])
    )
    last = len(thresholds) - 1
    starts = {last if start < 0 else min(start, last) for start in STARTS}
    shown = binom.sf(correct - 1, answered, min_precision) <= error_rate / len(starts)
    reached = [start + int(np.cumprod(shown[start:]).sum()) - 1 for start in starts if shown[start]]
    return float(thresholds[max(reached)]) if reached else None


def fewest(min_precision: float, confidence_level: float, labels: int) -> int:
    """How many answers with a label it takes to show a precision, were all of them right."""
    error_rate = (1 - confidence_level) / labels / len(STARTS)
    return int(np.ceil(np.log(error_rate) / np.log(min_precision)))


def grid(min_precision: float, lowest: float) -> Floats:
    """Falling thresholds, evenly apart in their log odds, from 16 times the odds of `min_precision` to `lowest`."""
    step = np.log(4) / STEPS
    highest = logit(min_precision) + 2 * np.log(4)
    falling = np.arange(highest, logit(lowest), -step)
    return np.append(expit(falling), lowest)


def describe(
    labels: Bools,
    predictions: Bools,
    label_names: Sequence[str],
    thresholds: Sequence[float | None],
    multi_label: bool,
    settings: EvaluateConfig,
) -> dict[str, Any]:
    """How much is answered, and how much of that is right, in all and by label; each with its interval.

    Args:
        labels: What is right.
        predictions: What was answered.
        label_names: Names by id.
        thresholds: From which on each label is given.
        multi_label: Whether a text has any number of labels. Then a text is answered if it gets one at all, and
            precision is of all labels given, its interval by resampling the texts.
        settings: Of the intervals.

    Returns:
        `coverage`, `precision`, and `per_class` with `label`, `threshold`, `answered` (rows) and `precision`.
    """
    level = settings.confidence_level
    answered, right = predictions.sum(axis=0).tolist(), (labels & predictions).sum(axis=0).tolist()
    precision = proportion(sum(right), sum(answered), level)
    if multi_label and sum(answered):
        precision = _resampled_precision(labels, predictions, settings)
    return {
        "coverage": asdict(proportion(int(predictions.any(axis=1).sum()), len(labels), level)),
        "precision": asdict(precision),
        "per_class": [
            {
                "label": name,
                "threshold": thresholds[k],
                "answered": answered[k],
                "precision": asdict(proportion(right[k], answered[k], level)),
            }
            for k, name in enumerate(label_names)
        ],
    }


def sentence(found: Mapping[str, Any], multi_label: bool) -> str:
    """What `describe` found, for people, without a subject."""
    coverage, precision = found["coverage"]["value"], found["precision"]
    interval = f"({precision['low']:.2%} to {precision['high']:.2%})"
    if multi_label:
        given = f"of the labels given, {precision['value']:.2%} {interval} are right"
        return f"gives labels to {coverage:.2%} of the texts; {given}"
    return f"answers {coverage:.2%} of the texts, and is right in {precision['value']:.2%} {interval} of those"


def notes(found: Mapping[str, Any], multi_label: bool) -> list[str]:
    """What a report says of `describe`'s figures and the `min_precision` beside them, in sentences."""
    asked = f"{found['min_precision']:.2%}"
    lines = [f"The model {sentence(found, multi_label)}. Export asked for {asked} with each label."]
    never = [item["label"] for item in found["per_class"] if item["threshold"] is None]
    if never:
        lines.append(f"It never answers {listed(never)}, as export could not show that with any threshold.")
    below = [item["label"] for item in found["per_class"] if item["precision"]["high"] < found["min_precision"]]
    if below:
        lines.append(
            f"On these rows the answer {listed(below)} is right LESS often than that: they are unlike the validation "
            "rows, or chance was against it. Export with rows like these to have thresholds that hold for them."
        )
    return lines


def listed(names: Sequence[str]) -> str:
    """Some names in quotes, and how many more there are."""
    left = len(names) - NAMES_SHOWN
    return ", ".join(map(repr, names[:NAMES_SHOWN])) + (f" and {left} more" if left > 0 else "")


def _resampled_precision(labels: Bools, predictions: Bools, settings: EvaluateConfig) -> Estimate:
    counts = np.stack([(labels & predictions).sum(axis=1), predictions.sum(axis=1)], axis=1)
    sums = np.vstack([counts.sum(axis=0), resampled_sums(counts, settings.bootstrap_resamples, settings.seed)])
    shares = sums[:, 0] / np.maximum(sums[:, 1], 1)
    return percentile(float(shares[0]), shares[1:], settings.confidence_level)

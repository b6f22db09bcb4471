"""The probability from which on an answer is right often enough, and the share answered.

Every label gets the lowest threshold from which on its answers are shown to be right with the
precision asked for. "Shown" holds for all labels at once with the confidence asked for, although
the thresholds are chosen on the rows that show it. That is by Learn then Test: the texts that a
label could be given to are taken from the surest down, and each number of answers on a ladder
stands for the hypothesis "of texts this sure or surer, fewer are right", which an exact binomial
test rejects or not. The ladder is climbed down and left at the first number that is not rejected,
so that no further allowance for many tests is due. With few answers one mistake would end that, so
it has several `STARTS`, the last of them with all texts answered; they share the allowance, as the
labels do.

The test is exact because the number of answers is fixed, and not the probability: given where the
next text lies, those before it are a plain sample of all texts that are surer. Nothing takes the
model at its word. What is presumed is that the texts to come are like the rows, and that precision,
once it has fallen below what is asked for, stays there as less sure texts are added.

Source: Angelopoulos et al. 2021, Learn then Test: Calibrating Predictive Algorithms to Achieve Risk
Control, fixed sequence testing with several starts.

Shapes: n rows, C labels; probabilities are float (n, C), labels and predictions say which labels
apply, bool (n, C).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from linnet.config import EvaluateConfig
from linnet.evaluate.intervals import Estimate, percentile, proportion, share_or_none
from linnet.evaluate.multilabel import resampled_sums
from linnet.predict import Task
from linnet.predict.decision import SMALLEST

STARTS = 4  # from as few answers as can show it, evenly apart in their logarithm, to all
STEP = 1.01  # from one number of answers to the next
NAMES_SHOWN = 3

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


def choose(
    probabilities: Floats,
    labels: Bools,
    task: Task,
    min_precision: float,
    confidence_level: float,
) -> list[float | None]:
    """The threshold of each label for answers that are right in `min_precision` of cases.

    Args:
        probabilities: Of rows that the model has not learned from.
        labels: What is right.
        task: Single-label or multi-label.
        min_precision: Between 0 and 1.
        confidence_level: With which that holds, for all labels at once.

    Returns:
        A threshold a label; None for a label that these rows don't show to reach `min_precision`
        anywhere.
    """
    count = labels.shape[1]
    candidates = task.decide(probabilities, None)
    return [
        lowest_shown(
            probabilities[candidates[:, k], k],
            labels[candidates[:, k], k],
            min_precision,
            (1 - confidence_level) / count,
            task.lowest_threshold(count),
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
        lowest: The threshold that leaves all answers.

    Returns:
        The threshold, half-way between two probabilities; None where none is shown.
    """
    steps, starts = ladder(fewest(min_precision, error_rate), len(right))
    order = np.argsort(-probabilities, kind="stable")
    falling = np.clip(probabilities[order], SMALLEST, 1 - SMALLEST)
    answers = np.searchsorted(
        -falling, -falling[steps - 1], side="right"
    )  # those of one probability stay together
    correct = np.cumsum(right[order])[answers - 1]
    shown = precision_is_shown(correct, answers, min_precision, error_rate / STARTS)
    reached = [start + int(np.cumprod(shown[start:]).sum()) - 1 for start in starts if shown[start]]
    if not reached:
        return None
    last = answers[max(reached)]
    return lowest if last == len(right) else float((falling[last - 1] + falling[last]) / 2)


def precision_is_shown(
    right: NDArray[Any], answers: NDArray[Any], min_precision: float, error_rate: float
) -> Bools:
    """Whether each count of right answers shows a precision, by an exact binomial test."""
    shown: Bools = binom.sf(right - 1, answers, min_precision) <= error_rate
    return shown


def fewest(min_precision: float, error_rate: float) -> int:
    """How many answers it takes to show a precision at one start, were all of them right."""
    return int(np.ceil(np.log(error_rate / STARTS) / np.log(min_precision)))


def ladder(least: int, rows: int) -> tuple[NDArray[np.int64], list[int]]:
    """The numbers of answers to try, from `least` to `rows`, and where to start.

    Both are empty where there are fewer rows than that. They depend on nothing but these two
    numbers.
    """
    if rows < least:
        return np.zeros(0, np.int64), []
    starts = np.geomspace(least, rows, STARTS + 1)[1:].round().astype(np.int64)
    steps = (
        np.geomspace(least, rows, int(np.log(rows / least) / np.log(STEP)) + 2)
        .round()
        .astype(np.int64)
    )
    steps = np.unique(np.concatenate([steps, starts]))
    return steps, sorted(set(np.searchsorted(steps, starts).tolist()))


def describe(
    labels: Bools,
    predictions: Bools,
    label_names: Sequence[str],
    thresholds: Sequence[float | None],
    task: Task,
    settings: EvaluateConfig,
) -> dict[str, Any]:
    """How much is answered and how much of it is right, with intervals, in all and by label.

    Args:
        labels: What is right.
        predictions: What was answered.
        label_names: Names by id.
        thresholds: From which on each label is given.
        task: Single-label or multi-label. A multi-label text is answered if it gets a label.
            Precision is then of all labels given, its interval by resampling the texts.
        settings: Of the intervals.

    Returns:
        `coverage`, `precision`, and `per_class` with `label`, `threshold`, `answered` (rows) and
        `precision`. A precision of no answers is None.
    """
    level = settings.confidence_level
    answered = predictions.sum(axis=0).tolist()
    right = (labels & predictions).sum(axis=0).tolist()
    precision = share_or_none(sum(right), sum(answered), level)
    if task.multi_label and sum(answered):
        precision = asdict(_resampled_precision(labels, predictions, settings))
    return {
        "coverage": asdict(proportion(int(predictions.any(axis=1).sum()), len(labels), level)),
        "precision": precision,
        "per_class": [
            {
                "label": name,
                "threshold": thresholds[k],
                "answered": answered[k],
                "precision": share_or_none(right[k], answered[k], level),
            }
            for k, name in enumerate(label_names)
        ],
    }


def sentence(figures: Mapping[str, Any], task: Task) -> str:
    """What `describe` found, for people, without a subject."""
    coverage = figures["coverage"]["value"]
    precision = figures["precision"]
    if precision is None:
        return "gives no label to any text" if task.multi_label else "answers no text"
    interval = f"({precision['low']:.2%} to {precision['high']:.2%})"
    if task.multi_label:
        given = f"of the labels given, {precision['value']:.2%} {interval} are right"
        return f"gives labels to {coverage:.2%} of the texts; {given}"
    return (
        f"answers {coverage:.2%} of the texts, and is right in {precision['value']:.2%} "
        f"{interval} of those"
    )


def notes(figures: Mapping[str, Any], task: Task) -> list[str]:
    """The sentences of a report about `describe`'s figures and the `min_precision`."""
    asked = f"{figures['min_precision']:.2%}"
    lines = [f"The model {sentence(figures, task)}. Export asked for {asked} with each label."]
    never = [item["label"] for item in figures["per_class"] if item["threshold"] is None]
    if never:
        lines.append(
            f"It never answers {listed(never)}, as export could not show that with any threshold."
        )
    below = [
        item["label"]
        for item in figures["per_class"]
        if item["precision"] and item["precision"]["high"] < figures["min_precision"]
    ]
    if below:
        lines.append(
            f"On these rows the answer {listed(below)} is right LESS often than that: they are "
            "unlike the validation rows, or chance was against it. Export with rows like these to "
            "have thresholds that hold for them."
        )
    return lines


def listed(names: Sequence[str]) -> str:
    """Some names in quotes, and how many more there are."""
    left = len(names) - NAMES_SHOWN
    return ", ".join(map(repr, names[:NAMES_SHOWN])) + (f" and {left} more" if left > 0 else "")


def _resampled_precision(labels: Bools, predictions: Bools, settings: EvaluateConfig) -> Estimate:
    counts = np.stack([(labels & predictions).sum(axis=1), predictions.sum(axis=1)], axis=1)
    sums = np.vstack(
        [counts.sum(axis=0), resampled_sums(counts, settings.bootstrap_resamples, settings.seed)]
    )
    shares = sums[:, 0] / np.maximum(sums[:, 1], 1)
    return percentile(float(shares[0]), shares[1:], settings.confidence_level)

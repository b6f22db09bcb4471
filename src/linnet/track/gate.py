"""May a candidate take the champion's place? One line for each condition, from numbers alone.

Shapes: n judged rows, C labels. Knows nothing of MLflow, files or texts.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linnet.evaluate.calibration import (
    calibrated_limit,
    one_vs_rest_error,
    one_vs_rest_limit,
)
from linnet.evaluate.intervals import Agreement, largest_drop, rows_to_show
from linnet.evaluate.metrics import expected_calibration_error
from linnet.evaluate.multilabel import paired_micro_f1

LEVEL = 0.95
BINS = 15
RESAMPLES = 2000
SEED = 42
FEWEST_OF_A_LABEL = 100  # rows; a label with fewer is named, not judged
CALIBRATION_SLACK = 0.01  # by which the error may be above the champion's


@dataclass(frozen=True, slots=True)
class Line:
    """One condition.

    Attributes:
        name: Of the condition, for programs.
        passed: Whether it holds.
        sentence: What was measured, and where it fails what it would take.
    """

    name: str
    passed: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class Answers:
    """What a model answered to the judged rows.

    Attributes:
        given: Which labels it gave, bool (n, C).
        probabilities: Float (n, C).
    """

    given: NDArray[np.bool_]
    probabilities: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Limits:
    """The settings of the gate; drops are shares, not points.

    Attributes:
        max_accuracy_drop: Of accuracy, or of micro-F1 with several labels.
        max_recall_drop: Of each label's recall.
        max_slowdown: Times the champion's median latency.
        max_judgements: Bundles judged on the same rows.
        better: Whether the candidate has to be shown better.
    """

    max_accuracy_drop: float
    max_recall_drop: float
    max_slowdown: float
    max_judgements: int
    better: bool


@dataclass(frozen=True, slots=True)
class Rows:
    """The judged rows.

    Attributes:
        truth: Which labels apply, bool (n, C).
        names: Of the labels.
        multi_label: Whether a row may have several.
        judgement: The how manieth bundle this is that these rows judge, from 1.
    """

    truth: NDArray[np.bool_]
    names: Sequence[str]
    multi_label: bool
    judgement: int

    @property
    def level(self) -> float:
        """One-sided confidence level: the k-th look at the same rows has a kth of the error rate.

        Without that, the best of many tries would pass by luck.
        """
        return 1 - (1 - LEVEL) / self.judgement


def enough_rows(rows: Rows, limits: Limits) -> Line:
    """Could these rows show anything? Two models that never differ need so many."""
    margin = limits.max_accuracy_drop
    n = len(rows.truth)
    if margin <= 0:
        return Line(
            "enough_rows", True, f"{n:,} test rows; no drop is allowed, so any number does."
        )
    needed = rows_to_show(Agreement(1, 0, 0, 0), margin, rows.level) or 0
    if n < needed:
        return Line(
            "enough_rows",
            False,
            f"{n:,} test rows can't show a drop of less than {100 * margin:g} points, even if both "
            f"models always agree. It takes at least {needed:,} rows.",
        )
    return Line("enough_rows", True, f"{n:,} test rows; at least {needed:,} are needed.")


def no_worse(
    name: str, title: str, before: Answers, candidate: Answers, rows: Rows, limits: Limits
) -> tuple[Line, float]:
    """Is the candidate's accuracy at most a margin below that of another model on the same rows?

    Args:
        name: Of the line.
        title: What the other model is called.
        before: The other model's answers.
        candidate: The candidate's.
        rows: The judged rows.
        limits: The settings.

    Returns:
        The line, and the one-sided upper limit of the drop.
    """
    drop = _largest_drop(before, candidate, rows)
    margin = 0.0 if limits.better else limits.max_accuracy_drop
    passed = drop < margin or (margin == 0 and not limits.better and drop <= 0)
    measure = "micro-F1" if rows.multi_label else "accuracy"
    sentence = (
        f"{measure} {_share(candidate, rows)} against {_share(before, rows)} of the {title}: the "
        f"drop is below {100 * drop:.2f} points, {100 * margin:g} allowed "
        f"({100 * rows.level:.4g} % confidence)."
    )
    if not passed and not rows.multi_label and margin > 0:
        needed = rows_to_show(_agreement(before, candidate, rows), margin, rows.level)
        sentence += (
            f" About {needed:,} rows like these would show it."
            if needed
            else " No number of rows would show it at this difference."
        )
    return Line(name, passed, sentence), drop


def no_label_given_up(before: Answers, candidate: Answers, rows: Rows, limits: Limits) -> Line:
    """Does each label with enough rows keep its recall, up to a margin?"""
    counts = rows.truth.sum(axis=0)
    judged = [i for i in range(len(rows.names)) if counts[i] >= FEWEST_OF_A_LABEL]
    left_out = len(rows.names) - len(judged)
    note = f" {left_out} labels with fewer than {FEWEST_OF_A_LABEL} rows are not judged."
    if not judged:
        return Line("labels", True, "No label has enough rows." + note)
    level = 1 - (1 - rows.level) / len(judged)
    worst = 0
    worst_drop = -1.0
    for i in judged:
        has_label = rows.truth[:, i]
        pairs = Agreement.count(before.given[has_label, i], candidate.given[has_label, i])
        drop = largest_drop(pairs, level)
        if drop > worst_drop:
            worst = i
            worst_drop = drop
    passed = worst_drop < limits.max_recall_drop
    sentence = (
        f"the largest limit of a label's drop of recall is {100 * worst_drop:.2f} points, of "
        f"{rows.names[worst]!r:.60}; {100 * limits.max_recall_drop:g} allowed."
    )
    if not passed:
        sentence += f" That label has {int(counts[worst]):,} test rows; more would narrow it."
    return Line("labels", passed, sentence + (note if left_out else ""))


def calibrated(before: Answers | None, candidate: Answers, rows: Rows) -> Line:
    """Do the probabilities mean what they say, or at least what the champion's meant?"""
    error, limit = _calibration(candidate, rows)
    if error <= limit:
        return Line("calibration", True, f"error {error:.4f}, at most {limit:.4f} by chance.")
    if before is not None:
        champions, _ = _calibration(before, rows)
        passed = error <= champions + CALIBRATION_SLACK
        return Line(
            "calibration",
            passed,
            f"error {error:.4f}, above the {limit:.4f} of chance; the champion's is "
            f"{champions:.4f}, and {CALIBRATION_SLACK:g} more is allowed.",
        )
    return Line(
        "calibration",
        True,
        f"error {error:.4f}, above the {limit:.4f} of chance. There is no champion to compare it "
        "with. `linnet export` with export.calibrate = true may lower it.",
    )


def fast_enough(before_ms: float, candidate_ms: float, limits: Limits) -> Line:
    """Is the median latency at most so many times the champion's, both measured now, in turns?"""
    ratio = candidate_ms / before_ms
    return Line(
        "latency",
        ratio <= limits.max_slowdown,
        f"{candidate_ms:.2f} ms against {before_ms:.2f} ms of the champion: {ratio:.2f} times, "
        f"{limits.max_slowdown:g} allowed.",
    )


def not_worn_out(rows: Rows, limits: Limits) -> Line:
    """Were too many bundles judged on these rows?"""
    passed = rows.judgement <= limits.max_judgements
    sentence = (
        f"this is bundle {rows.judgement} that these test rows judge, of at most "
        f"{limits.max_judgements}."
    )
    if not passed:
        sentence += " Add rows and prepare again."
    return Line("test_rows", passed, sentence)


def first_failure(lines: Sequence[Line]) -> Line | None:
    """The first line that does not hold."""
    return next((line for line in lines if not line.passed), None)


def judged_lines(
    candidate: Answers,
    champion: Answers | None,
    best: Answers | None,
    rows: Rows,
    limits: Limits,
) -> Iterator[tuple[Line, float | None]]:
    """The lines that compare answers, in order, each with the drop that it measured, if any."""
    if champion is not None:
        yield no_worse("champion", "champion", champion, candidate, rows, limits)
    if best is not None:
        yield no_worse("best", "best yet", best, candidate, rows, limits)
    if champion is not None:
        yield no_label_given_up(champion, candidate, rows, limits), None
    yield calibrated(champion, candidate, rows), None


def _largest_drop(before: Answers, candidate: Answers, rows: Rows) -> float:
    if not rows.multi_label:
        return largest_drop(_agreement(before, candidate, rows), rows.level)
    two_sided = 2 * rows.level - 1
    difference = paired_micro_f1(
        rows.truth, before.given, candidate.given, two_sided, RESAMPLES, SEED
    )
    return difference.high


def _agreement(before: Answers, candidate: Answers, rows: Rows) -> Agreement:
    first = (before.given == rows.truth).all(axis=1)
    second = (candidate.given == rows.truth).all(axis=1)
    return Agreement.count(first, second)


def _share(answers: Answers, rows: Rows) -> str:
    if rows.multi_label:
        right = 2 * int((answers.given & rows.truth).sum())
        return f"{100 * right / max(1, int(answers.given.sum() + rows.truth.sum())):.2f} %"
    return f"{100 * float((answers.given == rows.truth).all(axis=1).mean()):.2f} %"


def _calibration(answers: Answers, rows: Rows) -> tuple[float, float]:
    probabilities = answers.probabilities
    if rows.multi_label:
        error = one_vs_rest_error(probabilities, rows.truth, BINS)
        return error, one_vs_rest_limit(probabilities, BINS, LEVEL, RESAMPLES, SEED)
    labels = rows.truth.argmax(axis=1)
    error = expected_calibration_error(probabilities, labels, BINS)
    return error, calibrated_limit(probabilities.max(axis=1), BINS, LEVEL, RESAMPLES, SEED)

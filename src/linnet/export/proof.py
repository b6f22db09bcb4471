"""proof.json:

what was measured on the finished model, check by check, each with what it takes to pass.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linnet.config import EvaluateConfig
from linnet.errors import ProofError
from linnet.evaluate import metrics, multilabel, selective
from linnet.evaluate.calibration import one_vs_rest_error
from linnet.evaluate.latency import Latency
from linnet.evaluate.temperature import Temperature, log_loss
from linnet.export.parity import Parity
from linnet.predict import Task, task_of
from linnet.wilson import wilson_interval

FORMAT = 1

Check = dict[str, Any]

ADVICE = {
    "parity": " Try another export.opset, or export.parity_tolerance if so large a difference is "
    "right for this model.",
    "accuracy": " Train on more rows, for more epochs or with another learning rate, or validate "
    "on more rows.",
    "cascade": " Teach the smaller model better, allow more with export.max_accuracy_drop, or "
    "validate on more rows.",
    "precision": " Ask for less with export.min_precision, validate on more rows, or train a "
    "better model.",
}


def parity_check(parity: Parity, tolerance: float) -> Check:
    """Passes where no logit is further than `tolerance` from torch's."""
    return {
        "passed": parity.max_logit_difference <= tolerance,  # which NaN is not
        "max_logit_difference": parity.max_logit_difference,
        "label_agreement": parity.label_agreement,
        "rows": parity.rows,
        "tolerance": tolerance,
        "detail": f"largest logit difference to torch {parity.max_logit_difference:.2g} (allowed: "
        f"{tolerance:.2g}), "
        f"labels agree on {parity.label_agreement:.2%} of {parity.rows:,} rows",
    }


def accuracy_check(
    labels: NDArray[np.int64],
    predictions: NDArray[np.int64],
    label_names: Sequence[str],
    confidence_level: float,
) -> Check:
    """Passes if the low end of the accuracy's interval is above the share of the largest class."""
    rows = len(labels)
    value = metrics.accuracy(labels, predictions)
    low, high = wilson_interval(int((labels == predictions).sum()), rows, confidence_level)
    counts = np.bincount(labels, minlength=len(label_names))
    majority = int(counts.argmax())
    share = float(counts[majority] / rows)
    verdict = "above" if low > share else "not shown to be above"
    return {
        "passed": low > share,
        "value": value,
        "interval": [low, high],
        "confidence_level": confidence_level,
        "rows": rows,
        "majority_class": {"label": label_names[majority], "share": share},
        "detail": f"accuracy {value:.2%} on {rows:,} validation rows ({confidence_level:.0%} "
        f"interval {low:.2%} to "
        f"{high:.2%}), {verdict} the {share:.2%} of always answering {label_names[majority]!r}",
    }


def calibration_check(
    logits: NDArray[np.floating[Any]],
    labels: NDArray[Any],
    temperature: Temperature | None,
    bins: int,
) -> Check:
    """A figure to know; it refuses nothing.

    Args:
        logits: What the graph answered, float (n, C).
        labels: Label ids, int (n,), or bool (n, C) if the task is multi-label.
        temperature: What is served, and what other rows give; None where none was asked for.
        bins: Of the calibration error.
    """
    divisors = np.ones((len(logits), 1)) if temperature is None else temperature.crossed
    before, after = (
        _calibration_error(logits, by, labels, bins) for by in (np.ones_like(divisors), divisors)
    )
    loss_before = log_loss(logits, labels)
    loss_after = log_loss(logits / divisors, labels)
    each = ", each label for itself" if labels.ndim == 2 else ""
    detail = f"expected calibration error {after:.2%} in {bins} bins{each}, at a temperature of 1"
    if temperature is not None and temperature.kept is None:
        detail = (
            f"expected calibration error {before:.2%} before and {after:.2%} after, log loss "
            f"{loss_before:.4f} and {loss_after:.4f} ({bins} bins{each}; each half of the "
            f"{len(labels):,} validation rows by the temperature of the other); served is a "
            f"temperature of {temperature.value:.2f}, fitted on all of them"
        )
    return {
        "passed": True,
        "temperature": 1.0 if temperature is None else temperature.value,
        "expected_calibration_error_before": before,
        "expected_calibration_error": after,
        "log_loss_before": loss_before,
        "log_loss": loss_after,
        "kind": "one-vs-rest" if labels.ndim == 2 else "top-label",
        "rows": len(labels),
        "bins": bins,
        "detail": detail,
        "notes": [temperature.kept] if temperature and temperature.kept else [],
    }


def _calibration_error(
    logits: NDArray[np.floating[Any]],
    divisors: NDArray[np.float64],
    labels: NDArray[Any],
    bins: int,
) -> float:
    task = task_of(labels.ndim == 2)
    error = one_vs_rest_error if task.multi_label else metrics.expected_calibration_error
    return error(task.probabilities(logits, divisors), labels, bins)


def multi_label_check(
    labels: NDArray[np.bool_],
    predictions: NDArray[np.bool_],
    label_names: Sequence[str],
    confidence_level: float,
    resamples: int,
    seed: int,
) -> Check:
    """Passes if micro F1 is above that of the best constant answer, by an interval.

    Args:
        labels: Which labels apply, bool (n, C).
        predictions: The same as predicted, by thresholds that were not tuned on these rows.
        label_names: Names by id.
        confidence_level: Of the intervals.
        resamples: Of the bootstrap over rows.
        seed: Of the bootstrap.
    """
    rows = len(labels)
    value = multilabel.bootstrap_f1s(labels, predictions, confidence_level, resamples, seed).micro
    constant = np.broadcast_to(multilabel.best_constant(labels), labels.shape)
    trivial = metrics.micro_f1(labels, constant)
    gap = multilabel.paired_micro_f1(
        labels, predictions, constant, confidence_level, resamples, seed
    )
    names = [label_names[k] for k in np.flatnonzero(constant[0]).tolist()]
    always = selective.listed(names)
    verdict = "above" if gap.low > 0 else "not shown to be above"
    return {
        "passed": gap.low > 0,
        "metric": "micro_f1",
        "value": value.value,
        "interval": [value.low, value.high],
        "confidence_level": confidence_level,
        "rows": rows,
        "subset_accuracy": metrics.accuracy(labels, predictions),
        "best_constant": {"labels": names, "micro_f1": trivial},
        "difference": asdict(gap),
        "detail": f"micro F1 {value.value:.2%} on {rows:,} validation rows "
        f"({confidence_level:.0%} interval "
        f"{value.low:.2%} to {value.high:.2%}), {verdict} the {trivial:.2%} of always answering "
        f"{always} "
        f"(difference {gap.value:+.2%}, interval {gap.low:+.2%} to {gap.high:+.2%})",
    }


def precision_check(
    labels: NDArray[np.bool_],
    predictions: NDArray[np.bool_],
    label_names: Sequence[str],
    thresholds: Sequence[float | None],
    task: Task,
    min_precision: float,
    settings: EvaluateConfig,
) -> Check:
    """Passes where the precision asked for is shown to be reached with one label at least.

    Args:
        labels: Which labels apply, bool (n, C).
        predictions: Which are given, bool (n, C).
        label_names: Names by id.
        thresholds: As in manifest.json.
        task: Single-label or multi-label.
        min_precision: What was asked for.
        settings: Of the intervals.
    """
    rows = len(labels)
    level = settings.confidence_level
    figures = selective.describe(labels, predictions, label_names, thresholds, task, settings)
    never = [
        name for name, threshold in zip(label_names, thresholds, strict=True) if threshold is None
    ]
    asked = f"{min_precision:.2%} with a confidence of {100 * level:g}%"
    fewest = selective.fewest(min_precision, (1 - level) / len(label_names))
    takes = f"{fewest:,} answers with a label, were all of them right"
    detail = (
        f"{selective.sentence(figures, task)}, on the {rows:,} validation rows that chose the "
        f"thresholds; each label that is given is right in at least {asked}, for all labels at once"
    )
    notes = []
    if len(never) == len(label_names):
        detail = (
            f"{rows:,} rows show no label to be right in at least {asked}, from any threshold on; "
            f"it takes {takes}"
        )
    elif never:
        notes = [
            f"Never answered, as no threshold is shown to reach {asked}: "
            f"{selective.listed(never)}. It takes {takes}."
        ]
    return {
        "passed": len(never) < len(label_names),
        "min_precision": min_precision,
        "confidence_level": level,
        "rows": rows,
        **figures,
        "never": never,
        "detail": detail,
        "notes": notes,
    }


def latency_check(latency: Latency, padding: float) -> Check:
    """A figure to know, of the machine that exported; it refuses nothing."""
    return {
        "passed": True,
        "median_ms_one_text": latency.median_ms,
        "texts_per_second": latency.texts_per_second,
        "cpu": latency.cpu,
        "num_threads": latency.num_threads,
        "padding": padding,
        "detail": f"one text {latency.median_ms:.1f} ms, a list {latency.texts_per_second:,.0f} "
        f"texts per second, in {latency.variant} on {latency.cpu} (threads: "
        f"{latency.num_threads}); "
        f"{padding:.1%} of the list's tokens are padding",
    }


def require(name: str, check: Check) -> Check:
    """Give a check back if it passed.

    Raises:
        ProofError: It did not; nothing is to be written then.
    """
    if not check["passed"]:
        raise ProofError(
            f"The check {name!r} failed: {check['detail']}. No bundle was written.{ADVICE[name]}"
        )
    return check

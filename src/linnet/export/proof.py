"""proof.json: what was measured on the finished model, check by check, each with what it takes to pass."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linnet.errors import ProofError
from linnet.evaluate import metrics, multilabel
from linnet.evaluate.calibration import one_vs_rest_error
from linnet.evaluate.latency import Latency
from linnet.export.parity import Parity

FORMAT = 1

Check = dict[str, Any]

ADVICE = {
    "parity": " Try another export.opset, or export.parity_tolerance if so large a difference is right for this model.",
    "accuracy": " Train on more rows, for more epochs or with another learning rate, or validate on more rows.",
}


def parity_check(parity: Parity, tolerance: float) -> Check:
    """Passes where no logit is further than `tolerance` from torch's."""
    return {
        "passed": parity.max_logit_difference <= tolerance,  # which NaN is not
        "max_logit_difference": parity.max_logit_difference,
        "label_agreement": parity.label_agreement,
        "rows": parity.rows,
        "tolerance": tolerance,
        "detail": f"largest logit difference to torch {parity.max_logit_difference:.2g} (allowed: {tolerance:.2g}), "
        f"labels agree on {parity.label_agreement:.2%} of {parity.rows:,} rows",
    }


def accuracy_check(
    labels: NDArray[np.int64], predictions: NDArray[np.int64], label_names: Sequence[str], confidence_level: float
) -> Check:
    """Passes where the low end of the accuracy's Wilson interval is above the share of the largest class."""
    rows = len(labels)
    value = metrics.accuracy(labels, predictions)
    low, high = metrics.wilson_interval(int((labels == predictions).sum()), rows, confidence_level)
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
        "detail": f"accuracy {value:.2%} on {rows:,} validation rows ({confidence_level:.0%} interval {low:.2%} to "
        f"{high:.2%}), {verdict} the {share:.2%} of always answering {label_names[majority]!r}",
    }


def calibration_check(probabilities: NDArray[np.float64], labels: NDArray[np.int64], bins: int) -> Check:
    """A figure to know; it refuses nothing."""
    error = metrics.expected_calibration_error(probabilities, labels, bins)
    return {
        "passed": True,
        "expected_calibration_error": error,
        "bins": bins,
        "detail": f"expected calibration error {error:.2%} in {bins} bins",
    }


def multi_label_check(
    labels: NDArray[np.bool_],
    predictions: NDArray[np.bool_],
    label_names: Sequence[str],
    confidence_level: float,
    resamples: int,
    seed: int,
) -> Check:
    """Passes where micro F1 is above that of the best set to answer always, by an interval over the same rows.

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
    gap = multilabel.paired_micro_f1(labels, predictions, constant, confidence_level, resamples, seed)
    names = [label_names[k] for k in np.flatnonzero(constant[0]).tolist()]
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
        "detail": f"micro F1 {value.value:.2%} on {rows:,} validation rows ({confidence_level:.0%} interval "
        f"{value.low:.2%} to {value.high:.2%}), {verdict} the {trivial:.2%} of always answering {_shown(names)} "
        f"(difference {gap.value:+.2%}, interval {gap.low:+.2%} to {gap.high:+.2%})",
    }


def _shown(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:3])) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def multi_label_calibration_check(probabilities: NDArray[np.float64], labels: NDArray[np.bool_], bins: int) -> Check:
    """A figure to know; it refuses nothing."""
    error = one_vs_rest_error(probabilities, labels, bins)
    return {
        "passed": True,
        "expected_calibration_error": error,
        "kind": "one-vs-rest",
        "bins": bins,
        "detail": f"expected calibration error {error:.2%} in {bins} bins, each label for itself",
    }


def latency_check(latency: Latency) -> Check:
    """A figure to know, of the machine that exported; it refuses nothing."""
    return {
        "passed": True,
        "median_ms_one_text": latency.median_ms,
        "texts_per_second": latency.texts_per_second,
        "cpu": latency.cpu,
        "num_threads": latency.num_threads,
        "detail": f"one text {latency.median_ms:.1f} ms, a list {latency.texts_per_second:,.0f} texts a second, on "
        f"{latency.num_threads} thread(s) of {latency.cpu}",
    }


def require(name: str, check: Check) -> Check:
    """Give a check back if it passed.

    Raises:
        ProofError: It did not; nothing is to be written then.
    """
    if not check["passed"]:
        raise ProofError(f"The check {name!r} failed: {check['detail']}. No bundle was written.{ADVICE[name]}")
    return check

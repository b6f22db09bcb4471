"""proof.json: what was measured on the finished model, check by check, each with what it takes to pass."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linnet.errors import ProofError
from linnet.evaluate import metrics
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

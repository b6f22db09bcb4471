"""Each check passes where it should, and says its numbers either way."""

import math

import numpy as np
import pytest

from linnet.errors import ProofError
from linnet.evaluate.metrics import wilson_interval
from linnet.export import proof
from linnet.export.parity import Parity

LABELS = ("negative", "positive")


def test_parity_passes_up_to_the_tolerance():
    assert proof.parity_check(Parity(1e-3, 1.0, 5), 1e-3)["passed"] is True
    assert proof.parity_check(Parity(1.1e-3, 1.0, 5), 1e-3)["passed"] is False
    assert proof.parity_check(Parity(math.nan, 1.0, 5), 1e-3)["passed"] is False


def answers(rows: int, right: int, positives: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels with so many positives, and predictions of which so many are right."""
    labels = (np.arange(rows) < positives).astype(np.int64)
    return labels, np.where(np.arange(rows) < right, labels, 1 - labels)


def test_accuracy_is_compared_with_the_largest_class():
    labels, predictions = answers(rows=200, right=180, positives=120)
    check = proof.accuracy_check(labels, predictions, LABELS, 0.95)
    assert check["passed"] is True
    assert check["value"] == 0.9
    assert check["interval"] == list(wilson_interval(180, 200, 0.95))
    assert check["majority_class"] == {"label": "positive", "share": 0.6}
    assert "90.00% on 200 validation rows" in check["detail"]
    assert "above the 60.00% of always answering 'positive'" in check["detail"]


def test_accuracy_has_to_be_shown_and_not_only_seen():
    """65 % of 40 rows is more than 60 %, but the interval is not clear of it."""
    labels, predictions = answers(rows=40, right=26, positives=24)
    check = proof.accuracy_check(labels, predictions, LABELS, 0.95)
    assert check["value"] == 0.65
    assert check["passed"] is False
    assert "not shown to be above the 60.00%" in check["detail"]
    assert proof.accuracy_check(*answers(4000, 2600, 2400), LABELS, 0.95)["passed"] is True


def test_always_answering_one_class_never_passes():
    labels = np.repeat([0, 1], [190, 10])
    assert proof.accuracy_check(labels, np.zeros(200, np.int64), LABELS, 0.95)["passed"] is False


def test_calibration_is_measured():
    probabilities = np.tile([0.1, 0.9], (100, 1))
    check = proof.calibration_check(probabilities, np.repeat([0, 1], [40, 60]), 15)
    assert check["expected_calibration_error"] == pytest.approx(0.3)
    assert check["passed"] is True


@pytest.mark.parametrize("name", ["parity", "accuracy"])
def test_a_failed_check_is_an_error_with_advice(name):
    with pytest.raises(ProofError, match=rf"^The check '{name}' failed: off\. No bundle was written\. \w+"):
        proof.require(name, {"passed": False, "detail": "off"})


def test_a_passed_check_is_given_back():
    check = {"passed": True, "detail": "fine"}
    assert proof.require("parity", check) is check

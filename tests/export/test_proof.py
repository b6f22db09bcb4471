"""Each check passes where it should, and says its numbers either way."""

import math

import numpy as np
import pytest

from linnet.config import load_config
from linnet.errors import ProofError
from linnet.evaluate.temperature import Temperature
from linnet.export import proof
from linnet.export.parity import Parity
from linnet.predict import SingleLabel, softmax
from linnet.wilson import wilson_interval

LABELS = ("negative", "positive")
SETTINGS = load_config().evaluate


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
    logits = np.tile(np.log([0.1, 0.9]), (100, 1))
    labels = np.repeat([0, 1], [40, 60])
    check = proof.calibration_check(logits, labels, None, 15)
    assert (
        check["expected_calibration_error"]
        == check["expected_calibration_error_before"]
        == pytest.approx(0.3)
    )
    assert (check["passed"], check["temperature"], check["rows"]) == (True, 1.0, 100)
    assert check["detail"] == "expected calibration error 30.00% in 15 bins, at a temperature of 1"
    several = proof.calibration_check(logits, labels[:, None] == [0, 1], None, 15)
    assert several["kind"] == "one-vs-rest" and "each label for itself" in several["detail"]
    assert several["expected_calibration_error"] != check["expected_calibration_error"]


def test_calibration_is_told_before_and_after():
    logits, labels = np.tile(np.log([0.1, 0.9]), (100, 1)), np.repeat([0, 1], [40, 60])
    found = Temperature(2.0, np.repeat([2.0, 4.0], 50)[:, None])
    check = proof.calibration_check(logits, labels, found, 15)
    assert check["temperature"] == 2.0
    first, second = (softmax(logits / value)[:50] for value in (2.0, 4.0))
    assert check["log_loss"] == pytest.approx(
        (-np.log(first[:40, 0]).sum() - np.log(first[40:, 1]).sum() - np.log(second[:, 1]).sum())
        / 100
    )
    assert check["expected_calibration_error_before"] == pytest.approx(0.3)
    # Of the first half a fifth is right at 0.75, of the second all at 0.634.
    assert check["expected_calibration_error"] == pytest.approx((0.75 - 0.2 + 1 - second[0, 1]) / 2)
    assert (
        "error 30.00% before and 45.80% after" in check["detail"]
        and "temperature of 2.00" in check["detail"]
    )
    kept = proof.calibration_check(
        logits, labels, Temperature(1.0, np.ones((100, 1)), "It is left at 1: x."), 15
    )
    assert kept["notes"] == ["It is left at 1: x."]
    assert kept["expected_calibration_error"] == kept["expected_calibration_error_before"]


def test_precision_says_what_is_answered_and_what_never():
    labels = (np.arange(100) % 2)[:, None] == [0, 1]
    given = labels & (np.arange(100) < 80)[:, None]
    check = proof.precision_check(labels, given, LABELS, [0.7, 0.8], SingleLabel(), 0.9, SETTINGS)
    assert check["passed"] is True and check["notes"] == check["never"] == []
    assert (check["coverage"]["value"], check["precision"]["value"], check["rows"]) == (
        0.8,
        1.0,
        100,
    )
    assert check["detail"].startswith("answers 80.00% of the texts, and is right in 100.00% (")
    assert "at least 90.00% with a confidence of 95%, for all labels at once" in check["detail"]
    one = proof.precision_check(
        labels, given & [True, False], LABELS, [0.7, None], SingleLabel(), 0.9, SETTINGS
    )
    assert one["passed"] is True and one["never"] == ["positive"]
    assert one["notes"] == [
        "Never answered, as no threshold is shown to reach 90.00% with a confidence of 95%: 'positive'. It takes 49 "
        "answers with a label, were all of them right."
    ]
    none = proof.precision_check(
        labels, given & False, LABELS, [None, None], SingleLabel(), 0.9, SETTINGS
    )
    with pytest.raises(
        ProofError,
        match=r"100 rows show no label to be right in at least 90\.00%.*Ask for less with export",
    ):
        proof.require("precision", none)


@pytest.mark.parametrize("name", ["parity", "accuracy"])
def test_a_failed_check_is_an_error_with_advice(name):
    with pytest.raises(
        ProofError, match=rf"^The check '{name}' failed: off\. No bundle was written\. \w+"
    ):
        proof.require(name, {"passed": False, "detail": "off"})


def test_a_passed_check_is_given_back():
    check = {"passed": True, "detail": "fine"}
    assert proof.require("parity", check) is check

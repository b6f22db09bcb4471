"""What the validation rows settle agrees with itself, whatever was asked for."""

import numpy as np
import pytest

from linnet.config import load_config
from linnet.data import Split
from linnet.errors import ProofError
from linnet.evaluate import thresholds
from linnet.export.validation import calibrate
from linnet.predict import sigmoid, softmax, task_of

TEMPERATURE = 2.0  # by which the logits are too large


def rows(multi_label: bool) -> tuple[np.ndarray, Split]:
    count, draw = 800, np.random.default_rng(5)
    true = draw.normal(0, 3, (count, 3))
    if multi_label:
        labels = draw.random((count, 3)) < sigmoid(true)
    else:
        labels = (softmax(true).cumsum(axis=1) < draw.random((count, 1))).sum(axis=1)
    split = Split("validation", ["a text"] * count, labels, ("a", "b", "c"), multi_label)
    return (TEMPERATURE * true).astype(np.float32), split


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("wanted", [False, True])
@pytest.mark.parametrize("min_precision", [0.0, 0.8])
def test_what_is_settled_is_what_is_served(multi_label, wanted, min_precision):
    logits, split = rows(multi_label)
    asked = {"export.calibrate": wanted, "export.min_precision": min_precision}
    found = calibrate(
        load_config(overrides=asked | {"evaluate.bootstrap_resamples": 200}), logits, split
    )
    temperature, chosen = found.temperature, found.thresholds
    assert temperature == (pytest.approx(TEMPERATURE, rel=0.15) if wanted else 1.0)
    np.testing.assert_array_equal(
        found.probabilities, task_of(multi_label).probabilities(logits, temperature)
    )
    np.testing.assert_array_equal(
        found.predictions, task_of(multi_label).decide(found.probabilities, chosen)
    )
    assert set(found.checks) == {"accuracy", "calibration"} | (
        {"precision"} if min_precision else set()
    )
    assert found.min_precision == (min_precision or None)
    if multi_label and not min_precision:
        assert chosen == thresholds.tune(found.probabilities, split.labels).tolist()
    if not multi_label and not min_precision:
        assert chosen is None and found.predictions.any(axis=1).all()
    check = found.checks["calibration"]
    assert (
        check["expected_calibration_error"] < check["expected_calibration_error_before"] / 2
    ) is wanted


@pytest.mark.parametrize(("failing", "asked"), [("accuracy", 0.0), ("precision", 0.99)])
def test_a_check_that_fails_is_an_error(failing, asked):
    logits, split = rows(multi_label=False)
    if failing == "accuracy":
        logits = np.random.default_rng(0).permutation(logits)
    with pytest.raises(ProofError, match=f"'{failing}' failed"):
        calibrate(load_config(overrides={"export.min_precision": asked}), logits, split)

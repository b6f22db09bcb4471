"""Reliability bins and the error that chance alone explains."""

import numpy as np

from linnet.evaluate.calibration import calibrated_limit, reliability_bins
from linnet.evaluate.metrics import expected_calibration_error


def simulate(rows: int, seed: int, power: float) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (n, 2) of a model whose true odds are those raised to `power`."""
    draw = np.random.default_rng(seed)
    stated = draw.uniform(0.5, 1, rows)
    true = stated**power / (stated**power + (1 - stated) ** power)
    labels = (draw.random(rows) >= true).astype(int)
    return np.column_stack([stated, 1 - stated]), labels


def test_bins_account_for_every_row():
    probabilities, labels = simulate(1000, 0, 1.0)
    confidence, correct = probabilities.max(axis=1), labels == 0
    bins = reliability_bins(confidence, correct, 10, 0.95)
    assert sum(item.rows for item in bins) == 1000
    assert all(item.low < item.confidence <= item.high for item in bins)
    assert all(item.accuracy.low <= item.accuracy.value <= item.accuracy.high for item in bins)


def test_the_limit_is_passed_by_few_calibrated_models_and_by_overconfident_ones():
    passed = 0
    for seed in range(200):
        probabilities, labels = simulate(500, seed, 1.0)
        limit = calibrated_limit(probabilities.max(axis=1), 15, 0.95, 200, seed)
        passed += expected_calibration_error(probabilities, labels, 15) > limit
    assert passed / 200 < 0.1
    probabilities, labels = simulate(500, 0, 0.4)
    assert expected_calibration_error(probabilities, labels, 15) > calibrated_limit(
        probabilities.max(axis=1), 15, 0.95, 200, 0
    )

"""Metrics against definitions worked by hand and against simulation."""

import numpy as np
import pytest

from linnet.evaluate import metrics

LABELS = np.array([0, 0, 0, 1, 1, 2])
PREDICTIONS = np.array([0, 0, 1, 1, 2, 2])


def test_figures_worked_by_hand():
    assert metrics.accuracy(LABELS, PREDICTIONS) == pytest.approx(4 / 6)
    assert metrics.macro_f1(LABELS, PREDICTIONS) == pytest.approx((0.8 + 0.5 + 2 / 3) / 3)
    assert metrics.confusion_matrix(LABELS, PREDICTIONS, 3).tolist() == [
        [2, 1, 0],
        [0, 1, 1],
        [0, 0, 1],
    ]
    first = metrics.per_class(LABELS, PREDICTIONS, 3)[0]
    assert (first.precision, first.recall, first.support) == (1.0, pytest.approx(2 / 3), 3)


def test_a_class_without_rows_counts_zero():
    assert metrics.per_class(np.array([0, 1]), np.array([0, 1]), 3)[2] == metrics.ClassMetrics(
        0, 0, 0, 0
    )


def test_log_loss_is_finite_for_a_certain_mistake():
    assert metrics.log_loss(np.array([[1.0, 0.0]]), np.array([1])) == pytest.approx(
        15.942, abs=1e-3
    )
    assert metrics.log_loss(np.array([[0.25, 0.75]]), np.array([1])) == pytest.approx(-np.log(0.75))


def test_calibration_error_worked_by_hand():
    # Two rows at 0.9, one of them right: |0.5 - 0.9| of half the rows; two at 0.6, both right: |1 - 0.6|.
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]])
    assert metrics.expected_calibration_error(
        probabilities, np.array([0, 1, 0, 0]), 10
    ) == pytest.approx(0.4)


def test_calibration_error_of_a_calibrated_simulator_is_small():
    draw = np.random.default_rng(0)
    positive = draw.random(100_000)
    labels = (draw.random(100_000) < positive).astype(int)
    probabilities = np.column_stack([1 - positive, positive])
    assert metrics.expected_calibration_error(probabilities, labels, 15) < 0.01
    sharpened = probabilities**3 / (probabilities**3).sum(axis=1, keepdims=True)
    assert metrics.expected_calibration_error(sharpened, labels, 15) > 0.05

"""Figures of any number of labels a text: scikit-learn's, and intervals that cover."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, log_loss

from linnet.evaluate import metrics, multilabel
from linnet.evaluate.calibration import one_vs_rest_error, one_vs_rest_limit
from linnet.evaluate.intervals import Estimate


def make(rows: int, labels: int, seed: int, noise: float = 0.2) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    truth = draw.random((rows, labels)) < draw.random(labels) * 0.6
    return truth, truth ^ (draw.random(truth.shape) < noise)


@settings(deadline=None)
@given(st.integers(2, 60), st.integers(2, 6), st.integers(0, 2**32 - 1))
def test_the_figures_are_scikit_learns(rows: int, labels: int, seed: int) -> None:
    truth, given_ = make(rows, labels, seed)
    found = multilabel.bootstrap_f1s(truth, given_, 0.95, 50, 0)
    assert found.micro.value == pytest.approx(
        f1_score(truth, given_, average="micro", zero_division=0)
    )
    assert metrics.micro_f1(truth, given_) == found.micro.value
    each = f1_score(truth, given_, average=None, zero_division=0)
    assert [item.value for item in found.labels] == pytest.approx(each)
    seen = (truth | given_).any(axis=0)
    assert found.macro.value == pytest.approx(each[seen].mean() if seen.any() else 0)
    assert metrics.accuracy(truth, given_) == accuracy_score(truth, given_)
    for item in (found.micro, found.macro, *found.labels):
        assert 0 <= item.low <= item.high <= 1


def test_losses_are_scikit_learns() -> None:
    truth, _ = make(50, 3, 0)
    probabilities = np.random.default_rng(1).random(truth.shape)
    expected = np.mean(
        [log_loss(truth[:, k], probabilities[:, k], labels=[False, True]) for k in range(3)]
    )
    assert multilabel.log_losses(probabilities, truth).mean() == pytest.approx(expected)


def test_resampled_sums_are_those_of_rows_drawn() -> None:
    truth, _ = make(80, 3, 4)
    sums = multilabel.resampled_sums(truth, 4000, 0)
    assert sums.shape == (4000, 3)
    assert sums.mean(axis=0) == pytest.approx(truth.sum(axis=0), rel=0.03)
    assert sums.var(axis=0) == pytest.approx(80 * truth.var(axis=0), rel=0.12)
    together = np.cov(sums.T)[0, 1]
    assert together == pytest.approx(80 * np.cov(truth.T.astype(float), bias=True)[0, 1], abs=1.0)
    numbers = multilabel.resampled_sums(truth.astype(np.int64), 4000, 0)
    assert numbers.mean(axis=0) == pytest.approx(truth.sum(axis=0), rel=0.03)


def test_the_interval_covers() -> None:
    hits = 0
    for seed in range(200):
        draw = np.random.default_rng(seed)
        truth = draw.random((150, 3)) < 0.3
        given_ = truth ^ (draw.random(truth.shape) < 0.15)
        right, wrong = 0.3 * 0.85, 0.15
        expected = 2 * right / (2 * right + wrong)
        interval = multilabel.bootstrap_f1s(truth, given_, 0.9, 300, seed).micro
        hits += interval.low <= expected <= interval.high
    assert 165 <= hits <= 195  # 180 of 200, give or take three and a half standard deviations


def test_a_difference_is_paired() -> None:
    truth, first = make(300, 4, 0, 0.1)
    _, second = make(300, 4, 0, 0.1)
    second[:40] ^= True
    gap = multilabel.paired_micro_f1(truth, first, second, 0.95, 500, 0)
    assert gap.value == pytest.approx(
        metrics.micro_f1(truth, first) - metrics.micro_f1(truth, second)
    )
    assert 0 < gap.low < gap.value < gap.high
    apart = [multilabel.bootstrap_f1s(truth, some, 0.95, 500, 0).micro for some in (first, second)]
    assert gap.high - gap.low < sum(item.high - item.low for item in apart)
    assert multilabel.paired_micro_f1(truth, first, first, 0.95, 100, 0) == Estimate(0.0, 0.0, 0.0)


@given(st.lists(st.tuples(*[st.booleans()] * 4), min_size=1, max_size=30))
def test_no_constant_set_is_better(rows: list[tuple[bool, ...]]) -> None:
    truth = np.array(rows)
    chosen = multilabel.best_constant(truth)
    best = max(
        metrics.micro_f1(truth, np.tile(some, (len(rows), 1)))
        for some in product([False, True], repeat=4)
    )
    assert chosen.any()
    assert metrics.micro_f1(truth, np.tile(chosen, (len(rows), 1))) == pytest.approx(best)


def test_a_label_without_rows_has_no_average_precision() -> None:
    truth = np.array([[True, False], [False, False]])
    assert multilabel.average_precisions(np.array([[0.9, 0.1], [0.2, 0.3]]), truth) == [1.0, None]


def test_calibration_is_of_each_label_for_itself() -> None:
    draw = np.random.default_rng(0)
    stated = draw.random((2000, 3))
    truth = draw.random(stated.shape) < stated
    limit = one_vs_rest_limit(stated, 15, 0.95, 200, 0)
    assert 0 < one_vs_rest_error(stated, truth, 15) < limit < 0.06
    # Two labels whose errors cancel out taken together, but not each for itself.
    even = np.full((1000, 2), 0.5)
    opposite = np.tile([True, False], (1000, 1))
    assert one_vs_rest_error(even, opposite, 15) == pytest.approx(0.5)

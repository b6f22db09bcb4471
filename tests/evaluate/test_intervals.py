"""Intervals are tested by simulation: how often they hold the truth."""

import numpy as np
import pytest

from linnet.evaluate.intervals import (
    Agreement,
    bootstrap_f1,
    bootstrap_mean,
    f1_scores,
    mcnemar_p,
    paired_difference,
)

ROUNDS = 300


def test_macro_f1_bootstrap_covers():
    draw = np.random.default_rng(0)
    shares = np.array([[0.4, 0.1], [0.05, 0.45]])
    truth = float(np.mean(f1_scores(np.round(shares * 1e6).astype(np.int64))))
    held = 0
    for seed in range(ROUNDS):
        confusion = draw.multinomial(400, shares.ravel()).reshape(2, 2)
        macro, _ = bootstrap_f1(confusion, 0.95, 200, seed)
        held += macro.low <= truth <= macro.high
    assert 0.90 < held / ROUNDS < 0.985


def test_f1_of_a_class_that_never_occurs_is_left_out_of_the_mean():
    macro, each = bootstrap_f1(np.diag([10, 10, 0]), 0.95, 100, 0)
    assert macro.value == 1.0
    assert each[2].value == 0.0


def test_mean_bootstrap_covers():
    draw = np.random.default_rng(1)
    held = 0
    for seed in range(ROUNDS):
        estimate = bootstrap_mean(draw.exponential(size=300), 0.95, 200, seed)
        held += estimate.low <= 1.0 <= estimate.high
    assert 0.89 < held / ROUNDS < 0.985


def test_mean_bootstrap_needs_two_rows():
    with pytest.raises(ValueError, match="two rows"):
        bootstrap_mean(np.array([1.0]), 0.95, 100, 0)


@pytest.mark.parametrize("cells", [(0.7, 0.1, 0.06, 0.14), (0.9, 0.02, 0.02, 0.06)])
def test_paired_difference_covers_and_mcnemar_agrees_with_it(cells):
    draw = np.random.default_rng(2)
    truth = cells[1] - cells[2]
    held = rejected = 0
    for _ in range(1000):
        agreement = Agreement(*map(int, draw.multinomial(500, cells)))
        estimate = paired_difference(agreement, 0.95)
        held += estimate.low <= truth <= estimate.high
        rejected += mcnemar_p(agreement) < 0.05
    assert 0.93 < held / 1000 < 0.98
    if truth == 0:
        assert rejected / 1000 < 0.05


def test_paired_difference_of_a_published_example():
    # Bentur et al. 2009, as worked out by Fagerland, Lydersen and Laake 2014 (Statistics in Medicine 33).
    estimate = paired_difference(Agreement(1, 1, 7, 12), 0.95)
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((-0.286, -0.507, -0.026), abs=5e-4)


def test_paired_difference_is_antisymmetric():
    forth = paired_difference(Agreement(70, 12, 5, 13), 0.95)
    back = paired_difference(Agreement(70, 5, 12, 13), 0.95)
    assert (forth.value, forth.low, forth.high) == pytest.approx((-back.value, -back.high, -back.low))


def test_counts_of_agreement():
    first, second = np.array([True, True, False, False]), np.array([True, False, True, False])
    assert Agreement.count(first, second) == Agreement(1, 1, 1, 1)
    assert mcnemar_p(Agreement(5, 0, 0, 5)) == 1.0

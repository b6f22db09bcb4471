"""Arms that get what they were to get are seldom suspected; others are found."""

from math import log

import numpy as np
import pytest

from linnet.monitor.evidence import SampleRatioTest


def first_crossing(true: list[float], asked: list[list[float]], alpha: float, seed: int):
    """After how many units the evidence reaches 1 / alpha; None if it never does."""
    rng = np.random.default_rng(seed)
    test = SampleRatioTest()
    for n, shares in enumerate(asked, 1):
        expected = np.array(shares) * true
        test.add(shares, int(rng.choice(len(shares), p=expected / expected.sum())))
        if test.log_evidence() >= log(1 / alpha):
            return n
    return None


RAMP = [[0.99, 0.01]] * 300 + [[0.9, 0.1]] * 300 + [[0.5, 0.5]] * 400


def test_a_fair_ramp_is_seldom_suspected_at_any_look():
    # 5 % of 100 runs: 16 have a probability of 1 in 10,000.
    false = sum(first_crossing([1, 1], RAMP, 0.05, seed) is not None for seed in range(100))
    assert false <= 16


def test_a_challenger_that_loses_a_fifth_of_its_units_is_found():
    asked = [[0.5, 0.5]] * 3000
    found = [first_crossing([1, 0.8], asked, 0.01, seed) for seed in range(10)]
    assert None not in found
    assert np.median(found) < 2000


def test_three_arms():
    test = SampleRatioTest()
    for arm, units in enumerate([5000, 3000, 2000]):
        test.add([0.5, 0.3, 0.2], arm, units)
    assert test.log_evidence() < 0
    test.add([0.5, 0.3, 0.2], 2, 600)
    assert test.log_evidence() > log(100)


def test_two_arms_are_the_beta_mixture():
    betaln = pytest.importorskip("scipy.special").betaln  # the service runs without it
    test = SampleRatioTest()
    test.add([0.9, 0.1], 0, 80)
    test.add([0.9, 0.1], 1, 20)
    expected = betaln(90 + 80, 10 + 20) - betaln(90, 10) - 80 * log(0.9) - 20 * log(0.1)
    assert test.log_evidence() == pytest.approx(expected)


def test_the_counts_can_be_kept():
    test = SampleRatioTest()
    test.add([0.5, 0.5], 0, 3)
    test.add([0.9, 0.1], 1)
    assert SampleRatioTest.from_json(test.to_json()) == test


@pytest.mark.parametrize("shares", [[1.0, 0.0], [0.5, 0.6], [-0.5, 1.5]])
def test_shares_that_are_none_are_refused(shares):
    with pytest.raises(ValueError, match="sum to 1"):
        SampleRatioTest().add(shares, 0)

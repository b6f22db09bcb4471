"""The interval of a share holds the truth at each look, and the one-look interval does not."""

import numpy as np
import pytest

from linnet.monitor.evidence import interval_at_any_look, interval_of_one_look
from linnet.wilson import wilson_interval

RUNS = 400
LOOKS = 1000
# At most so many of 400 runs may miss at 5 % before chance is excluded (99.9 % of a binomial).
MOST_MISSES = 35


def ever_missed(interval, truth: float, seed: int) -> int:
    """How many runs have an interval without the truth at any of many looks."""
    counts = np.cumsum(np.random.default_rng(seed).random((RUNS, LOOKS)) < truth, axis=1)
    known = {}
    missed = 0
    for run in counts:
        for n, successes in enumerate(run, 1):
            key = n, int(successes)
            if key not in known:
                low, high = interval(key[1], n - key[1])
                known[key] = low <= truth <= high
            if not known[key]:
                missed += 1
                break
    return missed


@pytest.mark.parametrize("truth", [0.5, 0.8, 0.99])
def test_the_truth_is_inside_at_all_looks(truth: float):
    assert ever_missed(interval_at_any_look, truth, 1) <= MOST_MISSES


def test_an_interval_of_one_look_misses_somebody_who_looks_all_the_time():
    assert ever_missed(interval_of_one_look, 0.8, 1) > 3 * MOST_MISSES


def test_the_interval_of_one_look_is_wilsons():
    assert interval_of_one_look(80, 20, 0.1) == pytest.approx(wilson_interval(80, 100, 0.9))


@pytest.mark.parametrize(
    ("n", "half_width"), [(100, 0.117), (500, 0.057), (1000, 0.041), (2000, 0.030)]
)
def test_the_price_of_looking_at_any_time(n: int, half_width: float):
    low, high = interval_at_any_look(n * 85 // 100, n * 15 // 100)
    assert (high - low) / 2 == pytest.approx(half_width, abs=0.0015)


def test_the_interval_is_the_oracles():
    ville = pytest.importorskip("ville")
    outcomes = (np.random.default_rng(3).random(300) < 0.7).astype(float)
    oracle = ville.BernoulliCS(alpha=0.05, prior=(0.5, 0.5), intersect=False)
    oracle.update(outcomes)
    for n in (1, 10, 100, 300):
        successes = int(outcomes[:n].sum())
        assert interval_at_any_look(successes, n - successes) == pytest.approx(
            (oracle.lower_[n - 1], oracle.upper_[n - 1]), abs=1e-6
        )


@pytest.mark.parametrize("interval", [interval_at_any_look, interval_of_one_look])
def test_nothing_is_known_of_nothing(interval):
    assert interval(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize("interval", [interval_at_any_look, interval_of_one_look])
def test_both_ends_can_be_reached(interval):
    low, high = interval(0, 1000)
    assert low == 0.0
    assert 0 < high < 0.02
    low, high = interval(1000, 0)
    assert 0.98 < low < 1
    assert high == 1.0

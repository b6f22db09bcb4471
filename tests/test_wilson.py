"""Wilson's interval holds the share, keeps its level, and is scipy's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linnet.wilson import wilson_interval


@pytest.mark.parametrize(("successes", "n"), [(0, 1), (1, 1), (0, 50), (80, 100), (7, 1000)])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_it_is_scipys(successes, n, level):
    stats = pytest.importorskip("scipy.stats")  # the service runs without it
    expected = stats.binomtest(successes, n).proportion_ci(level, method="wilson")
    assert wilson_interval(successes, n, level) == pytest.approx(
        (expected.low, expected.high), abs=1e-12
    )


@given(
    st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    st.floats(0.5, 0.999),
)
def test_wilson_interval_holds_the_share_and_stays_within_bounds(counts, level):
    successes, n = counts
    low, high = wilson_interval(successes, n, level)
    assert 0 <= low <= successes / n + 1e-9 and successes / n - 1e-9 <= high <= 1


def test_wilson_interval_of_nothing_is_everything():
    assert wilson_interval(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize("share", [0.03, 0.5, 0.83])
def test_wilson_interval_covers_as_often_as_it_says(share):
    draw = np.random.default_rng(1)
    ends = np.array([wilson_interval(k, 300, 0.95) for k in range(301)])
    found = ends[draw.binomial(300, share, 4000)]
    assert 0.93 < ((found[:, 0] <= share) & (share <= found[:, 1])).mean() < 0.975

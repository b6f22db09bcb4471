"""Events of two arms: rare false alarms at any look, whatever the shares do."""

from math import exp, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linnet.monitor.evidence import EventCounts

SHARES = [0.01, 0.05, 0.2, 0.5]
COUNTS = st.dictionaries(
    st.sampled_from(SHARES),
    st.tuples(st.integers(0, 2000), st.integers(0, 2000)),
    max_size=len(SHARES),
)


def ramp(events: int, ratio: float, seed: int) -> list[tuple[float, bool]]:
    """Events under rising shares; the challenger's rate is `ratio` times the champion's."""
    rng = np.random.default_rng(seed)
    shares = np.repeat(SHARES, events // len(SHARES))
    falls = rng.random(len(shares)) < shares * ratio / (1 - shares + shares * ratio)
    return list(zip(shares.tolist(), falls.tolist(), strict=True))


def first_crossing(sequence: list[tuple[float, bool]], limit: float) -> int | None:
    counts = EventCounts()
    for n, (share, falls) in enumerate(sequence, 1):
        counts.add(share, falls)
        if counts.log_evidence_of_harm() >= limit:
            return n
    return None


def test_equal_arms_are_seldom_rolled_back_at_any_look_of_a_ramp():
    # Alpha is 5 %: 20 of 150 runs have a probability of 1 in 10,000 (binomial).
    false = sum(first_crossing(ramp(400, 1.0, seed), log(20)) is not None for seed in range(150))
    assert false <= 20


def test_a_better_challenger_is_never_called_harmful():
    assert all(first_crossing(ramp(400, 0.5, seed), log(20)) is None for seed in range(30))


def test_a_rate_ten_times_as_high_is_found_within_few_events():
    found = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        falls = rng.random(400) < 0.1 * 10 / (0.9 + 0.1 * 10)
        found.append(first_crossing([(0.1, bool(fell)) for fell in falls], log(100)))
    assert None not in found
    assert np.median(found) <= 15


def test_the_interval_of_the_ratio_holds_the_truth_at_all_looks():
    missed = 0
    for seed in range(60):
        counts = EventCounts()
        inside = True
        for n, (share, falls) in enumerate(ramp(400, 1.5, seed), 1):
            counts.add(share, falls)
            if n % 10 == 0:
                low, high = counts.ratio_interval(0.05)
                inside = inside and low <= 1.5 <= high
        missed += not inside
    assert missed <= 10  # 5 % of 60 runs: 10 have a probability of 1 in 2,000


def test_the_interval_narrows():
    few = EventCounts({0.5: (10, 10)}).ratio_interval()
    many = EventCounts({0.5: (1000, 1000)}).ratio_interval()
    assert few[0] < many[0] < 1 < many[1] < few[1]
    assert many == pytest.approx((1 / many[1], many[1]))  # equal arms, equal shares: symmetric
    assert many[1] < 1.2


@given(COUNTS)
def test_only_counts_matter_and_they_can_be_kept(counts):
    once = EventCounts(dict(counts))
    one_by_one = EventCounts()
    for share in sorted(counts, reverse=True):
        champion, challenger = counts[share]
        one_by_one.add(share, True, challenger)
        one_by_one.add(share, False, champion)
    assert one_by_one.log_evidence_of_harm() == pytest.approx(once.log_evidence_of_harm())
    assert EventCounts.from_json(once.to_json()).counts == once.counts


@given(COUNTS)
def test_the_interval_and_the_evidence_are_finite_or_open(counts):
    low, high = EventCounts(dict(counts)).ratio_interval()
    assert 0 <= low <= high
    assert not np.isnan(EventCounts(dict(counts)).log_evidence_of_harm())


def test_all_events_in_one_arm():
    low, high = EventCounts({0.1: (0, 500)}).ratio_interval()
    assert low > 9
    assert high == float("inf")
    low, high = EventCounts({0.1: (5000, 0)}).ratio_interval()
    assert low == 0.0
    assert high < 0.2
    assert EventCounts().ratio_interval() == (0.0, float("inf"))


def test_one_event_is_worth_what_the_paper_says():
    """One bet on the ratio r gains r / (1 - s + s r) by a challenger's event at share s."""
    log_ratios = np.linspace(0.1, 2.3, 23)
    weights = np.exp(-log_ratios) / np.exp(-log_ratios).sum()
    worth = sum(w * exp(t) / (0.9 + 0.1 * exp(t)) for w, t in zip(weights, log_ratios, strict=True))
    counts = EventCounts()
    counts.add(0.1, True)
    assert counts.log_evidence_of_harm() == pytest.approx(log(worth))


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_a_share_that_compares_nothing_is_refused(share):
    with pytest.raises(ValueError, match="between 0 and 1"):
        EventCounts().add(share, True)

"""Paired models: few labels, a bounded error rate at any look, pending labels never help."""

from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linnet.monitor.evidence import PairedCounts

COUNT = st.integers(0, 5000)
COUNTS = st.builds(PairedCounts, same=COUNT, better=COUNT, worse=COUNT, pending=COUNT)


def first_shown(disagree: float, difference: float, margin: float, texts: int, seed: int):
    """The counts when non-inferiority is first shown at 5 %; a look every 20 texts."""
    rng = np.random.default_rng(seed)
    p_better = (disagree + difference) / 2
    drawn = rng.choice(3, size=texts, p=[1 - disagree, p_better, disagree - p_better])
    for n in range(20, texts + 1, 20):
        same, better, worse = np.bincount(drawn[:n], minlength=3).tolist()
        counts = PairedCounts(same, better, worse)
        if counts.log_evidence_of_non_inferiority(margin) >= log(20):
            return counts
    return None


def test_a_worse_model_is_seldom_shown_non_inferior():
    # At the boundary, 5 % of 200 runs: 24 have a probability of 1 in 10,000.
    false = sum(first_shown(0.06, -0.01, 0.01, 4000, seed) is not None for seed in range(200))
    assert false <= 24


def test_an_equal_model_needs_few_labels():
    shown = [first_shown(0.06, 0.0, 0.01, 12_000, seed) for seed in range(40)]
    labels = [np.inf if counts is None else counts.labelled for counts in shown]
    assert np.median(labels) <= 400


def test_the_difference_is_inside_its_interval_at_all_looks():
    missed = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        drawn = rng.choice(3, size=2000, p=[0.9, 0.06, 0.04])
        inside = True
        for n in range(100, 2001, 100):
            low, high = PairedCounts(*np.bincount(drawn[:n], minlength=3).tolist()).interval()
            inside = inside and low <= 0.02 <= high
        missed += not inside
    assert missed <= 16


@given(COUNTS, st.floats(0, 0.2))
def test_a_label_that_is_pending_never_counts_for_what_is_to_be_shown(counts, margin):
    labelled = [
        counts.plus(pending=-counts.pending, better=counts.pending),
        counts.plus(pending=-counts.pending, worse=counts.pending),
    ]
    shown = counts.log_evidence_of_non_inferiority(margin)
    harm = counts.log_evidence_of_harm(margin)
    assert shown <= min(one.log_evidence_of_non_inferiority(margin) for one in labelled) + 1e-9
    assert harm <= min(one.log_evidence_of_harm(margin) for one in labelled) + 1e-9


@given(COUNTS)
def test_the_interval_holds_the_difference_and_can_be_kept(counts):
    low, high = counts.interval()
    assert -1 <= low <= high <= 1
    if not counts.pending:
        assert low <= counts.difference() <= high
    assert PairedCounts.from_json(counts.to_json()) == counts


def test_harm_and_gain_mirror_each_other():
    gain = PairedCounts(900, 70, 30)
    loss = PairedCounts(900, 30, 70)
    assert gain.log_evidence_of_non_inferiority() == loss.log_evidence_of_harm()
    low, high = gain.interval()
    assert loss.interval() == pytest.approx((-high, -low))


def test_the_labels_that_are_needed_show_it():
    counts = PairedCounts(1000, 20, 20)
    needed = counts.labels_needed(0.01, log(20))
    assert 100 < needed < 600
    times = 1 + needed / 40
    then = PairedCounts(int(1000 * times), int(20 * times), int(20 * times))
    assert then.log_evidence_of_non_inferiority(0.01) == pytest.approx(log(20), abs=0.4)
    assert then.labels_needed(0.01, log(10)) == 0
    assert PairedCounts(1000, 5, 80).labels_needed(0.01, log(20)) is None
    assert PairedCounts(6000, 180, 180, pending=7).labels_needed(0.01, log(20)) >= 7


def test_a_share_of_the_disagreements_can_be_labelled():
    """The figure is the same on average, and the error rate is kept."""
    rng = np.random.default_rng(5)
    differences = []
    false = 0
    for _ in range(200):
        drawn = rng.choice(3, size=4000, p=[0.7, 0.145, 0.155])
        asked = rng.random(4000) < 0.25
        counts = PairedCounts(
            same=int((drawn == 0).sum()),
            better=int(((drawn == 1) & asked).sum()),
            worse=int(((drawn == 2) & asked).sum()),
            unasked=int(((drawn > 0) & ~asked).sum()),
            rate=0.25,
        )
        differences.append(counts.difference())
        false += counts.log_evidence_of_non_inferiority(0.01) >= log(20)
    assert np.mean(differences) == pytest.approx(-0.01, abs=0.004)
    assert false <= 24


def test_nothing_is_known_of_nothing():
    nothing = PairedCounts()
    assert nothing.difference() == 0
    assert nothing.interval() == (-1, 1)
    assert nothing.log_evidence_of_non_inferiority(0.01) == pytest.approx(0)

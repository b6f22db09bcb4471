"""Intervals are tested by simulation: how often they hold the truth."""

import numpy as np
import pytest
from scipy.stats import binomtest

from linnet.evaluate.intervals import (
    Agreement,
    bootstrap_f1,
    bootstrap_mean,
    f1_scores,
    largest_drop,
    mcnemar_p,
    paired_difference,
    rows_to_show,
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


@pytest.mark.parametrize(
    ("first", "second"), [(0, 0), (1, 0), (0, 7), (3, 3), (12, 5), (40, 61), (49_000, 51_000)]
)
def test_mcnemar_is_the_exact_sign_test(first, second):
    expected = binomtest(first, first + second).pvalue if first + second else 1.0
    assert mcnemar_p(Agreement(10, first, second, 10)) == pytest.approx(expected, rel=1e-9)


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
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx(
        (-0.286, -0.507, -0.026), abs=5e-4
    )


def test_paired_difference_is_antisymmetric():
    forth = paired_difference(Agreement(70, 12, 5, 13), 0.95)
    back = paired_difference(Agreement(70, 5, 12, 13), 0.95)
    assert (forth.value, forth.low, forth.high) == pytest.approx(
        (-back.value, -back.high, -back.low)
    )


def test_counts_of_agreement():
    first, second = np.array([True, True, False, False]), np.array([True, False, True, False])
    assert Agreement.count(first, second) == Agreement(1, 1, 1, 1)
    assert mcnemar_p(Agreement(5, 0, 0, 5)) == 1.0


MARGIN = 0.002


def agreements(
    draw: np.random.Generator, rows: int, lost: float, won: float, count: int
) -> list[Agreement]:
    counts = draw.multinomial(rows, [0.8 - lost, lost, won, 0.2 - won], count)
    return [Agreement(*row) for row in counts.tolist()]


# 1,353 rows without a loss is where the score interval without its correction is wrong most often: 6.7 in a hundred.
@pytest.mark.parametrize("rows", [300, 1_353, 2_000, 20_000])
@pytest.mark.parametrize("won", [0.0, 0.0005, 0.004, 0.05])
def test_a_drop_of_the_margin_is_shown_to_be_smaller_in_at_most_five_percent(rows, won):
    found = agreements(np.random.default_rng(rows), rows, won + MARGIN, won, 3_000)
    shown = np.mean([largest_drop(each, 0.95) < MARGIN for each in found])
    assert shown <= 0.05 + 3 * (0.05 * 0.95 / 3_000) ** 0.5


def test_rows_enough_show_that_nothing_is_lost():
    found = agreements(np.random.default_rng(1), 20_000, 0.0015, 0.0015, 500)
    assert np.mean([largest_drop(each, 0.95) < MARGIN for each in found]) > 0.95


@pytest.mark.parametrize(
    ("agreement", "limit"),
    [
        (Agreement(1620, 0, 0, 380), 0.0018),  # a little above the exact 3 / 2,000
        (Agreement(16_000, 84, 42, 3_874), 0.0031),
        (Agreement(0, 5, 0, 0), 1.0),
        (Agreement(0, 0, 0, 1), 0.93),
        (Agreement(0, 0, 500, 500), -0.474),
    ],
)
def test_the_largest_drop(agreement, limit):
    assert largest_drop(agreement, 0.95) == pytest.approx(limit, rel=0.03)


@pytest.mark.parametrize("lost", [0, 3, 40])
@pytest.mark.parametrize("won", [0, 2, 40])
def test_the_rows_that_it_takes_are_the_fewest(lost, won):
    rows = 10_000
    needed = rows_to_show(Agreement(rows - lost - won, lost, won, 0), MARGIN, 0.95)
    if lost - won >= MARGIN * rows:
        assert needed is None
        return
    for count, shown in ((needed, True), (needed - 1, False)):
        scaled = Agreement(count, lost * count / rows, won * count / rows, 0)
        scaled = Agreement(
            count - scaled.only_first - scaled.only_second, scaled.only_first, scaled.only_second, 0
        )
        assert (largest_drop(scaled, 0.95) < MARGIN) is shown

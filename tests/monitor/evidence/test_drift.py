"""Streams in their zone raise no alarm over the horizon; those that leave it do, soon."""

from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linnet.monitor.evidence import DriftDetector, Zone, drifted_streams, evidence_limit

ZONE = Zone(0.45, 0.55)


def blocks(mean: float, n: int, seed: int, size: int = 100):
    rng = np.random.default_rng(seed)
    return (np.repeat([0.0, 1.0], [size - k, k]) for k in rng.binomial(size, mean, n))


def first_alarm(stream, limit: float, detector: DriftDetector | None = None) -> int | None:
    detector = detector or DriftDetector(ZONE)
    for n, values in enumerate(stream, 1):
        detector.update(values)
        if detector.log_evidence() >= limit:
            return n
    return None


@pytest.mark.parametrize("mean", [0.45, 0.55])
def test_the_edge_of_the_zone_seldom_raises_an_alarm(mean):
    # A horizon of 240 blocks at 5 %: 12 of 80 runs have a probability of 1 in 2,000.
    limit = evidence_limit(240, 0.05)
    alarms = sum(first_alarm(blocks(mean, 240, seed), limit) is not None for seed in range(80))
    assert alarms <= 12


def test_inside_the_zone_no_alarm_is_raised():
    limit = evidence_limit(240, 0.05)
    assert all(first_alarm(blocks(0.5, 240, seed), limit) is None for seed in range(20))


@pytest.mark.parametrize(("mean", "most_texts"), [(0.6, 3000), (0.65, 1000), (0.4, 3000)])
def test_a_share_beyond_the_zone_is_found_within_few_texts(mean, most_texts):
    limit = evidence_limit(90 * 24, 0.05)
    found = [first_alarm(blocks(mean, 200, seed), limit) for seed in range(20)]
    assert None not in found
    assert np.median(found) * 100 <= most_texts


def test_a_change_late_is_found_as_soon_as_one_at_the_start():
    """One e-process from the start would have lost all of its evidence by then."""
    limit = evidence_limit(90 * 24, 0.05)
    late = DriftDetector(ZONE)
    for values in blocks(0.5, 1000, 1):
        late.update(values)
    assert first_alarm(blocks(0.65, 50, 2), limit, late) <= 1 + first_alarm(
        blocks(0.65, 50, 2), limit
    )


def test_the_side_is_named():
    for mean, direction in ((0.8, "above"), (0.2, "below")):
        detector = DriftDetector(ZONE)
        for values in blocks(mean, 5, 0):
            detector.update(values)
        assert detector.direction() == direction


@pytest.mark.parametrize(("zone", "side"), [((0.0, 0.05), "above"), ((0.95, 1.0), "below")])
def test_a_side_without_values_beyond_it_gathers_no_evidence(zone, side):
    """A label that never comes is in its zone for ever."""
    detector = DriftDetector(Zone(*zone))
    for _ in range(300):
        detector.update(np.full(50, zone[0] if side == "above" else zone[1]))
    assert detector.log_evidence() < log(2)
    assert detector.direction() == side
    detector.update(np.full(50, 0.5))
    assert detector.log_evidence() > evidence_limit(90 * 24, 0.05)


def test_a_zone_of_all_means_is_never_left():
    detector = DriftDetector(Zone(0.0, 1.0))
    detector.update(np.ones(50))
    assert detector.log_evidence() == -np.inf


def test_evidence_never_overflows_and_can_be_kept():
    detector = DriftDetector(Zone(0.0, 0.01))
    for _ in range(2000):
        detector.update(np.ones(1000))
    assert np.isfinite(detector.log_evidence())
    again = DriftDetector.from_json(detector.to_json())
    assert again.to_json() == detector.to_json()
    for one in (again, detector):
        one.update(np.linspace(0, 1, 7))
    assert again.log_evidence() == detector.log_evidence()
    again.restart()
    assert again.to_json() == DriftDetector(Zone(0.0, 0.01)).to_json()


def test_the_first_block_is_worth_its_bets():
    """One value of 1 above a zone that ends at 0.5: a bet of part b of 2 gains 1 + b."""
    detector = DriftDetector(Zone(0.5, 0.5))
    detector.update(np.array([1.0]))
    bets = np.geomspace(0.01, 0.9, 12)
    expected = np.mean(np.concatenate([1 + bets, 1 - bets]))
    assert detector.log_evidence() == pytest.approx(log(expected))


@pytest.mark.parametrize("values", [[1.5], [-0.1], [float("nan")], [0.5, float("inf")]])
def test_values_outside_of_the_unit_interval_are_refused(values):
    detector = DriftDetector(ZONE)
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        detector.update(np.array(values))
    assert detector.to_json() == DriftDetector(ZONE).to_json()


@pytest.mark.parametrize("zone", [Zone(0.0, 0.0), Zone(1.0, 1.0), Zone(0.0, 1.0)])
def test_zones_at_the_ends(zone):
    detector = DriftDetector(zone)
    for _ in range(20):
        detector.update(np.array([0.0, 1.0] * 20))
    strange = zone != Zone(0.0, 1.0)
    assert (detector.log_evidence() > log(1e6)) == strange


def test_a_zone_around_a_reference():
    zone = Zone.around(0.5, 0.5, 10_000, 0.05)
    assert (zone.low, zone.high) == pytest.approx((0.4335, 0.5665))
    assert Zone.around(0.01, 0.1, 10, 0.05) == Zone(0.0, pytest.approx(0.1644, abs=1e-3))
    with pytest.raises(ValueError, match="no zone"):
        Zone.around(0.5, 0.5, 0, 0.05)


def test_streams_share_one_bound():
    limit = log(100)
    assert drifted_streams({}, limit) == []
    assert drifted_streams({"a": log(99.0)}, limit) == []
    assert drifted_streams({"a": log(101.0)}, limit) == ["a"]
    assert drifted_streams({"a": log(199.0), "b": -np.inf}, limit) == []
    assert drifted_streams({"a": log(201.0), "b": -np.inf}, limit) == ["a"]
    # Once one is beyond doubt, the others need less, but never less than their own limit.
    found = {"a": 5000.0, "b": log(120.0), "c": log(90.0)}
    assert drifted_streams(found, limit) == ["a", "b"]
    assert drifted_streams({"b": log(120.0), "c": log(50.0)}, limit) == []
    assert drifted_streams({"b": log(120.0), "c": log(90.0)}, limit) == ["b"]


@given(st.dictionaries(st.text(max_size=2), st.floats(-50, 50), max_size=6))
def test_a_named_stream_holds_in_every_set_of_streams(found):
    from itertools import combinations

    named = drifted_streams(found, log(20))
    for name in found:
        others = [one for one in found if one != name]
        holds = all(
            np.mean(np.exp([found[one] for one in (name, *group)])) >= 20 * (1 - 1e-12)
            for size in range(len(others) + 1)
            for group in combinations(others, size)
        )
        assert (name in named) <= holds

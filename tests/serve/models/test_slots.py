"""Who answers: as many units as the share says, always the same, and nobody moves when a share grows."""

import math

from hypothesis import assume, given
from hypothesis import strategies as st

from linnet.serve.models.slots import Slots, experiment_name

UNITS = [f"user {number}" for number in range(3000)]
UNIT = st.floats(0, 1, allow_nan=False)


def assigned(shares, experiment="a"):
    slots = Slots(experiment, shares)
    return [slots.find(unit) for unit in UNITS]


@given(UNIT, UNIT, UNIT, UNIT)
def test_a_growing_share_of_two_takes_from_the_champion_alone(a, b, more_a, more_b):
    assume(a + more_a + b + more_b <= 1)
    before = assigned({"a": a, "b": b})
    after = assigned({"a": a + more_a, "b": b + more_b})
    moved = {(old, new) for old, new in zip(before, after, strict=True) if old != new}
    assert moved <= {(None, "a"), (None, "b")}


@given(st.lists(st.tuples(UNIT, UNIT), min_size=3, max_size=6))
def test_so_does_one_of_many_while_pairs_fit_into_their_segments(drawn):
    width = 1 / math.ceil(len(drawn) / 2)
    names = [f"arm {number}" for number in range(len(drawn))]
    before = {name: low * width / 2 for name, (low, _) in zip(names, drawn, strict=True)}
    after = {
        name: before[name] + high * (width / 2 - before[name])
        for name, (_, high) in zip(names, drawn, strict=True)
    }
    for old, new in zip(assigned(before), assigned(after), strict=True):
        assert old in (None, new)


@given(st.lists(UNIT, min_size=1, max_size=6), st.text(max_size=5))
def test_each_has_its_share(weights, experiment):
    total = max(1.0, sum(weights))
    shares = {f"arm {number}": weight / total for number, weight in enumerate(weights)}
    found = assigned(shares, experiment)
    for name, share in shares.items():
        spread = math.sqrt(len(UNITS) * share * (1 - share) + 1)
        assert abs(found.count(name) - share * len(UNITS)) < 6 * spread


def test_names_and_not_their_order_decide_about_slots():
    shares = {"a": 0.3, "b": 0.2, "c": 0.1}
    backwards = dict(reversed(shares.items()))
    assert assigned(shares) == assigned(backwards)


def test_two_experiments_are_independent():
    first = assigned({"a": 0.3})
    second = assigned({"a": 0.3}, "b")
    both = sum(x == y == "a" for x, y in zip(first, second, strict=True))
    expected = 0.09 * len(UNITS)
    assert abs(both - expected) < 5 * math.sqrt(expected)
    assert first == assigned({"a": 0.3})


def test_an_experiment_without_a_name_is_called_by_its_challengers():
    assert experiment_name(["b" * 64, "a" * 64]) == experiment_name(["a" * 64, "b" * 64])
    assert experiment_name(["b" * 64]) != experiment_name(["a" * 64])


def test_any_text_is_a_unit():
    slots = Slots("\ud800", {"a": 0.5})
    assert {slots.find(f"\ud800\0{number}") for number in range(50)} == {None, "a"}

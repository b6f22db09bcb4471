"""The course of a run in few points: none is lost, they stay few, and a kill changes nothing."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linnet.train.curve import LIMIT, Curve, Point

number = st.floats(0, 1e6)


def points(steps):
    draw = np.random.default_rng(steps)
    return [Point(step, *draw.random(3).tolist()) for step in range(1, steps + 1)]


@pytest.mark.parametrize("steps", [1, 7, LIMIT - 1, LIMIT, LIMIT + 1, 2 * LIMIT, 7 * LIMIT + 3])
def test_each_point_is_the_mean_of_as_many_steps(steps):
    curve, all_of_them = Curve(), points(steps)
    for point in all_of_them:
        curve.add(point)
    found = list(curve)
    assert len(found) <= LIMIT
    assert len(found) >= min(steps, LIMIT // 2)
    assert found[-1].step == steps
    for number, point in enumerate(found):
        part = all_of_them[number * curve.stride : (number + 1) * curve.stride]
        assert point.step == part[-1].step
        for name in ("loss", "learning_rate", "grad_norm"):
            assert getattr(point, name) == pytest.approx(
                np.mean([getattr(one, name) for one in part])
            )


def test_few_steps_stand_as_they_were():
    curve, all_of_them = Curve(), points(LIMIT - 1)
    for point in all_of_them:
        curve.add(point)
    assert list(curve) == all_of_them


@given(steps=st.integers(1, 4 * LIMIT), stopped=st.floats(0, 1))
def test_it_goes_on_from_a_file_as_though_nothing_had_been(steps, stopped):
    calm, curve = Curve(), Curve()
    for point in points(steps):
        if point.step == 1 + round(stopped * steps):
            curve = Curve.of(json.loads(json.dumps(asdict(curve))))
        calm.add(point)
        curve.add(point)
    assert curve == calm

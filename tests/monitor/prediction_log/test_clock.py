"""Which time is believed: each step of a real clock, and no jump ahead that doesn't last."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linnet.monitor.prediction_log.clock import DAY, SteadyClock

START = 1_800_000_000.0
YEARS = 1000 * DAY


class Time:
    """Both clocks, which a test sets."""

    def __init__(self) -> None:
        self.told, self.elapsed = START, 0.0

    def clock(self, seen: float | None = START) -> SteadyClock:
        return SteadyClock(seen, lambda: self.told, lambda: self.elapsed)

    def pass_by(self, seconds: float) -> None:
        self.told += seconds
        self.elapsed += seconds


@pytest.fixture
def time() -> Time:
    return Time()


@given(st.lists(st.floats(0, 10 * DAY), max_size=20), st.floats(0, DAY))
def test_a_right_clock_is_believed(pauses, idle):
    time = Time()
    clock = time.clock(START - idle)
    for pause in pauses:
        time.pass_by(pause)
        assert clock.now() == time.told


def test_a_jump_ahead_is_believed_after_a_day(time):
    clock = time.clock()
    time.told += YEARS
    for _ in range(23):
        assert clock.now() == pytest.approx(START + time.elapsed)
        time.pass_by(DAY / 24)
    time.pass_by(DAY / 24)
    assert clock.now() == time.told


def test_a_jump_that_ends_leaves_nothing(time):
    clock = time.clock()
    for _ in range(100):
        time.told += YEARS
        assert clock.now() == pytest.approx(START + time.elapsed)
        time.pass_by(DAY / 2)
        time.told -= YEARS
        assert clock.now() == time.told


def test_a_wrong_clock_at_the_start_is_not_believed_either(time):
    time.told += YEARS
    assert time.clock().now() == START
    assert time.clock(None).now() == time.told  # of an empty log, from which nothing is deleted


def test_a_step_back_is_believed(time):
    clock = time.clock()
    time.told -= YEARS
    assert clock.now() == time.told

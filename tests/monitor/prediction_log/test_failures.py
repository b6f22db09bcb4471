"""Texts without an answer on their way into the store: bounded, and none is forgotten."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from linnet.monitor import ArmInEpoch, Epoch, Failure, Store
from linnet.monitor.prediction_log import failure as module
from linnet.monitor.prediction_log.failure import ROWS_PER_SECOND, WaitingFailures

from ..conftest import NOW, wait_until

ONE = Failure(NOW, 5, "champion", -7, False, False, "overloaded", 1)


def texts(failures):
    return sum(one.texts for one in failures)


def test_texts_of_one_request_are_one_row():
    waiting = WaitingFailures()
    waiting.add([replace(ONE, time=NOW + number / 1000) for number in range(256)])
    assert waiting.take() == [replace(ONE, texts=256)]
    assert not waiting


def test_of_a_flood_only_counts_are_kept():
    waiting = WaitingFailures()
    waiting.add(replace(ONE, unit=number, time=NOW + number / 1e5) for number in range(90_000))
    taken = waiting.take()
    assert texts(taken) == 90_000 and len(taken) == ROWS_PER_SECOND + 1
    assert taken[-1].unit is None and taken[-1].time <= NOW and taken[-1].code == "overloaded"


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.floats(0, 400)), max_size=60))
def test_no_text_is_forgotten_however_long_the_store_is_down(events):
    before, module.MAX_ROWS = module.MAX_ROWS, 3
    try:
        waiting = WaitingFailures()
        for number, (unit, arm, seconds) in enumerate(events):
            waiting.add([replace(ONE, unit=unit, arm=str(arm), time=NOW + seconds)])
            if number % 7 == 0:
                waiting.put_back(waiting.take())
        taken = waiting.take()
    finally:
        module.MAX_ROWS = before
    assert texts(taken) == len(events) and len(taken) <= 6


def test_failures_epochs_and_losses_are_stored(url, open_log, make_record):
    arms = {"champion": ArmInEpoch("d" * 64, "champion", 1.0)}
    epoch = Epoch.of(NOW, "name", arms)
    log = open_log(url)
    log.record_epoch(epoch)
    log.record_epoch(replace(epoch, time=NOW + 9))
    log.record_failures([ONE, replace(ONE, unit=None, code="\ud800", shadow=True)])
    log.record([make_record(0, tokens=2**63), make_record(1)])
    wait_until(lambda: log.status().written == 1)
    log.close()
    with Store(url, create=False) as store:
        assert store.epochs() == [epoch] and 0 < epoch.epoch < 2**63
        assert [one for _, one in store.failures()] == [
            ONE,
            replace(ONE, unit=None, code="\ufffd", shadow=True),
        ]
        assert store.failures(after=2) == [] and store.losses() == {"refused": 1}


def test_losses_are_stored_when_the_store_works_again(postgres, open_log, make_record):
    url = postgres.new_database()
    log = open_log(url, max_pending=5)
    postgres.stop()
    try:
        log.record([make_record(0)])
        wait_until(lambda: not log.status().healthy)
        log.record([make_record(number) for number in range(1, 9)])
        log.record_failures([ONE])
    finally:
        postgres.start()
    wait_until(lambda: log.status().healthy)
    log.close()
    with Store(url) as store:
        assert store.losses() == {"failed": 4}
        assert [one for _, one in store.failures()] == [ONE]
        store.add_losses(NOW, {"failed": 2, "full": 1})
        assert store.losses() == {"failed": 6, "full": 1}


def test_equal_arms_have_the_same_epoch_everywhere():
    first = {"b": ArmInEpoch("2", "shadow", 0.1), "champion": ArmInEpoch("1", "champion", 1.0)}
    again = dict(reversed(first.items()))
    assert Epoch.of(1.0, "x", first).epoch == Epoch.of(2.0, "x", again).epoch
    others = [
        Epoch.of(1.0, "y", first),
        Epoch.of(1.0, "x", first | {"b": ArmInEpoch("2", "shadow", 0.2)}),
    ]
    assert len({Epoch.of(1.0, "x", first).epoch, *(one.epoch for one in others)}) == 3

"""A record as a row and back."""

import math
import re
import time
import uuid
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linnet.monitor import Truth
from linnet.monitor.prediction_log.record import new_id, storable, to_entry, to_record, to_row

HOSTILE = st.text(
    st.characters(codec=None, exclude_categories=()) | st.sampled_from("\0\ud800\udfff\n'\"\\%?")
)


def test_ids_are_uuids_that_begin_with_the_time():
    before = time.time()
    ids = [new_id() for _ in range(1000)]
    assert len(set(ids)) == 1000 and all(re.fullmatch("[0-9a-f]{32}", one) for one in ids)
    assert {(uuid.UUID(one).version, uuid.UUID(one).variant) for one in ids} == {(7, uuid.RFC_4122)}
    moments = [int(one[:12], 16) / 1000 for one in ids]
    assert moments == sorted(moments) and before - 0.001 <= moments[0] <= moments[-1] <= time.time()


@given(HOSTILE)
def test_what_is_storable_is_utf8_without_nul_and_nothing_else_is_changed(text):
    kept = storable(text)
    kept.encode()
    assert "\0" not in kept and len(kept) == len(text)
    assert all(new == old or new == "\ufffd" for new, old in zip(kept, text, strict=True))
    assert storable(kept) == kept


@given(HOSTILE, st.lists(HOSTILE), st.none() | HOSTILE)
def test_a_row_is_read_back_as_the_record_it_was(make_record, label, labels, text):
    record = make_record(3, label=label, labels=tuple(labels), text=text, fast=True, shadow=True)
    entry = to_entry(to_record(to_row(record, texts=True)), [])
    expected = replace(
        record,
        label=storable(label),
        labels=tuple(map(storable, labels)),
        text=None if text is None else storable(text),
    )
    assert entry.record == expected and entry.truth is None and entry.truth_time is None


def test_numbers_of_other_libraries_become_plain(make_record):
    record = make_record(
        0, probability=np.float32(0.5), tokens=np.int64(7), truncated=np.bool_(True)
    )
    row = to_row(record, texts=False)
    assert [type(value) for value in row[6:9]] == [float, int, bool]


def test_the_text_is_left_out_unless_asked_for(make_record):
    assert to_row(make_record(0, text="secret"), texts=False)[13] is None
    assert to_row(make_record(0, text="told"), texts=True)[13] == "told"


@pytest.mark.parametrize(
    "changes", [{"time": math.nan}, {"probability": math.inf}, {"latency_ms": "slow"}]
)
def test_what_is_no_finite_number_is_refused(make_record, changes):
    with pytest.raises(ValueError, match=r"finite|convert"):
        to_row(make_record(0, **changes), texts=False)


@pytest.mark.parametrize(
    "changes", [{"arm": None}, {"id": b"bytes"}, {"labels": (1,)}, {"text": 5}]
)
def test_what_is_no_string_is_refused(make_record, changes):
    with pytest.raises(TypeError):
        to_row(make_record(0, **changes), texts=True)


def test_feedback_stands_behind_its_record(make_record):
    entry = to_entry(make_record(0), [Truth(make_record(0).id, "audit", (), 5.0)])
    assert entry.truth == () and entry.truth_time == 5.0

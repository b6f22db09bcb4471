"""Dates as files write them; nothing is guessed."""

from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linnet.data.read.dates import is_date_column, parse_dates


def parse(*values, numbers=False):
    return [str(value) for value in parse_dates(pa.chunked_array([pa.array(values, pa.string())]), numbers)]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Mon Apr 06 22:19:45 PDT 2009", "2009-04-07T05:19:45"),
        ("Thu Jul 30 15:24:21 +0000 2015", "2015-07-30T15:24:21"),
        ("2009-06-16", "2009-06-16T00:00:00"),
        ("2009-06-16 10:11:12", "2009-06-16T10:11:12"),
        ("2009-06-16T10:11:12.345Z", "2009-06-16T10:11:12"),
        ("2009-06-16T10:11:12+02:00", "2009-06-16T08:11:12"),
        ("2009-06-16 10:11 -0530", "2009-06-16T15:41:00"),
        ("2009/6/7", "2009-06-07T00:00:00"),
        ("Tue, 16 Jun 2009 10:11:12 GMT", "2009-06-16T10:11:12"),
        ("16 Jun 2009", "2009-06-16T00:00:00"),
        (" 2000-02-29 ", "2000-02-29T00:00:00"),
        ("1900-02-29", "NaT"),
        ("2009-06-31", "NaT"),
        ("2009-13-01", "NaT"),
        ("2009-06-16T25:00:00", "NaT"),
        ("Mon Apr 06 22:19:45 XYZ 2009", "NaT"),
        ("1467810369", "NaT"),
        ("yesterday", "NaT"),
        ("", "NaT"),
        (None, "NaT"),
        ("٢٠٠٩-٠٦-١٦", "NaT"),
        ("2009-06-16" * 100_000, "NaT"),
    ],
)
def test_values(value, expected):
    assert parse(value) == [expected]


def test_days_with_slashes_need_one_that_tells():
    assert parse("3/4/2020", "25/4/2020") == ["2020-04-03T00:00:00", "2020-04-25T00:00:00"]
    assert parse("3/4/2020", "4/25/2020 10:05") == ["2020-03-04T00:00:00", "2020-04-25T10:05:00"]
    assert parse("3/4/2020", "5/6/2020") == ["NaT", "NaT"]
    assert parse("13/4/2020", "4/25/2020") == ["NaT", "NaT"]


def test_seconds_and_milliseconds_where_they_are_meant():
    moment = "2016-07-06T13:06:09"
    assert parse("1467810369", "1467810369000", "1467810369.5", numbers=True) == [moment] * 3


MOMENTS = st.datetimes(min_value=datetime(1000, 1, 1), max_value=datetime(9998, 12, 31)).map(
    lambda moment: moment.replace(microsecond=0)
)
ZONES = st.integers(-14 * 4, 14 * 4).map(lambda quarters: timezone(timedelta(minutes=15 * quarters)))


@given(st.lists(st.tuples(MOMENTS, ZONES), max_size=5))
def test_any_moment_is_read_back(moments):
    aware = [moment.replace(tzinfo=zone) for moment, zone in moments]
    expected = [moment.astimezone(UTC).replace(tzinfo=None).isoformat() for moment in aware]
    assert parse(*(moment.isoformat() for moment in aware)) == expected
    assert parse(*(format_datetime(moment) for moment in aware)) == expected
    assert parse(*(moment.strftime("%a %b %d %H:%M:%S %z %Y") for moment in aware)) == expected


@given(st.lists(st.one_of(st.none(), st.text()), max_size=8))
def test_any_text_is_a_date_or_none(values):
    assert parse_dates(pa.chunked_array([pa.array(values, pa.string())]), numbers=True).shape == (len(values),)


def test_a_column_of_dates_is_told_from_others():
    dates = [f"2009-06-{day:02}" for day in range(1, 31)]
    assert is_date_column(pa.chunked_array([[*dates, None, "unknown"]]))
    assert not is_date_column(pa.chunked_array([[*dates, *"abc"]]))
    assert not is_date_column(pa.chunked_array([[str(number) for number in range(20_090_000, 20_090_100)]]))
    assert not is_date_column(pa.chunked_array([[None, None]], pa.string()))


def test_a_million_take_seconds_at_most():
    column = pa.chunked_array([["Mon Apr 06 22:19:45 PDT 2009"] * 100_000] * 10)
    assert np.unique(parse_dates(column)).astype(str).tolist() == ["2009-04-07T05:19:45"]

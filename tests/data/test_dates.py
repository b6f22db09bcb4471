"""Dates are read as they are written, and what doesn't tell its day from its month is not guessed at."""

import time
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linnet.data.sources.dates import is_date_column, parse_dates, says_time, why_no_dates


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Mon Apr 06 22:19:45 PDT 2009", "2009-04-07T05:19:45"),
        ("Thu Jul 30 15:24:21 +0000 2015", "2015-07-30T15:24:21"),
        ("Thu Jul  2 15:24:21 2015", "2015-07-02T15:24:21"),
        ("2009-06-16", "2009-06-16"),
        ("2009/6/1", "2009-06-01"),
        ("2009-06-16 08:40:49", "2009-06-16T08:40:49"),
        ("2009-06-16 08:40", "2009-06-16T08:40"),
        ("2009-06-16T08:40:49Z", "2009-06-16T08:40:49"),
        ("2009-06-16T08:40:49.123456+02:00", "2009-06-16T06:40:49"),
        ("2009-06-16T08:40:49-0330", "2009-06-16T12:10:49"),
        ("2009-06-16T08:40:49+05", "2009-06-16T03:40:49"),
        ("2009-06-16 08:40:49 UTC", "2009-06-16T08:40:49"),
        ("2000-02-29", "2000-02-29"),
        ("2016-12-31T23:59:60Z", "2017-01-01"),
        ("Tue, 16 Jun 2009 08:40:49 -0700", "2009-06-16T15:40:49"),
        ("Tue, 6 Apr 93 10:00:00 GMT", "1993-04-06T10:00:00"),
        ("16 Jun 2009 08:40:49 +0000 (UTC)", "2009-06-16T08:40:49"),
        ("December 31, 2017 ", "2017-12-31"),
        ("Sept 3, 2017", "2017-09-03"),
        ("Jun 16, 2009 12:05 AM", "2009-06-16T00:05"),
        ("Jun 16, 2009, 12:05 pm", "2009-06-16T12:05"),
        ("16-Jun-2009", "2009-06-16"),
        ("31/12/2020", "2020-12-31"),
        ("12/31/2020 2:05:00 PM", "2020-12-31T14:05"),
        ("31.12.2020 14:05", "2020-12-31T14:05"),
    ],
)
def test_a_date_is_read(value: str, expected: str) -> None:
    assert parse_dates([value])[0] == np.datetime64(expected, "s")


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        " ",
        "yesterday",
        "2009",
        "20090616",
        "2072326907",
        "3.14",
        "192.168.1.1",
        "2009-02-30",
        "2009-13-01",
        "1900-02-29",
        "Mon Apr 06 22:19:45 XYZ 2009",
        "٢٠٠٩-٠٦-١٦",
        "0000-01-01",
        "2009-06-16 24:01:00",
        "2009-06-16 08:60:00",
        "2009-06-16 13:00 pm",
        "2009-06-16T08:40:49 IST",
        "2009-06-16T08:40:49+99:00",
        "Mon Foo 06 22:19:45 PDT 2009",
        "40/40/2020",
        "2009-06-16" + " " * 100,
        "2009-06-16\0",
        "２００９-06-16",
        "\ud800",
        "x" * 1_000_000,
    ],
)
def test_what_is_no_date_is_none(value: str | None) -> None:
    assert np.isnat(parse_dates([value, "2009-06-16"])).tolist() == [True, False]


def test_one_day_above_12_tells_the_order_of_all() -> None:
    assert str(parse_dates(["1/2/2009", "13/2/2009"])[0]) == "2009-02-01T00:00:00"
    assert str(parse_dates(["1/2/2009", "2/13/2009"])[0]) == "2009-01-02T00:00:00"


@pytest.mark.parametrize(
    "values", [["1/2/2009", "3/4/2009"], ["13/2/2009", "2/13/2009", "1/2/2009"]]
)
def test_the_order_is_not_guessed(values: list[str]) -> None:
    assert np.isnat(parse_dates(values)).all()
    assert "Write them as YYYY-MM-DD" in why_no_dates(values)


def test_a_typing_mistake_does_not_hide_the_order() -> None:
    times = parse_dates(["13/2/2009"] * 999 + ["2/13/2009"])
    assert np.isnat(times).sum() == 1
    assert why_no_dates(["13/2/2009"] * 999 + ["2/13/2009"]) == ""
    assert why_no_dates(["2009-06-16", "word", None]) == ""


def test_unix_times_count_when_asked_for() -> None:
    values = ["1245141649", "1245141649000", "1245141649.25", "-1", "nan", None]
    assert np.isnat(parse_dates(values)).all()
    times = parse_dates(values, numbers=True)
    assert times[:4].astype(str).tolist() == ["2009-06-16T08:40:49"] * 3 + ["1969-12-31T23:59:59"]
    assert np.isnat(times[4:]).all()


@pytest.mark.parametrize(
    "name", ["date", "Time", "created_utc", "unix", "posted at", "event-timestamp"]
)
def test_a_name_that_says_time(name: str) -> None:
    assert says_time(name)


@pytest.mark.parametrize("name", ["ids", "user", "sentiment", "update", "lifetimes", "runtime"])
def test_a_name_that_does_not(name: str) -> None:
    assert not says_time(name)


def test_a_column_of_dates() -> None:
    dates = [f"2009-06-{day:02d}" for day in range(1, 31)]
    assert is_date_column(dates)
    assert is_date_column([*dates, "", None])
    assert is_date_column([*dates, "unknown"])
    assert not is_date_column([*dates, "unknown", "unknown", "unknown"])
    assert not is_date_column(["", None])
    assert not is_date_column([])
    assert not is_date_column(["1245141649"] * 3)
    assert is_date_column(["1245141649"] * 3, numbers=True)
    assert is_date_column(pa.chunked_array([dates[:3], dates[3:]]))


MOMENTS = st.datetimes(min_value=datetime(1000, 1, 1), max_value=datetime(9998, 12, 31)).map(
    lambda moment: moment.replace(microsecond=0)
)
ZONES = st.integers(-14 * 4, 14 * 4).map(
    lambda quarters: timezone(timedelta(minutes=15 * quarters))
)


@given(st.lists(st.tuples(MOMENTS, ZONES), max_size=5))
def test_what_python_writes_is_read(moments: list[tuple[datetime, timezone]]) -> None:
    aware = [moment.replace(tzinfo=zone) for moment, zone in moments]
    expected = [moment.astimezone(UTC).replace(tzinfo=None) for moment in aware]
    for write in (
        datetime.isoformat,
        format_datetime,
        lambda moment: moment.strftime("%a %b %d %H:%M:%S %z %Y"),
    ):
        assert parse_dates([write(moment) for moment in aware]).tolist() == expected


@given(st.lists(st.text() | st.none()))
def test_any_text_is_a_date_or_not(values: list[str | None]) -> None:
    assert len(parse_dates(values, numbers=True)) == len(values)


@pytest.mark.slow
def test_a_million_and_a_half_take_seconds() -> None:
    start = datetime(2009, 4, 6, tzinfo=UTC)
    written = [
        (start + timedelta(seconds=7 * second)).strftime("%a %b %d %H:%M:%S PDT %Y")
        for second in range(400_000)
    ]
    column = pa.chunked_array([written] * 4)
    began = time.perf_counter()
    assert not np.isnat(parse_dates(column)).any()
    assert time.perf_counter() - began < 10

"""Parse a column of date strings to moments.

Supports ISO 8601, RFC 2822, Twitter's two forms, written months, and three numbers with slashes,
dots or dashes. For the last form, the column must show whether the day or the month comes first.
A moment without a zone is read as UTC. Seconds since 1970 look like any number, so they are
parsed only on request.
"""

import re
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

SAMPLE = 1000
SHARE = 0.95  # of a sample that must parse
AGREEMENT = 0.99  # of the dates with a day over 12; the rest are typing mistakes
LONGEST = 64  # bytes; no date is longer

MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
LONG_MONTHS = (
    "january february march april may june july august september october november december".split()
)
# The zones of RFC 2822. Some other names mean several zones (IST is three), so none is accepted.
ZONES = {"": 0, "Z": 0, "UT": 0, "UTC": 0, "GMT": 0}
ZONES |= {"EDT": -4, "EST": -5, "CDT": -5, "CST": -6, "MDT": -6, "MST": -7, "PDT": -7, "PST": -8}

CLOCK = (
    r"(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,]\d+)?)?"
    r"(?: *(?P<half>[AaPp][Mm]))?"
)
ZONE = r" *(?P<zone>[A-Za-z]{1,4}|[-+]\d\d:?\d\d|[-+]\d\d)?(?: +\([^)]*\))?"
TIME = rf"(?:,? +{CLOCK}{ZONE})?"
WEEKDAY = r"(?:[A-Za-z]{3,9},? +)?"
ENDS = r"^\s*", r"\s*$"
ISO = (
    rf"(?P<year>\d{{4}})[-/.](?P<month>\d{{1,2}})[-/.](?P<day>\d{{1,2}})(?:(?:T| +){CLOCK}{ZONE})?"
)
TWITTER = (
    rf"{WEEKDAY}(?P<name>[A-Za-z]{{3,9}}) +(?P<day>\d{{1,2}}) +"
    r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
    r"(?: +(?P<zone>[A-Za-z]{1,4}|[-+]\d{4}))? +(?P<year>\d{4})"
)
MONTH_FIRST = (
    rf"{WEEKDAY}(?P<name>[A-Za-z]{{3,9}})\.? +(?P<day>\d{{1,2}}),? +(?P<year>\d{{4}}){TIME}"
)
DAY_FIRST = (
    rf"{WEEKDAY}(?P<day>\d{{1,2}})(?:-| +)(?P<name>[A-Za-z]{{3,9}})\.?(?:-| +)"
    rf"(?P<year>\d{{4}}|\d\d){TIME}"
)
NUMBERS = rf"(?P<one>\d{{1,2}})[-/.](?P<two>\d{{1,2}})[-/.](?P<year>\d{{4}}){TIME}"
NUMBER = r"(?P<number>-?\d{1,14})(?:\.\d*)?"
MILLISECONDS = 100_000_000_000  # as seconds, the year 5138
WRITTEN = TWITTER, ISO, DAY_FIRST, MONTH_FIRST

# No \b: the parts of a name are joined with "_", which is a letter to it.
TIME_NAME = re.compile(
    r"(?i)(?:^|[^a-z])"
    r"(?:date|time|timestamp|datetime|epoch|unix|created|posted|published|utc)"
    r"(?:$|[^a-z])"
)

Values: TypeAlias = "Sequence[str | None] | pa.Array | pa.ChunkedArray"


def parse_dates(values: Values, numbers: bool = False) -> np.ndarray:
    """Read a column of dates.

    Args:
        values: n strings, or None for a missing one.
        numbers: Whether whole numbers are seconds or milliseconds since 1970.

    Returns:
        datetime64[s] (n,), in UTC; NaT where a value is no date. Dates such as `1/2/2009` are NaT
        if the column does not show which number is the day (see `why_no_dates`).
    """
    strings = _strings(values)
    times = np.full(len(strings), "NaT", dtype="datetime64[s]")
    waiting = np.flatnonzero(pc.is_valid(strings).to_numpy(zero_copy_only=False))
    for pattern in (*WRITTEN, NUMBERS, *([NUMBER] if numbers else [])):
        if not len(waiting):
            break
        # Usually the whole column has one format; this saves a copy then.
        part = strings if len(waiting) == len(strings) else strings.take(pa.array(waiting))
        fields = pc.extract_regex(part, pattern=pattern.join(ENDS))
        matched = pc.is_valid(fields).to_numpy(zero_copy_only=False)
        if matched.any():
            fields = fields if matched.all() else fields.filter(pa.array(matched))
            times[waiting[matched]] = _since_1970(fields) if pattern is NUMBER else _times(fields)
            waiting = waiting[~matched]
    return times


def is_date_column(values: Values, numbers: bool = False) -> bool:
    """Whether nearly all of a column's first values, without the empty ones, are dates."""
    strings = _strings(values[:SAMPLE])
    asked = int(
        pc.sum(pc.greater(pc.utf8_length(pc.utf8_trim_whitespace(strings)), 0)).as_py() or 0
    )
    return asked > 0 and int((~np.isnat(parse_dates(strings, numbers))).sum()) >= SHARE * asked


def says_time(name: str) -> bool:
    """Whether a column's name suggests seconds since 1970, such as `created_utc`."""
    return bool(TIME_NAME.search(name))


def why_no_dates(values: Values) -> str:
    """Say that day and month of a column can't be told apart; empty if that is not the problem."""
    strings = _strings(values)
    fields = pc.extract_regex(strings, pattern=NUMBERS.join(ENDS)).drop_null()
    if not len(fields) or _day_first(_number(fields, "one"), _number(fields, "two")) is not None:
        return ""
    example = (
        strings.filter(pc.match_substring_regex(strings, NUMBERS.join(ENDS)))[0].as_py().strip()
    )
    return (
        f"In dates such as {example} it is unclear whether the day or the month comes first. "
        "Write them as YYYY-MM-DD."
    )


def _strings(values: Values) -> pa.Array:
    """The column as one array of strings; values too long for a date become missing."""
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if not isinstance(values, pa.Array):
        # A lone surrogate has no UTF-8, and no date has a lone surrogate.
        values = pa.array(
            [None if value is None or not value.isascii() else value for value in values],
            pa.string(),
        )
    values = values.cast(pa.string())
    return pc.if_else(
        pc.less_equal(pc.binary_length(values), LONGEST), values, pa.scalar(None, pa.string())
    )


def _times(fields: pa.StructArray) -> np.ndarray:
    """Moments from the parts that a pattern found, NaT for a day or an hour that there isn't."""
    names = {field.name for field in fields.type}
    year = _number(fields, "year")
    hour = _number(fields, "hour")
    if "one" in names:
        first = _number(fields, "one")
        second = _number(fields, "two")
        day_first = _day_first(first, second)
        if day_first is None:
            return np.full(len(fields), "NaT", dtype="datetime64[s]")
        day, month = (first, second) if day_first else (second, first)
    else:
        day = _number(fields, "day")
        month = _month(fields) if "name" in names else _number(fields, "month")
    short = pc.equal(pc.binary_length(fields.field("year")), 2).to_numpy(zero_copy_only=False)
    year = year + short * np.where(year < 50, 2000, 1900)  # RFC 2822, 4.3
    good = (month >= 1) & (month <= 12) & (day >= 1) & (year >= 1)
    if "half" in names:
        half = pc.utf8_lower(fields.field("half")).fill_null("")
        morning, evening = (
            pc.equal(half, name).to_numpy(zero_copy_only=False) for name in ("am", "pm")
        )
        good &= ~(morning | evening) | ((hour >= 1) & (hour <= 12))
        hour = np.where(morning | evening, hour % 12, hour) + 12 * evening
    minute = _number(fields, "minute")
    second = _number(fields, "second")
    offset, known = _offsets(fields)
    good &= (hour <= 23) & (minute <= 59) & (second <= 60) & known
    months = ((year - 1970) * 12 + np.where(good, month, 1) - 1).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + (day - 1)
    good &= days.astype("datetime64[M]") == months  # else 31 February becomes a day of March
    times = days.astype("datetime64[s]") + (hour * 3600 + minute * 60 + second - offset)
    return np.where(good, times, np.datetime64("NaT"))


def _number(fields: pa.StructArray, name: str) -> np.ndarray:
    """One part as int64 (n,); 0 where it was left out."""
    strings = fields.field(name)
    strings = pc.if_else(pc.equal(pc.binary_length(strings), 0), "0", strings).fill_null("0")
    return np.asarray(strings.cast(pa.int64()).to_numpy())


def _month(fields: pa.StructArray) -> np.ndarray:
    """Months from their names, int64 (n,); 0 for any other word."""
    lower = pc.utf8_lower(fields.field("name"))
    found = (
        pc.index_in(lower, value_set=pa.array(names)).fill_null(-1)
        for names in (MONTHS, LONG_MONTHS)
    )
    short, long = (np.asarray(places.to_numpy(), dtype=np.int64) for places in found)
    sept = pc.equal(lower, "sept").to_numpy(zero_copy_only=False)
    return np.where(sept, 9, np.maximum(short, long) + 1)


def _offsets(fields: pa.StructArray) -> tuple[np.ndarray, np.ndarray]:
    """Seconds east of UTC, int64 (n,), and whether the zone is known, bool (n,)."""
    zones = fields.field("zone").fill_null("").dictionary_encode()
    offsets = [_offset(zone) for zone in zones.dictionary.to_pylist()]
    index = zones.indices.to_numpy()
    known = np.array([offset is not None for offset in offsets])
    return np.array([offset or 0 for offset in offsets], dtype=np.int64)[index], known[index]


def _offset(zone: str) -> int | None:
    if zone.upper() in ZONES:
        return ZONES[zone.upper()] * 3600
    if zone[0] not in "+-":
        return None
    hours = int(zone[1:3])
    minutes = int(zone[3:].lstrip(":") or 0)
    if hours > 23 or minutes > 59:
        return None
    return (-1 if zone[0] == "-" else 1) * (hours * 3600 + minutes * 60)


def _day_first(one: np.ndarray, two: np.ndarray) -> bool | None:
    """Whether the day comes before the month; None if no date shows it, or if dates disagree."""
    day_first = int(((one > 12) & (one <= 31) & (two <= 12)).sum())
    month_first = int(((two > 12) & (two <= 31) & (one <= 12)).sum())
    clear = day_first + month_first
    if not clear or max(day_first, month_first) < AGREEMENT * clear:
        return None
    return day_first > month_first


def _since_1970(fields: pa.StructArray) -> np.ndarray:
    """Moments from seconds, or from milliseconds if the number is too large for seconds."""
    number = _number(fields, "number")
    return np.where(np.abs(number) >= MILLISECONDS, number // 1000, number).astype("datetime64[s]")

"""Dates out of strings, millions of them at once: ISO 8601, e-mail's, Twitter's, and days with slashes.

What can't be told apart is not guessed: 3/4/2020 is a date only if other values of the column say which of the
two is the month.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

TIME = r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,]\d+)?)?"
ZONE = r"(?P<zone>[A-Za-z]{1,4}|[+-]\d{2}:?\d{2})"
NAMED = r"(?:[A-Za-z]{3},? +)?"
PATTERNS = (
    rf"^(?P<year>\d{{4}})[-/](?P<month>\d{{1,2}})[-/](?P<day>\d{{1,2}})(?:[T ]+{TIME} *{ZONE}?)?$",
    rf"^{NAMED}(?P<month>[A-Za-z]{{3}}) +(?P<day>\d{{1,2}}) +{TIME} +(?:{ZONE} +)?(?P<year>\d{{4}})$",
    rf"^{NAMED}(?P<day>\d{{1,2}}) +(?P<month>[A-Za-z]{{3}}) +(?P<year>\d{{4}})(?: +{TIME} *{ZONE}?)?$",
)
SLASHES = rf"^(?P<first>\d{{1,2}})[/.](?P<second_number>\d{{1,2}})[/.](?P<year>\d{{4}})(?:[T ]+{TIME} *{ZONE}?)?$"
MONTHS = pa.array("jan feb mar apr may jun jul aug sep oct nov dec".split())
HOURS = {"PST": -8, "PDT": -7, "MST": -7, "MDT": -6, "CST": -6, "CDT": -5, "EST": -5, "EDT": -4}
NOT_A_TIME = np.datetime64("NaT", "s")
MILLISECONDS = 100_000_000_000  # as seconds, the year 5138
SAMPLE, ENOUGH = 1000, 0.95


def parse_dates(values: pa.ChunkedArray, numbers: bool = False) -> np.ndarray:
    """The moments that strings stand for.

    Args:
        values: Strings, n of them; null for none.
        numbers: Whether whole numbers are seconds, or milliseconds, since 1970.

    Returns:
        datetime64[s] (n,) in UTC, as far as a zone is told; NaT for what is no date.
    """
    strings = pc.utf8_trim_whitespace(pa.chunked_array(values, pa.string()).combine_chunks())
    result = np.full(len(strings), NOT_A_TIME)
    for pattern in PATTERNS:
        if _apply(result, strings, pattern) == 0:
            break
    _apply_slashes(result, strings)
    if numbers:
        _apply_numbers(result, strings)
    return result


def is_date_column(values: pa.ChunkedArray) -> bool:
    """Whether nearly all of the first values that are there are dates."""
    some = pc.drop_null(values[: 10 * SAMPLE])[:SAMPLE]
    return len(some) > 0 and float(np.mean(~np.isnat(parse_dates(some)))) >= ENOUGH


def _apply(result: np.ndarray, strings: pa.StringArray, pattern: str) -> int:
    """Fill in what a pattern matches; gives how many are still missing."""
    missing = np.flatnonzero(np.isnat(result))
    found = pc.extract_regex(strings.take(pa.array(missing)), pattern)
    result[missing] = _moments({name: pc.struct_field(found, name) for name in found.type.names})
    return int(np.isnat(result).sum())


def _apply_slashes(result: np.ndarray, strings: pa.StringArray) -> None:
    missing = np.flatnonzero(np.isnat(result))
    found = pc.extract_regex(strings.take(pa.array(missing)), SLASHES)
    parts = {name: pc.struct_field(found, name) for name in found.type.names}
    first, second = parts.pop("first"), parts.pop("second_number")
    day_is_first, day_is_second = (pc.max(_integers(part)).as_py() or 0 for part in (first, second))
    if (day_is_first > 12) != (day_is_second > 12):
        day, month = (first, second) if day_is_first > 12 else (second, first)
        result[missing] = _moments({**parts, "day": day, "month": month})


def _apply_numbers(result: np.ndarray, strings: pa.StringArray) -> None:
    missing = np.flatnonzero(np.isnat(result))
    found = pc.extract_regex(strings.take(pa.array(missing)), r"^(?P<number>-?\d{1,14})(?:\.\d+)?$")
    number = _integers(pc.struct_field(found, "number")).cast(pa.float64()).to_numpy(zero_copy_only=False)
    seconds = np.where(np.abs(number) >= MILLISECONDS, number / 1000, number)
    known = ~np.isnan(seconds)
    result[missing[known]] = np.floor(seconds[known]).astype("datetime64[s]")


def _moments(parts: dict[str, pa.StringArray]) -> np.ndarray:
    month = parts["month"]
    named = pc.index_in(pc.utf8_lower(month), value_set=MONTHS)
    month = _numbers(pc.coalesce(pc.add(named, 1).cast(pa.int64()), _integers(month)), 0)
    year, day = (_numbers(_integers(parts[name]), 0) for name in ("year", "day"))
    hour, minute, second = (_numbers(_integers(parts[name]), 0) for name in ("hour", "minute", "second"))
    zone, zone_is_known = _zones(parts["zone"])
    good = (year > 0) & (month >= 1) & (month <= 12) & (day >= 1) & (hour < 24) & (minute < 60) & (second <= 60)
    first = (np.where(good, year, 1970) - 1970).astype("datetime64[Y]").astype("datetime64[M]") + np.where(
        good, month - 1, 0
    )
    dates = first.astype("datetime64[D]") + np.where(good, day - 1, 0)
    good &= dates.astype("datetime64[M]") == first  # there is no 31st of June
    seconds = hour * 3600 + minute * 60 + second - zone
    return np.where(good & zone_is_known, dates.astype("datetime64[s]") + seconds, NOT_A_TIME)


def _zones(zone: pa.StringArray) -> tuple[np.ndarray, np.ndarray]:
    """Seconds east of Greenwich, int64 (n,), and whether the zone is one that is known, bool (n,)."""
    encoded = zone.dictionary_encode()
    seconds = [_zone(name) for name in encoded.dictionary.to_pylist()]
    index = pc.fill_null(encoded.indices, len(seconds)).to_numpy()
    known = np.array([value is not None for value in seconds] + [True])
    return np.array([value or 0 for value in seconds] + [0])[index], known[index]


def _zone(name: str) -> int | None:
    if name.upper() in {"", "Z", "UTC", "GMT"}:
        return 0
    if name[0] in "+-":
        sign, digits = (-1 if name[0] == "-" else 1), name[1:].replace(":", "")
        return sign * (int(digits[:2]) * 3600 + int(digits[2:]) * 60)
    hours = HOURS.get(name.upper())
    return None if hours is None else hours * 3600


def _integers(strings: pa.StringArray) -> pa.Int64Array:
    """Numbers; null for what is none."""
    digits = pc.match_substring_regex(strings, r"^-?\d+$")
    return pc.if_else(digits, strings, pa.scalar(None, pa.string())).cast(pa.int64())


def _numbers(values: pa.Int64Array, otherwise: int) -> np.ndarray:
    return np.asarray(pc.fill_null(values, otherwise).to_numpy())

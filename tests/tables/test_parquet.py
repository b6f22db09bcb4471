"""Columns of every type of Parquet become values that a split can hold."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from linnet.data.sources.dates import parse_dates
from linnet.tables.parquet import read_parquet

NEVER = 10**18


def values(path: Path, column: pa.Array) -> list[Any]:
    pq.write_table(pa.table({"x": column}), path / "rows.parquet")
    with (path / "rows.parquet").open("rb") as stream:
        return [value for _, (value,) in read_parquet(stream, path).rows]


@pytest.mark.parametrize(
    ("kind", "number", "shown"),
    [
        (pa.timestamp("ns"), 1_245_147_062_000_000_007, "2009-06-16 10:11:02.000000007"),
        (
            pa.timestamp("us", tz="America/Los_Angeles"),
            1_245_147_062_000_000,
            "2009-06-16 03:11:02.000000-0700",
        ),
        (pa.date32(), 14_411, "2009-06-16"),
    ],
)
def test_moments_are_read_to_the_last_digit_and_are_dates(
    tmp_path: Path, kind: Any, number: int, shown: str
) -> None:
    found = values(tmp_path, pa.array([number, None], kind))
    assert found == [shown, None]
    assert str(parse_dates(found)[0]).startswith("2009-06-16")


@pytest.mark.parametrize(
    "kind", [pa.timestamp("us"), pa.timestamp("s"), pa.date64(), pa.duration("ns")]
)
def test_moments_beyond_any_calendar_are_no_reason_to_stop(tmp_path: Path, kind: Any) -> None:
    (found,) = values(tmp_path, pa.array([NEVER if kind != pa.timestamp("s") else 10**14], kind))
    assert isinstance(found, str)


def test_words_in_a_dictionary_lists_and_records(tmp_path: Path) -> None:
    assert values(tmp_path, pa.array(["a", "b", None]).dictionary_encode()) == ["a", "b", None]
    assert values(tmp_path, pa.array([["a"], None])) == [["a"], None]
    assert values(tmp_path, pa.array([{"a": 1}])) == [{"a": 1}]

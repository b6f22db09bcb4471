"""Rows keep their numbers, quotes are read as they are meant, and the file says what is wrong with it."""

import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linnet.data.read.delimited import read_delimited
from linnet.data.read.json_lines import read_json_lines
from linnet.data.read.lines import HEAD_ROWS
from linnet.errors import ConfigError, DataError

PATH = Path("rows")
CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=12)


def delimited(content: str, delimiter: str = ",", headerless: bool = False):
    table = read_delimited(io.BytesIO(content.encode()), PATH, delimiter, "", headerless)
    return table.columns, list(table.rows)


@given(st.lists(st.tuples(CELL, CELL), max_size=20))
def test_any_quoted_csv_comes_back(rows: list[tuple[str, str]]) -> None:
    quoted = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows]
    columns, found = delimited("\n".join(["text,label", *quoted]) + "\n")
    assert columns == ("text", "label")
    assert [tuple(row) for _, row in found] == rows
    numbers = [number for number, _ in found]
    starts = [2 + sum(line.count("\n") + 1 for line in quoted[:place]) for place in range(len(quoted))]
    assert numbers == starts


def test_a_tab_separated_file_with_bare_quotes() -> None:
    assert delimited('text\tlabel\n5" disk\t1\n"oh\t0\n', "\t")[1] == [(2, ['5" disk', "1"]), (3, ['"oh', "0"])]


def test_a_tab_separated_file_with_quotes_that_are_meant() -> None:
    assert delimited('text\tlabel\n"a\tb ""c"""\t1\n', "\t")[1] == [(2, ['a\tb "c"', "1"])]


def test_without_a_header() -> None:
    assert delimited("a,1\nb,2\n", headerless=True) == (("column_0", "column_1"), [(1, ["a", "1"]), (2, ["b", "2"])])


def test_keys_of_json_rows_in_any_order_and_some_missing() -> None:
    lines = ['{"text": "a", "label": 1}', '{"label": 2, "text": "b", "id": 3}', "", '{"text": "c"}']
    table = read_json_lines(io.BytesIO("\n".join(lines).encode()), PATH)
    assert table.columns == ("text", "label", "id")
    assert [(number, list(row)) for number, row in table.rows] == [
        (1, ["a", 1, None]),
        (2, ["b", 2, 3]),
        (3, []),
        (4, ["c", None, None]),
    ]


def test_a_key_that_comes_late_makes_a_row_too_long() -> None:
    lines = [json.dumps({"text": "a", "label": 1})] * HEAD_ROWS + ['{"text": "b", "late": 1}']
    rows = list(read_json_lines(io.BytesIO("\n".join(lines).encode()), PATH).rows)
    assert len(rows[-1][1]) == 3


def test_wrong_bytes_are_told_with_their_row_even_far_down() -> None:
    content = b"text,label\n" + b"good,1\n" * 5000 + b"caf\xe9,1\n"
    table = read_delimited(io.BytesIO(content), PATH, ",", "", False)
    with pytest.raises(DataError, match="row 5002: byte 0xe9 at position 4 is not utf-8"):
        list(table.rows)


@pytest.mark.parametrize("encoding", ["klingon", "rot13", "utf-16", "a\0b", "cp037"])
def test_encodings_that_can_not_be_read(encoding: str) -> None:
    with pytest.raises(ConfigError, match="expected one in which ASCII stands for itself"):
        read_delimited(io.BytesIO(b"text,label\n"), PATH, ",", encoding, False)

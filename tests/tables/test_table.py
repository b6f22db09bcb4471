"""Rows keep their numbers, quotes are read as they are meant, and the file says what is wrong with it."""

import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linnet.errors import ConfigError, DataError
from linnet.tables.columns import Asked
from linnet.tables.delimited import read_delimited
from linnet.tables.json_lines import read_json
from linnet.tables.lines import HEAD_ROWS, numbered_lines, plain_encoding

PATH = Path("rows")
CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=12)


def delimited(content: str, delimiter: str = ",", headerless: bool = False):
    table = read_all(content.encode(), delimiter, headerless)
    return table.columns, list(table.rows)


def read_all(content: bytes, delimiter: str = ",", headerless: bool = False, encoding: str = ""):
    def lines():
        return numbered_lines(io.BytesIO(content), PATH)

    encoding = plain_encoding(encoding or "utf-8", "data.encoding")
    asked = Asked(("0",), headerless)
    return read_delimited(io.BytesIO(content), PATH, delimiter, encoding, asked, lines)


def json_lines(lines: list[str]):
    content = "\n".join(lines).encode()
    return read_json(
        io.BytesIO(content),
        PATH,
        "jsonl",
        "utf-8",
        lambda: numbered_lines(io.BytesIO(content), PATH),
    )


@given(st.lists(st.tuples(CELL, CELL), max_size=20))
def test_any_quoted_csv_comes_back(rows: list[tuple[str, str]]) -> None:
    quoted = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows]
    columns, found = delimited("\n".join(["text,label", *quoted]) + "\n")
    assert columns == ("text", "label")
    assert [tuple(row) for _, row in found] == rows
    numbers = [number for number, _ in found]
    starts = [
        2 + sum(line.count("\n") + 1 for line in quoted[:place]) for place in range(len(quoted))
    ]
    assert numbers == starts


def test_a_tab_separated_file_with_bare_quotes() -> None:
    assert delimited('text\tlabel\n5" disk\t1\n"oh\t0\n', "\t")[1] == [
        (2, ['5" disk', "1"]),
        (3, ['"oh', "0"]),
    ]


def test_a_tab_separated_file_with_quotes_that_are_meant() -> None:
    assert delimited('text\tlabel\n"a\tb ""c"""\t1\n', "\t")[1] == [(2, ['a\tb "c"', "1"])]


def test_without_a_header() -> None:
    assert delimited("a,1\nb,2\n", headerless=True) == (
        ("column_0", "column_1"),
        [(1, ["a", "1"]), (2, ["b", "2"])],
    )


def test_keys_of_json_rows_in_any_order_and_some_missing() -> None:
    lines = ['{"text": "a", "label": 1}', '{"label": 2, "text": "b", "id": 3}', "", '{"text": "c"}']
    table = json_lines(lines)
    assert table.columns == ("id", "label", "text")
    assert [(number, list(row)) for number, row in table.rows] == [
        (1, [None, 1, "a"]),
        (2, [3, 2, "b"]),
        (3, []),
        (4, [None, None, "c"]),
    ]


def test_keys_of_rows_that_agree_stay_in_their_order() -> None:
    assert json_lines(['{"text": "a", "label": 1}', "", '{"text": "b", "label": 1}']).columns == (
        "text",
        "label",
    )


@pytest.mark.parametrize("place", [0, HEAD_ROWS + 5])
def test_a_key_is_a_column_wherever_it_comes_first(place: int) -> None:
    lines = [json.dumps({"text": "a", "label": 1})] * (HEAD_ROWS + 10)
    lines[place] = '{"text": "b", "label": 1, "late": 1}'
    table = json_lines(lines)
    assert table.columns == ("label", "late", "text")
    assert list(table.rows)[place] == (place + 1, [1, 1, "b"])


def test_wrong_bytes_are_told_with_their_row_even_far_down() -> None:
    content = b"text,label\n" + b"good,1\n" * 5000 + b"caf\xe9,1\n"
    table = read_all(content)
    with pytest.raises(DataError, match="row 5002: byte 0xe9 at position 4 is not utf-8"):
        list(table.rows)


@pytest.mark.parametrize("encoding", ["klingon", "rot13", "utf-16", "a\0b", "cp037"])
def test_encodings_that_can_not_be_read(encoding: str) -> None:
    with pytest.raises(ConfigError, match="expected one that contains ASCII"):
        read_all(b"text,label\n", encoding=encoding)

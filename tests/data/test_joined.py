"""Several text columns become one, and what is wrong with a row stays wrong."""

from collections.abc import Iterator
from typing import Any

import pytest

from linnet.data.sources.columns import find_columns
from linnet.data.sources.joined import join_texts
from linnet.errors import DataError
from linnet.tables.columns import positions_only
from linnet.tables.table import Table

COLUMNS = ("topic", "title", "body")


def table(*rows: tuple[Any, ...], columns: tuple[str, ...] = COLUMNS) -> Table:
    def numbered() -> Iterator[tuple[int, tuple[Any, ...]]]:
        yield from enumerate(rows, start=1)

    return Table(columns, numbered(), {"encoding": "utf-8"})


@pytest.mark.parametrize("text", ["title,body", "1,2", "title, 2"])
def test_joins_by_name_and_by_position(text: str) -> None:
    joined = join_texts(table(("x", "a", "b")), text, "")
    assert joined.columns == (*COLUMNS, text)
    assert list(joined.rows) == [(1, ("x", "a", "b", "a b"))]
    assert find_columns(joined.columns, text, "0") == (3, (0,))
    assert joined.dialect["text_of"] == [part.strip() for part in text.split(",")]


@pytest.mark.parametrize(
    ("title", "body", "expected"),
    [
        ("a", "", "a"),
        (None, "b", "b"),
        (float("nan"), "b", "b"),
        ("", "", ""),
        (None, None, None),
        ("a", 5, 5),
        (0, None, 0),
        ("a ", " b", "a   b"),
    ],
)
def test_parts_that_are_missing_or_no_text(title: Any, body: Any, expected: Any) -> None:
    ((_, row),) = join_texts(table(("x", title, body)), "title,body", "").rows
    assert row[-1] == expected
    assert type(row[-1]) is type(expected)


def test_rows_of_another_length_stay_so() -> None:
    wrong = [(), ("x",), ("x", "a"), ("x", "a", "b", "c"), ("x", "a", "b", "c", "d")]
    joined = join_texts(table(*wrong), "title,body", "")
    widths = [len(row) for _, row in joined.rows]
    assert widths == [0, 1, 2, 5, 6]
    assert len(joined.columns) == 4


def test_the_order_is_the_users() -> None:
    ((_, row),) = join_texts(table(("x", "a", "b")), "body,title", "topic").rows
    assert row[-1] == "b a"


def test_a_name_with_a_comma_wins() -> None:
    columns = ("topic", "title,body", "title", "body")
    raw = table(("x", "a", "b", "c"), columns=columns)
    assert join_texts(raw, "title,body", "") is raw


@pytest.mark.parametrize("text", ["", "body", "2"])
def test_one_column_or_none_is_left_to_be_found(text: str) -> None:
    raw = table(("x", "a", "b"))
    assert join_texts(raw, text, "") is raw


@pytest.mark.parametrize(
    ("text", "label", "message"),
    [
        ("title,summary", "", "no column 'summary' for the text"),
        ("title,", "topic", "has an empty name"),
        ("title,9", "", "no column '9' for the text"),
        ("title,1", "", "names one column twice"),
        ("topic,body", "", "'topic' can't be both a part of the text and the label"),
        ("title,body", "2", "'body' can't be both a part of the text and the label"),
    ],
)
def test_refuses(text: str, label: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        join_texts(table(columns=("topic", "title", "body")), text, label)


def test_positions_only() -> None:
    assert [positions_only(one) for one in ("1,2", "0", "1, 2", "", "title,2", "1,")] == [
        True
    ] * 3 + [False] * 3

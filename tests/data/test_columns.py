"""Columns are found by name, and none is lost when it is renamed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linnet.data.sources.columns import find_columns, split_names
from linnet.errors import DataError


@pytest.mark.parametrize(
    ("columns", "text", "label", "expected"),
    [
        (("text", "label"), "", "", (0, (1,))),
        (("Category ", " Tweet", "id"), "", "", (1, (0,))),
        (("sentence", "text", "target", "label"), "", "", (1, (3,))),
        (("a", "b", "c"), "c", "a", (2, (0,))),
        (("a", "b", "c"), "2", "0", (2, (0,))),
        (("2", "0"), "2", "0", (0, (1,))),
        (("text", "a", "b"), "", "b, a", (0, (2, 1))),
        (("text", "a", "b"), "0", "2,1", (0, (2, 1))),
        (("text", "a,b", "a", "b"), "", "a,b", (0, (1,))),
    ],
)
def test_finds(
    columns: tuple[str, ...], text: str, label: str, expected: tuple[int, tuple[int, ...]]
) -> None:
    assert find_columns(columns, text, label) == expected


@pytest.mark.parametrize(
    ("text", "label", "message"),
    [
        ("", "", "No column could be recognised as the text"),
        ("a", "", "No column could be recognised as the label"),
        ("z", "b", "There is no column 'z' for the text"),
        ("a", "9", "There is no column '9' for the label"),
        ("a", "a", "can't be both"),
        ("a", "b,a", "can't be both"),
        ("a", "b,z", "There is no column 'z' for the label"),
    ],
)
def test_a_failure_lists_the_columns(text: str, label: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        find_columns(("a", "b"), text, label)
    assert "'a', 'b'" in str(caught.value)


@given(
    st.lists(
        st.sampled_from(["text", "label", "raw_text", "raw_label", "id", "raw_raw_text"]),
        min_size=2,
        unique=True,
    )
)
def test_no_name_is_lost_or_given_twice(columns: list[str]) -> None:
    for text in range(len(columns)):
        for label in set(range(len(columns))) - {text}:
            names = split_names(columns, text, label)
            assert len(set(names)) == len(names) == len(columns)
            assert (names[text], names[label]) == ("text", "label")

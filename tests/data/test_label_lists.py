"""Lists that were written as text are read as what they were, and nothing else is."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linnet.data.clean.label_lists import MAX_LENGTH, read_list

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("['neg', 'other']", ("neg", "other")),
        ('["neg"]', ("neg",)),
        ("[]", ()),
        (" [ 'a' , ] ", ("a",)),
        ("['neg' 'other']", ("neg", "other")),
        ("array(['a', 'b'], dtype=object)", ("a", "b")),
        ("array(['a'], dtype='<U1')", ("a",)),
        ("{'a', 'b'}", ("a", "b")),
        ("set()", ()),
        ("frozenset({'a'})", ("a",)),
        ("('a',)", ("a",)),
        ("('a')", None),
        ("[1, 2.5, -3]", ("1", "2.5", "-3")),
        ("[None, nan, null, True]", (None, None, None, "True")),
        (r"['it\'s', \"a\"]".replace('\\"', '"'), ("it's", "a")),
        ("[1, 2", None),
        ("[/closed]", None),
        ("[a, b]", None),
        ("[['a']]", None),
        ("[a]['b']", None),
        ("neg", None),
        ("", None),
        ("[" * 50_000 + "]" * 50_000, None),
        ("[" + "'a'," * MAX_LENGTH + "]", None),
    ],
    ids=lambda value: str(value)[:30],
)
def test_reads(text: str, expected: tuple[str | None, ...] | None) -> None:
    assert read_list(text) == expected


@given(st.lists(WORDS, max_size=5))
def test_reads_what_json_and_python_write(words: list[str]) -> None:
    assert read_list(json.dumps(words)) == tuple(words)
    assert read_list(json.dumps(words, ensure_ascii=False)) == tuple(words)
    assert read_list(repr(words)) == tuple(words)
    assert read_list(repr(tuple(words))) == tuple(words)


def test_reads_what_numpy_writes() -> None:
    assert read_list(str(np.array(["a b", "c"]))) == ("a b", "c")
    assert read_list(repr(np.array(["a", "b"], dtype=object))) == ("a", "b")
    assert read_list(str(np.array([1, 0]))) == ("1", "0")

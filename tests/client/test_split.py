"""Texts into requests: none lost, none twice, in order, within the bounds."""

import json

from hypothesis import given
from hypothesis import strategies as st

from linnet.client.split import encode, predict_body, split
from linnet.errors import TextError

# Any string at all, surrogates and control characters too, and things that are none.
TEXTS = st.lists(
    st.one_of(st.text(st.characters()), st.none(), st.integers(), st.binary()), max_size=40
)


@given(TEXTS, st.integers(1, 7), st.integers(1, 200))
def test_nothing_is_lost_and_bounds_hold(texts, max_texts, max_bytes):
    frame = len(predict_body([], "a", "k"))
    parts = list(split(encode(texts), max_texts, max_bytes))
    items = [item for part in parts for item in part]
    assert len(items) == len(texts)
    for index, (text, item) in enumerate(zip(texts, items, strict=True)):
        if isinstance(item, TextError):
            assert item.index == index
            assert not isinstance(text, str) or any(
                "\ud800" <= character <= "\udfff" for character in text
            )
        else:
            assert json.loads(item) == text
    for part in parts:
        sent = [item for item in part if isinstance(item, bytes)]
        assert 1 <= len(part) <= max_texts
        body = predict_body(sent, "a", "k")
        assert len(body) - frame <= max_bytes or len(part) == 1
        assert json.loads(body) == {
            "texts": [json.loads(item) for item in sent],
            "arm": "a",
            "key": "k",
        }


@given(TEXTS, st.integers(1, 7), st.integers(1, 200))
def test_no_part_could_take_the_next_text(texts, max_texts, max_bytes):
    parts = list(split(encode(texts), max_texts, max_bytes))
    size = [[len(item) + 1 for item in part if isinstance(item, bytes)] for part in parts]
    for number, part in enumerate(parts[:-1]):
        following = parts[number + 1][0]
        more = len(following) + 1 if isinstance(following, bytes) else 0
        assert len(part) == max_texts or sum(size[number]) + more > max_bytes


def test_split_reads_no_further_than_it_must():
    def endless():
        number = 0
        while True:
            yield f"text {number}"
            number += 1

    parts = split(encode(endless()), 3, 1000)
    assert next(parts) == [b'"text 0"', b'"text 1"', b'"text 2"']


def test_what_is_not_chosen_is_not_sent():
    assert predict_body([b'"x"'], None, None) == b'{"texts":["x"]}'

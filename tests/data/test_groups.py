"""What says the same thing shares a group; what becomes of copies depends on no order."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linnet.data.group.texts import digests, distinct, first_of_each, normalised, replaced, resolve


def same(first: str, second: str) -> bool:
    one, other = normalised([first, second])
    return one == other


@pytest.mark.parametrize(
    "other",
    [
        "I LOVE this film",
        "i love this film!!!",
        "@sam_k I looove this film",
        "I love, this film... http://t.co/a1",
    ],
)
def test_copies_up_to_noise_are_one(other: str) -> None:
    assert same(other, "I love this film")


@pytest.mark.parametrize("other", ["I love that film", "I do not love this film", "film", ":)"])
def test_other_texts_are_others(other: str) -> None:
    assert not same(other, "I love this film")


def test_texts_of_marks_alone_are_not_all_one() -> None:
    assert len(set(normalised([":)", ":(", "@sam", "@eve", "http://t.co/a", "?!"]))) == 6


def by_definition(text: str) -> str:
    key = re.sub(r"@\w+", " ", re.sub(r"(?:https?://|www\.)\S+", " ", text.casefold()))
    return re.sub(r"([^\W\d_])\1+", r"\1", re.sub(r"[\W_]+", " ", key)).strip() or text.casefold()


LIKELY = st.text(alphabet="aAbß1²٣_ .@é\u0301İ:ﬀ")
ANY = st.text()


@given(
    st.lists(
        st.one_of(LIKELY, ANY, st.sampled_from(["www.a.b c", "x http://a?b@c", "aaa  bbb", "@a@b"]))
    )
)
def test_the_key_is_the_same_as_by_definition_whatever_stands_beside(texts: list[str]) -> None:
    texts = [" ".join(text.split()) for text in texts]
    assert normalised(texts) == [by_definition(text) for text in texts]


def numbers(texts: list[str]) -> np.ndarray:
    return digests([text.encode() for text in texts])


def kept(
    texts: str, labels: list[int], duplicates: str, conflicts: str
) -> tuple[list[str], dict[str, int]]:
    rows = [
        f"{text}{label}{place}"
        for place, (text, label) in enumerate(zip(texts, labels, strict=True))
    ]
    found = resolve(numbers(list(texts)), np.array(labels), numbers(rows), duplicates, conflicts)
    assert not (found.duplicate & found.conflicting).any()
    stays = ~(found.duplicate | found.conflicting)
    return sorted(f"{texts[i]}{labels[i]}" for i in np.flatnonzero(stays)), found.counts


TEXTS = "aaabbccd"
LABELS = [0, 0, 1, 0, 1, 1, 1, 0]


@pytest.mark.parametrize(
    ("duplicates", "conflicts", "expected"),
    [
        ("drop", "majority", ["a0", "c1", "d0"]),
        ("keep", "majority", ["a0", "a0", "c1", "c1", "d0"]),
        ("drop", "drop", ["c1", "d0"]),
        ("keep", "drop", ["c1", "c1", "d0"]),
        ("drop", "keep", ["a0", "a1", "b0", "b1", "c1", "d0"]),
        ("keep", "keep", ["a0", "a0", "a1", "b0", "b1", "c1", "c1", "d0"]),
    ],
)
def test_policies(duplicates: str, conflicts: str, expected: list[str]) -> None:
    stays, counts = kept(TEXTS, LABELS, duplicates, conflicts)
    assert stays == expected
    # Counted whatever the policy.
    assert counts == {
        "texts": 4,
        "duplicate_rows": 2,
        "conflicting_texts": 2,
        "conflicting_rows": 5,
    }


@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 2)), min_size=1, max_size=30),
    st.randoms(),
)
def test_order_does_not_matter_and_every_row_is_accounted_for(
    rows: list[tuple[str, int]], draw
) -> None:
    texts = [text for text, _ in rows]
    labels = np.array([label for _, label in rows])
    unique = numbers([f"{text}{label}{place}" for place, (text, label) in enumerate(rows)])
    order = np.array(draw.sample(range(len(rows)), len(rows)))
    for duplicates in ("drop", "keep"):
        for conflicts in ("majority", "drop", "keep"):
            here = resolve(numbers(texts), labels, unique, duplicates, conflicts)
            there = resolve(
                numbers(texts)[order], labels[order], unique[order], duplicates, conflicts
            )
            assert (here.duplicate[order] == there.duplicate).all()
            assert (here.conflicting[order] == there.conflicting).all()
            assert here.counts == there.counts
            stays = ~(here.duplicate | here.conflicting)
            of_text = {
                text: {int(labels[i]) for i in np.flatnonzero(stays) if texts[i] == text}
                for text in texts
            }
            assert conflicts == "keep" or all(len(found) <= 1 for found in of_text.values())


@given(st.lists(st.integers(0, 30)), st.lists(st.integers(0, 30), unique=True))
def test_arrays_of_digests_are_worked_on_as_numpy_would(values: list[int], old: list[int]) -> None:
    some = np.array(values, dtype=np.uint64)
    known = np.array(sorted(old), dtype=np.uint64)
    assert distinct(some).tolist() == sorted(set(values))
    assert first_of_each(some).tolist() == np.unique(some, return_index=True)[1].tolist()
    assert replaced(some, known, known + np.uint64(100)).tolist() == [
        v + 100 if v in old else v for v in values
    ]

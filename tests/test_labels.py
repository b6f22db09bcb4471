"""Labels that are the same end as one, however they are written, and the others stay apart."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linnet.errors import LabelError
from linnet.labels import (
    ENDS,
    MAX_LENGTH,
    clean_label,
    clean_names,
    find_label,
    listed,
    look_alikes,
    one_name_each,
)

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("neg", "neg"),
        ("\ufeff\u200b neg\xa0\x00\r\n", "neg"),
        ("cafe\u0301", "caf\xe9"),
        ("very \t\xa0 good", "very good"),
        ("[/closed] <b>", "[/closed] <b>"),
        ("\u202eabc\u202c", "abc"),
        ("\u05d0 \u200f b", "\u05d0 \u200f b"),  # marks of direction inside stay
        ("\U0001f468\u200d\U0001f469", "\U0001f468\u200d\U0001f469"),
        ("\u2764\ufe0f", "\u2764\ufe0f"),  # an emoji with its variation selector
        (" \u200b ", ""),
        ("", ""),
    ],
)
def test_a_label_is_cleaned(raw: str, expected: str) -> None:
    assert clean_label(raw) == expected


@pytest.mark.parametrize("raw", ["a\x07b", "a\x00b", "a\ud800b", "x" * (MAX_LENGTH + 1)])
def test_what_is_no_label_is_refused(raw: str) -> None:
    with pytest.raises(LabelError, match="a label"):
        clean_label(raw)


@given(TEXT)
def test_a_clean_label_stays_as_it_is(raw: str) -> None:
    label = clean_label(raw)
    assert clean_label(label) == label
    assert label == "" or not label.startswith(tuple(ENDS))


@given(TEXT, st.text(st.sampled_from(ENDS), max_size=5), st.sampled_from(["NFC", "NFD"]))
def test_every_spelling_is_found(raw: str, ends: str, form: str) -> None:
    label = clean_label(raw)
    if label and clean_label(unicodedata.normalize(form, label)) == label:
        assert (
            find_label(f"{ends}{unicodedata.normalize(form, label)}{ends}", ["x", label]) == label
        )


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["1", "1.0", "+1", "1e0", "01"], ["1", "1", "1", "1", "01"]),
        (["-0.0", "0", "2.50", "2.5", "nan"], ["0", "0", "2.5", "2.5", "nan"]),
        (["1", "1.0", "x"], ["1", "1.0", "x"]),
        (["True", "FALSE", "true"], ["true", "false", "true"]),
        (["True", "maybe"], ["True", "maybe"]),
        (["12345678901234567890123456789012345.0"], ["12345678901234567890123456789012345"]),
        (["nan"], ["nan"]),
        ([], []),
    ],
)
def test_equal_numbers_have_one_name(labels: list[str], names: list[str]) -> None:
    assert [one_name_each(labels)[label] for label in labels] == names


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e9, max_value=1e9))
def test_numbers_have_the_name_that_json_gives_them(number: float) -> None:
    whole = number == int(number)
    name = one_name_each([repr(number)])[repr(number)]
    assert float(name) == number
    assert not whole or name == str(int(number))


def test_labels_that_look_alike_are_grouped() -> None:
    labels = ["Neg", "neg", "neg.", "pos", "-1", "1", "01", "a_b", "A-B", ":)", ":(", "c", "c++"]
    assert look_alikes(labels) == [["01", "1"], ["A-B", "a_b"], ["Neg", "neg", "neg."]]


def test_a_label_is_found_by_any_spelling() -> None:
    assert find_label("\u200b1.0 ", ["0", "1"]) == "1"
    assert find_label("TRUE", ["true", "false"]) == "true"
    assert find_label("Neg", ["neg", "pos"]) is None
    assert find_label("a\x07b", ["neg", "pos"]) is None
    assert find_label("neg", ["neg ", "pos"]) == "neg "  # as a bundle of another program calls it


def test_names_of_a_model_are_cleaned_and_told_apart() -> None:
    assert clean_names(["a ", 1, "b"]) == ("a", "1", "b")
    with pytest.raises(LabelError, match="two names of one label: 'a ' and 'a'"):
        clean_names(["a ", "a"])


def test_a_list_of_labels_is_cut() -> None:
    rows = {f"class {number}": number for number in range(1200)}
    assert listed(rows).endswith("'class 9' (9) and 1,190 more")
    assert listed({"cafe\u0301": 2, "a\u200bb": 1}) == r"'cafe\u0301' (2), 'a\u200bb' (1)"

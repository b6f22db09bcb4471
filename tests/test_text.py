"""The only text path: any string in, a clean one or a TextError out, in linear time; and its token ids."""

import contextlib
import html
import json
import time
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Tokenizer as Base
from tokenizers import models, pre_tokenizers

from linnet.errors import BundleError, TextError
from linnet.text import MARKS, MAX_MARKS, Tokenizer, clean

MEGABYTE = 1_000_000
FRAGMENTS = [
    "&",
    "amp;",
    "amp",
    "#38;",
    "#x26;",
    "lt;",
    "&#0;",
    "&#xd800;",
    "&#",
    "9" * 4400,
    ";",
    "\u037e",
    "\0",
]
FRAGMENTS += [
    "\ud83d",
    "\ude00",
    "\u0300",
    "\u0f73",
    "\u200b",
    "\u202e",
    "\x7f",
    "\x85",
    "\u2028",
    "é",
    "ﬁ",
    "😀",
    " ",
    "a",
]
hostile = st.one_of(
    st.text(),
    st.text(st.characters()),  # surrogates too
    st.lists(st.sampled_from(FRAGMENTS), max_size=60).map("".join),
)


@given(hostile)
@example("&amp;amp;lt;")
@example("&" + "#38;" * 12 + "lt;")
@example("&" + "amp" * 12 + ";lt;")
@example("&#" + "9" * 5000 + ";")
@example("&lt\u037e")
@example("\u0f73" * 31)
def test_any_string_is_cleaned_or_refused(raw):
    try:
        text = clean(raw)
    except TextError as error:
        assert error.reason in {"nul_byte", "lone_surrogate", "nested_entities", "empty_text"}
        assert str(error).endswith(".")
        return
    assert clean(text) == text
    assert unicodedata.is_normalized("NFC", text)
    assert not any(unicodedata.category(character) in {"Cc", "Cs"} for character in text)
    assert text == " ".join(text.split())
    text.encode()


@given(
    st.text(st.characters(categories=["L", "N", "P", "So"]), min_size=1).filter(
        lambda text: "&" not in text
    )
)
def test_visible_characters_stay(raw):
    stays = unicodedata.normalize("NFC", raw)
    try:
        assert clean(raw) == stays
    except TextError as error:
        assert error.reason == "empty_text"
        assert not any(
            unicodedata.category(c)[0] in "NP" for c in stays
        )  # invisible letters: Hangul fillers


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("  two \t words\r\n", "two words"),
        ("fish &amp; chips", "fish & chips"),
        ("&amp;amp;lt;3", "<3"),
        ("&quot;hi&quot; &#39;yes&#39; &hearts;", "\"hi\" 'yes' ♥"),
        ("AT&T &unknown; & &", "AT&T &unknown; & &"),
        (
            "tired&not happy, new&current, &notit; &lt 3",
            "tired&not happy, new&current, &notit; &lt 3",
        ),
        ("e\u0301te\u0301", "été"),
        ("i\x07n\x1bvisible\x7f", "invisible"),
        ("non\u00a0breaking\u2003spaces", "non breaking spaces"),
        ("zero\u200bwidth", "zero\u200bwidth"),
        ("שלום \u202eabc", "שלום \u202eabc"),
        ("itâ€™s mojibake Ã©", "itâ€™s mojibake Ã©"),
        ("👩\u200d👩\u200d👧", "👩\u200d👩\u200d👧"),
        ("@you http://t.co/x :-) GREAT!!!", "@you http://t.co/x :-) GREAT!!!"),
        ("&#0;&#xD800;", "\ufffd\ufffd"),
        ("&#" + "9" * 5000 + ";", "\ufffd"),
        ("z\u0301" + "\u0300" * 100, "ź" + "\u0300" * (MAX_MARKS - 1)),
    ],
)
def test_what_cleaning_does(raw, expected):
    assert clean(raw) == expected


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("", "empty_text"),
        (" \t\r\n\u3000\u2028", "empty_text"),
        ("\u200b\ufeff\u00ad\u2060", "empty_text"),
        ("\u3164\U000e0041\ufe0f\u034f", "empty_text"),
        ("\x01\x02", "empty_text"),
        ("&nbsp;&#8203;", "empty_text"),
        ("cut\0off", "nul_byte"),
        ("half \ud83d", "lone_surrogate"),
        ("&" + "#38;" * 20 + "lt;", "nested_entities"),
        (None, "not_text"),
        (b"bytes", "not_text"),
        (float("nan"), "not_text"),
    ],
)
def test_what_cleaning_refuses(raw, reason):
    with pytest.raises(TextError) as caught:
        clean(raw)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    "raw",
    [
        "x" * MEGABYTE,
        "&" * MEGABYTE,
        "&" + "amp;" * (MEGABYTE // 4),
        "&" + "#38;" * (MEGABYTE // 4) + "lt;",
        "&" + "amp" * (MEGABYTE // 3),
        "&#" + "9" * MEGABYTE,
        "&a" * (MEGABYTE // 2),
        "\u200b" * MEGABYTE,
        "a" + "\u0300\u0316" * (MEGABYTE // 2),
        "\u0f73" * MEGABYTE,
        "😀" * MEGABYTE,
    ],
    ids=lambda raw: ascii(raw[:8]),
)
def test_a_megabyte_of_anything_is_quick(raw):
    started = time.process_time()
    with contextlib.suppress(TextError):
        clean(raw)
    assert time.process_time() - started < 5  # quadratic time would take minutes


def test_nested_ampersands_collapse_however_deep():
    assert clean("&" + "amp;" * 250_000 + "lt;") == "<"


def test_the_pattern_for_marks_misses_none():
    marks = (
        chr(code) for code in range(0x110000) if unicodedata.category(chr(code)).startswith("M")
    )
    assert all(MARKS.fullmatch(mark * (MAX_MARKS + 1)) for mark in marks)


@given(st.text(alphabet="<>&\"' ab;", min_size=1))
def test_escaping_does_not_matter(raw):
    try:
        assert clean(html.escape(raw)) == clean(raw)
    except TextError as error:
        assert error.reason == "empty_text"


@pytest.fixture(scope="module")
def tokenizer(tokenizer_path):
    return Tokenizer(tokenizer_path, max_length=8)


def test_texts_are_encoded_in_order(tokenizer):
    first, second = tokenizer.encode(["good day", "bad"])
    assert [len(first.ids), len(second.ids)] == [4, 3]
    assert first.ids[0] == second.ids[0] == 2 and first.ids[-1] == second.ids[-1] == 3
    assert tokenizer.encode(["bad", "good day"]) == [second, first]
    assert tokenizer.encode(["GOOD Day"]) == [first]


def test_an_empty_list_gives_an_empty_list(tokenizer):
    assert tokenizer.encode([]) == []


@pytest.mark.parametrize(
    ("words", "length", "truncated"), [(5, 7, False), (6, 8, False), (7, 8, True), (5000, 8, True)]
)
def test_truncation_is_told(tokenizer, words, length, truncated):
    (encoding,) = tokenizer.encode(["good " * words])
    assert (len(encoding.ids), encoding.truncated) == (length, truncated)
    assert encoding.ids[-1] == 3  # the closing token survives the cut


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=200), max_size=5))
def test_no_text_is_longer_than_allowed_or_padded(tokenizer, texts):
    encodings = tokenizer.encode(texts)
    assert len(encodings) == len(texts)
    for encoding in encodings:
        assert 2 <= len(encoding.ids) <= tokenizer.max_length
        assert tokenizer.pad_id not in encoding.ids
        assert all(0 <= number < tokenizer.vocab_size for number in encoding.ids)


@given(st.lists(st.text("gd bo!", max_size=30), min_size=1, max_size=6))
def test_a_text_has_the_same_ids_in_any_company(tokenizer, texts):
    assert tokenizer.encode(texts) == [tokenizer.encode([text])[0] for text in texts]


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("good day", 0.0),
        ("日 本", 1.0),
        ("good 日", 0.5),
        ("good day 日 本 love", 0.4),
        ("good " * 100 + "日", 0.0),  # what is cut off does not count
        ("日 " * 100, 1.0),
        ("", 0.0),
    ],
)
def test_the_share_of_unknown_tokens(tokenizer, text, share):
    (encoding,) = tokenizer.encode([text])
    assert encoding.unknown_share == share
    assert tokenizer.trace(text)[0] == encoding


def test_nothing_is_unknown_to_a_vocabulary_of_bytes(tmp_path):
    tokens = {letter: i for i, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    model = Base(models.BPE(tokens, [], unk_token=None))
    model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    model.save(str(tmp_path / "tokenizer.json"))
    encodings = Tokenizer(tmp_path / "tokenizer.json", 32).encode(["日本", "good"])
    assert [encoding.unknown_share for encoding in encodings] == [0.0, 0.0]


def test_what_a_unigram_model_does_not_know(tmp_path):
    vocabulary = [("<s>", 0.0), ("<unk>", 0.0), ("a", -1.0), ("b", -1.0)]
    model = Base(models.Unigram(vocabulary, unk_id=1))
    model.pre_tokenizer = pre_tokenizers.Whitespace()
    model.save(str(tmp_path / "tokenizer.json"))
    encodings = Tokenizer(tmp_path / "tokenizer.json", 32).encode(["a b", "a x", "x"])
    assert [encoding.unknown_share for encoding in encodings] == [0.0, 0.5, 1.0]


def test_a_megabyte_word_is_one_unknown_token(tokenizer):
    (encoding,) = tokenizer.encode(["x" * MEGABYTE])
    assert encoding.ids == [2, 1, 3]


@pytest.mark.parametrize(
    "content", [None, b"", b"{}", b"\xff\xfe", json.dumps({"model": {"type": "None"}}).encode()]
)
def test_an_unreadable_tokenizer_is_named(tmp_path, content):
    path = tmp_path / "tokenizer.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BundleError, match=r"tokenizer\.json"):
        Tokenizer(path, max_length=8)


def test_a_saved_padding_or_truncation_does_not_leak_in(tmp_path, tokenizer_path, tokenizer):
    content = json.loads(tokenizer_path.read_text())
    content["truncation"] = {
        "max_length": 4,
        "strategy": "LongestFirst",
        "stride": 0,
        "direction": "Right",
    }
    content["padding"] = {
        "strategy": {"Fixed": 32}, "direction": "Right", "pad_to_multiple_of": None,
        "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]",
    }  # fmt: skip
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(content))
    assert Tokenizer(path, max_length=8).encode(["good bad day"]) == tokenizer.encode(
        ["good bad day"]
    )

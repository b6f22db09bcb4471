"""A long text read in part has the ids of the whole, by every kind of tokenizer; else it is read whole."""

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, models, normalizers, pre_tokenizers, trainers
from tokenizers import Tokenizer as Library
from tokenizers.processors import TemplateProcessing

from linnet.errors import ModelError, TextError
from linnet.export.cuts import HOSTILE, check_cuts
from linnet.seams import find_long_words, find_seams
from linnet.text import CHARACTERS, Span, Tokenizer, clean

CORPUS = [*HOSTILE, "a good day and a bad one, isn't it? stop-here now", "one two three four 1 2 3"]
LENGTH = 6
PIECES = [
    *"ab! .-_'[]/中文。é\u0301\u200d\u0600😀ßİΣ▁Ġ",
    *[
        "[MASK]",
        "word",
        "don't",
        "##a",
        "x" * 120,
        " a",
        " [MASK]",
        "good day ",
        "\ufdfa",
        "\u00a8",
        " \u0301",
    ],
]
texts = st.lists(st.sampled_from(PIECES), min_size=1, max_size=40).map("".join)


def bert(**options):
    found = Library(models.WordPiece(unk_token="[UNK]"))
    found.normalizer = normalizers.BertNormalizer(**options)
    found.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return found


def bpe(pre_tokenizer, normalizer=None, **options):
    found = Library(models.BPE(unk_token="[UNK]", fuse_unk=True, **options))
    found.pre_tokenizer = pre_tokenizer
    if normalizer:
        found.normalizer = normalizer
    return found


def unigram(pre_tokenizer, normalizer=None):
    found = Library(models.Unigram())
    found.pre_tokenizer = pre_tokenizer
    if normalizer:
        found.normalizer = normalizer
    return found


TRAINERS = {
    models.WordPiece: trainers.WordPieceTrainer,
    models.BPE: trainers.BpeTrainer,
    models.Unigram: trainers.UnigramTrainer,
    models.WordLevel: trainers.WordLevelTrainer,
}


def trained(library, *added):
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    options = {"unk_token": "[UNK]"} if isinstance(library.model, models.Unigram) else {}
    trainer = TRAINERS[type(library.model)](
        vocab_size=200, special_tokens=special, show_progress=False, **options
    )
    library.train_from_iterator(CORPUS * 4, trainer)
    library.add_tokens(list(added))
    library.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return library


split = pre_tokenizers.WhitespaceSplit()
CUT = {
    "bert": lambda: trained(bert()),
    "bert, cased": lambda: trained(bert(lowercase=False, handle_chinese_chars=False)),
    "bert, words added": lambda: trained(bert(), "day", AddedToken("bad", single_word=True)),
    "bert, tokens added": lambda: trained(bert(), AddedToken("!", normalized=True), "a-b"),
    "bert, spaces taken": lambda: trained(bert(), AddedToken("good", lstrip=True, rstrip=True)),
    "bytes": lambda: trained(bpe(pre_tokenizers.ByteLevel())),
    "bytes, NFKC": lambda: trained(
        bpe(pre_tokenizers.ByteLevel(add_prefix_space=False), normalizers.NFKC())
    ),
    "metaspace": lambda: trained(bpe(pre_tokenizers.Metaspace())),
    "metaspace, first": lambda: trained(bpe(pre_tokenizers.Metaspace(prepend_scheme="first"))),
    "words, metaspace": lambda: trained(
        unigram(pre_tokenizers.Sequence([split, pre_tokenizers.Metaspace()]))
    ),
    "words": lambda: trained(
        bpe(
            pre_tokenizers.Sequence([split, pre_tokenizers.Punctuation(), pre_tokenizers.Digits()]),
            normalizers.Sequence([normalizers.NFD(), normalizers.Lowercase()]),
        )
    ),
}
WHOLE = {
    "no splitter": lambda: bpe(pre_tokenizers.Punctuation()),
    "bytes in one piece": lambda: bpe(pre_tokenizers.ByteLevel(use_regex=False)),
    "metaspace in one piece": lambda: bpe(pre_tokenizers.Metaspace(split=False)),
    "spaces replaced before": lambda: bpe(
        pre_tokenizers.Sequence([pre_tokenizers.ByteLevel(use_regex=False), split])
    ),
    "own pattern": lambda: bpe(pre_tokenizers.Split(Regex(r"\w+ \w+"), "isolated")),
    "white space removed": lambda: bpe(split, normalizers.Replace(Regex(r"\s"), "")),
    "chance": lambda: bpe(split, dropout=0.1),
    "space in a token": lambda: trained(bert(), "good day"),
    "space by normalizing": lambda: trained(bert(), AddedToken("中x", normalized=True)),
}


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizers")
    found = {}
    for name, make in CUT.items():
        path = folder / f"{name}.json"
        make().save(str(path))
        found[name] = Tokenizer(path, LENGTH)
    return found


@pytest.mark.parametrize("name", CUT)
@given(text=texts, begin=texts)
def test_a_part_has_the_ids_of_the_whole(tokenizers, name, text, begin):
    tokenizer = tokenizers[name]
    try:
        long = clean(begin + text * (1 + 4 * CHARACTERS * LENGTH // len(text)))
    except TextError:
        return
    assert tokenizer.encode([long, text]) == tokenizer.encode_whole([long, text])


@pytest.mark.parametrize("name", CUT)
def test_long_texts_are_read_in_part(tokenizers, name):
    tokenizer, text = tokenizers[name], "a good day " * 10_000
    assert len(tokenizer._start(text, 100)) < 120
    check_cuts(tokenizer, CORPUS)
    assert tokenizer.trace(text)[0] == tokenizer.encode_whole([text])[0]


@pytest.mark.parametrize("make", WHOLE.values(), ids=WHOLE)
def test_what_could_differ_is_read_whole(make):
    assert find_seams(make()) is None


def test_a_text_of_few_tokens_is_read_on_until_they_are_enough(tokenizers):
    tokenizer = tokenizers["bert"]
    for words in range(1, 40):
        text = " ".join(["x" * 150] * words)
        (found,) = tokenizer.encode([text])
        assert found.truncated == (words > LENGTH - 2)
        assert [found] == tokenizer.encode_whole([text])


def test_a_text_without_a_seam_is_read_whole(tokenizers):
    for text in ("x" * 100_000, "[" * 10_000, "中" * 10_000, "." * 10_000):
        for tokenizer in tokenizers.values():
            assert tokenizer.encode([text]) == tokenizer.encode_whole([text])


@pytest.mark.parametrize("name", ["bert", "bert, cased", "bytes"])
@given(text=texts, begin=texts)
def test_the_places_of_tokens_are_those_in_the_whole(tokenizers, name, text, begin):
    tokenizer = tokenizers[name]
    try:
        long = clean(begin + text * (1 + 4 * CHARACTERS * LENGTH // len(text)))
    except TextError:
        return
    whole = tokenizer._tokenizer.encode(long)
    places = [place and (place.start, place.end, place.word) for place in tokenizer.trace(long)[1]]
    assert places == [
        None if word is None else (*offsets, word)
        for offsets, word in zip(whole.offsets, whole.word_ids, strict=True)
    ]


def test_the_middle_of_a_word_that_is_too_long_is_not_read(tokenizers):
    word = "x" * 100_000
    for name, tokenizer in tokenizers.items():
        short = len(tokenizer._shorten(word, len(word)))
        assert short < 300 or not name.startswith("bert") or "added" in name or "taken" in name
        assert tokenizer.encode([word]) == tokenizer.encode_whole([word])
    assert tokenizers["bert"].trace(f"{word} b")[1][1:3] == [
        Span(0, 100_000, 0),
        Span(100_001, 100_002, 1),
    ]
    assert find_long_words(trained(bert(), "day")) is None  # which is found within a word


def test_bert_cuts_at_signs_that_no_added_token_has():
    seams = find_seams(trained(bert()))
    assert all(seams.match(sign) for sign in string.punctuation if sign not in "[]")
    assert seams.match("中")
    assert not any(map(seams.match, "[]aé1\u0301"))
    assert find_seams(trained(bert(handle_chinese_chars=False))).match("中") is None


def test_a_tokenizer_that_reads_on_is_refused_at_export(tmp_path):
    """The check can fail: here the rules are set aside, and a long word is cut."""
    path = tmp_path / "tokenizer.json"
    library = Library(models.WordPiece({"[UNK]": 0, "x": 1, "##x": 2}, unk_token="[UNK]"))
    library.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    library.save(str(path))
    tokenizer = Tokenizer(path, LENGTH)
    check_cuts(tokenizer, ["x" * 150])
    tokenizer._seams = re.compile("[a-z]")
    with pytest.raises(ModelError, match="report it"):
        check_cuts(tokenizer, ["x" * 150])

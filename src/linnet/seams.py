"""Where a text can be cut so that the part has the first token ids of the whole.

A tokenizer splits a text into pieces and then encodes each piece alone. A seam is a character that
always begins a piece, or lies between two: the text before it has the same pieces with and without
what follows. That holds for the tokenizers known here; the texts of all others are read whole.
Knows nothing of cleaning or of lengths.
"""

import json
import re
import string
from typing import Any

import tokenizers

# Each piece is encoded by itself. BPE with dropout gives other ids each time, and no two can be
# compared.
MODELS = {"BPE", "Unigram", "WordLevel", "WordPiece"}
# These normalizers look no further than from a character to the marks behind it, and a space is
# never such a mark. Not Precompiled: it reads a space as part of the sign before it in some
# scripts.
NORMALIZERS = {"BertNormalizer", "Lowercase", "NFC", "NFD", "NFKC", "NFKD", "StripAccents"}
# These split at every white space, or put it at the start of a piece.
SPLITTERS = {"BertPreTokenizer", "ByteLevel", "Metaspace", "Whitespace", "WhitespaceSplit"}
HARMLESS = {"ByteLevel", "Digits", "Metaspace", "Punctuation"}  # within what a splitter leaves
# Characters that are words of their own to BertNormalizer, of those that NFC leaves as they are.
IDEOGRAPHS = "\u3400-\u4dbf\u4e00-\u9fff"
# Letters and digits: no normalizer but NFKC and NFKD splits a word at one or takes it away, but
# BertNormalizer splits at ideographs, the rarer ones too.
LETTER = rf"[^\W_{IDEOGRAPHS}\uf900-\ufaff\U00020000-\U0002fa1f]"
WORD_SPLITTERS = {"BertPreTokenizer", "Punctuation", "Whitespace", "WhitespaceSplit"}


def find_seams(tokenizer: tokenizers.Tokenizer) -> re.Pattern[str] | None:
    """A pattern of the characters before which a clean text can be cut; None if there are none.

    Args:
        tokenizer: Any; its settings are looked at, its vocabulary is not.
    """
    normalizers = _parts(tokenizer.normalizer, "normalizers")
    splitters = _parts(tokenizer.pre_tokenizer, "pretokenizers")
    added = list(tokenizer.get_added_tokens_decoder().values())
    if (
        type(tokenizer.model).__name__ not in MODELS
        or getattr(tokenizer.model, "dropout", None)
        or not {part["type"] for part in normalizers} <= NORMALIZERS
        or not splitters
        or not _splits(splitters[0])  # a later one may find spaces replaced
        or not {part["type"] for part in splitters} <= SPLITTERS | HARMLESS
        # A token with a space in it is found only in a text that has all of it. One that is
        # normalized may get a space by that.
        or any(re.search(r"\s", token.content) for token in added)
        or any(token.normalized and not token.content.isascii() for token in added)
    ):
        return None
    # A token may count as a word only where no letter, digit or underscore follows.
    if splitters[0]["type"] != "BertPreTokenizer" or any(token.single_word for token in added):
        return re.compile(" ")
    return re.compile(_characters(normalizers, "".join(token.content for token in added)))


def find_long_words(tokenizer: tokenizers.Tokenizer) -> re.Pattern[str] | None:
    """A pattern of words whose middle does not count; None if it may.

    WordPiece gives one unknown token for a word that is longer than it takes, whatever it is made
    of. The first two groups of a match are to be kept, so that the word stays too long.

    Args:
        tokenizer: As of `find_seams`.
    """
    normalizers = _parts(tokenizer.normalizer, "normalizers")
    splitters = _parts(tokenizer.pre_tokenizer, "pretokenizers")
    added = [token.content for token in tokenizer.get_added_tokens_decoder().values()]
    if (
        find_seams(tokenizer) is None
        or not isinstance(tokenizer.model, tokenizers.models.WordPiece)
        or not {part["type"] for part in splitters} <= WORD_SPLITTERS
        or any(content.isalnum() for content in added)  # which is found within words
    ):
        return None
    kept = max(tokenizer.model.max_input_chars_per_word, *map(len, added), 1) + 1
    # What NFKC makes of a letter may be several words.
    plain = {part["type"] for part in normalizers} & {"NFKC", "NFKD"}
    letter = "[0-9A-Za-z]" if plain else LETTER
    return re.compile(f"(?<!{letter})({letter}{{{kept}}}){letter}+({letter}{{{kept}}})")


def _parts(component: Any, key: str) -> list[dict[str, Any]]:
    """The settings of a normalizer or pre-tokenizer, or of each that it is a sequence of."""
    if component is None:
        return []
    # The way in which the library pickles one is the only one that gives all settings.
    settings: dict[str, Any] = json.loads(component.__getstate__())
    return _flat(settings, key)


def _flat(settings: dict[str, Any], key: str) -> list[dict[str, Any]]:
    if settings["type"] != "Sequence":
        return [settings]
    return [part for one in settings[key] for part in _flat(one, key)]


def _splits(part: dict[str, Any]) -> bool:
    """Whether a pre-tokenizer splits at each white space of what it is given."""
    if part["type"] == "ByteLevel":
        return bool(part.get("use_regex", True))
    if part["type"] == "Metaspace":
        return bool(part.get("split", True))
    return part["type"] in SPLITTERS


def _characters(normalizers: list[dict[str, Any]], added: str) -> str:
    """Of BERT's pre-tokenizer:

    a cut at a character of an added token could be within that token.
    """
    punctuation = "".join(re.escape(c) for c in string.punctuation if c not in added)
    alone = any(
        part["type"] == "BertNormalizer" and part["handle_chinese_chars"] for part in normalizers
    )
    return f"[ {punctuation}{IDEOGRAPHS if alone and added.isascii() else ''}]"

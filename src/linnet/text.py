"""The only text path: a raw string becomes a clean string, a clean string becomes token ids.

`prepare` drops the rows, and the service refuses the items, for which `clean` raises; everything
that trains, judges or serves encodes through `Tokenizer`. Knows nothing of models, files of texts
or labels.
"""

import html
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from html.entities import html5
from pathlib import Path

import tokenizers

from linnet.errors import BundleError, TextError
from linnet.pii import mask as mask_personal
from linnet.seams import find_long_words, find_seams

# Tab, line feed and the like are white space, which `str.split` folds; these carry nothing at all.
CONTROL = re.compile(r"[\x01-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]+")
SURROGATE = re.compile(r"[\ud800-\udfff]")
# Unicode's Default_Ignorable_Code_Point: shown as nothing, so a text of these alone is empty.
VISIBLE = re.compile(
    r"[^\s\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    r"\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3"
    r"\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
# A name counts with its semicolon only: browsers, and html.unescape, read "tired&not happy" as
# "tired¬ happy".
ENTITY = re.compile(r"&(?:#(?:[0-9]+|[xX][0-9a-fA-F]+);?|[A-Za-z][A-Za-z0-9]{0,31};)")
NESTED_AMPERSAND = re.compile(r"&(?:amp;)+")
# No character has a number of nine digits, and int(), which html.unescape calls, refuses 4,300 of
# them.
OVERLONG_NUMBER = re.compile(r"&#[0-9]{9,};?")
MAX_UNESCAPES = 8
UNASSIGNED = "\U000e1fff"  # which no vocabulary has
# Normalising sorts each run of marks in quadratic time, so a run is cut where the Stream-Safe Text
# Format of UAX #15 would break it. The pattern finds more than marks (emoji, say); `_cut_marks`
# tells them apart.
MAX_MARKS = 30
MARKS = re.compile(rf"[^\w\s\x00-\x7f]{{{MAX_MARKS + 1},}}")
# Characters per token that a long text is read to at first, about twice as many as a token of
# English has. If they are too few, it is read again to so many times as many.
CHARACTERS = 8
GROWTH = 4


def clean(raw: object, mask: Sequence[str] = ()) -> str:
    """Normalise one raw text.

    HTML entities become characters, control characters go, white space is folded to single spaces
    and the result is in Unicode normal form C. Cleaning a clean text changes nothing. Case,
    punctuation, emoji, links and names stay: what they are worth is for the model to learn. Takes
    linear time.

    Args:
        raw: Any text.
        mask: Which personal data are replaced, at the end: keys of `linnet.pii.PERSONAL`.

    Raises:
        TextError: Not a string, a NUL byte, a lone surrogate, entities in entities without end, or
            nothing to read in it.
    """
    if not isinstance(raw, str):
        raise TextError("not_text", f"Expected a text, got {type(raw).__name__}: {raw!r:.60}.")
    if "\0" in raw:
        raise TextError("nul_byte", "The text holds a NUL byte, so it is cut or binary. Send text.")
    if not raw.isascii() and SURROGATE.search(raw):
        raise TextError(
            "lone_surrogate", "The text holds half of a surrogate pair. Send valid Unicode."
        )
    text = _tidy(raw)
    if "&" in text:
        text = _unescape(text)
    if not text or not (text[0].isascii() or VISIBLE.search(text)):
        raise TextError("empty_text", "The text is empty. Send at least one visible character.")
    return mask_personal(text, mask) if mask else text


def _unescape(text: str) -> str:
    for _ in range(MAX_UNESCAPES):
        collapsed = OVERLONG_NUMBER.sub("\ufffd", NESTED_AMPERSAND.sub("&", text))
        unescaped = _tidy(ENTITY.sub(_character, collapsed))
        if unescaped == text:
            return text
        text = unescaped
    raise TextError(
        "nested_entities",
        f"The text's HTML entities are nested more than {MAX_UNESCAPES} deep, so it is no text "
        "that people read. Send it unescaped.",
    )


def _character(match: re.Match[str]) -> str:
    entity = match[0]
    return html.unescape(entity) if entity[1] == "#" else html5.get(entity[1:], entity)


def _tidy(text: str) -> str:
    if (
        text.isascii() and text.isprintable() and "  " not in text
    ):  # as most texts are: nothing but the ends to repair
        return text.strip()
    text = " ".join(CONTROL.sub("", text).split())
    if text.isascii():
        return text
    normal = unicodedata.normalize("NFC", MARKS.sub(_cut_marks, text))
    return MARKS.sub(_cut_marks, normal)  # some marks decompose into two


def _cut_marks(match: re.Match[str]) -> str:
    kept = []
    run = 0
    for character in match[0]:
        run = run + 1 if unicodedata.category(character).startswith("M") else 0
        if run <= MAX_MARKS:
            kept.append(character)
    return "".join(kept)


@dataclass(frozen=True, slots=True)
class Encoding:
    """One text as the model sees it.

    Attributes:
        ids: Token ids, special tokens included, at most `max_length` of them.
        truncated: Whether tokens were cut off to fit.
        unknown_share: Share of the ids that are the unknown token, special tokens aside, 0 to 1.
        words: How many of the tokenizer's own words the ids are of.
    """

    ids: list[int]
    truncated: bool
    unknown_share: float = 0.0
    words: int = 0


@dataclass(frozen=True, slots=True)
class Span:
    """The place of a token in its text.

    Attributes:
        start: Its first character.
        end: The character after it.
        word: Which of the tokenizer's own words it belongs to, from 0.
    """

    start: int
    end: int
    word: int


class Tokenizer:
    """Clean texts to token ids, the same in training and in service.

    A long text is read only as far as its tokens count, if `linnet.seams` knows where it can be
    cut.

    Args:
        path: A `tokenizer.json`.
        max_length: Tokens a text may have, special tokens included; the rest is cut and said to be.

    Attributes:
        max_length: As given.
        pad_id: The id that fills short rows of a batch.
        special_ids: The ids that are added to each text, such as those of [CLS] and [SEP].

    Raises:
        BundleError: The file is missing or is no tokenizer.
    """

    def __init__(self, path: Path, max_length: int):
        try:
            self._tokenizer = tokenizers.Tokenizer.from_buffer(path.read_bytes())
        except BaseException as error:
            if not _is_of_rust(error):
                raise
            raise BundleError(
                f"Expected a tokenizer in {path}, but it can't be read: {error}."
            ) from error
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_length)
        self._seams = find_seams(self._tokenizer)
        self._long_words = find_long_words(self._tokenizer)
        try:
            self._tokenizer.encode(UNASSIGNED)
        except BaseException as error:
            if not _is_of_rust(error):
                raise
            raise BundleError(
                f"{path} can't encode a character that it doesn't know: {error}."
            ) from error
        self.max_length = max_length
        self._unknown_id = _unknown_id(self._tokenizer)
        self.special_ids: tuple[int, ...] = tuple(self._tokenizer.encode("").ids)
        self._added = self._tokenizer.num_special_tokens_to_add(False)
        padding = self._tokenizer.token_to_id("[PAD]")
        self.pad_id: int = (
            padding if padding is not None else self._tokenizer.token_to_id("<pad>") or 0
        )

    @property
    def vocab_size(self) -> int:
        """Rows that a table of embeddings needs:

        one more than the largest id, added tokens included.
        """
        return 1 + max(self._tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)

    def has(self, token: str) -> bool:
        """Whether the vocabulary holds a token."""
        return self._tokenizer.token_to_id(token) is not None

    def encode(self, texts: Sequence[str]) -> list[Encoding]:
        """Encode clean texts, in order. An empty list gives an empty list.

        Raises:
            TextError: The tokenizer fails at a text; the index says at which.
        """
        return [self._encoding(encoding) for encoding in self._read(texts)]

    def encode_whole(self, texts: Sequence[str]) -> list[Encoding]:
        """As `encode`, but each text is read to its end: to compare with, as the ids are the same.

        Raises:
            TextError: As of `encode`.
        """
        return [self._encoding(encoding) for encoding in self._encodings(texts, range(len(texts)))]

    def _read(self, texts: Sequence[str]) -> list[tokenizers.Encoding]:
        parts = [self._start(text, self._first) for text in texts]
        ready = [self._shorten(part, len(text)) for part, text in zip(parts, texts, strict=True)]
        found = self._encodings(ready, range(len(parts)))
        unsure = [i for i, part in enumerate(parts) if len(part) < len(texts[i])]
        # What was truncated has the ids of the whole: more text adds tokens behind the cut alone.
        while unsure := [i for i in unsure if not found[i].overflowing]:
            for i in unsure:
                parts[i] = self._start(texts[i], GROWTH * len(parts[i]))
            ready = [self._shorten(parts[i], len(texts[i])) for i in unsure]
            longer = self._encodings(ready, unsure)
            for i, encoding in zip(unsure, longer, strict=True):
                found[i] = encoding
            unsure = [i for i in unsure if len(parts[i]) < len(texts[i])]
        return found

    @property
    def _first(self) -> int:
        return CHARACTERS * self.max_length

    def _shorten(self, part: str, length: int) -> str:
        """The start of a text of some length, without the middle of words too long to count."""
        if length <= self._first or self._long_words is None:
            return part
        return self._long_words.sub(r"\1\2", part)

    def _gaps(self, text: str) -> list[tuple[int, int]]:
        """Where `_shorten` takes something away: the place in what is left, and how much."""
        if len(text) <= self._first or self._long_words is None:
            return []
        found = []
        taken = 0
        for match in self._long_words.finditer(text):
            length = match.start(2) - match.end(1)
            found.append((match.end(1) - taken, length))
            taken += length
        return found

    def _start(self, text: str, length: int) -> str:
        """A text up to the first seam from a length on; the whole if that is hardly longer."""
        if len(text) <= 2 * length or self._seams is None:
            return text
        seam = self._seams.search(text, length)
        return text[: seam.start()] if seam else text

    def _encodings(self, texts: Sequence[str], places: Sequence[int]) -> list[tokenizers.Encoding]:
        """What the library makes of texts, whose places are those in an error."""
        try:
            return self._tokenizer.encode_batch(list(texts))
        except BaseException as error:
            if not _is_of_rust(error):
                raise
            raise self._failure(texts, places) from error

    def _failure(self, texts: Sequence[str], places: Sequence[int]) -> TextError:
        index = next((index for index, text in enumerate(texts) if self._fails(text)), 0)
        message = "The model's tokenizer fails at this text. Send another, or serve another model."
        return TextError("tokenizer_failed", message, places[index])

    def _fails(self, text: str) -> bool:
        try:
            self._tokenizer.encode(text)
        except BaseException as error:
            if not _is_of_rust(error):
                raise
            return True
        return False

    def trace(self, text: str) -> tuple[Encoding, list[Span | None]]:
        """Encode one clean text, with the place of each token in it; None for a special token."""
        (encoding,) = self._read([text])
        special = encoding.special_tokens_mask
        words = encoding.word_ids
        gaps = self._gaps(text)

        def shifted(place: int) -> int:
            return place + sum(length for gap, length in gaps if gap < place)

        places: list[Span | None] = []
        for i, (start, end) in enumerate(encoding.offsets):
            word = None if special[i] else words[i]
            places.append(None if word is None else Span(shifted(start), shifted(end), word))
        return self._encoding(encoding), places

    def _encoding(self, encoding: tokenizers.Encoding) -> Encoding:
        ids = encoding.ids
        unknown = 0 if self._unknown_id is None else ids.count(self._unknown_id)
        share = unknown / max(len(ids) - self._added, 1)
        words = set(encoding.word_ids)
        words.discard(None)  # of a special token
        return Encoding(ids, bool(encoding.overflowing), min(share, 1.0), len(words))


def _unknown_id(tokenizer: tokenizers.Tokenizer) -> int | None:
    """The id of the unknown token; None of a vocabulary of bytes, to which nothing is unknown."""
    names = [getattr(tokenizer.model, "unk_token", None)]
    if isinstance(tokenizer.model, tokenizers.models.Unigram):
        # Python does not know its id. A model that falls back to bytes never gives it.
        names = ["<unk>", "[UNK]"]
    found = (tokenizer.token_to_id(name) for name in names if name)
    return next((token for token in found if token is not None), None)


def _is_of_rust(error: BaseException) -> bool:
    """Whether the tokenizers library failed: by a bare Exception, or by a panic, which is none."""
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"

"""A hundred thousand hostile strings: an answer or our own error, and the ids that training would have seen."""

import os
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from transformers import AutoTokenizer

import linnet
from linnet.data import Split
from linnet.errors import TextError
from linnet.predict import Classifier
from linnet.text import Tokenizer, clean
from linnet.train.network.batches import encode

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"
MARKS = [
    chr(code)
    for code in [*range(0x300, 0x370), *range(0x483, 0x488), *range(0x20D0, 0x20F1), 0x0F73, 0x0344]
]
SPECIAL = ["[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]"]
# One of these at a time.
CHOICES = {
    "words": "good bad day film love hate rain sun not x1 don't".split(),
    "nul": ["\0"],
    "control": [chr(code) for code in [*range(1, 32), *range(127, 160)]],
    "zero width": list("\u200b\u200c\u200d\u2060\ufeff\u00ad\u034f\u180e"),
    "direction": list("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c"),
    "right to left": ["\u05e9\u05dc\u05d5\u05dd", "\u0627\u0644\u0645", "\u064a\u0651", "\u05d0"],
    "emoji": [FAMILY, "\u2764\ufe0f", "\U0001f1e9\U0001f1ea", "\U0001f44d\U0001f3fd", "1\ufe0f\u20e3", "\u200d"],
    "spaces": list("\u00a0\u2003\u3000\u2028\u2029\x85\t\n\r\v\f "),
    "mojibake": ["caf\u00c3\u00a9", "\u00e2\u20ac\u0153x\u00e2\u20ac", "\u0440\u045f\u0098\u0402"],
    "entity": ["&amp;", "&#0;", "&#xD800;", "&#x110000;", "&lt", "&nbsp;", "&#8203;", "&Zwj;", "&#38;" * 3 + "#38;lt;"],
    "deep entity": ["&" + "amp;" * 12 + "lt;", "&" + "#38;" * 12 + "lt;", "&#" + "9" * 30 + ";"],
    "special": [*SPECIAL, "##s", "</s>", "<s>", "\u2581"],
    "scripts": ["\u4e2d\u6587", "\u65e5\u672c\u3067\u3059", "\ud55c\uad6d", "\u0e44\u0e17", "\u0928\u0938\u094d\u0924"],
    "invisible letters": ["\u3164", "\uffa0", "\u115f", "\u17b4"],
    "composes": ["\u212b", "\ufb01", "\u1e9b\u0323", "\u0130", "\u00df", "I\u0307", "\u01c5", "\ufdfa", "\u1100\u1161"],
    "private": ["\ue000", "\U0010ffff", "\ufffe", "\U000e0041", "\ufffd", "\U0001d173"],
    "address": ["a@b.co", "@" * 30, "@jane", "http://x.y/" + "z" * 50, "555-123-4567", "#tag"],
}  # fmt: skip
MADE = {
    "any character": lambda draw: chr(draw.randrange(draw.choice([0x110000, 0x3000, 256]))),
    "lone surrogate": lambda draw: chr(draw.randrange(0xD800, 0xE000)),
    "surrogate pair": lambda draw: (
        chr(draw.randrange(0xD800, 0xDC00)) + chr(draw.randrange(0xDC00, 0xE000))
    ),
    "marks": lambda draw: "e" + "".join(draw.choices(MARKS, k=draw.choice([1, 3, 40, 200]))),
}
KINDS = [*CHOICES, *MADE]
HUGE = ["x", "good ", "\u0301", "\u200b", "&amp;", "\U0001f600", "!,", "\u4e2d", "&#38;"]


def hostile(seed: int) -> Iterator[str]:
    """Strings without end; about three in ten thousand have a megabyte."""
    draw = random.Random(seed)
    while True:
        if draw.random() < 3e-4:
            piece = draw.choice(HUGE)
            yield "good " + piece * (1_000_000 // len(piece))
            continue
        # Few kinds a text, or nearly all texts would hold a lone surrogate or a NUL.
        kinds = draw.choices(KINDS, k=draw.randint(1, 3))
        pieces = [_piece(draw.choice(kinds), draw) for _ in range(draw.choice([1, 2, 4, 8, 30]))]
        yield draw.choice(["", " "]).join(pieces)


def _piece(kind: str, draw: random.Random) -> str:
    return draw.choice(CHOICES[kind]) if kind in CHOICES else MADE[kind](draw)


def by_hundreds(texts: Iterator[str]) -> Iterator[list[str]]:
    """Five hundred at a time."""
    return iter(lambda: list(islice(texts, 500)), [])


class Recorder:
    """Stands before an engine, and keeps the ids that go by."""

    def __init__(self, engine):
        self.engine, self.rows = engine, Counter()

    def run(self, input_ids: np.ndarray, attention_mask: np.ndarray) -> np.ndarray:
        for ids, seen in zip(input_ids, attention_mask, strict=True):
            self.rows[tuple(ids[seen == 1].tolist())] += 1
        return self.engine.run(input_ids, attention_mask)


def check(classifier: Classifier, checkpoint: Path, texts: Iterator[str]) -> Counter[str]:
    """Hold some texts against training's path and transformers' own; counts what became of them."""
    tokenizer = Tokenizer(checkpoint / "tokenizer.json", 64)
    theirs = AutoTokenizer.from_pretrained(checkpoint)
    found: Counter[str] = Counter()
    recorder = classifier.model._runner._engine = Recorder(classifier.model._runner._engine)
    try:
        for some in by_hundreds(texts):
            usable = []
            for text in some:
                try:
                    cleaned = clean(text)
                except TextError as error:
                    found[error.reason] += 1
                    with pytest.raises(TextError) as caught:
                        classifier.predict([text])
                    assert caught.value.reason == error.reason
                    continue
                assert clean(cleaned) == cleaned
                usable.append((text, cleaned))
            raw, clear = map(list, zip(*usable, strict=True))
            recorder.rows.clear()
            answers = classifier.predict(raw)
            split = Split("train", clear, np.zeros(len(clear), np.int64), classifier.labels)
            encoded = encode(split, tokenizer)
            rows = [encoded.row(number) for number in range(len(encoded))]
            assert recorder.rows == Counter(map(tuple, rows))
            # This tokenizer.json holds no token to be special in a text; transformers adds those of its settings.
            plain = [
                number
                for number, text in enumerate(clear)
                if not any(token in text for token in SPECIAL)
            ]
            expected = theirs([clear[number] for number in plain], truncation=True, max_length=64)[
                "input_ids"
            ]
            assert [rows[number] for number in plain] == expected
            assert sum(answer.truncated for answer in answers) == encoded.truncated
            assert all(np.isfinite(answer.probability) for answer in answers)
            found["answered"] += len(answers)
            found["truncated"] += encoded.truncated
    finally:
        classifier.model._runner._engine = recorder.engine
    return found


@pytest.fixture(scope="module")
def classifier(bundle: Path) -> Classifier:
    return linnet.load(bundle, num_threads=1)


def test_three_thousand(classifier: Classifier, checkpoint: Path) -> None:
    found = check(classifier, checkpoint, islice(hostile(0), 3_000))
    assert found["answered"] > 1_500
    assert {"empty_text", "nul_byte", "lone_surrogate", "nested_entities"} <= set(found)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_hundred_thousand(classifier: Classifier, checkpoint: Path) -> None:
    found = check(classifier, checkpoint, islice(hostile(1), 100_000))
    assert sum(count for name, count in found.items() if name != "truncated") == 100_000
    assert found["answered"] > 50_000


@pytest.mark.slow
def test_a_real_tokenizer() -> None:
    if not (folder := os.environ.get("LINNET_ENCODER")):
        pytest.skip("LINNET_ENCODER names no folder of a pretrained encoder")
    theirs, ours = (
        AutoTokenizer.from_pretrained(folder),
        Tokenizer(Path(folder) / "tokenizer.json", 128),
    )
    texts = []
    for text in islice(hostile(2), 30_000):
        with suppress(TextError):
            texts.append(clean(text))
    for some in by_hundreds(iter(texts)):
        expected = theirs(some, truncation=True, max_length=128)["input_ids"]
        assert [encoding.ids for encoding in ours.encode(some)] == expected


def test_the_generator_is_hostile() -> None:
    texts = list(islice(hostile(0), 20_000))
    together = "".join(texts)
    assert {"\0", "\u200b", "\u202e", "\ud800"} <= set(together)
    assert any(len(text) > 900_000 for text in texts)
    assert texts == list(islice(hostile(0), 20_000))

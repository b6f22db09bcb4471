"""That a long text which is read in part has the token ids of the whole:

shown for the tokenizer at hand.
"""

from collections.abc import Iterator, Sequence

from linnet.errors import ModelError
from linnet.text import CHARACTERS, Tokenizer, clean

ROWS = 200  # of a split
TIMES = 3  # the characters at which a text is first cut, so that a cut is always made
STEP = 41
# What splits texts in other places than a space does, or joins across one.
HOSTILE = [
    "don't stop-here (now)! a,b;c:d [MASK] [ MASK ] [SEP]text <mask> </s> ##ing _x_ 3.14 1e9",
    "\u0600 \u0601 1 \u0d4e \u0915\u094d \u200d x \u0301e e\u0301 \u1100\u1161 \u034f . \u0600. "
    "\u0301!",
    "\u4e2d\u6587 \u4e2d[MASK]\u6587 \u65e5\u672c\u8a9e\u3002 "
    "\ud55c\uad6d\uc5b4 \u0e44\u0e17\u0e22",
    "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627 \ufdfa \u00a8 \u00b4a",
    "\uff3b\uff2d\uff21\uff33\uff2b\uff3d \ufb01",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea \u2581 \u0120 \u03a3 "
    "\u039f\u03a3 \u0130 \u00df",
    "x" * 300,
    "!" * 40,
]


def check_cuts(tokenizer: Tokenizer, texts: Sequence[str]) -> None:
    """Pass if long and hostile texts are encoded in part as when they are read to their ends.

    Args:
        tokenizer: The model's.
        texts: Clean texts; the first of them are taken.

    Raises:
        ModelError: One is not; the rules of `linnet.seams` do not hold for this tokenizer.
    """
    for text in _long_texts(tokenizer.max_length, texts[:ROWS]):
        if tokenizer.encode([text]) != tokenizer.encode_whole([text]):
            raise ModelError(
                "The model's tokenizer reads a part of a long text otherwise than the whole: "
                f"{text[:60]!r}. This is a defect of Linnet: please report it with tokenizer.json."
            )


def _long_texts(max_length: int, texts: Sequence[str]) -> Iterator[str]:
    wanted = TIMES * CHARACTERS * max_length
    hostile = [clean(text) for text in HOSTILE]
    yield " ".join([*texts] * (1 + wanted // max(1, sum(map(len, texts)))))[: 4 * wanted].strip()
    for between in (" ", "", "."):
        mixed = between.join(hostile)
        # Begun at other places, so that the cut comes to other characters.
        for start in range(0, len(mixed), STEP):
            yield clean(mixed[start:] + (between + mixed) * (1 + wanted // len(mixed)))

"""Lines that begin with their label are known by their shape, and plain text never passes for them."""

import random

import pytest

from linnet.tables.labelled_lines import FASTTEXT, LABEL_TEXT, TREC, labelled_rows, shape_of

QUESTIONS = [
    f"{word} {rest} the {thing}"
    for word in ("What is", "How was", "Who saw", "Where is")
    for rest in ("in", "of", "after what was")
    for thing in ("river", "town", "is what")
]
SENTENCES = (
    "I like it|The film is long|This was so good|We went home|It is what it is|You know|My dog sleeps|So it goes"
).split("|")


def encoded(lines: list[str]) -> list[bytes]:
    return [f"{line}\n".encode() for line in lines]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["1 good film", "0 bad film"] * 5, LABEL_TEXT),
        (["ham\tsee you", "spam\twin now"] * 5, LABEL_TEXT),
        (["ham see you", "", "spam win now"] * 5, LABEL_TEXT),
        (["1 caf\xe9"] * 5, LABEL_TEXT),
        ([f"{number % 20} text {number}" for number in range(100)], LABEL_TEXT),
        (["DESC:manner How did it ?", "NUM:dist How far ?"], TREC),
        (["DESC:manner How did it ?", "OTHER:dist How far ?"] * 5, LABEL_TEXT),
        (["__label__a see you", "__label__b __label__c\twin"], FASTTEXT),
        (["__label__a see you", "__label__b"], ""),
        (["1 good film", "0 bad film"] * 4, ""),  # too few lines to tell
        (["1 good film", "0"] * 5, ""),
        (["1 good film", " bad film"] * 5, ""),
        (["text,label", "good film,1", "bad film,0"] * 5, ""),
        (['{"text": "a", "label": 1}'] * 10, ""),
        (["<p> a </p>"] * 10, ""),
        (["spam\0 win now"] * 10, ""),
        ([], ""),
        ([""], ""),
        (SENTENCES, ""),
        (random.Random(0).choices(SENTENCES, k=1000), ""),
        (random.Random(0).choices(QUESTIONS, k=1000), ""),
        (
            [
                *(["1 good film", "0 bad film"] * 50),
                *(f"word{number} good film" for number in range(10)),
            ],
            "",
        ),
    ],
)
def test_shape(lines: list[str], expected: str) -> None:
    assert shape_of(encoded(lines)) == expected


def test_labels_that_come_one_after_the_other_all_the_same() -> None:
    assert shape_of(encoded([f"0 text {number}" for number in range(1000)])) == LABEL_TEXT


@pytest.mark.parametrize(
    ("shape", "line", "values"),
    [
        (LABEL_TEXT, "0 a  b \r\n", ("0", "a  b ")),
        (LABEL_TEXT, "ham\t a\u2028b\n", ("ham", "a\u2028b")),
        (LABEL_TEXT, "0 \n", ("0 ",)),
        (LABEL_TEXT, "0\n", ("0",)),
        (LABEL_TEXT, " \n", ()),
        (TREC, "NUM:dist How far ?\n", ("NUM", "NUM:dist", "How far ?")),
        (TREC, "How far ?\n", ("How far ?",)),
        (FASTTEXT, "__label__a see\n", ("a", "see")),
        (FASTTEXT, "__label__a __label__b see __label__c\n", (["a", "b"], "see __label__c")),
    ],
)
def test_rows(shape: str, line: str, values: tuple[str, ...]) -> None:
    assert list(labelled_rows(iter([(7, line)]), shape)) == [(7, values)]

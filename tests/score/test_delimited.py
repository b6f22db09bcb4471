"""CSV, TSV and plain lines: every byte of a row stays, and its predictions stand behind it."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linnet.errors import ConfigError, DataError, UsageError
from linnet.score.delimited import check_labels
from linnet.tables.quoting import Dialect

HEADER = b",predicted_label,probability,truncated,reason"


def read(content: bytes, encoding: str = "utf-8", **dialect: object) -> list[list[str]]:
    return list(
        csv.reader(
            io.StringIO(content.decode(encoding, "surrogateescape"), newline=""),
            strict=True,
            **dialect,
        )
    )


def reasons(content: bytes, **dialect: object) -> list[str]:
    return [row[-1] for row in read(content, **dialect)[1:]]


def test_rows_stay_as_they_are(scored) -> None:
    rows = [
        b'1,"a ""good"" day",x',
        b'2,"two\nlines, and\r\na bad one",',
        b"3,'apostrophes' in the \"middle,",
        b'"4","quoted","all"',
        b"5,nul \x00 byte,z",
        b"6,caf\xc3\xa9 \xf0\x9f\x98\x80 &amp; so,",
        b"7," + b"x" * 1_000_000 + b",long",
    ]
    content, done = scored("a.csv", b"\xef\xbb\xbfid,text,other\r\n" + b"\r\n".join(rows))
    lines = content.split(b"\xef\xbb\xbf", 1)[1]
    assert lines.startswith(b"id,text,other" + HEADER + b"\r\n1,")
    assert content.startswith(b"\xef\xbb\xbf")
    rest = lines.split(b"\r\n", 1)[1]
    for row in rows:
        assert rest.startswith(row + b",")
        before, end, rest = rest[len(row) :].partition(b"\r\n")
        assert before.count(b",") == 4
    assert end == b""  # as the last row had none
    assert (done.rows, done.scored, done.truncated) == (7, 6, 0)  # a long word is one unknown token
    assert done.reasons == {"nul_byte": 1}


def test_what_stands_behind_a_row(scored, bundle: Path) -> None:
    import linnet

    texts = ["love love good sun", "hate hate bad rain", "good " * 100]
    content, done = scored("a.csv", b"text\n" + "\n".join(texts).encode(), probabilities=True)
    header, *rows = read(content)
    assert (
        header
        == "text predicted_label probability truncated reason probability_negative probability_positive".split()
    )
    for row, answer in zip(rows, linnet.load(bundle).predict(texts), strict=True):
        assert row[1] == answer.label
        assert float(row[2]) == pytest.approx(answer.probability, abs=1e-5)
        assert row[3] == ("true" if answer.truncated else "false")
        assert [float(value) for value in row[5:]] == pytest.approx(
            list(answer.probabilities.values()), abs=1e-5
        )
    assert (done.rows, done.scored, done.truncated, done.reasons) == (3, 3, 1, {})


BAD = {
    b"1,": "empty_text",
    b"1,\xe2\x80\x8b": "empty_text",
    b"": "blank_line",
    b"1": "too_few_fields",
    b"1,good,day": "too_many_fields",
    b'1,"open': "broken_quotes",
    b'1,"closed" too soon': "broken_quotes",
    b"1,caf\xe9": "wrong_encoding",
    b"1,\xed\xa0\xbd": "wrong_encoding",
    b"1,a\x00b": "nul_byte",
}


@pytest.mark.parametrize(("row", "reason"), BAD.items())
def test_a_bad_row_is_kept_and_told(scored, row: bytes, reason: str) -> None:
    content, done = scored("a.csv", b"id,text\n7,good\n" + row + b"\n8,bad\n")
    assert reasons(content) == ["", reason, ""]
    assert (done.rows, done.scored, done.reasons) == (3, 2, {reason: 1})
    kept = read(content)[2]
    assert kept[2:] == ["", "", "", reason]
    if reason in ("too_few_fields", "too_many_fields", "broken_quotes", "blank_line"):
        assert kept[:2] == [row.decode(), ""]
    else:
        assert (b"\n" + row + b",,,,") in content


def test_a_carriage_return_inside_of_a_row_is_quoted(scored) -> None:
    content, done = scored("a.csv", b'text,id\na good\rday,1\n"a bad\rday",2\nok,3\n')
    lines = content.split(b"\n")
    assert lines[1].startswith(b'"a good\rday",1,positive,0.')
    assert lines[2].startswith(b'"a bad\rday",2,negative,0.')
    assert [row[0] for row in read(content)] == ["text", "a good\rday", "a bad\rday", "ok"]
    assert (done.rows, done.scored) == (3, 3)


def test_an_open_quote_takes_no_other_rows_with_it(scored) -> None:
    many = b"".join(b"%d,good\n" % number for number in range(3000))
    content, done = scored("a.csv", b'id,text\n1,"open\n' + many + b'2,"open again\n3,bad')
    assert (done.rows, done.scored, done.reasons) == (3003, 3001, {"broken_quotes": 2})
    assert [reason for reason in reasons(content) if reason] == ["broken_quotes"] * 2


FIELDS = st.text(st.characters(exclude_characters="\0\r", exclude_categories=["Cs"]), max_size=20)


@settings(
    max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    rows=st.lists(st.lists(FIELDS, min_size=3, max_size=3), max_size=12),
    quoting=st.sampled_from([0, 1]),
)
def test_any_rows_come_back_in_order(scored, rows: list[list[str]], quoting: int) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n", quoting=quoting).writerows([["a", "text", "b"], *rows])
    content, done = scored("a.csv", text.getvalue().encode(), chunk_size=5)
    assert [row[:3] for row in read(content)[1:]] == rows
    assert done.rows == len(rows) == done.scored + sum(done.reasons.values())


@settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(body=st.binary(max_size=60), suffix=st.sampled_from([".csv", ".tsv"]))
def test_any_bytes_give_rows_that_can_be_read(scored, body: bytes, suffix: str) -> None:
    separator = b"," if suffix == ".csv" else b"\t"
    content, done = scored("a" + suffix, b"id" + separator + b"text\n" + body)
    assert done.rows == done.scored + sum(done.reasons.values())
    for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_NONE):
        try:
            rows = read(content, delimiter=separator.decode(), quoting=quoting)
        except csv.Error:
            continue
        if len(rows) - 1 == done.rows and {len(row) for row in rows} == {6}:
            return
    raise AssertionError(content)


def test_other_separators_are_seen_in_the_header(scored) -> None:
    content, done = scored("a.csv", b"id;text\n1;a good, day\n")
    assert content.startswith(
        b"id;text;predicted_label;probability;truncated;reason\n1;a good, day;positive;0."
    )
    assert done.scored == 1


def test_a_file_without_a_header(scored) -> None:
    content, done = scored("a.csv", b"1,good,a\n2,bad,b\n", text_column="1")
    assert [row[:4] for row in read(content)] == [
        ["1", "good", "a", "positive"],
        ["2", "bad", "b", "negative"],
    ]
    assert done.rows == 2


def test_several_columns_are_one_text(scored) -> None:
    joined, _ = scored("a.csv", b"title,body\ngood,film\n,love\n", text_column="title,body")
    plain, _ = scored("a.csv", b"text\ngood film\nlove\n")
    assert [row[-4:] for row in read(joined)] == [row[-4:] for row in read(plain)]


def test_another_encoding(scored) -> None:
    content, done = scored(
        "a.csv", "text\nun caf\u00e9 good\n".encode("latin-1"), encoding="latin-1"
    )
    assert content.startswith(b"text" + HEADER + b"\nun caf\xe9 good,")
    assert done.scored == 1


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'1\t"good" and more\n2\t"open\n', [['1', '"good" and more'], ['2', '"open']]),
        (b'1\t"a ""good"" day"\n2\tbad\n', [['1', 'a "good" day'], ['2', 'bad']]),
        (b'1\t"two\nlines"\n2\tbad\n', [['1', 'two\nlines'], ['2', 'bad']]),
    ],
)  # fmt: skip
def test_quotes_in_tsv_mean_what_they_do_to_prepare(
    scored, body: bytes, expected: list[list[str]]
) -> None:
    content, done = scored("a.tsv", b"id\ttext\n" + body)
    quoting = csv.QUOTE_MINIMAL if b'""' in body or b"two" in body else csv.QUOTE_NONE
    assert [row[:2] for row in read(content, delimiter="\t", quoting=quoting)[1:]] == expected
    assert done.scored == 2


def test_a_bad_row_of_a_tsv_without_quotes(scored) -> None:
    content, done = scored("a.tsv", b'id\ttext\n1\t"open\n2\ttoo\tmany\n3\n')
    rows = read(content, delimiter="\t", quoting=csv.QUOTE_NONE)
    assert [row[:2] for row in rows[2:]] == [["2 too many", ""], ["3", ""]]
    assert done.reasons == {"too_many_fields": 1, "too_few_fields": 1}


def test_plain_lines_become_csv(scored) -> None:
    lines = [b"a good day", b"", b'bad, "so" bad', b" ", b"caf\xe9"]
    content, done = scored("a.txt", b"\xef\xbb\xbf" + b"\r\n".join(lines), out="a.csv")
    assert content.startswith(b"\xef\xbb\xbftext" + HEADER + b"\n")
    rows = read(content.removeprefix(b"\xef\xbb\xbf"))
    assert [row[0] for row in rows[1:]] == [
        line.decode("utf-8", "surrogateescape") for line in lines
    ]
    assert reasons(content.removeprefix(b"\xef\xbb\xbf")) == [
        "",
        "empty_text",
        "",
        "empty_text",
        "wrong_encoding",
    ]
    assert done.rows == 5


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.txt"])
@pytest.mark.parametrize("content", [b"text\n", b"text", b"\xef\xbb\xbftext\r\n"])
def test_a_header_alone(scored, name: str, content: bytes) -> None:
    _, done = scored(name, content, out="a.csv" if name == "a.txt" else "")
    assert done.rows == (1 if name == "a.txt" else 0)


@pytest.mark.parametrize(
    ("content", "settings", "error", "message"),
    [
        (b"", {}, DataError, "is empty: it holds no row"),
        (b'"id,text\n1,good\n', {}, DataError, "row 1: .*A quote may be open"),
        ("id,text\n1,good\n".encode("utf-16-le"), {}, DataError, "NUL bytes in its first row"),
        ("id,text\n1,good\n".encode("utf-16"), {}, DataError, "UTF-16"),
        (b"id,words\n1,good\n", {}, DataError, "No column could be recognised as the text"),
        (b"id,text\n1,good\n", {"text_column": "words"}, DataError, "There is no column 'words'"),
        (b"id,text\n1,good\n", {"text_column": "id,id"}, DataError, "names one column twice"),
        (b"reason,text\n1,good\n", {}, UsageError, "already has a column 'reason'"),
        (b"id,text\n1,good\n", {"encoding": "utf-7x"}, ConfigError, "score.encoding is 'utf-7x'"),
        (b"id,text\n1," + b"x" * 16_000_000, {}, DataError, "line 2: longer than 16,000,000 bytes"),
    ],
)  # fmt: skip
def test_what_is_refused(
    scored, content: bytes, settings: dict[str, str], error: type, message: str
) -> None:
    with pytest.raises(error, match=message):
        scored("a.csv", content, **settings)


def test_a_prefix_makes_room(scored) -> None:
    content, _ = scored("a.csv", b"reason,text\n1,\n", prefix="my_")
    assert (
        content
        == b"reason,text,my_predicted_label,my_probability,my_truncated,my_reason\n1,,,,,empty_text\n"
    )


def test_several_labels(scored, tone_bundle: Path) -> None:
    content, done = scored("a.csv", b"text\nbad rain hate\nthe\n", bundle=tone_bundle)
    header, first, second = read(content)
    assert header[1:] == ["predicted_labels", "probability", "truncated", "reason"]
    assert first[1] == "blame|weather"
    assert (second[1], done.unlabelled) == ("", 1)
    with pytest.raises(UsageError, match="'a' is in the label 'praise'"):
        scored("a.csv", b"text\ngood\n", bundle=tone_bundle, label_separator="a")


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.txt", "a.jsonl"])
def test_the_longest_line_there_may_be(scored, name: str) -> None:
    long = b'"' * 15_999_980 + b"\0"
    first = b'{"text": "good"}' if name == "a.jsonl" else b"text"
    _, done = scored(name, first + b"\n" + long, out="a.csv" if name == "a.txt" else "")
    assert done.rows == (1 if name in ("a.csv", "a.tsv") else 2)
    assert sum(done.reasons.values()) == 1


def test_quotes_in_labels_of_a_tsv_without_quotes() -> None:
    dialect = Dialect("\t", csv.QUOTE_NONE)
    assert dialect.fields(['say "hi"', "", "true"]) == b'say "hi"\t\ttrue'
    with pytest.raises(UsageError, match="can't be written into this file"):
        check_labels(dialect, "|", ["a\tb"], [])
    with pytest.raises(UsageError, match="can't be written into this file"):
        check_labels(Dialect(",", encoding="latin-1"), "|", ["\u03a9"], [])
    with pytest.raises(UsageError, match="can't be written into this file"):
        check_labels(Dialect(","), "|", ["\ud83d"], [])

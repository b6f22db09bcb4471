"""The separator is the one that the lines agree on, and the card says which."""

import io
import random
from pathlib import Path

import pytest

from linnet.data.sources import sentiment140
from linnet.errors import DataError
from linnet.tables.columns import Asked
from linnet.tables.delimited import read_delimited
from linnet.tables.lines import HEAD_ROWS, numbered_lines

PATH = Path("rows.csv")


def read_all(content: bytes, separator: str = ",", headerless: bool = False):
    def lines():
        return numbered_lines(io.BytesIO(content), PATH)

    asked = Asked(("0",), headerless)
    return read_delimited(io.BytesIO(content), PATH, separator, "utf-8", asked, lines)


def read(content: str, separator: str = ",", headerless: bool = False):
    table = read_all(content.encode(), separator, headerless)
    return table.dialect["separator"], table.columns, [list(row) for _, row in table.rows]


@pytest.mark.parametrize(("separator", "spoken"), [(";", ";"), ("\t", "tab"), ("|", "|")])
def test_another_separator_that_all_lines_agree_on(separator: str, spoken: str) -> None:
    rows = [f"I like it, so{separator}1\n", f'"a{separator}b"{separator}0\n', "\n"]
    found = read(f"text{separator}label\n" + "".join(rows))
    assert found == (
        spoken,
        ("text", "label"),
        [["I like it, so", "1"], [f"a{separator}b", "0"], []],
    )


def test_commas_in_a_file_that_promises_tabs() -> None:
    assert read("text,label\na,1\n", "\t") == (",", ("text", "label"), [["a", "1"]])


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a,b;c\n1,2;3\n", ("a", "b;c")),  # a comma in the header: commas
        ("text\nI like it; well\n", ("text",)),
        ("text,label\na;b;c\n", ("text", "label")),
    ],
)
def test_commas_stay(content: str, expected: tuple[str, ...]) -> None:
    assert read(content)[:2] == (",", expected)


def test_without_a_header_the_lines_decide() -> None:
    assert read("0;I like it, really\n1;no\n", headerless=True)[0] == ";"
    assert read("0,I like it; really\n1,no; no\n", headerless=True)[0] == ","
    assert read("0,one\n1,no,no\n", headerless=True)[0] == ","


def test_a_header_that_another_separator_would_split() -> None:
    with pytest.raises(
        DataError,
        match=r"one column by the separator ',' and several by ';'.*Write it again with ','",
    ):
        read("text;label\na;1\nb;c;1\n")


def test_too_many_columns() -> None:
    with pytest.raises(
        DataError, match=r"has 10,001 columns by its first row; expected at most 10,000"
    ):
        read("," * 10_000 + "\n")
    with pytest.raises(DataError, match=r"has 10,001 columns by its first row"):
        read("," * 10_000 + "\n", headerless=True)
    assert len(read("," * 9_999 + "\n")[1]) == 10_000


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r\r\n"])
def test_carriage_returns_inside_of_a_row_are_part_of_a_field(end: str) -> None:
    rows = ["text,label", "a\rb,1", '"c\rd, e",0', "f,\r1"]
    assert read(end.join(rows) + end)[2] == [["a\rb", "1"], ["c\rd, e", "0"], ["f", "\r1"]]


def test_carriage_returns_as_the_only_ends_of_lines() -> None:
    with pytest.raises(DataError, match=r"carriage returns alone.*tr '\\r' '\\n' < rows\.csv > "):
        read("text,label\ra,1\rb,0\r")


def test_fields_of_a_megabyte_with_tabs_and_quotes() -> None:
    long = "x" * 1_000_000
    rows = "".join(f'"{long}\ty"\t{number}\n' for number in range(20))
    assert read(f"text\tlabel\n{rows}", "\t") == (
        "tab",
        ("text", "label"),
        [[f"{long}\ty", str(number)] for number in range(20)],
    )


def test_a_field_too_long_in_the_shape_of_sentiment140() -> None:
    line = '"0","1","Mon","NO_QUERY","eve","{}"\n'
    table = sentiment140.read(io.BytesIO(line.format("x" * 10_000_001).encode()), PATH, "latin-1")
    with pytest.raises(DataError, match="row 1: field larger than field limit"):
        list(table.rows)
    content = line.format("x" * 1_000_000).encode()
    assert sentiment140.matches([content])
    table = sentiment140.read(io.BytesIO(content), PATH, "latin-1")
    assert table.dialect["shape"] == "sentiment140"
    assert len(next(table.rows)[1][5]) == 1_000_000


# A message begins with a quote here and ends with one there, which by quotes would be one field of all rows between.
BARE = ['ham\t"Hello\n', 'ham\tso he said"\n', "spam\tbuy\n"]
MEANT = ['ham\t"he said ""hi"""\n', 'ham\t"two\ttabs"\n', 'ham\t"two\nlines"\n']


@pytest.mark.parametrize(
    ("odd", "values"), [(BARE, ['"Hello', 'so he said"', "buy"]), (MEANT[:1], ['he said "hi"'])]
)
@pytest.mark.parametrize("seed", range(3))
def test_no_order_of_the_rows_decides_what_quotes_mean(
    odd: list[str], values: list[str], seed: int
) -> None:
    rows = [f"ham\tmessage {number}\n" for number in range(2 * HEAD_ROWS)]
    rows += odd
    random.Random(seed).shuffle(rows)
    found = [row[1] for row in read("label\ttext\n" + "".join(rows), "\t")[2]]
    assert len(found) == len(rows)
    assert set(values) <= set(found)


@pytest.mark.parametrize("place", [0, HEAD_ROWS + 500])
def test_fields_of_a_spreadsheet_hold_tabs_and_lines_wherever_they_stand(place: int) -> None:
    rows = [f"ham\tmessage {number}\n" for number in range(2 * HEAD_ROWS)]
    rows[place:place] = MEANT
    found = [row[1] for row in read("label\ttext\n" + "".join(rows), "\t")[2]]
    assert found[place : place + 3] == ['he said "hi"', "two\ttabs", "two\nlines"]
    assert len(found) == len(rows)

"""What `prepare` reads, `score` reads alike: random tables in random dialects, through both modes."""

import gzip
import io
import json
import lzma
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linnet.config import load_config
from linnet.data.sources.open import open_table
from linnet.errors import DataError
from linnet.score.columns import Column
from linnet.score.delimited import Delimited
from linnet.tables.columns import Asked
from linnet.tables.delimited import LosslessRows, read_delimited
from linnet.tables.identify import identify
from linnet.tables.json_lines import LosslessObjects, json_rows, read_json
from linnet.tables.lines import numbered_lines
from linnet.tables.source import Reading, Source
from linnet.tables.table import RawRow

PATH = Path("rows.csv")
ADDED = [Column("predicted_label", str, str), Column("reason", str, str)]
VALUES = ["pos, so", None]


def strict(content: bytes, separator: str = ",", asked: Asked = Asked()):  # noqa: B008
    def again():
        return numbered_lines(io.BytesIO(content), PATH)

    return read_delimited(io.BytesIO(content), PATH, separator, "utf-8", asked, again)


def lossless(content: bytes, separator: str = ",", asked: Asked = Asked()):  # noqa: B008
    def again():
        return numbered_lines(io.BytesIO(content), PATH)

    return LosslessRows(io.BytesIO(content), PATH, separator, "utf-8", asked, again)


def column(content: bytes, separator: str, asked: Asked, place: int) -> list[RawRow]:
    rows = lossless(content, separator, asked)
    return list(rows.rows(rows.start, [place]))


def outcome(function: Callable, *arguments: object) -> object:
    try:
        return function(*arguments)
    except DataError as error:
        return str(error)


LETTERS = st.text(st.sampled_from('ab1 ,;\t|""\\\n\r\n\'=é'), max_size=60)


@settings(max_examples=150, deadline=None)
@given(
    text=LETTERS,
    separator=st.sampled_from([",", "\t"]),
    start=st.sampled_from(["", "text,label\n", "sep=;\n", "\ufeff", "text\tlabel\r\n", "\n\n"]),
    asked=st.sampled_from([Asked(), Asked(("0",), headerless=True)]),
)
def test_any_bytes_are_read_alike(text: str, separator: str, start: str, asked: Asked) -> None:
    content = (start + text).encode()
    table = outcome(strict, content, separator, asked)
    rows = outcome(lossless, content, separator, asked)
    if isinstance(rows, str) or isinstance(table, str):
        # Strict also refuses names that two columns have.
        assert table == rows or (isinstance(table, str) and "more than once" in table)
        return
    assert (table.columns, table.notes) == (rows.layout.columns, rows.layout.notes)
    found = outcome(lambda: [list(row) for _, row in table.rows])
    if isinstance(found, str):
        return
    width = len(table.columns)
    by_column = [column(content, separator, asked, place) for place in range(width)]
    assert b"".join(row.raw for row in by_column[0]) == content[rows.start :]
    for place, values in enumerate(by_column):
        assert len(values) == len(found)
        for row, fields in zip(values, found, strict=True):
            assert row.broken == (len(fields) != width)
            assert row.broken or row.text == fields[place]


@dataclass(frozen=True)
class Style:
    """How a table is written."""

    separator: str
    quote_all: bool
    escape: bool
    space: bool
    end: str
    mark: bool
    sep_line: bool
    header: bool
    row_names: bool
    last_end: bool

    def field(self, value: str, first: bool) -> str:
        special = (
            (self.separator, '"', "\n", "\r", "\\")
            if self.escape
            else (self.separator, '"', "\n", "\r")
        )
        quoted = self.quote_all or self.space or any(mark in value for mark in special)
        if quoted:
            value = value.replace("\\", "\\\\") if self.escape else value
            value = '"' + value.replace('"', '\\"' if self.escape else '""') + '"'
        return value if first or not self.space else f" {value}"

    def row(self, values: list[str]) -> str:
        fields = [self.field(value, place == 0) for place, value in enumerate(values)]
        return self.separator.join(fields)

    def write(self, rows: list[list[str]]) -> bytes:
        lines = [self.row(values) for values in rows]
        if self.header:
            lines = [self.row(["text", "label"]), *lines]
        if self.sep_line:
            lines = [f"sep={self.separator}", *lines]
        text = self.end.join(lines) + self.end * self.last_end
        return b"\xef\xbb\xbf" * self.mark + text.encode()


STYLES = st.builds(
    Style,
    separator=st.sampled_from([",", ";", "\t", "|"]),
    quote_all=st.booleans(),
    escape=st.booleans(),
    space=st.booleans(),
    end=st.sampled_from(["\n", "\r\n", "\r\r\n"]),
    mark=st.booleans(),
    sep_line=st.booleans(),
    header=st.booleans(),
    row_names=st.booleans(),
    last_end=st.booleans(),
)
TEXT = st.text(
    st.one_of(
        st.sampled_from("ab ,;\t|\"\\\n\r'"),
        st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufeff"),
    ),
    min_size=1,
    max_size=15,
)
PACK = {
    "": lambda content: content,
    ".gz": gzip.compress,
    ".xz": lzma.compress,
}


def packed(folder: Path, name: str, content: bytes, compression: str) -> Path:
    path = folder / f"{name}{compression}"
    if compression == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(name, content)
    else:
        path.write_bytes(PACK[compression](content))
    return path


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    texts=st.lists(TEXT, min_size=25, max_size=30),
    style=STYLES,
    compression=st.sampled_from(["", ".gz", ".xz", ".zip"]),
    name=st.sampled_from(["rows.csv", "rows.tsv"]),
)
def test_any_table_is_read_alike_and_comes_back(
    tmp_path: Path, texts: list[str], style: Style, compression: str, name: str
) -> None:
    # Each text holds what shows the dialect, and something that no blank line has.
    texts = [f'{number} "q" {text}' for number, text in enumerate(texts)]
    rows = [[text, ("pos", "neg")[number % 2]] for number, text in enumerate(texts)]
    if style.row_names and style.header:
        rows = [[str(number), *row] for number, row in enumerate(rows, start=1)]
    content = style.write(rows)
    path = packed(tmp_path, name, content, compression)
    text_column, label_column = ("text", "label") if style.header else ("0", "1")
    overrides = {"source": str(path), "text_column": text_column, "label_column": label_column}
    config = load_config(overrides={f"data.{key}": value for key, value in overrides.items()})
    with open_table(config.data) as opened:
        found = [tuple(row)[-2:] for _, row in opened.table.rows]
    assert found == [tuple(row[-2:]) for row in rows]
    # And so does `score`, whose rows come back.
    asked = Asked.of(text_column)
    source = identify(Source.find(path), asked, "utf-8")
    with Reading(ahead=False).open(source) as stream:
        read = LosslessRows(
            stream,
            path,
            "," if source.format == "csv" else "\t",
            "utf-8",
            asked,
            lambda: numbered_lines(io.BytesIO(content), path),
        )
        table = Delimited(read, path, text_column, ADDED, "|", ["pos", "neg"])
        scored = list(table.rows(table.start))
        written = table.head + b"".join(table.line(row, VALUES) for row in scored)
    assert [row.text for row in scored] == texts
    assert not any(row.broken or row.reason for row in scored)
    assert table.count(io.BytesIO(written)) == len(rows)
    bodies = b"".join(row.raw for row in scored)
    assert bodies and content.endswith(bodies)
    again = strict(written, "," if source.format == "csv" else "\t", Asked.of(text_column))
    back = [tuple(row) for _, row in again.rows]
    width = len(rows[0])
    assert [row[width - 2 : width] for row in back] == found
    assert {row[width:] for row in back} == {("pos, so", "")}


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_a_position_in_the_middle_goes_on_with_the_next_row(separator: str) -> None:
    lines = [f'"a, {n}\nb"{separator}{n}\r\n' for n in range(50)]
    content = (f"text{separator}label\n" + "".join(lines)).encode()
    rows = lossless(content)
    every = list(rows.rows(rows.start, [0]))
    assert len(every) == 50
    for place in (0, 7, 49):
        rest = list(lossless(content).rows(every[place].end, [0]))
        assert rest == every[place + 1 :]


JSON_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)
    ),
    max_leaves=5,
)
OBJECTS = st.fixed_dictionaries(
    {"text": st.one_of(st.none(), st.text(max_size=12)), "label": JSON_VALUES},
    optional={"more": JSON_VALUES},
)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.lists(OBJECTS, min_size=2, max_size=12),
    indent=st.sampled_from([None, 1, 4]),
    ascii_only=st.booleans(),
    listed=st.booleans(),
    end=st.sampled_from(["\n", "\r\n"]),
    name=st.sampled_from(["rows.json", "rows.jsonl", "rows.txt"]),
)
def test_any_json_is_read_alike(
    tmp_path: Path,
    rows: list[dict],
    indent: int | None,
    ascii_only: bool,
    listed: bool,
    end: str,
    name: str,
) -> None:
    def dump(value: object) -> str:
        return json.dumps(value, indent=indent, ensure_ascii=ascii_only)

    text = dump(rows) if listed else end.join(map(dump, rows))
    path = tmp_path / name
    path.write_bytes(text.replace("\n", end).encode("utf-8", "surrogatepass"))
    source = identify(Source.find(path), Asked(), "utf-8")
    assert source.format == ("json" if listed or indent else "jsonl")
    with path.open("rb") as stream:
        table = read_json(
            stream, path, source.format, "utf-8", lambda: json_rows(path.open("rb"), path, "jsonl")
        )
        found = [dict(zip(table.columns, row, strict=True)) for _, row in table.rows]
    assert found == [{name: row.get(name) for name in table.columns} for row in rows]
    with path.open("rb") as stream:
        objects = LosslessObjects(stream, path, source.format, "utf-8")
        read = list(objects.rows(objects.start, ["text"]))
    assert [value for _, value in read] == rows
    assert [row.text for row, _ in read] == [row["text"] for row in rows]
    assert objects.columns == table.columns
    with path.open("rb") as stream:
        rest = LosslessObjects(stream, path, source.format, "utf-8")
        assert list(rest.rows(read[0][0].end, ["text"])) == read[1:]

"""From what a user names to splits: every shape, and every bad input in one sentence that leaves nothing."""

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from linnet.config import load_config
from linnet.data import prepare, read_split
from linnet.errors import ConfigError, DataError

HEADER = "text,label\n"
LINES = "".join(f"text {number},{number % 2}\n" for number in range(60))


def run(source: Path | str, directory: Path, **settings: Any) -> dict[str, Any]:
    overrides = {"data.source": str(source), "data.noise_sample": 0}
    return prepare(
        load_config(None, overrides | {f"data.{key}": value for key, value in settings.items()}),
        directory,
    )


def texts(directory: Path) -> list[str]:
    return sorted(
        text
        for name in ("train", "validation", "test")
        for text in read_split(directory, name).texts
    )


@pytest.mark.parametrize(
    ("line", "shape", "labels"),
    [
        ("{0} text {1}\n", "label text", ["0", "1"]),
        ("{0}\ttext {1}\n", "label text", ["0", "1"]),
        ("__label__{0} text {1}\n", "fasttext", ["0", "1"]),
    ],
)
def test_labelled_lines(tmp_path: Path, line: str, shape: str, labels: list[str]) -> None:
    source = tmp_path / "rows.train"
    source.write_text("".join(line.format(number % 2, number) for number in range(60)))
    card = run(source, tmp_path / "splits")
    assert (card["source"]["format"], card["source"]["shape"], card["labels"]) == (
        "lines",
        shape,
        labels,
    )
    assert card["accounting"]["rows_used"] == 60
    assert texts(tmp_path / "splits") == sorted(f"text {number}" for number in range(60))
    assert shape in (tmp_path / "splits" / "data_card.html").read_text()


def test_labelled_lines_that_break_later_are_counted(tmp_path: Path) -> None:
    lines = [f"{number % 2} text {number}\n" for number in range(1200)]
    (tmp_path / "rows.txt").write_text("".join([*lines, "0\n", "\n", "1 \n"]))
    card = run(tmp_path / "rows.txt", tmp_path / "splits")
    assert card["accounting"]["dropped"] == {"blank_line": 1, "too_few_fields": 2}
    assert card["accounting"]["rows_in"] == 1203


TREC = [
    f"{('NUM', 'LOC')[number % 2]}:{('date', 'city')[number % 2]} what caf\xe9 {number}\n"
    for number in range(60)
]


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_trec_is_latin_1_unless_it_was_converted(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "TREC.train").write_bytes("".join(TREC).encode(encoding))
    card = run(tmp_path / "TREC.train", tmp_path / "splits")
    assert (card["source"]["encoding"], card["source"]["shape"], card["labels"]) == (
        encoding,
        "trec",
        ["LOC", "NUM"],
    )
    assert texts(tmp_path / "splits")[0] == "what café 0"
    card = run(
        tmp_path / "TREC.train", tmp_path / "splits", label_column="fine_label", encoding="latin-1"
    )
    assert (card["source"]["encoding"], card["labels"]) == ("latin-1", ["LOC:city", "NUM:date"])


@pytest.mark.parametrize(("stem", "refused"), [("rt-polarity", False), ("reviews", True)])
def test_only_the_known_folder_may_be_latin_1(tmp_path: Path, stem: str, refused: bool) -> None:
    for label in ("neg", "pos"):
        content = "".join(f"caf\xe9 {label} {number}\n" for number in range(30))
        (tmp_path / f"{stem}.{label}").write_bytes(content.encode("latin-1"))
    if refused:
        with pytest.raises(DataError, match=r"reviews\.neg, row 1: .*--set data\.encoding=latin-1"):
            run(tmp_path, tmp_path / "splits")
        run(tmp_path, tmp_path.with_name("splits"), encoding="latin-1")
        assert texts(tmp_path.with_name("splits"))[0] == "café neg 0"
        return
    card = run(tmp_path, tmp_path.with_name("splits"))
    assert (card["source"]["encoding"], card["labels"]) == ("latin-1", ["neg", "pos"])


def test_the_card_covers_all_files(tmp_path: Path) -> None:
    folder = tmp_path / "reviews"
    for label in ("neg", "pos"):
        (folder / label).mkdir(parents=True)
        for number in range(30):
            (folder / label / f"{number}.txt").write_text(f"{label}\n{number}")
    source = run(folder, tmp_path / "splits")["source"]
    printed = subprocess.run(
        "sha256sum */*.txt", shell=True, cwd=folder, capture_output=True, check=True
    ).stdout
    ordered = b"".join(sorted(printed.splitlines(keepends=True), key=lambda line: line.split()[1]))
    assert source["sha256"] == hashlib.sha256(ordered).hexdigest()
    assert source["bytes"] == sum(path.stat().st_size for path in folder.rglob("*.txt"))
    assert (source["name"], source["files"], source["shape"]) == ("reviews", 60, "class folders")
    before = source["sha256"]
    (folder / "pos" / "7.txt").write_text("pos\n8")
    assert run(folder, tmp_path / "splits")["source"]["sha256"] != before


def test_texts_beside_their_labels(tmp_path: Path) -> None:
    (tmp_path / "train_text.txt").write_text("".join(f"text {number}\n" for number in range(60)))
    (tmp_path / "train_labels.txt").write_text("0\n1\n" * 30)
    card = run(tmp_path / "train_text.txt", tmp_path / "splits")
    assert card["accounting"]["used"] == {"train": 42, "validation": 12, "test": 6}
    split = read_split(tmp_path / "splits", "train")
    assert [int(text.split()[1]) % 2 for text in split.texts] == split.labels.tolist()
    assert card["source"]["names"] == ["train_text.txt", "train_labels.txt"]


def test_several_text_columns(tmp_path: Path) -> None:
    source = tmp_path / "news.csv"
    source.write_text(
        "".join(f'{number % 2},title {number},"body, {number}"\n' for number in range(60)) + "1,a\n"
    )
    card = run(source, tmp_path / "splits", text_column="1,2", label_column="0")
    assert card["accounting"]["dropped"] == {"too_few_fields": 1}
    assert card["columns"] == {
        "text": "1,2",
        "label": "column_0",
        "others": ["column_1", "column_2"],
    }
    assert card["source"]["text_of"] == ["1", "2"]
    assert texts(tmp_path / "splits")[0] == "title 0 body, 0"


def test_a_missing_label_is_one_however_it_is_written(tmp_path: Path) -> None:
    labels = [0.0, 1.0] * 30
    content = [f"text {number}" for number in range(60)]
    gap = pa.table({"text": [*content, "a", "b"], "label": [*labels, float("nan"), None]})
    pq.write_table(gap, tmp_path / "rows.parquet")
    card = run(tmp_path / "rows.parquet", tmp_path / "splits")
    assert (card["accounting"]["dropped"], card["labels"]) == ({"missing_label": 2}, ["0", "1"])
    rows = [
        json.dumps({"text": text, "label": label})
        for text, label in zip(content, labels, strict=True)
    ]
    (tmp_path / "rows.jsonl").write_text(
        "\n".join([*rows, '{"text": "a", "label": NaN}', '{"text": NaN, "label": 1}'])
    )
    card = run(tmp_path / "rows.jsonl", tmp_path / "splits")
    assert card["accounting"]["dropped"] == {"missing_label": 1, "not_text": 1}
    (tmp_path / "rows.csv").write_text(
        HEADER + LINES + "".join(f"more {number},nan\n" for number in range(10))
    )
    assert run(tmp_path / "rows.csv", tmp_path / "splits")["labels"] == [
        "0",
        "1",
        "nan",
    ]  # three letters are a label


def parquet(columns: dict[str, Any]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(list(columns.values()), names=list(columns)), sink)
    return bytes(sink.getvalue())


def twice() -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table([["a"], ["b"], ["c"]], names=["text", "label", "text"]), sink)
    return bytes(sink.getvalue())


NAN = float("nan")
NEW = b'{"text": "a", "label": %s}\n'


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "rows.csv",
            (HEADER + LINES + '"open,1\n' + LINES * 1000).encode(),
            "row 62: .*A quote may be open",
        ),
        (
            "rows.csv",
            ("text;label;x\n" + "a;1;b\n" + "a;b;c;1\n").encode(),
            "one column by the separator ','",
        ),
        (
            "rows.csv",
            "é,1\n".encode() * 5 + b"\xe9,1\n",
            "row 6: byte 0xe9 .* Row 1 has letters that are",
        ),
        ("rows.csv", (HEADER + LINES).encode("utf-16"), "is UTF-16. .*iconv -f UTF-16"),
        ("rows.csv", (HEADER + LINES).encode("utf-32"), "is UTF-32. .*iconv -f UTF-32"),
        (
            "rows.csv",
            (HEADER + LINES).encode("utf-16-le"),
            "NUL bytes in its first row, .*iconv -f UTF-16LE",
        ),
        ("rows.csv", b"\0" * 100_000, "NUL bytes in its first row"),
        (
            "rows.csv",
            (HEADER + LINES).replace("\n", "\r").encode(),
            "lines end in carriage returns alone. Convert it: tr",
        ),
        (
            "rows.csv",
            (HEADER + LINES + "a," + "z" * 1_000_000).encode(),
            "Row 62 has a label of 1,000,000 characters",
        ),
        (
            "rows.csv",
            (HEADER + LINES + "a," + "z" * 900).encode(),
            r"too few usable rows, in parentheses: 'z{40,60} .1.",
        ),
        (
            "rows.csv",
            (HEADER + "NaN,0\nNaN,1\n" * 60).encode(),
            "No row is left to split .conflicting_labels: 120",
        ),
        (
            "rows.csv",
            ("x" * 100_000 + ",label\n" + LINES).encode(),
            r"The columns are 'x{40,60}, 'label'\.",
        ),
        ("rows.csv", b"," * 1_000_000 + b"\n", "has 1,000,001 columns"),
        (
            "rows.jsonl",
            json.dumps(dict.fromkeys(map(str, range(10_001)))).encode(),
            "has 10,001 columns",
        ),
        (
            "rows.jsonl",
            NEW % (b"[" * 100_000 + b"]" * 100_000),
            "row 1: lists or objects nested too deeply",
        ),
        ("rows.jsonl", NEW % (b"9" * 5000), "row 1: a whole number of thousands of digits"),
        (
            "rows.jsonl",
            b'{"text": "a", "text": "b", "label": 1}',
            "row 1: the key 'text' is there twice",
        ),
        ("rows.parquet", twice(), "'text' is in the header more than once"),
        (
            "rows.parquet",
            parquet({"text": ["a", "b"], "label": [NAN, NAN]}),
            "none of its 2 rows .*missing_label: 2",
        ),
        (
            "rows.parquet",
            parquet({"text": [NAN, NAN], "label": ["0", "1"]}),
            "none of its 2 rows .*not_text: 2",
        ),
        (
            "rows.xlsx",
            b"PK\x03\x04\0\0binary\n" * 9,
            "is an Excel workbook by its first bytes. Save it as CSV UTF-8",
        ),
        (
            "rows.json",
            b'[{"text": "a", "label": 1}',
            "ends in the middle of a list, after value 1",
        ),
        (
            "poem.txt",
            b"The day and the night\nThe sun and so on\nAnd so the day\n" * 9,
            "nor the first lines of",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 30 else "",
)
def test_bad_input_is_one_sentence_and_leaves_nothing(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        run(tmp_path / name, tmp_path / "splits")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_names_of_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        ConfigError, match=r"data\.source is empty\. Expected one of \.csv.*name it with --data"
    ):
        run("", tmp_path / "splits")
    with pytest.raises(DataError, match="can't be looked at: File name too long"):
        run("x" * 5000 + ".csv", tmp_path / "splits")
    for name in ("none.csv", "a\0b.csv", "/dev/null/x.csv"):
        with pytest.raises(DataError, match="does not exist"):
            run(name, tmp_path / "splits")
    with pytest.raises(DataError, match="is not a file"):
        run("/dev/zero", tmp_path / "splits")
    assert list(tmp_path.iterdir()) == []


def test_a_zip_inside_of_a_zip_is_not_unpacked(tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "inner.csv.zip", "w") as archive:
        archive.writestr("rows.csv", HEADER + LINES)
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as archive:
        archive.write(tmp_path / "inner.csv.zip", "inner.csv.zip")
    with pytest.raises(DataError, match=r"'inner\.csv\.zip' inside is a zip archive.*Unpack it"):
        run(tmp_path / "outer.zip", tmp_path / "splits")

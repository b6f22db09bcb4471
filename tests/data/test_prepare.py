"""From a raw file of any kind to splits: the same rows whatever the packing, and every row accounted for."""

import csv
import gzip
import json
import lzma
import random
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from linnet.config import load_config
from linnet.data import prepare, read_split
from linnet.data.card import REASONS
from linnet.data.group.texts import normalised
from linnet.errors import DataError, LabelError, UsageError

SPLITS = ("train", "validation", "test")


def make_rows(count: int, classes: int = 2) -> list[dict[str, str]]:
    draw = random.Random(1)
    return [
        {
            "id": str(number),
            "text": f"message {draw.randrange(10**9)} é 😀",
            "label": f"class {number % classes}",
        }
        for number in range(count)
    ]


def write_csv(
    path: Path, rows: list[dict[str, str]], encoding: str = "utf-8", delimiter: str = ","
) -> Path:
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_sentiment140(path: Path, rows: list[tuple[str, str]], encoding: str = "latin-1") -> Path:
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerows(
            (label, str(place), "date", "NO_QUERY", "eve", text)
            for place, (label, text) in enumerate(rows)
        )
    return path


def run(source: Path | str, directory: Path, **settings: Any) -> dict[str, Any]:
    overrides = {"data.source": str(source)} | {
        f"data.{key}": value for key, value in settings.items()
    }
    return prepare(load_config(None, overrides), directory)


def contents(directory: Path) -> dict[str, bytes]:
    return {name: (directory / f"{name}.parquet").read_bytes() for name in SPLITS}


def texts(directory: Path) -> dict[str, set[str]]:
    return {name: set(read_split(directory, name).texts) for name in SPLITS}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_splits_and_card(here: Path) -> None:
    card = run(write_csv(here / "rows.csv", make_rows(300, classes=3)), here / "splits")
    assert sorted(path.name for path in (here / "splits").iterdir()) == [
        "data_card.html",
        "data_card.json",
        "suspects.csv",
        *("test.parquet", "train.parquet", "validation.parquet"),
    ]
    assert card == json.loads((here / "splits" / "data_card.json").read_text())
    assert card["accounting"]["used"] == {"train": 210, "validation": 60, "test": 30}
    assert card["classes"]["test"] == {"class 0": 10, "class 1": 10, "class 2": 10}
    split = read_split(here / "splits", "validation")
    assert (len(split), split.labels.dtype, split.label_names) == (
        60,
        np.int64,
        ("class 0", "class 1", "class 2"),
    )
    table = pq.read_table(here / "splits" / "train.parquet")
    assert table.schema.names == ["id", "text", "label"]
    assert table.schema.field("label").type == pa.int64()
    by_id = {row["id"]: row for row in make_rows(300, classes=3)}
    for row in table.to_pylist():
        assert (by_id[row["id"]]["text"], by_id[row["id"]]["label"]) == (
            row["text"],
            f"class {row['label']}",
        )


def test_every_format_and_packing_gives_the_same_splits(here: Path) -> None:
    rows = make_rows(200)
    plain = write_csv(here / "rows.csv", rows)
    run(plain, here / "splits")
    expected = contents(here / "splits")
    write_csv(here / "rows.tsv", rows, delimiter="\t")
    write_csv(here / "bom.csv", rows, encoding="utf-8-sig")
    write_jsonl(here / "rows.jsonl", rows)
    pq.write_table(pa.Table.from_pylist(rows), here / "rows.parquet")
    for name in ("rows.csv", "rows.parquet"):
        content = (here / name).read_bytes()
        (here / f"{name}.gz").write_bytes(gzip.compress(content))
        (here / f"{name}.xz").write_bytes(lzma.compress(content))
        with zipfile.ZipFile(here / f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"inner/{name}", content)
            archive.writestr("__MACOSX/inner/._rows", b"shadow")
    files = [
        path for path in here.iterdir() if path.name.startswith(("rows", "bom")) and path != plain
    ]
    assert len(files) == 10
    for path in files:
        run(path, here / "splits")
        assert contents(here / "splits") == expected, path.name


def test_row_order_does_not_matter(here: Path) -> None:
    rows = make_rows(400)
    rows += [{**row, "text": row["text"].upper()} for row in rows[:50]]
    for sample in (0, 200):
        run(write_csv(here / "rows.csv", rows), here / "first", sample=sample)
        run(
            write_csv(here / "rows.csv", random.Random(3).sample(rows, len(rows))),
            here / "second",
            sample=sample,
        )
        assert contents(here / "first") == contents(here / "second")
        run(here / "rows.csv", here / "second", sample=sample, seed=1)
        assert contents(here / "first") != contents(here / "second")


def test_like_texts_stay_together_and_copies_go(here: Path) -> None:
    rows = make_rows(300)
    copies = [{**row, "text": f"@eve {row['text'].upper()}!! http://t.co/x"} for row in rows[:100]]
    doubles = [{**row, "id": f"again {row['id']}"} for row in rows[100:130]]
    flipped = [
        {**row, "label": "class 0" if row["label"] == "class 1" else "class 1"}
        for row in rows[200:210]
    ]
    source = write_csv(here / "rows.csv", rows + copies + doubles + flipped)
    card = run(source, here / "splits")
    assert card["accounting"]["dropped"] == {"conflicting_labels": 20, "duplicate": 30}
    assert card["found"]["conflicting_texts"] == 10
    assert card["found"]["groups_of_several"] == 100
    keys = {name: set(normalised(found)) for name, found in texts(here / "splits").items()}
    assert (
        not keys["train"] & keys["validation"]
        | keys["train"] & keys["test"]
        | keys["validation"] & keys["test"]
    )

    card = run(source, here / "kept", duplicates="keep", conflicts="keep")
    assert card["accounting"]["dropped"] == {}
    found = texts(here / "kept")
    assert not found["train"] & found["validation"] | found["train"] & found["test"]


def test_every_row_is_accounted_for_with_its_reason(here: Path) -> None:
    good = [json.dumps({"text": f"text {number}", "label": number % 2}) for number in range(60)]
    bad = {
        "": "blank_line",
        '{"text": "", "label": 0}': "empty_text",
        '{"text": " \\u200b ", "label": 0}': "empty_text",
        '{"text": "a\\u0000b", "label": 0}': "nul_byte",
        '{"text": "a\\ud800b", "label": 0}': "lone_surrogate",
        '{"text": 5, "label": 0}': "not_text",
        '{"text": null, "label": 0}': "not_text",
        '{"text": "no label", "label": null}': "missing_label",
        '{"text": "no label", "label": " "}': "missing_label",
        '{"text": "no label"}': "missing_label",
    }
    (here / "rows.jsonl").write_text("\n".join([*good, *bad]) + "\n")
    card = run(here / "rows.jsonl", here / "splits")
    expected: dict[str, int] = {}
    for reason in bad.values():
        expected[reason] = expected.get(reason, 0) + 1
    accounting = card["accounting"]
    assert accounting["dropped"] == expected
    assert accounting["rows_in"] == 70 == accounting["rows_used"] + accounting["rows_dropped"]
    assert accounting["rows_used"] == sum(accounting["used"].values()) == 60
    assert expected.keys() <= REASONS.keys()
    page = (here / "splits" / "data_card.html").read_text()
    assert all(REASONS[reason] in page for reason in expected)
    assert card["labels"] == ["0", "1"]


def test_rows_with_too_few_or_too_many_fields_are_dropped(here: Path) -> None:
    lines = [
        "text,label",
        *(f"text {number},{number % 2}" for number in range(40)),
        "alone",
        "a,b,c",
        "",
        "NUL \0,1",
    ]
    (here / "rows.csv").write_text("\n".join(lines) + "\n")
    card = run(here / "rows.csv", here / "splits")
    dropped = {"blank_line": 1, "nul_byte": 1, "too_few_fields": 1, "too_many_fields": 1}
    assert card["accounting"]["dropped"] == dropped


def test_integer_labels_sort_as_numbers_and_configured_ones_keep_their_order(here: Path) -> None:
    rows = [{"text": f"text {number}", "label": str(number % 12)} for number in range(240)]
    source = write_csv(here / "rows.csv", rows)
    assert run(source, here / "splits")["labels"] == [str(number) for number in range(12)]
    order = [str(number) for number in range(11, -1, -1)]
    assert run(source, here / "splits", labels=order)["labels"] == order
    assert read_split(here / "splits", "train").label_names == tuple(order)
    with pytest.raises(LabelError, match=r"Row 13 has the label '11'\. Expected one of '0', '1'"):
        run(source, here / "splits", labels=[str(number) for number in range(11)])


def test_columns_of_other_names(here: Path) -> None:
    rows = [
        {"label": str(number), "Body": f"text {number}", "kind": f"k{number % 2}"}
        for number in range(60)
    ]
    source = write_csv(here / "rows.csv", rows)
    card = run(source, here / "splits", text_column="Body", label_column="kind")
    assert card["columns"] == {"text": "Body", "label": "kind", "others": ["raw_label"]}
    assert pq.read_schema(here / "splits" / "test.parquet").names == ["raw_label", "text", "label"]


def test_a_file_without_a_header_by_position(here: Path) -> None:
    (here / "rows.csv").write_text(
        "".join(f"{number % 4},title {number},text {number}\n" for number in range(80))
    )
    card = run(here / "rows.csv", here / "splits", text_column="2", label_column="0")
    assert card["accounting"]["rows_used"] == 80
    assert card["columns"]["others"] == ["column_1"]


def test_sentiment140_by_its_shape(here: Path) -> None:
    rows = [("0" if number % 2 else "4", f'caf\xe9 "{number}" &lt;3') for number in range(100)]
    card = run(write_sentiment140(here / "tweets.csv", rows), here / "splits")
    assert (card["source"]["encoding"], card["labels"]) == ("latin-1", ["negative", "positive"])
    assert card["columns"]["others"] == ["ids", "date", "flag", "user"]
    split = read_split(here / "splits", "train")
    assert all(text.startswith('caf\xe9 "') and text.endswith('" <3') for text in split.texts)
    assert [int(text.split('"')[1]) % 2 for text in split.texts] == (1 - split.labels).tolist()


def test_sentiment140_with_neutral_rows(here: Path) -> None:
    source = write_sentiment140(
        here / "tweets.csv", [(str(2 * (number % 3)), f"text {number}") for number in range(90)]
    )
    with pytest.raises(
        LabelError,
        match=r"Row 2 has the label '2' \(neutral\). Expected one of 'negative', 'positive'",
    ):
        run(source, here / "splits")
    card = run(source, here / "splits", labels=["negative", "neutral", "positive"])
    assert card["labels"] == ["negative", "neutral", "positive"]


def test_generated_data_say_so(here: Path) -> None:
    card = run("generated", here / "splits")
    assert card["generated"] is True
    assert card["accounting"]["rows_in"] == 6000
    assert "These data are generated by Linnet" in (here / "splits" / "data_card.html").read_text()
    before = contents(here / "splits")
    run("generated", here / "splits")
    assert contents(here / "splits") == before


def test_another_encoding_by_name(here: Path) -> None:
    source = write_csv(
        here / "rows.csv",
        [{**row, "text": row["text"].rstrip("😀")} for row in make_rows(60)],
        "cp1252",
    )
    run(source, here / "splits", encoding="cp1252")
    assert all("é" in text for text in read_split(here / "splits", "train").texts)


HEADER = "text,label\n"
LINES = "".join(f"text {number},{number % 2}\n" for number in range(60))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("rows.csv", b"", "is empty: 0 bytes"),
        ("rows.csv", b"\n\n", "is empty: it holds no row"),
        ("rows.jsonl", b"\n\n", "is empty: it holds no row"),
        ("rows.csv", HEADER.encode(), "a header but no rows"),
        (
            "rows.csv",
            b"a,b\n1,2\n",
            r"No column could be recognised as the text.*The columns are 'a', 'b'",
        ),
        ("rows.csv", b"text,text,label\n1,2,3\n", "'text' is in the header more than once"),
        ("rows.csv", (HEADER + "a,x\nb,x\nc,x\n").encode(), "at least two classes, found only 'x'"),
        (
            "rows.csv",
            (HEADER + LINES + "rare,2\n").encode(),
            "1 of 3 classes have too few usable rows, in parentheses: '2' .1.",
        ),
        (
            "rows.csv",
            (HEADER + "good,0\ncafé,1\n").encode("latin-1"),
            "row 3: byte 0xe9 at position 4 is not utf-8",
        ),
        ("rows.csv", (HEADER + LINES).encode("utf-16"), "is UTF-16. Convert it: iconv"),
        (
            "rows.csv",
            (HEADER + LINES + '"never closed,1\n' + LINES).encode(),
            "row 62: .*A quote may be open",
        ),
        ("rows.csv", (HEADER + 'a,"b"c\n').encode(), "row 2: .*without being doubled"),
        ("rows.csv", (HEADER + "\0,0\n").encode(), "none of its 1 rows can be used .nul_byte: 1"),
        ("rows.jsonl", b'{"text": "a", "label": 0}\nnot json\n', "row 2: not JSON"),
        ("rows.jsonl", b"[1, 2]\n", "row 1: expected a JSON object, got int"),
        ("rows.jsonl", b"[" * 100_000 + b"\n", "row 1: lists or objects nested too deeply"),
        (
            "rows.jsonl",
            b'{"text": "a\xff", "label": 0}\n',
            "row 1: byte 0xff at position 12 is not utf-8",
        ),
        (
            "rows.jsonl",
            b'{"text": "a", "label": 0, "\\ud800": 1}\n',
            "holds half of a surrogate pair",
        ),
        ("rows.parquet", b"not parquet at all", "is not a Parquet file"),
        ("rows.txt", b"text", "neither the name nor the first lines of 'rows.txt'"),
        (
            "rows.doc.gz",
            gzip.compress(b"text", mtime=0),
            "neither the name nor the first lines of 'rows.doc'",
        ),
        ("rows.csv.gz", b"not gzip", "is plain text, whatever its name says"),
        ("rows.csv.xz", b"not xz at all", "is plain text, whatever its name says"),
        ("rows.csv.zip", b"not a zip", "is cut or damaged"),
        (
            "rows.csv.gz",
            gzip.compress(
                b"text,label\n" + random.Random(0).randbytes(9999).hex().encode(), mtime=0
            )[:-2000],
            "is cut",
        ),
        (
            "rows.csv.xz",
            lzma.compress(b"text,label\n" + random.Random(0).randbytes(9999).hex().encode())[
                :-2000
            ],
            "is cut",
        ),
    ],
)
def test_bad_files_are_one_sentence_and_leave_nothing(
    here: Path, name: str, content: bytes, message: str
) -> None:
    (here / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        run(here / name, here / "splits")
    assert [path.name for path in here.iterdir()] == [name]


def test_a_bad_file_leaves_the_former_splits(here: Path) -> None:
    run(write_csv(here / "rows.csv", make_rows(60)), here / "splits")
    before = contents(here / "splits")
    (here / "rows.csv").write_text(HEADER + LINES + '"open')
    with pytest.raises(DataError):
        run(here / "rows.csv", here / "splits")
    assert contents(here / "splits") == before


def test_no_such_file(here: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        run(here / "none.csv", here / "splits")
    with pytest.raises(
        DataError,
        match=r"is a folder of 0 files \(none\)\. None has the name of a table",
    ):
        run(here, here / "splits")


def test_no_such_column_names_those_there_are(here: Path) -> None:
    source = write_csv(here / "rows.csv", make_rows(60))
    with pytest.raises(
        DataError, match=r"no column 'tweet' for the text\. The columns are 'id', 'text', 'label'"
    ):
        run(source, here / "splits", text_column="tweet")
    with pytest.raises(DataError, match="can't be both the text and the label"):
        run(source, here / "splits", text_column="label")


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([], "has no data file"),
        (["a.csv", "b.csv"], "found 2 .'a.csv', 'b.csv'"),
        (["../a.csv"], "leads out of it"),
        (["/a.csv"], "leads out of it"),
    ],
)
def test_zips_of_none_several_or_hostile_files(
    here: Path, members: list[str], message: str
) -> None:
    with zipfile.ZipFile(here / "rows.zip", "w") as archive:
        for member in members:
            archive.writestr(member, HEADER + LINES)
    with pytest.raises(DataError, match=message):
        run(here / "rows.zip", here / "splits")


def test_a_zip_cut_or_changed(here: Path) -> None:
    with zipfile.ZipFile(here / "rows.zip", "w") as archive:
        archive.writestr("rows.csv", HEADER + LINES)
    whole = (here / "rows.zip").read_bytes()
    for broken in (whole[:-40], whole[:200] + b"?" + whole[201:]):
        (here / "rows.zip").write_bytes(broken)
        with pytest.raises(DataError, match="is cut or damaged"):
            run(here / "rows.zip", here / "splits")


def test_a_field_of_a_megabyte_is_a_text(here: Path) -> None:
    (here / "rows.csv").write_text(HEADER + LINES + "x" * 1_000_000 + ",1\n")
    card = run(here / "rows.csv", here / "splits", test_size=5)
    assert card["accounting"]["rows_used"] == 61
    (here / "rows.csv").write_text(HEADER + LINES + "x" * 17_000_000 + ",1\n")
    with pytest.raises(DataError, match="line 62: longer than"):
        run(here / "rows.csv", here / "splits")


def test_columns_without_end(here: Path) -> None:
    (here / "rows.csv").write_text(HEADER + LINES + "," * 1_000_000 + "\n")
    assert run(here / "rows.csv", here / "splits")["accounting"]["dropped"] == {
        "too_many_fields": 1
    }


def test_a_full_disk_leaves_nothing(here: Path) -> None:
    source = write_csv(here / "rows.csv", make_rows(8_000))
    script = (
        "import resource, sys; from linnet.cli.main import main;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2); sys.exit(main(sys.argv[2:]))"
    )
    for limit in (5_000, 60_000):
        command = [
            sys.executable,
            "-c",
            script,
            str(limit),
            "prepare",
            "--data",
            source,
            "--out",
            here / "splits",
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 7, done.stderr
        assert "Could not write" in done.stderr
        assert "Traceback" not in done.stderr
        assert [path.name for path in here.iterdir()] == ["rows.csv"]


def test_reading_what_is_no_split(here: Path) -> None:
    with pytest.raises(UsageError, match="no split 'dev'"):
        read_split(here, "dev")
    with pytest.raises(DataError, match="No such split"):
        read_split(here, "train")
    (here / "train.parquet").write_bytes(b"no parquet")
    with pytest.raises(DataError, match="not a split of Linnet's"):
        read_split(here, "train")
    pq.write_table(pa.table({"text": ["a"], "label": [1]}), here / "train.parquet")
    with pytest.raises(DataError, match="not a split of Linnet's"):
        read_split(here, "train")

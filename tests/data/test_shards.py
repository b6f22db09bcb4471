"""Several files as one table: lists, folders, patterns, shards of every format, and hostile ones."""

import gzip
import hashlib
import json
import os
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from linnet.config import Files, load_config
from linnet.data import prepare, read_split
from linnet.data.sources.find import find_source
from linnet.data.sources.open import open_table
from linnet.errors import ConfigError, DataError, LabelError

Rows = list[tuple[str, tuple[Any, ...]]]


def fill(folder: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        data = content.encode() if isinstance(content, str) else content
        (folder / name).write_bytes(data)
    return folder


def parquet(columns: dict[str, list[Any]]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    return bytes(sink.getvalue())


def read(files: Files, labelled: bool = True, split: str = "train", **data: Any) -> Any:
    overrides = {"data.source": files} | {f"data.{key}": value for key, value in data.items()}
    with open_table(load_config(None, overrides).data, labelled, split) as opened:
        rows = [(str(number), tuple(row)) for number, row in opened.table.rows]
        assert opened.source
        # Parquet is read by its columns, and an archive by one of its members.
        whole = opened.table.dialect.get("format", opened.source.format) != "parquet"
        if whole and ".zip" not in str(files):
            assert opened.position() == opened.size
        return opened.table, rows


def numbered(rows: Rows) -> list[tuple[str, ...]]:
    """Each row with its number and the last part of the file's path."""
    return [(f"{where.split(' of ')[0]} {Path(where).name}", *row) for where, row in rows]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


FIRST = {"text": ["a", "b"], "label": ["0", "1"]}
SECOND = {"label": ["1"], "text": ["c"]}
RIGHT = [("a", "0"), ("b", "1"), ("c", "1")]
SHARDS: dict[str, dict[str, str | bytes]] = {
    "csv": {"p-2.csv": "text,label\na,0\nb,1\n", "p-10.csv": "label;text\r\n1;c\r\n"},
    "tsv": {"p-2.tsv": "text\tlabel\na\t0\nb\t1\n", "p-10.tsv": "label\ttext\n1\tc\n"},
    "packed": {
        "p-2.csv.gz": gzip.compress(b"text,label\na,0\nb,1\n"),
        "p-10.csv": "text,label\nc,1\n",
    },
    "parquet": {"p-2.snappy.parquet": parquet(FIRST), "p-10.parquet": parquet(SECOND)},
    "jsonl": {
        "p-2.jsonl": '{"text": "a", "label": "0"}\n{"text": "b", "label": "1"}\n',
        "p-10.jsonl": '{"label": "1", "text": "c"}\n',
    },
    "json": {
        "p-2.json": '[{"text": "a", "label": "0"},\n{"text": "b", "label": "1"}]',
        "p-10.json": '{"label": "1", "text": "c"}\n',
    },
}
SPARK = {"_SUCCESS": "", ".p-2.csv.crc": "x", "_temporary/0/p-3.csv": "x", "README.md": "# x"}


@pytest.mark.parametrize("name", SHARDS)
@pytest.mark.parametrize("way", ["folder", "pattern", "list"])
def test_shards_are_one_table_in_natural_order(here: Path, name: str, way: str) -> None:
    fill(here / "s", SHARDS[name] | SPARK)
    files: dict[str, Files] = {
        "folder": "s",
        "pattern": "s/p-*",
        "list": tuple(f"s/{file}" for file in reversed(SHARDS[name])),
    }
    table, rows = read(files[way])
    assert table.columns == ("text", "label")
    assert [row for _, row in rows] == RIGHT
    assert [Path(where).name for where, _ in rows] == [
        *[next(iter(SHARDS[name]))] * 2,
        list(SHARDS[name])[1],
    ]
    assert table.dialect["files"] == 2
    assert table.notes == ()


def test_rows_are_numbered_by_their_file(here: Path) -> None:
    fill(here, {"a b.csv": 'text,label\n"x\ny",0\nz,1\n', "c\nd.csv": "text,label\nw\n\nv,1\n"})
    _, rows = read(("a b.csv", "c\nd.csv"))
    assert rows == [
        ("2 of a b.csv", ("x\ny", "0")),
        ("4 of a b.csv", ("z", "1")),
        ("2 of c\nd.csv", ("w",)),
        ("3 of c\nd.csv", ()),
        ("4 of c\nd.csv", ("v", "1")),
    ]


def test_a_wrong_label_is_named_with_its_file(here: Path) -> None:
    fill(here / "s", {"a.csv": "text,label\nx,0\n", "b.csv": "text,label\ny,1\nz,2\n"})
    settings = {"data.source": "s", "data.labels": ["0", "1"], "data.noise_sample": 0}
    with pytest.raises(LabelError, match=r"Row 3 of s/b\.csv has the label '2'"):
        prepare(load_config(None, settings), here / "splits")
    fill(here / "s", {"b.csv": b"text,label\ncaf\xe9,1\n"})
    with pytest.raises(DataError, match=r"s/b\.csv, row 2: byte 0xe9"):
        prepare(load_config(None, settings), here / "splits")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"a.csv": "text,label\nx,0\n", "b.csv": "text,target\ny,1\n"},
            r"'label' is in s/a\.csv and not in s/b\.csv.*--text-column 0 --label-column 1",
        ),
        (
            {"a.csv": "text,label\nx,0\n", "b.csv": "text,label,id\ny,1,2\n"},
            r"'id' is in s/b\.csv and not in s/a\.csv",
        ),
        (
            {"a.parquet": parquet(FIRST), "b.parquet": parquet({"text": ["x"]})},
            r"'label' is in s/a\.parquet and not in s/b\.parquet\. Give the files the same",
        ),
        (
            {"a.csv": "text,label\nx,0\n", "b.jsonl": '{"text": "y", "label": 1}\n'},
            r"different formats: s/a\.csv is csv, and s/b\.jsonl is jsonl.*--data 's/\*\.csv'",
        ),
        ({"a.csv": "", "b.csv": ""}, r"s/a\.csv is empty: 0 bytes, as are all others"),
        ({"a.csv.gz": gzip.compress(b""), "b.csv.gz": gzip.compress(b"")}, "all 2 files are empty"),
        ({"a.parquet": parquet(FIRST), "b.parquet": b"PAR1x"}, r"s/b\.parquet is not a Parquet"),
        (
            {"a.csv": "text,label\nx,0\n", "b.csv": "version https://git-lfs.github.com/spec/v1\n"},
            r"s/b\.csv is a pointer of Git LFS.*git lfs pull",
        ),
        (
            {
                "a.parquet": parquet(FIRST),
                "b.parquet": "version https://git-lfs.github.com/spec/v1\n",
            },
            r"s/b\.parquet is a pointer of Git LFS.*git lfs pull",
        ),
        (
            {"data-0.arrow": b"x", "state.json": "{}"},
            r"Arrow files, such as data-0\.arrow.*Parquet",
        ),
        ({"a.zip": b"x"}, "a.zip"),
        ({"a.txt": "x\n", "b.txt": "y\n"}, r"--data 's/\*\.txt'"),
        ({}, r"of 0 files \(none\)"),
    ],
)
def test_files_that_do_not_fit(here: Path, files: dict[str, str | bytes], message: str) -> None:
    fill(here / "s", files).mkdir(exist_ok=True)
    with pytest.raises(DataError, match=message) as caught:
        read("s")
    assert "\n" not in str(caught.value)


def test_files_without_rows_are_passed_over_and_noted(here: Path) -> None:
    files: dict[str, str | bytes] = {"p-1.csv": "", "p-2.csv": "text,label\n"}
    files |= {
        "p-3.csv": "text,label\na,0\n",
    }
    table, rows = read(str(fill(here / "s", files)))
    assert numbered(rows) == [("2 p-3.csv", "a", "0")]
    assert table.notes == ("Empty files, 0 bytes: 'p-1.csv'.",)
    files = {"p-1.csv.gz": gzip.compress(b""), "p-2.csv": "text,label\nb,1\n"}
    with open_table(
        load_config(None, {"data.source": str(fill(here / "t", files))}).data
    ) as opened:
        assert [tuple(row) for _, row in opened.table.rows] == [("b", "1")]
        assert opened.table.notes == ("1 packed files hold nothing.",)


def test_a_file_named_twice_is_read_once(here: Path) -> None:
    fill(here, {"a.csv": "text,label\nx,0\n", "b.csv": "text,label\ny,0\n"})
    (here / "c.csv").symlink_to("a.csv")
    table, rows = read(("a.csv", "b.csv", "./a.csv", "c.csv", str(here / "b.csv")))
    assert [row[0] for _, row in rows] == ["x", "y"]
    assert table.notes == ("3 of the files are named twice. They are read once.",)


def test_files_without_a_header(here: Path) -> None:
    fill(here / "s", {"a.csv": "x,0\n", "b.csv": "y,1\n"})
    _, rows = read("s", text_column="0", label_column="1")
    assert [row for _, row in rows] == [("x", "0"), ("y", "1")]


def test_keys_that_some_files_of_json_lack(here: Path) -> None:
    first = '{"text": "x", "label": 0}\n' * 1200 + '{"text": "y", "label": 0, "late": 1}\n\n'
    fill(here / "s", {"a.jsonl": first, "b.jsonl": '{"text": "z", "label": 1, "id": 7}\n'})
    table, rows = read("s")
    assert table.columns == ("label", "late", "text", "id")
    assert numbered(rows[-3:]) == [
        ("1201 a.jsonl", 0, 1, "y", None),
        ("1202 a.jsonl",),
        ("1 b.jsonl", 1, None, "z", 7),
    ]


def test_folders_that_add_columns(here: Path) -> None:
    fill(
        here / "s",
        {
            "label=a%20b/lang=en/p.csv": "id,text\n1,x\n2,y,z,w\n3\n",
            "label=c/lang=__HIVE_DEFAULT_PARTITION__/p.csv": "text,id\nv,4\n",
            "label=c/lang=de/_SUCCESS": "",
        },
    )
    table, rows = read("s")
    assert table.columns == ("id", "text", "label", "lang")
    assert [row for _, row in rows] == [
        ("1", "x", "a b", "en"),
        ("2", "y", "z", "w", "a b", "en"),
        ("3",),
        ("4", "v", "c", None),
    ]
    assert table.dialect["columns_of_folders"] == ["label", "lang"]


def test_a_row_of_one_field_more_is_none_of_a_table_with_an_added_column(here: Path) -> None:
    fill(here / "s", {"label=a/p.csv": "text\nx,y\n", "label=b/p.csv": "text\nz\n"})
    table, rows = read("s")
    assert [len(row) == len(table.columns) for _, row in rows] == [True, True]
    fill(here / "t", {"label=a/p.csv": "text,id\nx,1,2\n", "label=b/p.csv": "text,id\nz,1\n"})
    table, rows = read("t")
    assert [len(row) == len(table.columns) for _, row in rows] == [False, True]


def test_files_whose_names_are_not_utf_8(here: Path) -> None:
    names = ["caf\udce9 1.csv", "caf\udce9 2.csv"]
    for shard, name in enumerate(names):
        rows = [f"text {number} of {shard},{number % 2}\n" for number in range(30)]
        (here / name).write_text("text,label\n" + "".join(rows))
    config = load_config(None, {"data.source": names})
    config.save(here / "linnet.toml")
    assert load_config() == config
    assert [where for where, _ in read(tuple(names))[1]][::30] == [f"2 of {name}" for name in names]
    for files in (names, "*.csv"):
        settings = {"data.source": files, "data.noise_sample": 0}
        prepare(load_config(None, settings), here / "splits")
    card = json.loads((here / "splits" / "data_card.json").read_text())
    assert (card["source"]["files"], card["accounting"]["rows_used"]) == (2, 60)


def test_members_of_archives(here: Path) -> None:
    for name in "ab":
        with zipfile.ZipFile(here / f"{name}.zip", "w") as archive:
            archive.writestr("rows.csv", f"text,label\n{name},0\n")
            archive.writestr("other.csv", "x\n")
    _, rows = read(("a.zip/rows.csv", "b.zip/rows.csv"))
    assert [row for _, row in rows] == [("a", "0"), ("b", "0")]


def test_files_of_mixed_places(here: Path) -> None:
    fill(here, {"x/a.csv": "text,label\na,0\n", "y/b.csv": "text,label\nb,0\n"})
    for files in (("x/a.csv", str(here / "y/b.csv")), ("x", "y"), ("x/../x/a.csv", "y/*.csv")):
        _, rows = read(files)
        assert [row for _, row in rows] == [("a", "0"), ("b", "0")]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (("a.csv", "none.csv"), r"none\.csv does not exist"),
        ("none*.csv", r"No file matches the pattern 'none\*\.csv'"),
        (("a.csv", "-"), "Standard input can't be one of several files"),
        (("a.csv", "parts"), "parts has parts such as train and test"),
        (("a.csv", "x" * 5000), "can't be looked at: File name too long"),
        (("a.csv", "/dev/zero"), "is not a file"),
    ],
)
def test_names_of_no_file(here: Path, files: Files, message: str) -> None:
    fill(here, {"a.csv": "text,label\na,0\n", "parts/train.csv": "text,label\na,0\n"})
    with pytest.raises(DataError, match=message):
        read(files)
    with pytest.raises(ConfigError, match=r"data\.source is empty"):
        read(("a.csv", " "))


def test_a_link_that_leads_nowhere_is_refused(here: Path) -> None:
    fill(here / "s", {"a.csv": "text,label\na,0\n"})
    (here / "s" / "b.csv").symlink_to("gone.csv")
    with pytest.raises(DataError, match=r"s/b\.csv does not exist"):
        read("s")


def test_links_in_a_circle_are_followed_once(here: Path) -> None:
    fill(here / "s", {"deep/er/a.csv": "text,label\na,0\n"})
    (here / "s" / "deep" / "loop").symlink_to(here / "s")
    (here / "s" / "self").symlink_to(".")
    _, rows = read("s")
    assert [row for _, row in rows] == [("a", "0")]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_what_may_not_be_read_is_named(here: Path) -> None:
    fill(here / "s", {"a.csv": "text,label\na,0\n", "b.csv": "x", "deep/c.csv": "x"})
    (here / "s" / "b.csv").chmod(0)
    with pytest.raises(DataError, match=r"s/b\.csv may not be read by this user"):
        read("s")
    (here / "s" / "deep").chmod(0)
    with pytest.raises(DataError, match="s/deep can't be looked at: Permission denied"):
        read("s")
    (here / "s" / "deep").chmod(0o700)


@pytest.mark.slow
def test_ten_thousand_files(here: Path) -> None:
    for number in range(10_000):
        (here / f"p-{number}.csv").write_text(f"text,label\ntext {number},{number % 2}\n")
    _, rows = read(".")
    assert [row[0] for _, row in rows] == [f"text {number}" for number in range(10_000)]


def test_the_card_says_what_was_read(here: Path) -> None:
    for shard in range(2):
        lines = [f"text {number},{number % 2}\n" for number in range(30 * shard, 30 * shard + 30)]
        fill(here / "s", {f"p-{shard}.csv": "text,label\n" + "".join(lines)})
    settings = {"data.source": "s", "data.noise_sample": 0}
    card = prepare(load_config(None, settings), here / "splits")
    printed = subprocess.run(
        "sha256sum *.csv", shell=True, cwd=here / "s", capture_output=True, check=True
    ).stdout
    source = card["source"]
    assert source["sha256"] == hashlib.sha256(printed).hexdigest()
    assert source["bytes"] == sum(path.stat().st_size for path in (here / "s").iterdir())
    assert (source["name"], source["format"], source["files"], source["names"]) == (
        "s",
        "csv",
        2,
        ["p-0.csv", "p-1.csv"],
    )
    assert card["accounting"]["rows_used"] == 60
    train = read_split(here / "splits", "train").texts
    named = settings | {"data.source": ["s/p-1.csv", "s/p-0.csv"]}
    again = prepare(load_config(None, named), here / "again")
    assert again["source"]["sha256"] == source["sha256"]
    assert again["settings"]["source"] == ["s/p-1.csv", "s/p-0.csv"]
    assert read_split(here / "again", "train").texts == train
    assert json.loads((here / "again" / "data_card.json").read_text()) == again


def test_a_list_is_kept_in_the_settings_file(here: Path) -> None:
    config = load_config(None, {"data.source": ["a.csv", 'b "c".csv'], "data.test_file": ["t.csv"]})
    config.save(here / "linnet.toml")
    assert load_config() == config
    assert (config.data.source, config.data.test_file) == (("a.csv", 'b "c".csv'), "t.csv")
    for wrong in (5, [], ["a.csv", 5]):
        with pytest.raises(ConfigError, match=r"data\.source  .*a file, or a list of names"):
            load_config(None, {"data.source": wrong})


def test_one_file_of_a_folder_is_that_file(here: Path) -> None:
    fill(here / "s", {"only.csv": "text,label\na,0\n"})
    assert find_source("s").source.name == "only.csv"
    assert find_source("s/*.csv").source.name == "only.csv"
    table, rows = read("s")
    assert rows == [("2", ("a", "0"))]
    assert "files" not in table.dialect

"""A data set's folder: its train, validation and test parts by the names of its files."""

from pathlib import Path, PurePath
from typing import Any

import pytest

from linnet.cli.main import main
from linnet.config import load_config
from linnet.data import prepare, read_split, read_unlabelled
from linnet.data.sources.find import find_source, with_parts
from linnet.data.sources.split_names import missing_shards, split_of
from linnet.errors import DataError

HEADER = "text,label\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lines(word: str, rows: int) -> str:
    return "".join(f"{word} {number} of many,{number % 2}\n" for number in range(rows))


def fill(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(HEADER + lines(Path(name).stem, 10))
    return folder


def run(source: str, out: Path, **data: Any) -> dict[str, Any]:
    overrides = {f"data.{key}": value for key, value in data.items()}
    return prepare(
        load_config(None, {"data.source": source, "data.noise_sample": 0} | overrides), out
    )


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train.csv", "train"),
        ("data/train-00000-of-00002.parquet", "train"),
        ("train/0000.parquet", "train"),
        ("plain_text/train-00000-of-00001-abc.parquet", "train"),
        ("my_train_file.csv", "train"),
        ("Training.csv", "train"),
        ("train2.csv", "train"),
        ("stsa.dev", "validation"),
        ("dev.tsv", "validation"),
        ("val/a.csv", "validation"),
        ("cooking.valid", "validation"),
        ("validation_matched.csv", "validation"),
        ("test.csv", "test"),
        ("eval.jsonl", "test"),
        ("test/train.csv", "train"),
        ("test_train.csv", "test"),
        ("constraint.csv", ""),
        ("latest.csv", ""),
        ("developers.csv", ""),
        ("value.csv", ""),
        ("part-00000.csv", ""),
    ],
)
def test_the_split_that_a_name_says(name: str, split: str) -> None:
    assert split_of(PurePath(name)) == split


LAYOUTS = [
    ["train.csv", "validation.csv", "test.csv"],
    [
        "data/train-00000-of-00001.csv",
        "data/dev-00000-of-00001.csv",
        "data/test-00000-of-00001.csv",
    ],
    ["train/a.csv", "val/a.csv", "test/a.csv"],
]


@pytest.mark.parametrize("names", LAYOUTS)
def test_the_parts_are_the_splits(here: Path, names: list[str]) -> None:
    fill(here / "hub", *names)
    for name, word in zip(names, ("learn", "look", "judge"), strict=True):
        (here / "hub" / name).write_text(HEADER + lines(word, 10))
    for name in ("README.md", "dataset_infos.json", ".gitattributes", "dataset_info.json"):
        (here / "hub" / name).write_text("[1, 2]")
    card = run("hub", here / "splits")
    assert card["accounting"]["used"] == {"train": 10, "validation": 10, "test": 10}
    assert sorted(card["apart"]) == ["test", "validation"]
    for split, word in (("train", "learn"), ("validation", "look"), ("test", "judge")):
        assert {text.split()[0] for text in read_split(here / "splits", split).texts} == {word}
    assert card["settings"]["test_file"] == card["settings"]["validation_file"] == "hub"
    said = ", ".join(
        f"{split} ({Path(name).name})"
        for split, name in zip(("train", "validation", "test"), names, strict=True)
    )
    assert card["notes"][0] == f"The parts of hub by their names: {said}."


def test_the_flags_win_and_the_terminal_says_so(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    fill(here / "hub", "train-1.csv", "train-2.csv", "valid.csv", "test.csv")
    (here / "own.csv").write_text(HEADER + lines("own", 6))
    (here / "own2.csv").write_text(HEADER + lines("another", 6))
    out = ["--out", "splits", "--set", "data.noise_sample=0"]
    assert main(["prepare", "--data", "hub", "--test-file", "own.csv", "own2.csv", *out]) == 0
    printed = capsys.readouterr().out
    assert "The parts of hub by their names: train (2 files), validation (valid.csv)." in printed
    assert "Its test part is not read, because --test-file names another file." in printed
    words = {text.split()[0] for text in read_split(here / "splits", "test").texts}
    assert words == {"own", "another"}
    assert len(read_split(here / "splits", "train").texts) == 20


def test_several_files_on_the_command_line(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(here, "a.csv", "b.csv", "c.csv")
    out = ["--out", "splits", "--set", "data.noise_sample=0"]
    assert main(["prepare", "--data", "a.csv", "b.csv", "--data", "c.csv", *out]) == 0
    assert "Rows of a.csv and 2 more" in capsys.readouterr().out
    assert main(["prepare", "--data", "*.csv", "--out", "other", *out[2:]]) == 0
    assert read_split(here / "splits", "test").texts == read_split(here / "other", "test").texts


def test_a_part_that_has_other_columns(here: Path) -> None:
    fill(here / "kaggle", "train.csv", "sample_submission.csv")
    (here / "kaggle" / "train.csv").write_text(HEADER + lines("train", 60))
    (here / "kaggle" / "test.csv").write_text("id,text\n1,a\n")
    with pytest.raises(DataError, match=r"Test file kaggle: .*label.* leave the test part out"):
        run("kaggle", here / "splits")
    card = run("kaggle/train.csv", here / "splits")
    assert card["apart"] == {}


def test_what_is_not_read_is_noted(here: Path) -> None:
    fill(here / "hub", "train.csv", "test.csv", "sample.csv", "notes.txt", "de/train.csv")
    _, notes = with_parts(load_config(None, {"data.source": "hub"}).data)
    assert notes == ("The parts of hub by their names: train (2 files), test (test.csv).",)
    assert find_source("hub").notes == (
        "2 other files of hub are not read: 'sample.csv', 'notes.txt'.",
        "The train part is in 2 folders ('.', 'de'). To read one of them alone, name that folder.",
    )


def test_missing_shards_are_noted(here: Path) -> None:
    fill(here / "s", "data-00000-of-00003.csv", "data-00002-of-00003.csv")
    assert find_source("s").notes == (
        "1 shards are missing, by the count in the other names: 'data-00001-of-00003.csv'.",
    )
    assert missing_shards([Path("a-1-of-2.csv"), Path("a-2-of-2.csv")]) == []
    assert missing_shards([Path("train.csv"), Path("x-0-of-999999999.csv")]) == []


def test_other_splits_without_a_train_split(here: Path) -> None:
    fill(here / "s", "data.csv", "test.csv")
    with pytest.raises(DataError, match=r"--data s/data\.csv --test-file s/test\.csv"):
        run("s", here / "splits")
    (here / "s" / "data.csv").rename(here / "s" / "train.csv")
    (here / "s" / "test.csv").unlink()
    with pytest.raises(DataError, match="no test part"):
        find_source("s", "test")


def test_lines_that_are_called_like_splits(here: Path) -> None:
    (here / "s").mkdir()
    for split in ("train", "valid", "test"):
        rows = "".join(f"__label__{number % 2} {split} {number}\n" for number in range(12))
        (here / "s" / f"cooking.{split}").write_text(rows)
    card = run("s", here / "splits")
    assert card["accounting"]["used"] == {"train": 12, "validation": 12, "test": 12}
    assert card["source"]["shape"] == "fasttext"


def test_texts_beside_their_labels_in_parts(here: Path) -> None:
    (here / "s").mkdir()
    for split in ("train", "test"):
        texts = "".join(f"{split} {number}\n" for number in range(20))
        (here / "s" / f"{split}_text.txt").write_text(texts)
        (here / "s" / f"{split}_labels.txt").write_text("0\n1\n" * 10)
    (here / "s" / "mapping.txt").write_text("0\tno\n1\tyes\n")
    card = run("s", here / "splits")
    assert card["labels"] == ["no", "yes"]
    assert card["accounting"]["used"]["test"] == 20


def test_texts_to_learn_from(here: Path) -> None:
    fill(here / "hub", "train-1.csv", "train-2.csv", "test.csv")
    run("hub", here / "splits")
    train, test = (read_split(here / "splits", name) for name in ("train", "test"))
    (here / "a.txt").write_text("one\ntwo\n")
    (here / "b.txt").write_text("three\none\n")
    for files in (("a.txt", "b.txt"), "*.txt"):
        data = load_config(None, {"data.source": files}).data
        found = read_unlabelled(data, train, [test])
        assert found.texts == ["one", "two", "three"]
        assert found.facts["dropped"]["duplicate"] == 1
    data = load_config(None, {"data.source": "hub"}).data
    found = read_unlabelled(data, train, [test])
    assert found.facts["name"] == "hub (train)"
    assert found.facts["rows_in"] == 20
    assert found.facts["dropped"]["duplicate"] == len(train)


def test_score_reads_one_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(here / "a folder", "a.csv")
    assert main(["score", "bundle", "a folder"]) == 2
    said = capsys.readouterr().err
    assert "for file in 'a folder'/*; do linnet score bundle" in said
    assert main(["score", "bundle", "a.csv", "b.csv"]) == 2
    assert "for file in a.csv b.csv; do linnet score bundle" in capsys.readouterr().err

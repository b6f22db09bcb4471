"""Texts and labels in two files are read line for line, or not at all."""

from pathlib import Path

import pytest

from linnet.data.sources.parallel import find_parallel, parallel_rows
from linnet.errors import DataError
from linnet.tables.source import Reading, Source


def rows(text: Path) -> list[tuple[int, tuple[str, ...]]]:
    source = find_parallel(Source.find(text))
    assert source is not None
    reading = Reading()
    found = list(parallel_rows(source, reading, "utf-8"))
    assert reading.position() == source.size
    return found


def write(folder: Path, texts: str, labels: str, mapping: str = "") -> Path:
    (folder / "train_text.txt").write_text(texts)
    (folder / "train_labels.txt").write_text(labels)
    if mapping:
        (folder / "mapping.txt").write_text(mapping)
    return folder / "train_text.txt"


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("text.txt", "labels.txt"),
        ("texts.txt", "labels.txt"),
        ("dev_text", "dev_label"),
        ("a.text", "a.labels"),
        ("text_text.txt", "text_labels.txt"),
    ],
)
def test_names(tmp_path: Path, text: str, label: str) -> None:
    (tmp_path / text).write_text("a\n")
    assert find_parallel(Source.find(tmp_path / text)) is None
    (tmp_path / label).write_text("1\n")
    assert rows(tmp_path / text) == [(1, ("a", "1"))]


def test_a_file_that_says_its_format_has_no_partner(tmp_path: Path) -> None:
    for name in ("text.csv", "labels.csv"):
        (tmp_path / name).write_text("text,label\n")
    assert find_parallel(Source.find(tmp_path / "text.csv")) is None


def test_lines_keep_their_numbers(tmp_path: Path) -> None:
    path = write(tmp_path, "a\u2028b\r\n\n\nd", "1\n 2 \n\n\n")
    assert rows(path) == [(1, ("a\u2028b", "1")), (2, ("", "2")), (3, ()), (4, ("d", ""))]


def test_names_of_labels(tmp_path: Path) -> None:
    path = write(tmp_path, "a\nb\n", "1\n0\n", "0\tanger\n1\tjoy\t_face_\n\n")
    assert rows(path) == [(1, ("a", "joy")), (2, ("b", "anger"))]
    with pytest.raises(
        DataError, match=r"train_labels\.txt, row 2: the label '7' is not one of the 2 in mapping"
    ):
        rows(write(tmp_path, "a\nb\n", "1\n7\n"))
    with pytest.raises(DataError, match=r"mapping\.txt: expected a label, a tab and its name"):
        rows(write(tmp_path, "a\nb\n", "1\n0\n", "0 anger\n"))


@pytest.mark.parametrize(
    ("texts", "labels", "counts"), [(4, 6, "4 lines and .* has 6"), (6, 4, "6 lines and .* has 4")]
)
def test_one_file_longer_than_the_other(
    tmp_path: Path, texts: int, labels: int, counts: str
) -> None:
    with pytest.raises(DataError, match=counts):
        rows(write(tmp_path, "a\n" * texts, "1\n" * labels))

"""A folder whose names are its labels, and every other folder refused with what is in it."""

from pathlib import Path

import pytest

from linnet.data.read.folder import CLASS_FILES, CLASS_FOLDERS, find_folder, folder_rows
from linnet.errors import DataError
from linnet.tables.source import Reading


def fill(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def rows(folder: Path) -> list[tuple[int, tuple[str, ...]]]:
    reading = Reading()
    source = find_folder(folder)
    found = list(folder_rows(source, reading, "utf-8"))
    assert reading.position() == source.size
    return found


def test_a_file_a_class(tmp_path: Path) -> None:
    fill(
        tmp_path,
        {
            "r.pos": b"fine\n\ngood",
            "r.neg": "schlecht é\r\n".encode(),
            ".hidden": b"x",
            "README": b"x",
        },
    )
    assert find_folder(tmp_path).format == CLASS_FILES
    assert rows(tmp_path) == [
        (1, ("schlecht é", "neg")),
        (2, ("fine", "pos")),
        (3, ()),
        (4, ("good", "pos")),
    ]


def test_a_folder_a_class(tmp_path: Path) -> None:
    fill(
        tmp_path,
        {
            "pos/2.txt": b"fine\nindeed",
            "pos/1.txt": b"\xef\xbb\xbfgood",
            "neg/1.txt": b"",
            "README": b"x",
        },
    )
    source = find_folder(tmp_path)
    assert source.format == CLASS_FOLDERS
    assert [part.path.relative_to(tmp_path).as_posix() for part in source.parts] == [
        "neg/1.txt",
        "pos/1.txt",
        "pos/2.txt",
    ]
    assert rows(tmp_path) == [(1, ("", "neg")), (2, ("good", "pos")), (3, ("fine\nindeed", "pos"))]


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ([], r"0 folders and 0 files \(none\)"),
        (["r.pos"], r"0 folders and 1 files \('r.pos'\)"),
        (["r.pos", "s.neg"], "0 folders and 2 files"),
        (["r.pos", "r.neg", "other"], "0 folders and 3 files"),
        (["r.pos", "r"], "0 folders and 2 files"),
        (["r.csv", "r.tsv"], "0 folders and 2 files"),
        (["r.txt", "r.neg"], "0 folders and 2 files"),
        (["stsa.train", "stsa.dev", "stsa.test"], "'stsa.dev', 'stsa.test', 'stsa.train'"),
        (["train/a.txt", "test/b.txt"], r"2 folders and 0 files \('test', 'train'\)"),
        (["pos/a.txt"], "1 folders and 0 files"),
        (["pos/a.txt", "neg/b.txt", "c.csv"], "2 folders and 1 files"),
        (["pos/a.txt", "neg/b.csv"], r"holds neg/b\.csv"),
        (["pos/a.txt", "neg/deep/b.txt"], "holds neg/deep"),
    ],
)
def test_other_folders_are_refused(tmp_path: Path, files: list[str], found: str) -> None:
    fill(tmp_path, dict.fromkeys(files, b"text\n"))
    with pytest.raises(DataError, match=found) as caught:
        find_folder(tmp_path)
    assert "Expected one file for each class" in str(caught.value)


def test_bad_bytes_are_told_with_their_file_and_line(tmp_path: Path) -> None:
    fill(tmp_path, {"r.pos": b"fine\n", "r.neg": b"bad\ncaf\xe9\n"})
    with pytest.raises(DataError, match=r"r\.neg, row 2: byte 0xe9 at position 4 is not utf-8"):
        rows(tmp_path)


def test_a_document_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("linnet.data.read.folder.MAX_DOCUMENT", 10)
    fill(tmp_path, {"pos/a.txt": b"x" * 10, "neg/a.txt": b"x" * 11})
    with pytest.raises(DataError, match=r"neg/a\.txt: longer than 10 bytes"):
        rows(tmp_path)

"""A folder whose names are its labels, and every other folder refused with what is in it."""

from pathlib import Path

import pytest

from linnet.data.sources.find import find_source
from linnet.data.sources.folder import CLASS_FILES, CLASS_FOLDERS, find_classes, folder_rows
from linnet.errors import DataError
from linnet.tables.source import Reading


def fill(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def rows(folder: Path) -> list[tuple[int, tuple[str, ...]]]:
    reading = Reading()
    source = find_classes(folder)
    assert source
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
    assert find_source(str(tmp_path)).source.format == CLASS_FILES
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
    source = find_source(str(tmp_path)).source
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
        ([], r"of 0 files \(none\)"),
        (["r.pos"], r"of 1 files \('r.pos'\)"),
        (["r.pos", "s.neg"], "of 2 files"),
        (["r.pos", "r.neg", "other"], "of 3 files"),
        (["r.pos", "r"], "of 2 files"),
        (["r.txt", "r.neg"], "of 2 files"),
        (["train/a.txt", "test/b.txt"], r"of 2 files \('test/b.txt', 'train/a.txt'\)"),
        (["pos/a.txt"], "of 1 files"),
        (["pos/a.txt", "neg/b.csv"], r"holds neg/b\.csv"),
        (["pos/a.txt", "neg/deep/b.txt"], "holds neg/deep"),
    ],
)
def test_other_folders_are_refused(tmp_path: Path, files: list[str], found: str) -> None:
    fill(tmp_path, dict.fromkeys(files, b"text\n"))
    with pytest.raises(DataError, match=found) as caught:
        find_source(str(tmp_path))
    assert "xpected one file for each class" in str(caught.value)


def test_bad_bytes_are_told_with_their_file_and_line(tmp_path: Path) -> None:
    fill(tmp_path, {"r.pos": b"fine\n", "r.neg": b"bad\ncaf\xe9\n"})
    with pytest.raises(DataError, match=r"r\.neg, row 2: byte 0xe9 at position 4 is not utf-8"):
        rows(tmp_path)


def test_a_document_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("linnet.data.sources.folder.MAX_DOCUMENT", 10)
    fill(tmp_path, {"pos/a.txt": b"x" * 10, "neg/a.txt": b"x" * 11})
    with pytest.raises(DataError, match=r"neg/a\.txt: longer than 10 bytes"):
        rows(tmp_path)

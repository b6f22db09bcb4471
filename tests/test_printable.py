"""Text that can be shown anywhere, and file names that are not UTF-8 on every way that a path takes."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linnet.cli.main import main
from linnet.config import load_config
from linnet.files import whole_directory
from linnet.links import plain
from linnet.printable import (
    ERRORS,
    escape_surrogates,
    file_name,
    printable,
    printable_cell,
)

CAFE = os.fsdecode(b"caf\xe9.csv")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, ünïcode, 日本 😀\tand\nlines", "plain, ünïcode, 日本 😀\tand\nlines"),
        (CAFE, r"caf\xe9.csv"),
        ("\ud800", r"\ud800"),
        ("\x1b[31mred\x1b[0m \x07\x08\r\x00\x7f", r"\x1b[31mred\x1b[0m \x07\x08\x0d\x00\x7f"),
        ("\x9b31m \u2028 \u202egpj.exe", r"\x9b31m \u2028 \u202egpj.exe"),
    ],
)
def test_what_could_harm_a_terminal_is_escaped(text, shown):
    assert printable(text) == shown
    assert printable_cell(text) == shown.replace("\n", r"\n").replace("\t", r"\t")


@given(st.text(st.characters()))
def test_any_text_can_be_encoded_and_a_cell_is_one_line(text):
    escape_surrogates(text).encode()
    cell = printable_cell(text)
    cell.encode()
    assert len(cell.splitlines()) <= 1
    assert text.encode("ascii", ERRORS).isascii()


def test_what_an_encoding_lacks_is_escaped():
    assert f"é 日 😀 {CAFE}".encode(
        "latin-1", ERRORS
    ) == rb"\xe9 \u65e5 \U0001f600 caf\xe9.csv".replace(rb"\xe9 \u", b"\xe9 \\u", 1)


@pytest.fixture
def odd_folder(tmp_path, monkeypatch):
    """A working folder, with a folder in it whose name is not UTF-8."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / os.fsdecode(b"d\xe9")
    folder.mkdir()
    return folder


def test_settings_name_such_a_file_as_it_is_shown_and_read_back_equal(odd_folder):
    Path(CAFE).touch()
    config = load_config(overrides=[f'data.source="{CAFE}"', f"model.name_or_path={odd_folder}"])
    assert (config.data.source, config.model.name_or_path) == (CAFE, str(odd_folder))
    config.save(odd_folder / "linnet.toml")
    assert r'source = "caf\\xe9.csv"' in (odd_folder / "linnet.toml").read_text(encoding="utf-8")
    assert load_config(odd_folder / "linnet.toml") == config


def test_a_name_that_really_holds_a_backslash_is_left_alone(odd_folder):
    assert file_name(r"caf\xe9.csv") == r"caf\xe9.csv"  # neither exists
    Path(CAFE).touch()
    assert file_name(r"caf\xe9.csv") == CAFE
    Path(r"caf\xe9.csv").touch()
    assert file_name(r"caf\xe9.csv") == r"caf\xe9.csv"


def test_libraries_get_a_path_that_they_can_read(odd_folder):
    (odd_folder / "file").write_text("there")
    assert plain(Path("relative")) == Path("relative")
    for path in (odd_folder / "file", Path(odd_folder.name, "file")):
        assert str(plain(path)).encode()
        assert plain(path).read_text() == "there"
    with whole_directory(odd_folder / CAFE) as folder:
        assert str(folder).encode()
        (folder / "made").touch()
    assert (odd_folder / CAFE / "made").exists()


def test_a_full_disk_behind_such_a_path_is_a_storage_error(odd_folder, files_of_at_most):
    from linnet.errors import StorageError

    with (
        pytest.raises(StorageError, match="File too large"),
        files_of_at_most(10),
        whole_directory(odd_folder / "out") as folder,
    ):
        (folder / "file").write_bytes(bytes(1000))
    assert not (odd_folder / "out").exists()


def test_a_file_whose_name_is_not_utf_8_is_prepared(odd_folder, labelled_csv, capsys):
    Path(CAFE).write_bytes(labelled_csv.read_bytes())
    out = odd_folder / "splits"
    assert main(["prepare", "--data", CAFE, "--out", str(out)]) == 0
    shown = capsys.readouterr().out
    assert r"Rows of caf\xe9.csv" in shown
    assert rf"linnet train --splits '{odd_folder.parent}/d\xe9/splits'" in shown
    card = json.loads((out / "data_card.json").read_text(encoding="utf-8"))
    assert card["source"]["name"] == r"caf\xe9.csv"
    assert r"caf\xe9.csv" in (out / "data_card.html").read_text(encoding="utf-8")
    # Once more, so that the former splits are read and replaced.
    assert main(["prepare", "--data", CAFE, "--out", str(out)]) == 0
    assert "0 are new" in capsys.readouterr().out
    assert main(["prepare", "--data", os.fsdecode(b"absent\xe9.csv")]) == 3
    assert r"absent\xe9.csv does not exist" in capsys.readouterr().err


def test_a_bundle_in_such_a_folder_scores_such_a_file(odd_folder, bundle, labelled_csv, capsys):
    import shutil

    shutil.copytree(bundle, odd_folder / "bundle")
    Path(CAFE).write_bytes(labelled_csv.read_bytes())
    out = odd_folder / CAFE
    assert main(["score", str(odd_folder / "bundle"), CAFE, "--out", str(out)]) == 0
    assert len(out.read_text(encoding="utf-8").splitlines()) == 601
    assert main(["explain", str(odd_folder / "bundle"), "good day"]) == 0
    capsys.readouterr()


def test_bytes_that_are_no_text_are_read_back():
    assert b"ok \xff\xfe".decode("utf-8", ERRORS) == "ok \ufffd\ufffd"

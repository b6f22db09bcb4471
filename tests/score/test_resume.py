"""What is scored so far is written into a file of Linnet's own, wherever somebody put a link."""

import os

import pytest

from linnet.errors import UsageError
from linnet.score.resume import resumable


@pytest.mark.parametrize("plant", ["a link", "a pipe"])
def test_rows_are_never_written_through_a_planted_file(tmp_path, plant):
    target = tmp_path / "out.csv"
    precious = tmp_path / "precious"
    precious.write_text("precious\n")
    with resumable(target, {}, overwrite=False) as work:
        if plant == "a link":
            work.rows.symlink_to(precious)
        else:
            os.mkfifo(work.rows)
        with pytest.raises(UsageError, match="rows is a symbolic link or no plain file"):
            work.append(b"text,label\n", 1, {})
    assert precious.read_text() == "precious\n"
    assert not target.exists()


def test_rows_are_written_and_put_in_place(tmp_path):
    target = tmp_path / "out.csv"
    with resumable(target, {}, overwrite=False) as work:
        work.append(b"text\n", 1, {})
        work.append(b"good\n", 2, {})
        work.put(work.rows)
    assert target.read_bytes() == b"text\ngood\n"
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]

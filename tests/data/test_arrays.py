"""Arrays on disk come back as they were appended."""

from pathlib import Path

import numpy as np
import pytest

from linnet.data.group.arrays import Arrays


def test_what_was_appended_comes_back(tmp_path: Path) -> None:
    arrays = Arrays(tmp_path / "arrays")
    for start in (0, 3, 3, 10):
        arrays.append("some", np.arange(start, 12, dtype=np.uint64)[::2])  # not contiguous
        arrays.append("none", np.empty(0, dtype=np.int8))
    expected = np.concatenate([np.arange(start, 12)[::2] for start in (0, 3, 3, 10)])
    for read in (arrays.read, arrays.map):
        assert read("some").tolist() == expected.tolist()
        assert read("some").dtype == np.uint64
        assert read("none").tolist() == []
    with pytest.raises(AssertionError):
        arrays.append("some", np.zeros(2))
    arrays.remove()
    assert not list(tmp_path.iterdir())


def test_values_go_to_disk(tmp_path: Path) -> None:
    arrays = Arrays(tmp_path / "arrays")
    arrays.append("some", np.zeros(1000, dtype=np.int32))
    assert sum(file.stat().st_size for file in (tmp_path / "arrays").iterdir()) == 4000

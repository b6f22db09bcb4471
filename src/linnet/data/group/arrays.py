"""Keep arrays of many rows on disk; memory holds an array only while it is used."""

import shutil
from pathlib import Path

import numpy as np


class Arrays:
    """A folder of growing arrays, one file per array.

    Args:
        directory: Created here, and deleted by `remove`.
    """

    def __init__(self, directory: Path):
        directory.mkdir()
        self._directory = directory
        self._types: dict[str, np.dtype] = {}

    def append(self, name: str, values: np.ndarray) -> None:
        """Append values, (n,), to an array. The first call creates it."""
        assert values.dtype == self._types.setdefault(name, values.dtype)
        with (self._directory / name).open("ab") as file:
            file.write(np.ascontiguousarray(values).data)

    def read(self, name: str) -> np.ndarray:
        """The whole array, as a copy in memory."""
        return np.fromfile(self._directory / name, self._types[name])

    def map(self, name: str) -> np.ndarray:
        """The whole array, memory-mapped and read-only."""
        path = self._directory / name
        # An empty file can't be mapped.
        return (
            np.memmap(path, self._types[name], "r")
            if path.stat().st_size
            else np.empty(0, self._types[name])
        )

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self._directory)

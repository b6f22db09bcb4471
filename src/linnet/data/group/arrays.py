"""Numbers of many rows, on disk until they are asked for: memory holds an array only while it is worked on."""

import shutil
from pathlib import Path

import numpy as np


class Arrays:
    """A folder of arrays that grow at their ends, a file each.

    Args:
        directory: Made here, and deleted by `remove`.
    """

    def __init__(self, directory: Path):
        directory.mkdir()
        self._directory = directory
        self._types: dict[str, np.dtype] = {}

    def append(self, name: str, values: np.ndarray) -> None:
        """Add values, (n,), at the end of an array, which is made by the first of them."""
        assert values.dtype == self._types.setdefault(name, values.dtype)
        with (self._directory / name).open("ab") as file:
            file.write(np.ascontiguousarray(values).data)

    def read(self, name: str) -> np.ndarray:
        """The whole array, as a copy in memory."""
        return np.fromfile(self._directory / name, self._types[name])

    def map(self, name: str) -> np.ndarray:
        """The whole array, of which memory holds what is looked at; not to be written."""
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

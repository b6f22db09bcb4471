"""What `--data` names: a file, or several that belong together, and what their names say of them.

Knows file names; knows nothing of rows.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from linnet.data.read.ahead import read_ahead
from linnet.errors import DataError
from linnet.files import digest
from linnet.raw.unpack import COMPRESSIONS, find_member, unpacked

LARGE = 1_000_000  # bytes from which on a thread reads ahead
FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}
LINES = "lines"
EXPECTED = (
    f"Expected one of {', '.join(FORMATS)}, plain or followed by one of {', '.join(COMPRESSIONS)}"
)


@dataclass(frozen=True)
class Source:
    """Raw data that exist.

    Attributes:
        path: The file or the folder.
        format: `csv`, `tsv`, `jsonl`, `parquet`; `lines` where the name doesn't say it; or, of several files, a word
            for how they belong together.
        compression: `.gz`, `.xz`, `.zip` or an empty string.
        member: The data file inside a .zip, else an empty string.
        parts: The files, where they are several.
    """

    path: Path
    format: str
    compression: str = ""
    member: str = ""
    parts: tuple["Source", ...] = ()

    @classmethod
    def find(cls, path: Path) -> "Source":
        """Look at a file's name, and into it where it is a .zip; no data is read.

        A file inside a .zip of several is meant by FILE.zip/MEMBER.

        Raises:
            DataError: No such file, one that may not be read, an empty one, or a .zip of none or several files.
        """
        path, wanted = _split_member(path)
        if not path.is_file():
            what = "is not a file" if path.exists() else "does not exist"
            raise DataError(f"The data file {path} {what}. {EXPECTED}, or 'generated'.")
        if not os.access(path, os.R_OK):
            raise DataError(
                f"The data file {path} may not be read by this user. Change its permissions."
            )
        if path.stat().st_size == 0:
            raise DataError(
                f"The data file {path} is empty: 0 bytes. {EXPECTED}, with at least one row."
            )
        suffix = path.suffix.lower()
        compression = suffix if suffix in COMPRESSIONS else ""
        member = find_member(path, wanted) if compression == ".zip" else ""
        found = cls(path, LINES, compression, member)
        return cls(
            path, FORMATS.get(PurePosixPath(found.inner).suffix.lower(), LINES), compression, member
        )

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.name or self.path.resolve().name

    @property
    def inner(self) -> str:
        """The file's name without what says how it is packed."""
        return self.member or (self.path.stem if self.compression else self.path.name)

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(part.size for part in self.parts) if self.parts else self.path.stat().st_size

    def digest(self) -> str:
        """SHA-256 of the file; of several, of what `sha256sum` prints for them in their folder."""
        if not self.parts:
            return digest(self.path)
        root = self.path if self.path.is_dir() else self.path.parent
        lines = [
            f"{part.digest()}  {part.path.relative_to(root).as_posix()}\n" for part in self.parts
        ]
        return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def _split_member(path: Path) -> tuple[Path, str]:
    """FILE.zip/MEMBER as its two parts; any other path and an empty string."""
    for parent in path.parents:
        if parent.suffix.lower() == ".zip" and parent.is_file():
            return parent, path.relative_to(parent).as_posix()
    return path, ""


class Reading:
    """Files as they are opened and read, and how many of their bytes have been."""

    def __init__(self) -> None:
        self._done = 0
        self._open: list[IO[bytes]] = []

    @contextmanager
    def open(self, source: Source) -> Iterator[IO[bytes]]:
        """The plain bytes of one file, for the block.

        Raises:
            DataError: A packed file turns out to be cut, damaged, encrypted, or to unpack without end.
        """
        with unpacked(source.path, source.compression, source.member) as (stream, beneath):
            self._open.append(beneath)
            try:
                if source.format == "parquet" or source.path.stat().st_size < LARGE:
                    yield stream
                else:
                    with read_ahead(stream) as ahead:
                        yield ahead
            finally:
                self._done += beneath.tell()
                self._open.remove(beneath)

    def position(self) -> int:
        """Bytes read of all files so far, packed as they are."""
        return self._done + sum(beneath.tell() for beneath in self._open)

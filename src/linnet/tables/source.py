"""A file of rows, or several that belong together: names, content, and how far it was read.

Knows file names and first bytes. Knows nothing of rows.
"""

import hashlib
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, cast

from linnet.errors import DataError, UsageError
from linnet.files import digest
from linnet.tables.compression import COMPRESSIONS, find_member, unpacked
from linnet.tables.read_ahead import read_ahead
from linnet.tables.signature import LOOKED_AT, check_signature

STANDARD = "-"  # standard input
LARGE = 1_000_000  # bytes from which on a thread reads ahead
CSV = "csv"
TSV = "tsv"
JSON = "json"
JSON_LINES = "jsonl"
LINES = "lines"
PARQUET = "parquet"
FORMATS = {
    ".csv": CSV,
    ".tsv": TSV,
    ".tab": TSV,
    ".jsonl": JSON_LINES,
    ".ndjson": JSON_LINES,
    ".json": JSON,
    ".parquet": PARQUET,
}
EXPECTED = (
    f"Expected one of {', '.join(FORMATS)}, plain or followed by one of {', '.join(COMPRESSIONS)}"
)


@dataclass(frozen=True)
class Source:
    """Raw data that exist.

    Attributes:
        path: The file or the folder, or `-` for standard input.
        format: `csv`, `tsv`, `jsonl`, `json` or `parquet`; `lines` where the name says none of
            these; or, of several files, a word for how they belong together.
        compression: `.gz`, `.xz`, `.zip` or an empty string.
        member: The data file inside a .zip, else an empty string.
        parts: The files, where they are several.
        title: What it is called, if not by its path.
    """

    path: Path
    format: str
    compression: str = ""
    member: str = ""
    parts: tuple["Source", ...] = ()
    title: str = ""

    @classmethod
    def find(cls, path: Path, format: str = "", *, empty: bool = False) -> "Source":
        """Look at a file's name, and into it where it is a .zip; no data is read.

        A file inside a .zip of several is meant by FILE.zip/MEMBER.

        Args:
            path: The file, or `-` for standard input.
            format: What it is; empty to go by its name.
            empty: Whether it may have no bytes.

        Raises:
            DataError: No such file, one that may not be read, an empty one, or a .zip of none or
                several files.
            UsageError: Parquet from standard input.
        """
        if str(path) == STANDARD:
            if format == PARQUET:
                raise UsageError(
                    "Parquet is read from its end, so it can't come by standard input. Name a file."
                )
            return cls(path, format or LINES)
        try:
            return cls._find(path, format, empty)
        except OSError as error:
            raise DataError(
                f"The data file {path!s:.200} can't be looked at: {error.strerror}. {EXPECTED}."
            ) from error

    @classmethod
    def _find(cls, path: Path, format: str, empty: bool) -> "Source":
        path, wanted = _split_member(path)
        if not path.is_file():
            what = "is not a file" if path.exists() else "does not exist"
            raise DataError(f"The data file {path} {what}. {EXPECTED}.")
        if not os.access(path, os.R_OK):
            raise DataError(
                f"The data file {path} may not be read by this user. Change its permissions."
            )
        if path.stat().st_size == 0 and not empty:
            raise DataError(
                f"The data file {path} is empty: 0 bytes. {EXPECTED}, with at least one row."
            )
        suffix = path.suffix.lower()
        compression = suffix if suffix in COMPRESSIONS else ""
        member = find_member(path, wanted) if compression == ".zip" else ""
        found = cls(path, format, compression, member)
        return cls(path, format or FORMATS.get(found.suffix, LINES), compression, member)

    @property
    def name(self) -> str:
        """The last part of its path, or its title."""
        return self.title or self.path.name or self.path.resolve().name

    @property
    def inner(self) -> str:
        """The file's name without what says how it is packed."""
        return self.member or (self.path.stem if self.compression else self.path.name)

    @property
    def suffix(self) -> str:
        """The ending of that name, in small letters."""
        return PurePosixPath(self.inner).suffix.lower()

    @property
    def standard(self) -> bool:
        """Whether it is standard input, which can be read once."""
        return str(self.path) == STANDARD

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
            return parent, path.relative_to(parent).as_posix().replace("\\", "/")
    return path, ""


class Reading:
    """Files as they are opened and read, and how many of their bytes have been.

    Args:
        ahead: Whether a thread may read ahead; the stream of a large file can't be sought in then.
    """

    def __init__(self, ahead: bool = True) -> None:
        self._ahead = ahead
        self._done = 0
        self._open: list[IO[bytes]] = []

    @contextmanager
    def open(self, source: Source) -> Iterator[IO[bytes]]:
        """The plain bytes of one file, for the block.

        Raises:
            DataError: It is not what its name says by its first bytes, or a packed file turns out
                to be cut, damaged, encrypted, or to unpack without end.
        """
        if source.standard:
            _check_start(sys.stdin.buffer, source)
            yield sys.stdin.buffer
            return
        with unpacked(source.path, source.compression, source.member) as (stream, beneath):
            _check_start(stream, source)
            self._open.append(beneath)
            try:
                if (
                    not self._ahead
                    or source.format == PARQUET
                    or source.path.stat().st_size < LARGE
                ):
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


def _check_start(stream: IO[bytes], source: Source) -> None:
    start = cast(io.BufferedReader, stream).peek(LOOKED_AT)[:LOOKED_AT]
    if source.format == PARQUET and (not start or start.startswith(b"PAR1")):
        return
    check_signature(start, source.path, source.inner if source.compression else "")

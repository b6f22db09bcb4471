"""The file to score and the file to write: what their names say, opened. Knows nothing of rows."""

import gzip
import lzma
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, cast

from linnet.errors import DataError, UsageError
from linnet.files import digest
from linnet.raw.unpack import COMPRESSIONS, find_member, unpacked

STANDARD = "-"  # standard input, standard output
FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".txt": "lines",
    ".parquet": "parquet",
}
WRITTEN = {
    "csv": (".csv",),
    "tsv": (".tsv", ".tab"),
    "jsonl": (".jsonl", ".ndjson"),
    "lines": (".csv",),
}
PACKED = ("", ".gz", ".xz")
EXPECTED = f"Expected a name that ends in one of {', '.join(FORMATS)}, plain or followed by {', '.join(COMPRESSIONS)}"


@dataclass(frozen=True)
class Source:
    """A file that exists, or standard input.

    Attributes:
        path: The file, or `-`.
        format: `csv`, `tsv`, `jsonl`, `lines` (a text each) or `parquet`.
        compression: `.gz`, `.xz`, `.zip` or an empty string.
        member: The data file inside a .zip, else an empty string.
    """

    path: Path
    format: str
    compression: str = ""
    member: str = ""

    @classmethod
    def find(cls, path: Path, format: str) -> "Source":
        """Look at a file's name; no data is read.

        Args:
            path: The file, or `-`.
            format: What it is; empty to go by the name. Standard input without it has a text in each line.

        Raises:
            DataError: No such file, or one that may not be read.
            UsageError: The name doesn't say the format.
        """
        if str(path) == STANDARD:
            if format == "parquet":
                raise UsageError(
                    "Parquet is read from its end, so it can't come by standard input. Name a file."
                )
            return cls(path, format or "lines")
        if not path.is_file():
            what = "is not a file" if path.exists() else "does not exist"
            raise DataError(f"The file {path} {what}. {EXPECTED}; or - for standard input.")
        if not os.access(path, os.R_OK):
            raise DataError(
                f"The file {path} may not be read by this user. Change its permissions."
            )
        suffix = path.suffix.lower()
        compression = suffix if suffix in COMPRESSIONS else ""
        member = find_member(path) if compression == ".zip" else ""
        inner = PurePosixPath(member or (path.stem if compression else path.name))
        format = format or FORMATS.get(inner.suffix.lower(), "")
        if not format:
            raise UsageError(
                f"Can't tell the format of {path}. {EXPECTED}; or say it with --format."
            )
        return cls(path, format, compression, member)

    @property
    def standard(self) -> bool:
        """Whether it is standard input, which can be read once."""
        return str(self.path) == STANDARD

    def digest(self) -> str:
        """SHA-256 of the file."""
        return digest(self.path)

    @contextmanager
    def open(self) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
        """Its plain bytes, and the file beneath them, whose position tells the progress.

        Raises:
            DataError: A packed file turns out to be cut, damaged, encrypted, or to unpack without end.
        """
        if self.standard:
            yield sys.stdin.buffer, sys.stdin.buffer
        else:
            with unpacked(self.path, self.compression, self.member) as opened:
                yield opened


@dataclass(frozen=True)
class Target:
    """The file to write, or standard output.

    Attributes:
        path: The file, or `-`.
        compression: `.gz`, `.xz` or an empty string.
    """

    path: Path
    compression: str = ""

    @classmethod
    def find(cls, path: Path, source: Source) -> "Target":
        """Look at a name.

        Raises:
            UsageError: It isn't that of a file of the rows to be written, or it is the source.
        """
        if str(path) == STANDARD:
            if source.format == "parquet":
                raise UsageError(
                    "The rows of a Parquet file become a Parquet file. Name one with --out."
                )
            return cls(path)
        compression = path.suffix.lower() if path.suffix.lower() in PACKED else ""
        endings = WRITTEN.get(source.format, (".parquet",))
        inner = path.stem if compression else path.name
        if PurePosixPath(inner).suffix.lower() not in endings or (
            source.format == "parquet" and compression
        ):
            packed = "" if source.format == "parquet" else ", plain or followed by .gz or .xz"
            raise UsageError(
                f"The rows of {source.path} ({source.format}) can't be written to {path}. Expected a name for --out "
                f"that ends in {' or '.join(endings)}{packed}; or - for standard output."
            )
        if path.is_dir():
            raise UsageError(
                f"{path} is a folder, and a file is to be written there. Choose another --out."
            )
        if path.exists() and not source.standard and path.samefile(source.path):
            raise UsageError(
                f"{path} is the file that is scored, which stays as it is. Choose another --out."
            )
        return cls(path, compression)

    @property
    def standard(self) -> bool:
        """Whether it is standard output."""
        return str(self.path) == STANDARD

    def pack(self, data: bytes) -> bytes:
        """Bytes as they go into the file; packed ones stand for themselves, so that parts can follow each other."""
        if self.compression == ".gz":
            return gzip.compress(data, mtime=0)
        return lzma.compress(data) if self.compression == ".xz" else data

    def unpack(self, path: Path) -> IO[bytes]:
        """The plain bytes of what was packed into a file; to be closed."""
        if self.compression == ".gz":
            return cast(IO[bytes], gzip.open(path))
        return cast(IO[bytes], lzma.open(path)) if self.compression == ".xz" else path.open("rb")

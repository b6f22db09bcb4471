"""A raw file on disk, opened as one stream of plain bytes whatever it was packed in.

Knows file names and compression; knows nothing of rows.
"""

import gzip
import lzma
import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, cast

from linnet.errors import DataError

FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}
COMPRESSIONS = (".gz", ".xz", ".zip")
EXPECTED = f"Expected one of {', '.join(FORMATS)}, plain or followed by one of {', '.join(COMPRESSIONS)}"
DAMAGE = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, zipfile.BadZipFile)


@dataclass(frozen=True)
class Source:
    """A raw file that exists and whose name says what it holds.

    Attributes:
        path: The file.
        format: `csv`, `tsv`, `jsonl` or `parquet`.
        compression: `.gz`, `.xz`, `.zip` or an empty string.
        member: The data file inside a .zip, else an empty string.
    """

    path: Path
    format: str
    compression: str
    member: str

    @classmethod
    def find(cls, path: Path) -> "Source":
        """Look at a file's name, and into it where it is a .zip; no data is read.

        Raises:
            DataError: No such file, an empty one, or one whose name or content can't be a data file.
        """
        archive, member = _member_path(path)
        if member:
            path = archive
        elif not path.is_file():
            what = "is not a file" if path.exists() else "does not exist"
            raise DataError(f"The data file {path} {what}. {EXPECTED}, or 'generated'.")
        if not os.access(path, os.R_OK):
            raise DataError(f"The data file {path} may not be read by this user. Change its permissions.")
        if path.stat().st_size == 0:
            raise DataError(f"The data file {path} is empty: 0 bytes. {EXPECTED}, with at least one row.")
        suffix = path.suffix.lower()
        compression = suffix if suffix in COMPRESSIONS else ""
        if compression == ".zip":
            member = _member(path, member)
        inner = member or (path.stem if compression else path.name)
        extension = PurePosixPath(inner).suffix.lower()
        if extension not in FORMATS:
            raise DataError(f"{path}: can't tell the format of {inner!r} by its name. {EXPECTED}.")
        return cls(path, FORMATS[extension], compression, member)

    @contextmanager
    def open(self) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
        """Open the file for the block.

        Yields:
            The decompressed bytes, and the file beneath them, whose position tells the progress.

        Raises:
            DataError: The compressed file turns out to be cut, damaged or encrypted.
        """
        try:
            with ExitStack() as stack:
                beneath = stack.enter_context(self.path.open("rb"))
                yield self._decompress(beneath, stack), beneath
        except DAMAGE as error:
            raise DataError(
                f"{self.path} is cut or damaged: {error or type(error).__name__}. Fetch or compress it again."
            ) from error

    def _decompress(self, beneath: IO[bytes], stack: ExitStack) -> IO[bytes]:
        if self.compression == ".gz":
            return stack.enter_context(cast(IO[bytes], gzip.GzipFile(fileobj=beneath)))
        if self.compression == ".xz":
            return stack.enter_context(cast(IO[bytes], lzma.LZMAFile(beneath)))
        if self.compression == ".zip":
            return stack.enter_context(stack.enter_context(zipfile.ZipFile(beneath)).open(self.member))
        return beneath


def _member_path(path: Path) -> tuple[Path, str]:
    """FILE.zip/MEMBER to its two parts; the member is empty where the path is none of that kind."""
    for parent in path.parents:
        if parent.suffix.lower() == ".zip" and parent.is_file():
            return parent, path.relative_to(parent).as_posix()
    return path, ""


def _member(path: Path, wanted: str) -> str:
    """The data file inside a .zip: the one that is wanted, or the only one."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = [entry for entry in archive.infolist() if _is_data(entry)]
    except DAMAGE as error:
        raise DataError(f"{path} is cut or damaged: {error}. Fetch or compress it again.") from error
    names = ", ".join(repr(entry.filename) for entry in members[:5]) or "none"
    if wanted:
        members = [entry for entry in members if entry.filename == wanted]
        if not members:
            raise DataError(f"{path}: there is no {wanted!r} inside. The data files are: {names}.")
    if len(members) != 1:
        raise DataError(
            f"{path}: expected exactly one data file inside, found {len(members)} ({names}). "
            f"Name one of several behind the archive: {path}/MEMBER."
        )
    name = members[0].filename
    if ".." in PurePosixPath(name).parts or name.startswith(("/", "\\")) or "\\" in name or ":" in name:
        raise DataError(f"{path}: the file inside has a path that leads out of it: {name!r}. Zip it again by its name.")
    if members[0].flag_bits & 1:
        raise DataError(f"{path}: the file inside is encrypted. Unpack it first.")
    return name


def _is_data(entry: zipfile.ZipInfo) -> bool:
    # macOS adds a shadow of each file, and finders leave dot files.
    name = PurePosixPath(entry.filename)
    return not entry.is_dir() and "__MACOSX" not in name.parts and not name.name.startswith(".")

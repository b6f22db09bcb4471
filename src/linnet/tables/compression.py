"""Compressed bytes to plain bytes, refused where a small file would unpack without end."""

import gzip
import io
import lzma
import shlex
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from linnet.errors import DataError
from linnet.tables.signature import LOOKED_AT, what_is
from linnet.tables.xz import XzFile

COMPRESSIONS = (".gz", ".xz", ".zip")
# A damaged .zip also asks zipfile for places before its beginning (OSError, ValueError) and
# versions of the future.
DAMAGE = (
    EOFError,
    OSError,
    ValueError,
    NotImplementedError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
)
MAGIC = {".gz": b"\x1f\x8b", ".xz": b"\xfd7zXZ\x00", ".zip": b"PK"}
ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
# Texts shrink to a third or a tenth; what goes beyond both limits was made to fill a disk.
MAX_BYTES = 1 << 30
MAX_RATIO = 100
CHUNK = 1 << 20


@contextmanager
def unpacked(path: Path, compression: str, member: str) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """Open a file for the block.

    Args:
        path: The file.
        compression: One of the above, or empty.
        member: The file inside a .zip.

    Yields:
        The plain bytes, and the file beneath them, whose position tells the progress.

    Raises:
        DataError: The compressed file turns out to be cut, damaged, encrypted, or to unpack without
            end.
    """
    with ExitStack() as stack:
        beneath = stack.enter_context(_open(path))
        if not compression:
            yield beneath, beneath
            return
        _check_packed(beneath, compression, path)
        with _damage(path), _open(path) as probe, ExitStack() as probed:
            _probe(_opener(probe, compression, member, probed), probe, path)
        with _damage(path):
            watched = _Watched(_opener(beneath, compression, member, stack), path)
        yield cast(IO[bytes], stack.enter_context(io.BufferedReader(watched, CHUNK))), beneath


def find_member(path: Path, wanted: str = "") -> str:
    """Name of the data file inside a .zip: the wanted one, or the only one.

    Raises:
        DataError: There is none, there are several, or it can't be trusted.
    """
    with _damage(path), zipfile.ZipFile(path) as archive:
        members = [entry for entry in archive.infolist() if _is_data(entry)]
    names = ", ".join(repr(entry.filename) for entry in members[:5]) or "none"
    if wanted and wanted not in {_slashed(entry) for entry in members}:
        raise DataError(f"{path}: there is no {wanted!r} inside. The data files are: {names}.")
    members = [entry for entry in members if wanted in ("", _slashed(entry))]
    if not members:
        raise DataError(
            f"{path} has no data file. Expected one whose name does not begin with a dot."
        )
    if len(members) > 1:
        raise DataError(
            f"{path}: expected exactly one data file inside, found {len(members)} ({names}). "
            f"Name one of several behind the archive: {path}/MEMBER. "
            f"The first is {shlex.quote(f'{path}/{_slashed(members[0])}')}"
        )
    name = members[0].filename
    plain = _slashed(members[0])
    if ".." in PurePosixPath(plain).parts or plain.startswith("/") or ":" in plain:
        raise DataError(
            f"{path}: the file inside has a path that leads out of it: {name!r}. "
            "Zip it again by its name."
        )
    if members[0].flag_bits & 1 or members[0].compress_type not in ZIP_METHODS:
        how = (
            "encrypted"
            if members[0].flag_bits & 1
            else "packed by a method that Python doesn't know"
        )
        raise DataError(f"{path}: the file inside is {how}. Unpack it first.")
    _check(members[0].file_size, path)
    return name


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    """Say of a packed file that it is broken, in a sentence; the block does nothing but unpack."""
    try:
        yield
    except DAMAGE as error:
        detail = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{path} is cut or damaged: {detail.rstrip('.')}. Fetch or compress it again."
        ) from error


def _is_data(entry: zipfile.ZipInfo) -> bool:
    # macOS adds a shadow of each file, and finders leave dot files.
    name = PurePosixPath(_slashed(entry))
    return (
        not _slashed(entry).endswith("/")
        and "__MACOSX" not in name.parts
        and (not name.name.startswith(".") or ".." in name.parts)
    )


def _slashed(entry: zipfile.ZipInfo) -> str:
    """A member's name with slashes; PowerShell 5.1 writes backslashes between folders."""
    return entry.filename.replace("\\", "/")


def _check_packed(beneath: IO[bytes], compression: str, path: Path) -> None:
    """Refuse a file whose name says that it is packed, and whose first bytes say something else.

    Raises:
        DataError: Says what it is, as far as that can be seen.
    """
    start = cast(io.BufferedReader, beneath).peek(LOOKED_AT)[:LOOKED_AT]
    if not start or start.startswith(MAGIC[compression]):
        return
    what, advice = what_is(start)
    named = shlex.quote(str(path))
    bare = shlex.quote(str(path.with_suffix("")))
    if what:
        step = advice.format(name=named, stem=bare).rstrip(".")
        raise DataError(f"{path} is {what} by its first bytes, not {compression}. {step}.")
    if start.isascii() and b"\0" not in start:
        raise DataError(
            f"{path} is plain text, whatever its name says. "
            f"Name it by what it is: mv {named} {bare}"
        )


def _open(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        raise DataError(
            f"{path} can't be read: {error.strerror}. Check the file and its permissions."
        ) from error


def _opener(beneath: IO[bytes], compression: str, member: str, stack: ExitStack) -> IO[bytes]:
    if compression == ".gz":
        return stack.enter_context(cast(IO[bytes], gzip.GzipFile(fileobj=beneath)))
    if compression == ".xz":
        return cast(IO[bytes], stack.enter_context(XzFile(beneath)))
    return stack.enter_context(stack.enter_context(zipfile.ZipFile(beneath)).open(member))


def _probe(stream: IO[bytes], beneath: IO[bytes], path: Path) -> None:
    """Unpack the beginning before any row is read, and more while it grows suspiciously."""
    size = 0
    while chunk := stream.read(CHUNK):
        size += len(chunk)
        _check(size, path)
        if size <= MAX_RATIO * beneath.tell():
            return


def _check(size: int, path: Path) -> None:
    if size <= MAX_BYTES:
        return
    packed = path.stat().st_size
    if size > MAX_RATIO * packed:
        raise DataError(
            f"{path} has {packed:,} bytes and unpacks to more than "
            f"{max(MAX_BYTES, MAX_RATIO * packed):,}: a hundred "
            "times as many, which texts never do. If you trust it, unpack it yourself and name the "
            "unpacked file."
        )


class _Watched(io.RawIOBase):
    """Unpacked bytes whose number is watched while they are read."""

    def __init__(self, inner: IO[bytes], path: Path):
        self._inner = inner
        self._path = path

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with _damage(self._path):
            data = self._inner.read(len(buffer))
        buffer[: len(data)] = data
        _check(self._inner.tell(), self._path)
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        with _damage(self._path):
            position = self._inner.seek(offset, whence)
        _check(position, self._path)
        return position

    def tell(self) -> int:
        return self._inner.tell()

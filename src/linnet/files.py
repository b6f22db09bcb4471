"""Files and folders that appear whole or not at all: write next to the target, fsync, rename.

A symbolic link at the target is followed: what it points to is replaced, the link stays.
Knows nothing of what is in them.
"""

import ctypes
import errno
import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
import stat
import sys
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from linnet.errors import StorageError, UsageError
from linnet.links import followed, plain
from linnet.printable import escape_surrogates

PIECE_BYTES = 1 << 20  # of a file that is digested, between two looks at whether to go on
RENAME_EXCHANGE = 2  # linux/fs.h
RENAME_SWAP = 2  # macOS sys/stdio.h
AT_FDCWD = -100
FINDER = ".DS_Store"  # in every folder that macOS has shown
DISK_ERRORS = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EIO,
    errno.EFBIG,
    errno.EACCES,
    errno.EPERM,
}
DISK_ERRORS |= {errno.ENAMETOOLONG}
DISK_ERRORS |= {errno.EBUSY, errno.EXDEV}  # a mount point, and what lies behind it
NOT_PLAIN = {errno.ELOOP, errno.ENXIO, errno.EISDIR}  # a link, a pipe without a reader, a folder
RUST_ERROR = re.compile(
    r"\(os error ([0-9]{1,4})\)"
)  # how safetensors and tokenizers tell of the system's refusals


def digest(path: Path, check: Callable[[], None] = lambda: None) -> str:
    """SHA-256 of a file, as 64 hexadecimal digits.

    Args:
        path: The file.
        check: Called before each piece of `PIECE_BYTES`; gives the work up by what it raises.
    """
    found = hashlib.sha256()
    piece = memoryview(bytearray(PIECE_BYTES))
    with path.open("rb", buffering=0) as file:
        check()
        while count := file.readinto(piece):
            found.update(piece[:count])
            check()
    return found.hexdigest()


def canonical_json(value: Any) -> str:
    r"""JSON with sorted keys and a final newline: equal values give equal bytes.

    A file name that is not UTF-8 is written as it is shown, with an escape such as `\xe9`.
    """
    text = json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True, allow_nan=False)
    return escape_surrogates(text, r"\\") + "\n"


def write_text(path: Path, text: str, private: bool = False) -> None:
    """Write a text file as UTF-8, whole or not at all.

    Args:
        path: Where; its folder is made if there is none. A symbolic link is followed.
        text: The content. A surrogate in it is escaped.
        private: Only the owner may read and write it.

    Raises:
        UsageError: The path is a symbolic link that leads nowhere.
        StorageError: The disk refused the write; the file's former content is unchanged.
    """
    write_bytes(path, escape_surrogates(text).encode("utf-8"), private)


def write_bytes(path: Path, content: bytes, private: bool = False) -> None:
    """Write a file, whole or not at all. Arguments and errors as for `write_text`."""
    with disk_errors(path):
        real = followed(path)
        real.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(real)
        temporary = temporary_file(real)
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            descriptor = os.open(temporary, flags, 0o600 if private else 0o666)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(real)
            _sync_directory(real.parent)
        finally:
            temporary.unlink(missing_ok=True)


def temporary_file(target: Path) -> Path:
    """A name next to a target that nobody can guess; `install` finds what a kill leaves there."""
    return target.with_name(f".{target.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")


def install(temporary: Path, target: Path) -> None:
    """Put a finished file in the target's place in one step that survives a power cut.

    Files that killed processes of this host left behind for the same target are removed.

    Args:
        temporary: The finished file.
        target: Where it goes. A symbolic link is followed, to another file system too.

    Raises:
        UsageError: The target is a symbolic link that leads nowhere.
        StorageError: The disk refused; the target is unchanged.
    """
    with disk_errors(target):
        real = followed(target)
        if temporary.stat().st_dev != real.parent.stat().st_dev:
            temporary = _moved_next_to(real, temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(real)
        _remove_leftovers(real)
        _sync_directory(real.parent)


def _moved_next_to(target: Path, file: Path) -> Path:
    near = temporary_file(target)
    try:
        with file.open("rb") as source, near.open("xb") as copy:
            shutil.copyfileobj(source, copy)
    except BaseException:
        near.unlink(missing_ok=True)
        raise
    file.unlink()
    return near


def open_own(path: Path) -> BinaryIO:
    """Open a file to append to it: made if missing, no link followed, no pipe waited for.

    Raises:
        UsageError: The path is a symbolic link or no plain file.
        OSError: The file can't be opened.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        file = os.fdopen(os.open(path, flags, 0o666), "ab")
    except OSError as error:
        if error.errno not in NOT_PLAIN:
            raise
    else:
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return file
        file.close()
    raise UsageError(
        f"{path} is a symbolic link or no plain file, and Linnet writes a file of its own there. "
        "Remove it, or choose another place."
    )


@contextmanager
def locked(path: Path, wait: bool = True) -> Iterator[bool]:
    """Hold a lock while the block runs; it ends with the process, however that ends.

    Args:
        path: A file, made where there is none. Its folder exists.
        wait: Wait until no other process holds it.

    Yields:
        Whether it is held; always if waited for.

    Raises:
        UsageError: The path is a symbolic link or no plain file.
        StorageError: The file can't be made, or its disk has no locks.
    """
    with disk_errors(path):
        file = open_own(path)
    with file:
        yield _lock(file.fileno(), path, wait)


@contextmanager
def locked_folder(path: Path) -> Iterator[None]:
    """Wait for a lock on a folder and hold it while the block runs. It leaves no file there.

    Raises:
        StorageError: Its disk has no locks.
        OSError: The folder can't be opened.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _lock(descriptor, path, wait=True)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path, wait: bool) -> bool:
    """Lock an open file until it is closed; returns whether the lock is held."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise StorageError(
            f"{path} can't be locked: {error.strerror}. Choose a folder on a local disk."
        ) from error
    return True


@contextmanager
def whole_directory(
    target: Path, holds: str | None = None, only: Container[str] | None = None
) -> Iterator[Path]:
    """Give an empty folder to fill; at the end of the block it replaces the target in one step.

    On any error, and on a kill, what was at the target is still there. Folders that a killed
    process of this host left behind are removed by the next call for the same target.

    Args:
        target: Where the folder is to appear. A symbolic link is followed.
        holds: A file that every folder of this kind holds; what is at the target is replaced
            only if it is empty or holds it too, so that no mistyped path costs anybody their work.
            None: it is replaced anyhow.
        only: Whatever folders of this kind hold; one that holds more is not replaced, for that is
            somebody's own.

    Raises:
        UsageError: There is something else at the target or in it, or no folder can be made there.
        StorageError: The disk refused a write.
    """
    asked = Path(os.path.abspath(target))
    check_replaceable(asked, holds, only)
    with disk_errors(asked):
        target = followed(asked)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError, FileNotFoundError) as error:
            raise UsageError(
                f"No folder can be made at {asked}: {error.strerror}. Choose another."
            ) from None
        _remove_leftovers(target)
        temporary = temporary_file(target)
        temporary.mkdir()
    try:
        with disk_errors(asked, inside=temporary):
            yield plain(temporary)
            _sync_tree(temporary)
            if os.path.lexists(target):
                _exchange(temporary, target)
            else:
                temporary.rename(target)
            _sync_directory(target.parent)
    finally:
        _remove(temporary)


def check_replaceable(target: Path, holds: str | None, only: Container[str] | None = None) -> None:
    """Refuse a target whose replacement would cost something; see `whole_directory`.

    Raises:
        UsageError: It is no folder, is the working folder or a mount point, is not
            of the kind, or holds more; or it is a symbolic link that leads nowhere.
        StorageError: This user may not look there.
    """
    with disk_errors(target):  # this user may not look there, or no disk has such names
        if not followed(target).exists():
            return
        if not target.is_dir():
            raise UsageError(
                f"{target} is no folder, and a folder is to be written there. Choose another place."
            )
        if Path.cwd().is_relative_to(target.resolve()):
            raise UsageError(
                f"{target} is the folder you work in, so it is not replaced. Choose another."
            )
        if followed(target).is_mount():
            raise UsageError(
                f"{target} is a mount point, which can't be replaced as a whole. "
                f"Choose a folder in it, such as {target / 'out'}."
            )
        if holds and any(target.iterdir()) and not (target / holds).is_file():
            raise UsageError(
                f"{target} exists and holds no {holds}, so it is not Linnet's to replace. Choose "
                f"another, or empty it."
            )
        strange = sorted(
            path.name
            for path in target.iterdir()
            if only and path.name not in only and path.name != FINDER
        )
        if strange:
            raise UsageError(
                f"{target} is replaced as a whole, and {strange[0]!r} in it, which Linnet didn't "
                "write, would be lost. Move it elsewhere, or choose another folder."
            )


@contextmanager
def disk_errors(target: Path, inside: Path | None = None) -> Iterator[None]:
    """Turn what a disk refuses in the block into one sentence; any other error passes.

    Args:
        target: What is being written.
        inside: A folder; only errors that name a file in it, or none, are the disk's.

    Raises:
        StorageError: The disk refused a write.
    """
    try:
        yield
    except Exception as error:
        number, name = _system_error(error)
        # The block may read files too: one that can't be opened elsewhere is no failed write.
        elsewhere = inside and name and not _is_inside(name, inside)
        if number not in DISK_ERRORS or elsewhere:
            raise
        raise StorageError(
            f"Could not write {target}: {os.strerror(number)}. What stood there is unchanged. "
            "Make room or choose another folder, then run the same command again."
        ) from error


def _is_inside(name: Any, folder: Path) -> bool:
    return Path(os.path.realpath(os.fsdecode(name))).is_relative_to(os.path.realpath(folder))


def _system_error(error: Exception) -> tuple[int, Any]:
    """Number and file of what the system refused; 0 and None of another error."""
    if isinstance(error, OSError):
        return error.errno or 0, error.filename
    told = RUST_ERROR.search(str(error))
    return (int(told[1]) if told else 0), None


def _remove_leftovers(target: Path) -> None:
    pattern = re.compile(rf"\.{re.escape(target.name)}\.([0-9]+)\.(\w+\.)?tmp")
    for path in target.parent.iterdir():
        match = pattern.fullmatch(path.name)
        if match and not _alive(int(match[1])):
            _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _exchange(first: Path, second: Path) -> None:
    """Swap two folders in one step, so that no moment shows neither.

    Falls back to two renames where the system has no such call; only there could a kill in between
    leave the old folder under its temporary name.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(first), os.fsencode(second)
    result = -1
    with suppress(AttributeError):
        if sys.platform == "linux":
            result = libc.renameat2(AT_FDCWD, names[0], AT_FDCWD, names[1], RENAME_EXCHANGE)
        elif sys.platform == "darwin":
            result = libc.renamex_np(*names, RENAME_SWAP)
    if result != 0:
        aside = first.with_name(first.name + ".old")
        second.rename(aside)
        try:
            first.rename(second)
        except OSError:
            aside.rename(second)
            raise
        aside.rename(first)


def _sync_tree(root: Path) -> None:
    for folder, _, names in os.walk(root):
        for name in names:
            descriptor = os.open(Path(folder, name), os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        _sync_directory(Path(folder))


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Where a path leads: symbolic links are followed, so that what they point to is written.

Knows nothing of what is written.
"""

import atexit
import os
import shutil
import stat
import tempfile
from functools import cache
from pathlib import Path

from linnet.errors import UsageError
from linnet.printable import escape_surrogates


def followed(path: Path) -> Path:
    """The absolute path without symbolic links; the file or folder itself may be missing.

    Raises:
        UsageError: A link leads back to itself or into a folder that does not exist, or somebody
            else put it into a folder that others may write to.
    """
    given = Path(os.path.abspath(path))
    for part in reversed([given, *given.parents]):
        if part.is_symlink():
            _check(part)
    return Path(os.path.realpath(given))


def _check(link: Path) -> None:
    real = Path(os.path.realpath(link))
    if real.is_symlink():
        raise UsageError(
            f"{link} is a symbolic link that leads back to itself. Remove it, or choose another "
            f"place."
        )
    if not real.parent.is_dir():
        raise UsageError(
            f"{link} is a symbolic link to {real}, and the folder {real.parent} does not exist. "
            "Create or mount it, or choose another place."
        )
    if planted(link):
        raise UsageError(
            f"{link} is a symbolic link of another user in a folder that others may write to. "
            "Remove it, or choose another place."
        )


def planted(path: Path) -> bool:
    """Whether another user put a link or a folder into a shared folder.

    This is what fs.protected_symlinks of Linux asks.
    """
    folder = path.parent.stat()
    shared = folder.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return bool(shared) and path.lstat().st_uid not in (os.geteuid(), folder.st_uid)


def plain(path: Path) -> Path:
    """The path itself if it is UTF-8, else a way to the same file or folder that is.

    Libraries in C++ and Rust take no other paths. The way leads through a symbolic link in a
    temporary folder, which is removed when the process ends.
    """
    if _is_plain(str(path)):
        return path
    absolute = Path(os.path.abspath(path))
    if _is_plain(absolute.name):
        return _link_to(absolute.parent) / absolute.name
    return _link_to(absolute)


def _is_plain(text: str) -> bool:
    return escape_surrogates(text) == text


@cache
def _link_to(path: Path) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="linnet-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    link = folder / escape_surrogates(path.name)
    link.symlink_to(path)
    return link

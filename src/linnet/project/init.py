"""Write a project into a folder, and change nothing that is there."""

import hashlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from linnet.errors import UsageError
from linnet.files import digest, disk_errors, install, temporary_file, write_bytes
from linnet.printable import printable
from linnet.project.options import Options
from linnet.project.record import RECORD, Record
from linnet.project.template import render

UNTOUCHED = {".git", ".DS_Store"}  # may be in a folder that a project is written into


@dataclass(frozen=True)
class Written:
    """The result of `init`.

    Attributes:
        folder: The project's.
        new: Paths that were written.
        same: Paths that were there already, byte for byte.
    """

    folder: Path
    new: tuple[str, ...]
    same: tuple[str, ...]


def init(folder: Path, options: Options, version: str, data: Path | None = None) -> Written:
    """Write the files of a project.

    Args:
        folder: Where; made if missing.
        options: Checked values.
        version: Linnet's.
        data: A file that is copied to `options.source`.

    Raises:
        UsageError: The folder holds other files, or a file that differs. Nothing was written.
        StorageError: The disk refused a write.
    """
    contents = {path: text.encode() for path, text in render(options, version)}
    digests = {path: hashlib.sha256(content).hexdigest() for path, content in contents.items()}
    contents[RECORD] = Record(options, version, digests).to_json().encode()
    if data is not None and not data.is_file():
        raise UsageError(
            f"{printable(str(data))} is no file. Name one file, or leave --data out and set "
            "data.source in linnet.toml."
        )
    with disk_errors(folder):
        same = _same(folder, contents, options.source if data else "", data)
    for path, content in contents.items():
        if path not in same:
            write_bytes(folder / path, content)
    if data is not None and options.source not in same:
        _copy(data, folder / options.source)
    paths = [*contents, *([options.source] if data else [])]
    return Written(
        folder,
        tuple(path for path in paths if path not in same),
        tuple(path for path in paths if path in same),
    )


def _same(
    folder: Path, contents: Mapping[str, bytes], source: str, data: Path | None
) -> frozenset[str]:
    """The files that are there already; refuses a folder with any other."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise UsageError(f"{printable(str(folder))} is no folder. Choose another name.")
    found = set()
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in UNTOUCHED]
        linked = [name for name in folders if Path(root, name).is_symlink()]
        for name in [*linked, *names]:
            path = Path(root, name).relative_to(folder).as_posix()
            if name in UNTOUCHED:
                continue
            if not _equal(folder / path, path, contents, source, data):
                raise UsageError(
                    f"{printable(str(folder / path))} is there already, and nothing is "
                    "overwritten. Choose an empty folder. In a project, `linnet init --check` "
                    "names the files that differ from the template."
                )
            found.add(path)
    return frozenset(found)


def _equal(
    file: Path, path: str, contents: Mapping[str, bytes], source: str, data: Path | None
) -> bool:
    if file.is_symlink() or not file.is_file():
        return False
    if path in contents:
        return file.stat().st_size == len(contents[path]) and file.read_bytes() == contents[path]
    return data is not None and path == source and digest(file) == digest(data)


def _copy(data: Path, target: Path) -> None:
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = temporary_file(target)
        try:
            shutil.copyfile(data, temporary)
            install(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)

"""The data files of a folder or of a pattern, by their names alone, in natural order.

Knows which files only describe the data or belong to a tool. Opens no file.
"""

import glob
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

from linnet.data.sources.split_names import split_of
from linnet.errors import DataError
from linnet.tables.compression import COMPRESSIONS
from linnet.tables.source import FORMATS

PATTERN = re.compile(r"[*?\[]")
DIGITS = re.compile(r"([0-9]+)")
TEXT = ".txt"
ARROW = (".arrow", ".feather")
# Names and endings of files that describe a data set, check it, or build it.
DESCRIBING = {
    "dataset_info.json",
    "dataset_infos.json",
    "dataset_dict.json",
    "state.json",
    "metadata.json",
    "datapackage.json",
}
DESCRIBING_ENDINGS = {
    ".md",
    ".rst",
    ".py",
    ".yaml",
    ".yml",
    ".toml",
    ".lock",
    ".crc",
    ".md5",
    ".sha256",
    ".log",
    ".pdf",
    ".html",
    ".bib",
}
DESCRIBING_STEMS = ("readme", "license", "licence", "changelog", "citation")


@dataclass(frozen=True)
class Listing:
    """What a folder holds.

    Attributes:
        files: The data files, in natural order.
        others: Files that are neither data nor describe them, in natural order.
    """

    files: tuple[Path, ...]
    others: tuple[Path, ...] = ()


def is_pattern(name: str) -> bool:
    """Whether a name is a pattern such as `part-*.csv`, and not a file that is called so."""
    return bool(PATTERN.search(name)) and not os.path.lexists(name)


def match(pattern: str) -> list[Path]:
    """The files and folders that a pattern names; those that describe data are passed over.

    Raises:
        DataError: There are none.
    """
    # Path.glob takes no absolute pattern.
    found = [Path(name) for name in glob.glob(pattern, recursive=True)]  # noqa: PTH207
    found = [path for path in found if not is_describing(path.name)]
    if not found:
        raise DataError(
            f"No file matches the pattern {pattern!r:.200}. "
            f"The current folder is {Path.cwd()}. Check the name, or use an absolute path."
        )
    return found


def list_files(folder: Path) -> Listing:
    """Look at all names below a folder; a link to a folder is followed once.

    Raises:
        DataError: A folder can't be looked at.
    """
    tables: list[Path] = []
    lines: list[Path] = []
    others: list[Path] = []
    for path in sorted(_walk(folder), key=natural):
        if is_describing(path.name):
            continue
        if is_table(path):
            tables.append(path)
        else:
            (lines if is_split(path) else others).append(path)
    # A file without a telling name is data only where nothing else is.
    return Listing(tuple(tables or lines), tuple(others + lines if tables else others))


def natural(path: PurePath) -> tuple[tuple[str | int, ...], ...]:
    """A key by which part-2 comes before part-10."""
    return tuple(
        tuple(
            int(part) if index % 2 else part.casefold()
            for index, part in enumerate(DIGITS.split(step))
        )
        for step in path.parts
    )


def is_describing(name: str) -> bool:
    """Whether a file describes data, or is one that a tool keeps for itself."""
    lowered = name.lower()
    return (
        lowered.startswith((".", "_"))
        or lowered in DESCRIBING
        or lowered.startswith(DESCRIBING_STEMS)
        or PurePath(lowered).suffix in DESCRIBING_ENDINGS
    )


def is_table(path: PurePath) -> bool:
    """Whether a file holds rows by its ending."""
    return _unpacked(path).suffix in FORMATS


def is_split(path: PurePath) -> bool:
    """Whether a file without a usual ending is called like a split, such as cooking.train."""
    name = _unpacked(path)
    usual = name.suffix in ("", TEXT) or split_of(PurePath(name.suffix)) != ""
    return usual and split_of(name) != ""


def _unpacked(path: PurePath) -> PurePath:
    name = PurePath(path.name.lower())
    return name.with_suffix("") if name.suffix in COMPRESSIONS else name


def _walk(folder: Path) -> Iterator[Path]:
    seen: set[tuple[int, int]] = set()

    def refuse(error: OSError) -> None:
        raise DataError(
            f"The folder {error.filename!s:.200} can't be looked at: {error.strerror}. "
            "Change its permissions, or name the files."
        ) from error

    for root, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        folders[:] = [name for name in folders if _is_new(Path(root, name), seen)]
        yield from (Path(root, name) for name in names)


def _is_new(folder: Path, seen: set[tuple[int, int]]) -> bool:
    if is_describing(folder.name):
        return False
    # A link to a folder above would be walked through without end.
    known = folder.stat()
    place = (known.st_dev, known.st_ino)
    new = place not in seen and not (
        folder.is_symlink() and folder.absolute().is_relative_to(folder.resolve())
    )
    seen.add(place)
    return new

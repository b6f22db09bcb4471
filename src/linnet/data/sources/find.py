"""Find the files that a setting names: one file, several files of one table, or part of a folder.

Looks at names only and reads no data.
"""

import os
import shlex
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from linnet.config import DataConfig, Files
from linnet.data.sources import generate
from linnet.data.sources.folder import EXPECTED as CLASSES
from linnet.data.sources.folder import find_classes
from linnet.data.sources.listing import ARROW, Listing, is_pattern, list_files, match, natural
from linnet.data.sources.parallel import find_parallel
from linnet.data.sources.split_names import TEST, TRAIN, VALIDATION, by_split, missing_shards
from linnet.errors import ConfigError, DataError
from linnet.tables.source import EXPECTED, Source

FILES = "files"  # the format of several files that are one table
SHOWN = 3


@dataclass(frozen=True)
class Found:
    """The files that a setting names.

    Attributes:
        source: The file, or the files.
        notes: Sentences about the choice, for the user.
    """

    source: Source
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Parts:
    """The files of a data set's folder, by the split in their names.

    Attributes:
        train: At least one file.
        validation: None or more files.
        test: None or more files.
        notes: Sentences about them, for the user.
    """

    train: tuple[Path, ...]
    validation: tuple[Path, ...]
    test: tuple[Path, ...]
    notes: tuple[str, ...] = field(default=())


def find_source(files: Files, split: str = TRAIN) -> Found:
    """Find the file, the files or the folder.

    Args:
        files: A file, a folder, a pattern, or several of them.
        split: The part to take if the folder has a train part.

    Raises:
        ConfigError: A name is empty.
        DataError: It does not exist or can't be read.
    """
    names = (files,) if isinstance(files, str) else files
    if not all(name.strip() for name in names):
        raise ConfigError(f"data.source is empty. {EXPECTED}, or 'generated': name it with --data.")
    with _looked_at(names):
        if len(names) == 1 and not is_pattern(names[0]):
            path = Path(names[0])
            return _in_folder(path, split) if path.is_dir() else Found(_find(path))
        return _several(names)


def with_parts(settings: DataConfig) -> tuple[DataConfig, tuple[str, ...]]:
    """Take the validation and test files from a folder with a train part, if it has them.

    Returns:
        The settings, and notes for the user. Files that are named already are kept.

    Raises:
        DataError: The folder can't be read, or no name shows which files to train on.
    """
    if not isinstance(settings.source, str) or settings.source == generate.NAME:
        return settings, ()
    folder = Path(settings.source)
    with _looked_at((settings.source,)):
        if not settings.source.strip() or not folder.is_dir() or find_classes(folder):
            return settings, ()
        parts = _parts(folder, list_files(folder))
    if parts is None:
        return settings, ()
    update = {}
    used = [f"train ({_counted(parts.train)})"]
    unused = []
    for split in (VALIDATION, TEST):
        paths = getattr(parts, split)
        if paths and getattr(settings, f"{split}_file"):
            unused.append(
                f"Its {split} part is not read, because --{split}-file names another file."
            )
        elif paths:
            update[f"{split}_file"] = str(folder)
            used.append(f"{split} ({_counted(paths)})")
    note = f"The parts of {folder} by their names: {', '.join(used)}."
    return settings.model_copy(update=update), (note, *unused)


@contextmanager
def _looked_at(names: Sequence[str]) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(
            f"The data file {names[0]:.200} can't be looked at: {error.strerror}. {EXPECTED}."
        ) from error


def _find(path: Path) -> Source:
    source = Source.find(path)
    return find_parallel(source) or source


def _several(names: Sequence[str]) -> Found:
    """Files, folders and patterns, together."""
    paths: list[Path] = []
    for name in names:
        found = match(name) if is_pattern(name) else [Path(name)]
        for path in found:
            paths += _all_of(path) if path.is_dir() else [path]
    title = names[0] if len(names) == 1 else ""
    return _together(paths, title=Path(title).name)


def _all_of(folder: Path) -> tuple[Path, ...]:
    files = list_files(folder)
    if _parts(folder, files):
        raise DataError(
            f"{folder} has parts such as train and test, by the names of its files. "
            "Name this folder alone, or name its files."
        )
    return _some(folder, files).files


def _in_folder(folder: Path, split: str) -> Found:
    classes = find_classes(folder)
    if classes:
        return Found(classes)
    files = list_files(folder)
    parts = _parts(folder, files)
    if parts is None:
        files = _some(folder, files)
        return _together(files.files, folder, notes=_notes(folder, files.files, files.others))
    chosen = getattr(parts, split)
    if not chosen:
        raise DataError(
            f"{folder} has a train part by the names of its files, but no {split} part. "
            f"Name a file with --{split}-file."
        )
    notes = parts.notes if split == TRAIN else _notes(folder, chosen, ())
    return _together(chosen, folder, _title(folder, split), notes)


def _some(folder: Path, files: Listing) -> Listing:
    """The listing, if it has any data file.

    Raises:
        DataError: It has no data file.
    """
    if files.files:
        return files
    arrow = [path for path in files.others if path.suffix.lower() in ARROW]
    if arrow:
        raise DataError(
            f"{folder} holds Arrow files, such as {arrow[0].relative_to(folder)}. Write Parquet: "
            f"datasets.load_from_disk({str(folder)!r}), then to_parquet for each split."
        )
    found = _listed(str(path.relative_to(folder)) for path in files.others) or "none"
    raise DataError(
        f"{folder} is a folder of {len(files.others):,} files ({found}). "
        f"None has the name of a table. {EXPECTED}. "
        f"Or {CLASSES[0].lower()}{CLASSES[1:]}. "
        f"For files with another ending, give a pattern in quotes, "
        f"such as --data {shlex.quote(f'{folder}/*.txt')}"
    )


def _parts(folder: Path, files: Listing) -> Parts | None:
    """The parts of a folder; None if no name contains a split.

    Raises:
        DataError: There are files of other splits, but none of a train split.
    """
    found = by_split(folder, files.files)
    train = found[TRAIN]
    others = [*found[VALIDATION], *found[TEST]]
    if not train and not others:
        return None
    if not train:
        rest = found[""] or [Path("FILE")]
        raise DataError(
            f"No file of {folder} is a train split by its name, but others are: "
            f"{_listed(str(path.relative_to(folder)) for path in others)}. "
            f"Name the files: --data {shlex.quote(str(rest[0]))} "
            f"--test-file {shlex.quote(str(others[0]))}"
        )
    notes = _notes(folder, train, [*found[""], *files.others])
    places = sorted({str(path.parent.relative_to(folder)) for path in train})
    if len(places) > 1:
        notes += (
            f"The train part is in {len(places):,} folders ({_listed(places)}). "
            "To read one of them alone, name that folder.",
        )
    return Parts(tuple(train), tuple(found[VALIDATION]), tuple(found[TEST]), notes)


def _together(
    paths: Iterable[Path],
    folder: Path | None = None,
    title: str = "",
    notes: tuple[str, ...] = (),
) -> Found:
    """Join files to one source, each once, in natural order.

    Raises:
        DataError: A file can't be read, or all are empty.
    """
    unique: dict[Path, Path] = {}
    paths = list(paths)
    if len({path.is_absolute() for path in paths}) > 1:
        paths = [path.absolute() for path in paths]
    for path in sorted(paths, key=natural):
        unique.setdefault(path.resolve(), path)
    if twice := len(paths) - len(unique):
        notes += (f"{twice:,} of the files are named twice. They are read once.",)
    sources = [Source.find(path, empty=True) for path in unique.values()]
    if any(source.standard for source in sources):
        raise DataError("Standard input can't be one of several files. Name it alone.")
    empty = [source for source in sources if source.path.stat().st_size == 0]
    if len(empty) == len(sources):
        raise DataError(
            f"The data file {sources[0].path} is empty: 0 bytes"
            f"{', as are all others' if empty[1:] else ''}. {EXPECTED}, with at least one row."
        )
    if empty:
        notes += (f"Empty files, 0 bytes: {_listed(source.name for source in empty)}.",)
    joined = _join_parallel([source for source in sources if source not in empty])
    if len(joined) == 1:
        return Found(joined[0], notes)
    root = folder or Path(os.path.commonpath([source.path.parent for source in joined]) or ".")
    title = title or ("" if folder else _title_of(joined))
    return Found(Source(root, FILES, parts=tuple(joined), title=title), notes)


def _join_parallel(sources: list[Source]) -> list[Source]:
    """Join each file of texts with its file of labels."""
    pairs = [find_parallel(source) for source in sources]
    taken = {part.path for pair in pairs if pair for part in pair.parts}
    return [pair for pair in pairs if pair] + [
        source for source in sources if source.path not in taken
    ]


def _notes(folder: Path, files: Sequence[Path], others: Sequence[Path]) -> tuple[str, ...]:
    notes: list[str] = []
    if missing := missing_shards(files):
        notes.append(
            f"{len(missing):,} shards are missing, by the count in the other names: "
            f"{_listed(missing)}."
        )
    if others:
        found = _listed(str(path.relative_to(folder)) for path in others)
        notes.append(f"{len(others):,} other files of {folder} are not read: {found}.")
    return tuple(notes)


def _title(folder: Path, split: str) -> str:
    return f"{folder.name or folder.resolve().name} ({split})"


def _title_of(sources: Sequence[Source]) -> str:
    return f"{sources[0].path.name} and {len(sources) - 1:,} more"


def _counted(paths: Sequence[Path]) -> str:
    return paths[0].name if len(paths) == 1 else f"{len(paths):,} files"


def _listed(names: Iterable[str]) -> str:
    found = list(names)
    more = f" and {len(found) - SHOWN:,} more" if len(found) > SHOWN else ""
    return ", ".join(f"{name!r:.100}" for name in found[:SHOWN]) + more

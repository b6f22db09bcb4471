"""Read folders that name the labels.

Either one file per class with one text per line, or one folder per class with one text per file.
"""

from collections.abc import Iterator
from pathlib import Path

from linnet.errors import DataError
from linnet.tables.lines import decode, numbered_lines
from linnet.tables.source import FORMATS, Reading, Source
from linnet.tables.table import Row

CLASS_FILES = "class files"
CLASS_FOLDERS = "class folders"
COLUMNS = ("text", "label")
# The movie reviews of Pang and Lee, which are latin-1.
ROTTEN_TOMATOES = "rt-polarity"
MAX_DOCUMENT = 10_000_000
DOCUMENT = ".txt"
# These endings name a split or a format, so they are no labels.
NO_LABELS = {
    *FORMATS,
    DOCUMENT,
    ".json",
    ".xlsx",
    ".xls",
    ".xml",
    ".html",
    ".md",
    ".pdf",
    ".py",
    ".log",
    ".zip",
}
SPLITS = {
    "train",
    "training",
    "dev",
    "devel",
    "val",
    "valid",
    "validation",
    "test",
    "testing",
    "eval",
    "heldout",
}
EXPECTED = (
    "Expected one file for each class, with the class as its ending (rt-polarity.neg and "
    f"rt-polarity.pos), or one folder for each class with a text in each {DOCUMENT} file"
)


def find_classes(path: Path) -> Source | None:
    """Look at the names in a folder; no data is read. Hidden files and a README are passed over.

    Returns:
        The files of its classes; None if its names are not those of classes.

    Raises:
        DataError: Some of its files are texts of classes, but not all.
    """
    entries = _entries(path)
    folders = [entry for entry in entries if entry.is_dir()]
    files = [entry for entry in entries if entry.is_file()]
    if files and not folders:
        return _class_files(path, files)
    if files or len(folders) < 2 or {folder.name.lower() for folder in folders} & SPLITS:
        return None
    documents = [document for folder in folders for document in _entries(folder)]
    odd = [name for name in documents if name.suffix.lower() != DOCUMENT or not name.is_file()]
    if len(odd) == len(documents):
        return None
    if odd:
        raise DataError(f"{path} holds {odd[0].relative_to(path)}. {EXPECTED}.")
    return Source(path, CLASS_FOLDERS, parts=tuple(Source(file, "text") for file in documents))


def _class_files(path: Path, files: list[Path]) -> Source | None:
    labels = {file.suffix[1:].lower() for file in files}
    if len(files) < 2 or len({file.stem for file in files}) > 1 or labels & SPLITS:
        return None
    if any(not file.suffix or file.suffix.lower() in NO_LABELS for file in files):
        return None
    return Source(path, CLASS_FILES, parts=tuple(Source.find(file) for file in files))


def folder_rows(source: Source, reading: Reading, encoding: str) -> Iterator[Row]:
    """Texts and labels, numbered through all files in the order of their names."""
    rows = (
        _lines(source, reading, encoding)
        if source.format == CLASS_FILES
        else _documents(source, reading, encoding)
    )
    return ((number, row) for number, row in enumerate(rows, start=1))


def _lines(source: Source, reading: Reading, encoding: str) -> Iterator[tuple[str, ...]]:
    for part in source.parts:
        label = part.path.suffix[1:]
        with reading.open(part) as stream:
            for _, line in decode(numbered_lines(stream, part.path), part.path, encoding):
                yield (line.rstrip("\r\n"), label) if line.strip() else ()


def _documents(source: Source, reading: Reading, encoding: str) -> Iterator[tuple[str, ...]]:
    for part in source.parts:
        with reading.open(part) as stream:
            content = stream.read(MAX_DOCUMENT + 1)
        if len(content) > MAX_DOCUMENT:
            raise DataError(
                f"{part.path}: longer than {MAX_DOCUMENT:,} bytes. Expected one text in each file."
            )
        lines = decode(iter([(1, content)]), part.path, encoding)
        yield "".join(line for _, line in lines).removeprefix("\ufeff"), part.path.parent.name


def _entries(path: Path) -> list[Path]:
    return sorted(
        entry
        for entry in path.iterdir()
        if not entry.name.startswith(".") and "readme" not in entry.name.lower()
    )

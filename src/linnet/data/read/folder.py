"""A folder whose files are its labels: a file a class with a text a line, or a folder a class with a text a file."""

from collections.abc import Iterator
from pathlib import Path

from linnet.errors import DataError
from linnet.tables.lines import decode, numbered_lines
from linnet.tables.source import FORMATS, Reading, Source
from linnet.tables.table import Row

CLASS_FILES, CLASS_FOLDERS = "class files", "class folders"
COLUMNS = ("text", "label")
# The movie reviews of Pang and Lee, which are latin-1.
ROTTEN_TOMATOES = "rt-polarity"
MAX_DOCUMENT = 10_000_000
DOCUMENT = ".txt"
# These say which rows are meant, or how they are written, and so are no labels.
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
    "Expected one file for each class, of one name and with the class as its ending (rt-polarity.neg and "
    f"rt-polarity.pos), or one folder for each class with a text in each {DOCUMENT} file; or name one file"
)


def find_folder(path: Path) -> Source:
    """Look at the names in a folder; no data is read. Hidden files and a README are passed over.

    Raises:
        DataError: Its files are not labels; tells what was found.
    """
    entries = _entries(path)
    folders, files = (
        [entry for entry in entries if entry.is_dir()],
        [entry for entry in entries if entry.is_file()],
    )
    if len(files) > 1 and not folders and len({file.stem for file in files}) == 1:
        labels = {file.suffix[1:].lower() for file in files}
        if (
            all(file.suffix and file.suffix.lower() not in NO_LABELS for file in files)
            and not labels & SPLITS
        ):
            return Source(path, CLASS_FILES, parts=tuple(Source.find(file) for file in files))
    if len(folders) > 1 and not files and not {folder.name.lower() for folder in folders} & SPLITS:
        documents = [document for folder in folders for document in _entries(folder)]
        odd = next(
            (name for name in documents if name.suffix.lower() != DOCUMENT or not name.is_file()),
            None,
        )
        if odd:
            raise DataError(f"{path} holds {odd.relative_to(path)}. {EXPECTED}.")
        if documents:
            return Source(
                path, CLASS_FOLDERS, parts=tuple(Source(file, "text") for file in documents)
            )
    names = ", ".join(repr(entry.name) for entry in entries[:5]) + (
        ", ..." if len(entries) > 5 else ""
    )
    raise DataError(
        f"{path} is a folder of {len(folders):,} folders and {len(files):,} files ({names or 'none'}). {EXPECTED}."
    )


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

"""Find the files that `data.source` names, recognise their format, and open them as one table."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from linnet.config import DataConfig
from linnet.data.sources import folder, generate, parallel, sentiment140
from linnet.data.sources.columns import check_label
from linnet.data.sources.find import FILES, find_source
from linnet.data.sources.folder import ROTTEN_TOMATOES, folder_rows
from linnet.data.sources.joined import join_texts
from linnet.data.sources.parallel import PARALLEL, parallel_rows
from linnet.data.sources.shards import read_shards
from linnet.data.sources.split_names import TRAIN
from linnet.errors import DataError
from linnet.progress import progress
from linnet.tables.columns import Asked
from linnet.tables.delimited import read_delimited
from linnet.tables.identify import identify
from linnet.tables.json_lines import json_rows, read_json
from linnet.tables.labelled_lines import (
    COLUMNS,
    LABEL_TEXT,
    PLAIN,
    TREC,
    labelled_rows,
    plain_rows,
    shape_of,
)
from linnet.tables.lines import (
    UTF8,
    Line,
    check_ends,
    decode,
    is_utf8,
    look_ahead,
    numbered_lines,
    plain_encoding,
)
from linnet.tables.parquet import read_parquet
from linnet.tables.source import (
    CSV,
    EXPECTED,
    JSON,
    JSON_LINES,
    LINES,
    PARQUET,
    Reading,
    Source,
)
from linnet.tables.table import Table

LATIN1 = "latin-1"
ENCODING = "data.encoding"
LINES_A_STEP = 10_000


@dataclass(frozen=True)
class Opened:
    """Raw data, to be read once.

    Attributes:
        table: Its rows.
        source: The files; None if the data are generated.
        size: Bytes of the files; None if there are none.
        position: Returns the number of bytes read so far.
    """

    table: Table
    source: Source | None
    size: int | None
    position: Callable[[], int]


@contextmanager
def open_table(settings: DataConfig, labelled: bool = True, split: str = TRAIN) -> Iterator[Opened]:
    """Open the source of the settings for the block.

    Args:
        settings: They name the file and its columns.
        labelled: Whether a label is needed. If not, each plain line is a text, except in the
            formats of fastText and TREC.
        split: The part to read if the folder has parts.

    Raises:
        ConfigError: The settings name no source, or an unknown encoding.
        DataError: The source does not exist or can't be read.
    """
    if settings.source == generate.NAME:
        yield Opened(generate.table(settings.seed), None, None, lambda: 0)
        return
    asked = Asked.of(settings.text_column, settings.label_column if labelled else None)
    encoding = plain_encoding(settings.encoding, ENCODING) if settings.encoding else ""
    found = find_source(settings.source, split)
    source = _identified(found.source, asked, encoding or UTF8)
    reading = Reading()

    def read(
        part: Source, reading: Reading, stack: ExitStack, columns: tuple[str, ...] = ()
    ) -> Table:
        return _read(part, reading, stack, encoding, asked, labelled, columns)

    with ExitStack() as stack:
        several = source.format == FILES
        table = read_shards(source, reading, read) if several else read(source, reading, stack)
        table = replace(table, notes=(*found.notes, *table.notes))
        if labelled:
            check_label(table, settings.text_column, settings.label_column)
        table = join_texts(table, settings.text_column, settings.label_column if labelled else None)
        yield Opened(table, source, source.size, reading.position)


def _identified(source: Source, asked: Asked, encoding: str) -> Source:
    if source.format != FILES:
        return identify(source, asked, encoding)
    return replace(source, parts=tuple(identify(part, asked, encoding) for part in source.parts))


def _read(
    source: Source,
    reading: Reading,
    stack: ExitStack,
    encoding: str,
    asked: Asked,
    labelled: bool,
    columns: tuple[str, ...],
) -> Table:
    if source.parts:
        return _read_parts(source, reading, encoding)
    stream = stack.enter_context(reading.open(source))
    if source.format == PARQUET:
        return read_parquet(stream, source.path)
    if source.format in (JSON, JSON_LINES):
        return read_json(
            stream, source.path, source.format, encoding or UTF8, lambda: _again(source), columns
        )
    if source.format == LINES:
        return _read_lines(source, stream, encoding, labelled)
    separator = "," if source.format == CSV else "\t"
    if separator == "," and sentiment140.matches(_first_lines(source)):
        encoding = encoding or _encoding([source], known=True)
        return sentiment140.read(stream, source.path, encoding)
    return read_delimited(
        stream, source.path, separator, encoding or UTF8, asked, lambda: _again(source)
    )


def _first_lines(source: Source) -> list[bytes]:
    with Reading(ahead=False).open(source) as stream:
        return look_ahead(numbered_lines(stream, source.path))[0].lines


def _again(source: Source) -> Iterator[Line]:
    """Read all lines or objects again, for what the first lines do not show."""
    reading = Reading()
    done = 0
    with (
        reading.open(source) as stream,
        progress(f"look through {source.name}", source.size, "bytes") as task,
    ):
        for number, line in json_rows(stream, source.path, source.format):
            if number % LINES_A_STEP == 0:
                task.advance(reading.position() - done)
                done = reading.position()
            yield number, line


def _read_lines(source: Source, stream: Any, encoding: str, labelled: bool) -> Table:
    head, lines = look_ahead(numbered_lines(stream, source.path))
    check_ends(head, source.path)
    shape = shape_of(head.lines)
    # "RT" before every tweet looks like a label, too.
    if not labelled and shape in ("", LABEL_TEXT):
        rows = plain_rows(decode(lines, source.path, encoding or UTF8))
        return Table(PLAIN, rows, {"encoding": encoding or UTF8, "header": False})
    if not shape:
        raise DataError(
            f"{source.path}: neither the name nor the first lines of {source.inner!r} "
            f"show its format. "
            f"{EXPECTED}; or lines of a label and a text, with at least five lines per label; "
            "or lines of text in X_text.txt with their labels in X_labels.txt."
        )
    encoding = encoding or _encoding([source], known=shape == TREC)
    rows = labelled_rows(decode(lines, source.path, encoding), shape)
    return Table(COLUMNS[shape], rows, {"encoding": encoding, "header": False, "shape": shape})


def _read_parts(source: Source, reading: Reading, encoding: str) -> Table:
    names = [
        part.path.relative_to(source.path if source.path.is_dir() else source.path.parent)
        for part in source.parts
    ]
    dialect: dict[str, Any] = {"header": False, "shape": source.format, "files": len(names)}
    if source.format == PARALLEL:
        encoding = encoding or UTF8
        dialect |= {"encoding": encoding, "names": [str(name) for name in names]}
        return Table(parallel.COLUMNS, parallel_rows(source, reading, encoding), dialect)
    known = source.format == folder.CLASS_FILES and source.parts[0].path.stem == ROTTEN_TOMATOES
    encoding = encoding or _encoding(source.parts, known)
    return Table(
        folder.COLUMNS, folder_rows(source, reading, encoding), dialect | {"encoding": encoding}
    )


def _encoding(sources: Any, known: bool) -> str:
    """UTF-8, or latin-1 for a data set that is published in it and was not converted."""
    if not known:
        return UTF8
    for source in sources:
        with Reading().open(source) as stream:
            if not is_utf8(stream):
                return LATIN1
    return UTF8

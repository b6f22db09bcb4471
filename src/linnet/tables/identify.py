"""The format of a file whose name doesn't say it, or not all of it, by its first lines."""

import io
import re
from dataclasses import replace
from itertools import islice

from linnet.tables.columns import Asked
from linnet.tables.dialect import table_format
from linnet.tables.json_lines import parse_object
from linnet.tables.json_values import is_document
from linnet.tables.labelled_lines import shape_of
from linnet.tables.lines import HEAD_BYTES, HEAD_ROWS, Head, split_mark
from linnet.tables.source import JSON, JSON_LINES, LINES, Reading, Source

OBJECTS = re.compile(rb'\s*(\[\s*)?\{\s*"')


def identify(source: Source, asked: Asked, encoding: str) -> Source:
    """The file with the format that its first lines show.

    JSON is a document or an object per line, whatever the name says. Lines are a table where a
    header says so, or JSON.

    Args:
        source: The file, of the format that its name says.
        asked: The columns that the user named.
        encoding: Its encoding, as `plain_encoding` gives it.

    Raises:
        DataError: It is not what its name says by its first bytes, or damaged.
    """
    if source.standard or source.parts or source.format not in (LINES, JSON, JSON_LINES):
        return source
    head = _head(source)
    if source.format != LINES:
        # One object in a file of one may hold all rows, or be one.
        single = source.format == JSON and len(head.lines) == 1 and not head.cut
        document = single or is_document(head.lines)
        return replace(source, format=JSON if document else JSON_LINES)
    return replace(source, format=_json(head, encoding) or _table(head, encoding, asked) or LINES)


def _head(source: Source) -> Head:
    """The first lines; one that is too long for a line may be the whole of a document."""
    with Reading(ahead=False).open(source) as stream:
        content = stream.read(HEAD_BYTES)
    cut = len(content) == HEAD_BYTES
    lines = list(islice(io.BytesIO(split_mark(content)[1]), HEAD_ROWS + 1))
    if cut and 1 < len(lines) <= HEAD_ROWS:
        lines.pop()  # which goes on
    return Head(lines[:HEAD_ROWS], cut or len(lines) > HEAD_ROWS)


def _json(head: Head, encoding: str) -> str:
    content = b"".join(head.lines)
    if not OBJECTS.match(content):
        return ""
    lines = [line for line in head.lines if line.strip()]
    if all(parse_object(line, encoding)[0] is not None for line in lines):
        return JSON_LINES
    return JSON if is_document(head.lines) else ""


def _table(head: Head, encoding: str, asked: Asked) -> str:
    return table_format(head, encoding, asked, sure=bool(shape_of(head.lines)))

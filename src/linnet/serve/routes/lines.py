"""Texts in lines, JSON Lines or CSV: a text from each, and an answer to each in the same order."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

from linnet.errors import TextError
from linnet.serve.errors import InvalidRequest
from linnet.serve.models.items import Item
from linnet.serve.routes.json_bodies import (
    DECODER,
    SMALL,
    count_values,
    max_values,
    too_many_values,
)
from linnet.serve.routes.request import item_content
from linnet.tables.delimited import records
from linnet.tables.lines import not_decoded, split_mark
from linnet.tables.quoting import Dialect

TEXT_KEYS = ("text", "inputs")
CSV_COLUMNS = ("label", "probability", "truncated", "abstained", "error")

Line = str | TextError  # the text, or why the line holds none


def read_json_lines(body: bytes, most: int) -> list[Line]:
    """The text of each line: a JSON string, or an object's `text` or `inputs`, or a list of one.

    Other members of an object are ignored.

    A line ends with LF or CR LF alone, as https://jsonlines.org has it: other ends of lines may
    be part of a text.

    Args:
        body: In UTF-8; the last line may lack its end.
        most: Lines to read; the rest is left.

    Raises:
        APIError: They hold too many values.
    """
    lines = io.BytesIO(split_mark(body)[1])
    found = list[Line]()
    left = max_values(most)
    for index, line in enumerate(islice(lines, most)):
        left -= count_values(line, left) if len(body) > SMALL else 0
        if left < 0:
            raise too_many_values(most)
        found.append(_text_of_json(line, index))
    return found


def _text_of_json(line: bytes, index: int) -> Line:
    try:
        value = DECODER.decode(line.decode(json.detect_encoding(line), "surrogatepass"))
    except UnicodeDecodeError:
        return _wrong_encoding(index)
    except (ValueError, RecursionError):
        return _no_text(index, "Expected a line of JSON in UTF-8; got something else.")
    text = text_of_value(value)
    if not isinstance(text, str):
        return _no_text(
            index,
            f"Expected a string, or an object with one of {' and '.join(TEXT_KEYS)}, a string.",
        )
    return text


def text_of_value(value: Any) -> Any:
    """The text that a JSON value holds: itself, an object's, or a list's only one.

    Returns:
        What holds no text comes back as it is.
    """
    if isinstance(value, dict):
        found = [value[key] for key in TEXT_KEYS if key in value]
        return found[0] if len(found) == 1 else value
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def read_csv(body: bytes, most: int, header: bool) -> list[Line]:
    """The text of each record; quotes as in RFC 4180, section 2.

    Without a header there is one column. With one, the text is in the only column or in the one
    that `TEXT_KEYS` name.

    Args:
        body: In UTF-8; the last record may lack its end.
        most: Records to read; the rest is left.
        header: Whether the first record names the columns.

    Raises:
        APIError: The header has several columns and doesn't say which is the text.
    """
    found = records(io.BytesIO(split_mark(body)[1]), Dialect(","))
    names = (next(found, (b"", None, False))[1] if header else None) or [""]
    places = [place for place, name in enumerate(names) if name.strip() in TEXT_KEYS]
    if len(names) > 1 and len(places) != 1:
        raise InvalidRequest(
            f"Expected one column, or one that is called {' or '.join(TEXT_KEYS)}; "
            f"got {names!s:.100}."
        )
    place = places[0] if len(names) > 1 else 0
    return [
        _text_of_csv(fields, index, len(names), place)
        for index, (_, fields, _) in enumerate(islice(found, most))
    ]


def _text_of_csv(fields: list[str] | None, index: int, width: int, place: int) -> Line:
    if fields is None:
        return _no_text(
            index, "Its quotes make no record of it. Double each quote within a quoted text."
        )
    if len(fields) > width or 0 < len(fields) < width:
        columns = f"{width} column{'s' if width > 1 else ''}"
        return _no_text(
            index, f"Expected {columns}; got {len(fields)}. Quote a text that holds a comma."
        )
    text = fields[place] if fields else ""
    return _wrong_encoding(index) if not_decoded(text) else text


def _no_text(index: int, message: str) -> TextError:
    return TextError("not_text", message, index)


def _wrong_encoding(index: int) -> TextError:
    message = "It is not UTF-8. Convert it, such as with iconv -f latin1 -t utf-8."
    return TextError("wrong_encoding", message, index)


def texts_of(lines: Iterable[Line]) -> list[str]:
    """What is asked of the service:

    a line without a text is an empty one there, so that every text keeps its place.
    """
    return ["" if isinstance(line, TextError) else line for line in lines]


def with_own_errors(lines: Iterable[Line], items: Iterable[Item]) -> Iterator[Item]:
    """The answers to `texts_of`; a line without a text has its own reason."""
    for line, item in zip(lines, items, strict=True):
        yield replace(item, error=line) if isinstance(line, TextError) else item


def write_json_lines(items: Iterable[Item]) -> bytes:
    """A line for each item, as `/v1/predict` has it in its list."""
    return b"".join(json.dumps(item_content(item)).encode("ascii") + b"\n" for item in items)


def write_csv(items: Iterable[Item], label_separator: str, header: bool) -> bytes:
    """A record for each item: `CSV_COLUMNS`.

    Args:
        items: The answers.
        label_separator: The separator of several labels of one text.
        header: Whether the first record names the columns.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if header:
        writer.writerow(CSV_COLUMNS)
    writer.writerows(_csv_record(item, label_separator) for item in items)
    # A label may hold half of a surrogate pair, which UTF-8 can't.
    return text.getvalue().encode("utf-8", "replace")


def _csv_record(item: Item, label_separator: str) -> tuple[Any, ...]:
    if item.answer is None:
        error = item.error
        return (
            "",
            "",
            "",
            "",
            error.reason if isinstance(error, TextError) else error.code if error else "",
        )
    found = item.answer.prediction
    truncated = str(found.truncated).lower()
    abstained = str(found.abstained).lower()
    return (label_separator.join(found.labels), found.probability, truncated, abstained, "")

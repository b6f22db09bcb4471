"""Read what people answered: CSV, or the JSON, CSV and Parquet of Label Studio and Argilla.

Every answer in a file becomes one `Answer`, also one that can't be used: then it has a reason.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from linnet.errors import DataError, MissingExtraError
from linnet.labels import find_label, strip_ends
from linnet.monitor.labels.task_files import SEPARATOR, TASK_ID
from linnet.tables.columns import LABEL_NAMES, Asked, known
from linnet.tables.delimited import read_delimited
from linnet.tables.formulas import undefused
from linnet.tables.identify import identify
from linnet.tables.json_lines import json_rows, parse_object
from linnet.tables.lines import UTF8, Line
from linnet.tables.source import CSV, JSON, JSON_LINES, PARQUET, TSV, Reading, Source

ANNOTATORS = ("annotator", "completed_by", "user_id", "user")
# Why an answer is not used, in the words that the command prints.
REASONS = {
    "broken_row": "the row can't be read",
    "no_id": "the row has no id",
    "unknown_id": "the log has no such id, or has forgotten it",
    "empty": "no label was given",
    "skipped": "the annotator skipped it",
    "not_submitted": "the answer is a draft or was discarded",
    "unknown_label": "the model has no such label",
    "several_labels": "several labels, where a text has one",
    "not_audited": "the file calls it audit, but the draw did not choose it",
    "twice": "the same annotator's same answer is there already",
    "contradiction": "one annotator gave it two different answers",
    "tie": "annotators disagree without a majority, so it is asked for again",
}

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Answer:
    """One answer of one person.

    Attributes:
        id: Of the answer of the model; "" if the row has none.
        annotator: Who answered; "" if the file doesn't say.
        cell: The labels as the file has them: a string, a list or an object; None for none.
        refused: Why it can't be used, a key of `REASONS`; "" if it can.
        reason: Why the row was asked for, as the file says; "" if it doesn't.
        inclusion: The probability of being asked for, as the file says; None if it doesn't.
    """

    id: str
    annotator: str = ""
    cell: Any = None
    refused: str = ""
    reason: str = ""
    inclusion: float | None = None


def read_answers(path: Path, label_column: str = "") -> list[Answer]:
    """All answers of a file, in its order.

    Args:
        path: A CSV, TSV, JSON, JSON lines or Parquet file, packed or not.
        label_column: The column of the label in a plain table; empty to find it by its name.

    Raises:
        DataError: The file can't be read, or has no column of ids or labels.
        MissingExtraError: Parquet, where pyarrow is not installed.
    """
    with ExitStack() as stack:
        columns, rows = _rows(path, label_column, stack)
        if "annotations" in columns:
            read = _label_studio
        elif any(name.partition(".")[0] == "responses" or ".responses" in name for name in columns):
            read = _argilla
        else:
            read = partial(_plain, label=_label_of(columns, label_column, path))
        found = []
        for row in rows:
            found += [Answer("", refused="broken_row")] if row is None else read(row)
        return found


def labels_of(cell: Any, names: Sequence[str], several: bool) -> tuple[str, ...] | str | None:
    """The labels that a cell gives, sorted; a reason of `REASONS` if it gives none that is known.

    Args:
        cell: As `Answer` has it.
        names: The labels there are.
        several: Whether a text may have several labels or none.

    Returns:
        None if the cell is empty.
    """
    pieces = _pieces(cell, names, several)
    if pieces is None:
        return None
    found = [_known(piece, names) for piece in pieces]
    if any(label is None for label in found):
        return "unknown_label"
    labels = tuple(sorted({label for label in found if label is not None}))
    return labels if several or len(labels) == 1 else "several_labels" if labels else "empty"


def _pieces(cell: Any, names: Sequence[str], several: bool) -> list[str] | None:
    if isinstance(cell, Mapping):
        cell = cell.get("choices", cell.get("value"))
    if isinstance(cell, list | tuple):
        return [str(piece) for piece in cell]
    if cell is None or cell != cell:  # NaN is how tables write a gap
        return None
    text = strip_ends(undefused(str(cell)))
    if not text:
        return None
    if _known(text, names) is not None:
        return [text]
    if text.startswith(("[", "{")):
        try:
            return _pieces(json.loads(text), names, several)
        except (ValueError, RecursionError):
            return [text]
    return [strip_ends(piece) for piece in text.split(SEPARATOR)] if several else [text]


def _known(piece: str, names: Sequence[str]) -> str | None:
    """The label that is meant: exactly, or the only one that differs in case alone."""
    found = find_label(piece, names)
    if found is not None:
        return found
    same = [name for name in names if name.casefold() == strip_ends(piece).casefold()]
    return same[0] if len(same) == 1 else None


def _plain(row: Row, label: str) -> list[Answer]:
    """A row of a table: of our CSV, or of a short export of Label Studio."""
    cell = row.get(label)
    name = _text(row.get(TASK_ID) or row.get("id"))
    annotator = next((_text(row[key]) for key in ANNOTATORS if row.get(key)), "")
    return [
        Answer(
            name,
            annotator,
            cell,
            refused="" if name else "no_id",
            reason=_text(row.get("reason")),
            inclusion=_number(row.get("inclusion")),
        )
    ]


def _label_studio(row: Row) -> list[Answer]:
    """A task of Label Studio, with an annotation of each person."""
    data = row.get("data")
    data = data if isinstance(data, Mapping) else {}
    name = _text(data.get(TASK_ID) or data.get("id"))
    if not name:
        return [Answer("", refused="no_id")]
    task = Answer(name, reason=_text(data.get("reason")), inclusion=_number(data.get("inclusion")))
    annotations = row.get("annotations")
    if not isinstance(annotations, list) or not annotations:
        return [replace(task, refused="empty")]
    found = []
    for annotation in annotations:
        if not isinstance(annotation, Mapping):
            found.append(replace(task, refused="broken_row"))
            continue
        who = annotation.get("completed_by")
        if isinstance(who, Mapping):
            who = who.get("email") or who.get("id")
        refused = "skipped" if annotation.get("was_cancelled") else ""
        cell = _choices(annotation.get("result"))
        found.append(replace(task, annotator=_text(who), cell=cell, refused=refused))
    return found


def _choices(result: Any) -> list[Any] | None:
    """The choices of an annotation; None if it has none."""
    for part in result if isinstance(result, list) else []:
        value = part.get("value") if isinstance(part, Mapping) else None
        if isinstance(value, Mapping) and isinstance(value.get("choices"), list):
            return list(value["choices"])
    return None


def _argilla(row: Row) -> list[Answer]:
    """A record of Argilla, with a response of each person."""
    name = _text(row.get("external_id") or row.get("id"))
    metadata = row.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else row
    if not name:
        return [Answer("", refused="no_id")]
    record = Answer(
        name, reason=_text(metadata.get("reason")), inclusion=_number(metadata.get("inclusion"))
    )
    responses = _responses(row)
    if not responses:
        return [replace(record, refused="empty")]
    return [
        replace(
            record,
            annotator=who,
            cell=cell,
            refused="" if status == "submitted" else "not_submitted",
        )
        for cell, who, status in responses
    ]


def _responses(row: Row) -> list[tuple[Any, str, str]]:
    """Value, user and status of each response to the question, nested or flat."""
    nested = row.get("responses")
    if isinstance(nested, Mapping):
        answers = nested.get("label") or next(iter(nested.values()), None) or []
        return [
            (each.get("value"), _text(each.get("user_id")), _text(each.get("status", "submitted")))
            for each in answers
            if isinstance(each, Mapping)
        ]
    key = next(
        (name for name in ("label.responses", *row) if name.endswith(".responses") and name in row),
        "",
    )
    values = row.get(key) or []
    users = row.get(f"{key}.users") or [""] * len(values)
    # An export of a version without statuses holds submitted answers only.
    statuses = row.get(f"{key}.status") or ["submitted"] * len(values)
    return [
        (value, _text(user), _text(status))
        for value, user, status in zip(values, users, statuses, strict=False)
    ]


def _label_of(columns: Sequence[str], wanted: str, path: Path) -> str:
    """The column of the label in a plain table.

    Raises:
        DataError: There is none, or no column of ids.
    """
    if not {"id", TASK_ID} & set(columns):
        raise DataError(f"{path} has no column 'id', so its rows can't be found in the log.")
    usual = [wanted] if wanted else ["label", "choice", *LABEL_NAMES]
    found = next((name for name in usual if name in columns), None)
    if found is None:
        raise DataError(
            f"{path} has no column of labels. {known(columns)} Name one with --label-column."
        )
    return found


def _rows(
    path: Path, label_column: str, stack: ExitStack
) -> tuple[tuple[str, ...], Iterator[Row | None]]:
    """The columns of a file and its rows; None for a row that can't be read."""
    asked = Asked(tuple(filter(None, ("id", label_column))))
    source = identify(Source.find(path), asked, UTF8)
    stream = stack.enter_context(Reading().open(source))
    if source.format in (JSON, JSON_LINES):
        objects = [parse_object(raw, UTF8)[0] for _, raw in json_rows(stream, path, source.format)]
        columns = tuple(dict.fromkeys(key for each in objects if each for key in each))
        return columns, iter(objects)
    if source.format == PARQUET:
        try:
            from linnet.tables.parquet import read_parquet  # noqa: PLC0415
        except ModuleNotFoundError:
            raise MissingExtraError("pyarrow", "parquet") from None
        table = read_parquet(stream, path)
    elif source.format in (CSV, TSV):
        separator = "," if source.format == CSV else "\t"
        table = read_delimited(stream, path, separator, UTF8, asked, partial(_again, source))
    else:
        raise DataError(
            f"{path}: neither the name nor the first lines show its format. "
            "Expected .csv, .tsv, .json, .jsonl or .parquet."
        )
    width = len(table.columns)
    rows = (
        dict(zip(table.columns, values, strict=True)) if len(values) == width else None
        for _, values in table.rows
        if len(values)  # not a blank line
    )
    return table.columns, rows


def _again(source: Source) -> Iterator[Line]:
    with Reading(ahead=False).open(source) as stream:
        yield from json_rows(stream, source.path, source.format)


def _text(value: Any) -> str:
    return "" if value is None or value != value else undefused(str(value)).strip()


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if 0 < number <= 1 else None

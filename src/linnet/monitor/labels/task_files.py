"""Write a queue for people: CSV, tasks of Label Studio, or records of Argilla.

A row that measures or compares goes out blind, without the model's answer: people agree too easily
with an answer that they see. A row that teaches shows it as a suggestion, apart from the empty
label, so that a row that nobody looked at is not taken for an answer.
"""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import quoteattr

from linnet.files import canonical_json
from linnet.tables.formulas import defused

COLUMNS = ("id", "text", "label", "suggestion", "reason", "inclusion")
SEPARATOR = "|"  # of several labels in a cell of CSV
# Label Studio has an `id` of its own for each task, which its CSV writes over ours.
TASK_ID = "linnet_id"
FROM_NAME = "label"


@dataclass(frozen=True)
class Task:
    """One row for people.

    Attributes:
        id: Of the answer.
        text: Its text.
        reason: Why it is asked for.
        inclusion: The probability with which such a row is asked for; None if it was chosen.
        suggestion: The model's labels; None for a blind row or if it abstained.
        probability: Of the suggestion.
        model: The digest of the model.
    """

    id: str
    text: str
    reason: str
    inclusion: float | None
    suggestion: tuple[str, ...] | None
    probability: float
    model: str


def to_csv(tasks: Sequence[Task]) -> str:
    """A CSV that a spreadsheet can open: no cell is a formula, and `undefused` gives it back."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow(COLUMNS)
    for task in tasks:
        suggestion = SEPARATOR.join(task.suggestion or ())
        cells = (task.id, task.text, "", suggestion, task.reason, _number(task.inclusion))
        writer.writerow(map(defused, cells))
    return file.getvalue()


def to_label_studio(tasks: Sequence[Task]) -> str:
    """A list of tasks, with predictions where there is a suggestion."""
    return canonical_json([_label_studio(task) for task in tasks])


def to_argilla(tasks: Sequence[Task]) -> str:
    """A list of records, as `dataset.records.log` takes them."""
    return canonical_json([_argilla(task) for task in tasks])


FORMATS: Mapping[str, Callable[[Sequence[Task]], str]] = {
    "csv": to_csv,
    "label-studio": to_label_studio,
    "argilla": to_argilla,
}
ENDINGS = {"csv": ".csv", "label-studio": ".json", "argilla": ".json"}


def label_studio_config(labels: Sequence[str], several: bool) -> str:
    """The labeling interface that fits the tasks, as XML on one line."""
    choice = "multiple" if several else "single"
    choices = "".join(f"<Choice value={quoteattr(label)}/>" for label in labels)
    return (
        f'<View><Text name="text" value="$text"/><Choices name="{FROM_NAME}" toName="text" '
        f'choice="{choice}">{choices}</Choices></View>'
    )


def _label_studio(task: Task) -> dict[str, Any]:
    data = {TASK_ID: task.id, "text": task.text, "reason": task.reason, "inclusion": task.inclusion}
    if task.suggestion is None:
        return {"data": data}
    result = {
        "from_name": FROM_NAME,
        "to_name": "text",
        "type": "choices",
        "value": {"choices": list(task.suggestion)},
    }
    prediction = {
        "model_version": task.model[:12],
        "score": task.probability,
        "result": [result],
    }
    return {"data": data, "predictions": [prediction]}


def _argilla(task: Task) -> dict[str, Any]:
    record: dict[str, Any] = {
        "id": task.id,
        "text": task.text,
        "reason": task.reason,
        "inclusion": task.inclusion,
    }
    if task.suggestion is not None:
        one = len(task.suggestion) == 1
        record["label.suggestion"] = task.suggestion[0] if one else list(task.suggestion)
        record["label.suggestion.score"] = task.probability
    return record


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"

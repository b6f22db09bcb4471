"""The columns that are added to each row, and their values."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from linnet.bundle import Manifest
from linnet.config import ScoreConfig
from linnet.errors import UsageError
from linnet.predict import Prediction

DIGITS = 6  # of a probability; float32 has no more

Answer = Prediction | str  # or the reason why there is none


@dataclass(frozen=True)
class Column:
    """One added column.

    Attributes:
        name: Its name.
        kind: Type of its values: str, float, bool, or list for several labels.
        value: Its value for a prediction. Without a prediction, only the reason has a value.
    """

    name: str
    kind: type
    value: Callable[[Prediction], Any]


REASON = "reason"


def added_columns(manifest: Manifest, settings: ScoreConfig) -> list[Column]:
    """The columns for a bundle: its predictions, the reason if there is none, probabilities."""
    if manifest.multi_label:
        columns = [Column("predicted_labels", list, lambda prediction: list(prediction.labels))]
    else:
        columns = [Column("predicted_label", str, lambda prediction: prediction.label)]
    columns.append(
        Column("probability", float, lambda prediction: round(prediction.probability, DIGITS))
    )
    if manifest.thresholds and not manifest.multi_label:
        columns.append(Column("abstained", bool, lambda prediction: prediction.abstained))
    columns.append(Column("truncated", bool, lambda prediction: prediction.truncated))
    columns.append(Column(REASON, str, lambda _: None))
    if settings.probabilities:
        columns += [Column(f"probability_{label}", float, _of(label)) for label in manifest.labels]
    return [Column(settings.prefix + column.name, column.kind, column.value) for column in columns]


def _of(label: str) -> Callable[[Prediction], float]:
    return lambda prediction: round(prediction.probabilities[label], DIGITS)


def values(columns: Sequence[Column], answer: Answer, prefix: str) -> list[Any]:
    """The values of the added columns of one row; None for an empty cell."""
    if isinstance(answer, str):
        return [answer if column.name == prefix + REASON else None for column in columns]
    return [column.value(answer) for column in columns]


def check_free(names: Sequence[str], columns: Sequence[Column], where: str) -> None:
    """Refuse to add a column that already exists.

    Args:
        names: Names of the existing columns.
        columns: The columns to add.
        where: The file, and the row if it matters, for the message.

    Raises:
        UsageError: A column exists; the message names it.
    """
    taken = {column.name for column in columns} & set(names)
    if taken:
        raise UsageError(
            f"{where} already has a column {min(taken)!r}, which would be added. "
            "Put a prefix before the new names, such as --prefix new_"
        )

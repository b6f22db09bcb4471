"""The columns that are added to each row, and what stands in them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from linnet.bundle import Manifest
from linnet.config import ScoreConfig
from linnet.errors import UsageError
from linnet.predict import Prediction

DIGITS = 6  # of a probability; beyond, float32 says nothing

Answer = Prediction | str  # or the reason why there is none


@dataclass(frozen=True)
class Column:
    """One added column.

    Attributes:
        name: Its name.
        kind: What stands in it: str, float, bool, or list for several labels.
        value: What stands in it where there is a prediction; else it is empty, but for the reason.
    """

    name: str
    kind: type
    value: Callable[[Prediction], Any]


REASON = "reason"


def added_columns(manifest: Manifest, settings: ScoreConfig) -> list[Column]:
    """What a bundle has to say of a row; the last but for probabilities is why it says nothing."""
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
    """What stands in each added column of one row; None where nothing does."""
    if isinstance(answer, str):
        return [answer if column.name == prefix + REASON else None for column in columns]
    return [column.value(answer) for column in columns]


def check_free(names: Sequence[str], columns: Sequence[Column], where: str) -> None:
    """Refuse to add a column that is there already.

    Args:
        names: The columns there are.
        columns: Those to be added.
        where: The file, and the row where it matters, for the message.

    Raises:
        UsageError: Names the column.
    """
    taken = {column.name for column in columns} & set(names)
    if taken:
        raise UsageError(
            f"{where} already has a column {min(taken)!r}, which would be added. "
            "Put something before the names of the new ones, such as --prefix new_"
        )

"""reference.json of a bundle, checked: what its validation rows and the answers to them were.

Format 1, of bundles of earlier versions, knows neither streams nor the accuracy table.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from linnet.bundle import REFERENCE, Bundle
from linnet.errors import BundleError

FORMATS = (1, 2)
STREAMS = ("confidence", "tokens", "surprise", "pieces")
QUANTILES = 101
MAX_LABELS_SHOWN = 3

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class ReferenceStream(_Part):
    """The values of one stream in the validation rows.

    Attributes:
        grid: Its 101 quantiles, ascending.
        mean: Of the rows' mid-ranks among themselves, about 0.5.
        sd: Their standard deviation.
        n: The number of rows.
    """

    grid: tuple[Finite, ...] = Field(min_length=QUANTILES, max_length=QUANTILES)
    mean: Share
    sd: Annotated[float, Field(ge=0, le=1)]
    n: Annotated[int, Field(ge=1)]

    @model_validator(mode="after")
    def _ascends(self) -> Self:
        if list(self.grid) != sorted(self.grid):
            raise ValueError("the quantiles of grid don't ascend")
        return self

    def ranks(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where values are among the rows, 0 to 1: the mean of the shares below and up to."""
        knots, first, ties = np.unique(self.grid, return_index=True, return_counts=True)
        middle = (first + (ties - 1) / 2) / (len(self.grid) - 1)
        ranks: NDArray[np.float64] = np.interp(values, knots, middle, left=0.0, right=1.0)
        return ranks


class AccuracyCell(_Part):
    """How often answers of one confidence, label and model were right.

    Attributes:
        bin: The bin of confidence, from 0.
        label: The most probable label given; None: no label applied.
        fast: Whether the smaller model of a cascade answered.
        n: Answers.
        right: Those that were right; of a multi-label model with all labels right.
    """

    bin: Count
    label: str | None
    fast: bool
    n: Count
    right: Count

    @model_validator(mode="after")
    def _not_more_right_than_all(self) -> Self:
        if self.right > self.n:
            raise ValueError("right is larger than n")
        return self


class Confused(_Part):
    """How often a true label was given a label; None: the model abstained."""

    true: str
    predicted: str | None
    n: Count


class Reference(_Part):
    """reference.json, of format 1 or 2.

    Attributes:
        format: 1 knows only `rows`, `accuracy`, `true_labels`, `labels` and `rates`, and the
            stream `tokens`.
        rows: Validation rows.
        accuracy: Of those that were answered.
        true_labels: Label to its share of the rows.
        labels: Label to the share of the rows that it was given to.
        rates: Shares of `truncated`, `abstained` and `fast`.
        streams: By name: confidence, tokens, surprise, pieces; fewer in format 1.
        accuracy_bins: Inner edges of the bins of confidence, ascending.
        accuracy_table: Its cells; cells without rows are absent.
        confusion: Counts that aren't 0; None for a multi-label model.
    """

    format: Literal[1, 2]
    rows: Count
    accuracy: Share
    true_labels: Mapping[str, Share]
    labels: Mapping[str, Share]
    rates: Mapping[str, Share]
    streams: Mapping[str, ReferenceStream] = {}
    accuracy_bins: tuple[Finite, ...] = ()
    accuracy_table: tuple[AccuracyCell, ...] = ()
    confusion: tuple[Confused, ...] | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if list(self.accuracy_bins) != sorted(self.accuracy_bins):
            raise ValueError("accuracy_bins don't ascend")
        if any(cell.bin > len(self.accuracy_bins) for cell in self.accuracy_table):
            raise ValueError("a cell of accuracy_table is in a bin that doesn't exist")
        named = {cell.label for cell in self.accuracy_table}
        for one in self.confusion or ():
            named |= {one.true, one.predicted}
        unknown = sorted(named - {None, *self.true_labels}, key=str)
        if unknown:
            shown = ", ".join(map(repr, unknown[:MAX_LABELS_SHOWN]))
            raise ValueError(f"true_labels doesn't have {shown}")
        return self

    @property
    def missing_streams(self) -> tuple[str, ...]:
        """The streams that this reference doesn't know."""
        return tuple(name for name in STREAMS if name not in self.streams)


def read_reference(bundle: Bundle) -> Reference:
    """Read a bundle's reference.json.

    Raises:
        BundleError: The file can't be read, is of a newer format, or doesn't fit the bundle.
    """
    file = bundle.path / REFERENCE
    content = bundle.reference
    found = content.get("format")
    if found not in FORMATS or isinstance(found, bool):
        step = "Upgrade Linnet." if isinstance(found, int) and found > 2 else "Export it again."
        raise BundleError(f"{file} is of format {found!r:.20}; this Linnet reads 1 and 2. {step}")
    try:
        reference = Reference.model_validate(content if found == 2 else _from_format_1(content))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        reason = f"{where}: {first['msg']}" if where else first["msg"]
        raise BundleError(f"{file} can't be used: {reason}. Export the checkpoint again.") from None
    if set(reference.true_labels) != set(bundle.manifest.labels):
        raise BundleError(
            f"{file} can't be used: its labels are not those of the manifest. "
            "Export the checkpoint again."
        )
    return reference


def _from_format_1(content: Mapping[str, Any]) -> dict[str, Any]:
    known = {
        key: content[key] for key in ("format", "rows", "accuracy", "true_labels") if key in content
    }
    rates = {key: content[key] for key in ("truncated", "abstained") if key in content}
    streams = {}
    lengths = content.get("token_length")
    counts = lengths.get("counts") if isinstance(lengths, Mapping) else None
    if isinstance(counts, Sequence) and any(counts):
        streams["tokens"] = _stream_of_counts(counts)
    return known | {
        "labels": content.get("predicted_labels"),
        "rates": rates,
        "streams": streams,
    }


def _stream_of_counts(counts: Sequence[Any]) -> dict[str, Any]:
    try:
        numbers = np.array(counts, np.int64)
        values = np.repeat(np.arange(len(numbers)), numbers)
    except (TypeError, ValueError, OverflowError):
        return {"n": 0}  # which the check refuses
    n = len(values)
    return {
        "grid": np.quantile(values, np.linspace(0, 1, QUANTILES)).tolist(),
        "mean": 0.5,
        "sd": float(((1 - ((numbers / n) ** 3).sum()) / 12) ** 0.5),
        "n": n,
    }

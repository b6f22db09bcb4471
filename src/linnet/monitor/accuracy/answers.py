"""The answers of one arm within a window, as arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Answers to n distinct texts.

    Attributes:
        confidence: The log's `probability`, float (n,).
        labels: The log's `label`: the most probable label given; None: none was.
        abstained: Whether the model gave no answer, bool (n,).
        fast: Whether the smaller model of a cascade answered, bool (n,).
        probabilities: Of all labels in the model's order, float (n, C); None: not known.
        streams: Raw values of streams such as `surprise`, float (n,); NaN: not known.
    """

    confidence: Floats
    labels: Sequence[str | None]
    abstained: NDArray[np.bool_]
    fast: NDArray[np.bool_]
    probabilities: Floats | None = None
    streams: Mapping[str, Floats] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.labels)

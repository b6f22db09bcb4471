"""The loss by step, in at most `LIMIT` points for a run of any length."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

LIMIT = 500  # points, an even number


@dataclass(frozen=True)
class Point:
    """The figures of one step, or the mean of several consecutive steps.

    Attributes:
        step: The number of the last step, from 1.
        loss: Mean loss of a step's texts, with dropout.
        learning_rate: Learning rate of the step.
        grad_norm: Euclidean norm of all gradients, before clipping.
    """

    step: int
    loss: float
    learning_rate: float
    grad_norm: float


@dataclass
class Curve:
    """The course of a run. It is part of the run's state, so that it resumes after a kill.

    Each point is the mean of `stride` steps. At `LIMIT` points, pairs are merged and the stride
    doubles.

    Attributes:
        points: The complete points.
        stride: Steps per point.
        rest: Mean of the steps since the last complete point; None if there are none.
        steps_in_rest: Number of steps in `rest`.
    """

    points: list[Point] = field(default_factory=list)
    stride: int = 1
    rest: Point | None = None
    steps_in_rest: int = 0

    @classmethod
    def of(cls, record: dict[str, Any]) -> "Curve":
        """The curve from the output of `dataclasses.asdict`."""
        points = [Point(**point) for point in record["points"]]
        rest = Point(**record["rest"]) if record["rest"] else None
        return cls(points, record["stride"], rest, record["steps_in_rest"])

    def __iter__(self) -> Iterator[Point]:
        """All points, at most `LIMIT`. The last may be the mean of fewer steps than the others."""
        yield from self.points
        if self.rest is not None:
            yield self.rest

    def add(self, point: Point) -> None:
        """Add a step."""
        self.rest = point if self.rest is None else _join(self.rest, point, self.steps_in_rest)
        self.steps_in_rest += 1
        if self.steps_in_rest < self.stride:
            return
        self.points.append(self.rest)
        self.rest = None
        self.steps_in_rest = 0
        if len(self.points) == LIMIT:
            self.points = [
                _join(*pair) for pair in zip(self.points[::2], self.points[1::2], strict=True)
            ]
            self.stride *= 2


def _join(first: Point, second: Point, weight: int = 1) -> Point:
    """The mean of two points; the first counts `weight` times."""
    loss, rate, norm = (
        (weight * getattr(first, name) + getattr(second, name)) / (weight + 1)
        for name in ("loss", "learning_rate", "grad_norm")
    )
    return Point(second.step, loss, rate, norm)

"""The loss by step, in a number of points that stays small for a run of any length."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

LIMIT = 500  # points, an even number


@dataclass(frozen=True)
class Point:
    """What a step came to, or several in a row on average.

    Attributes:
        step: The last of them, from 1.
        loss: Mean loss of a step's texts, dropout included.
        learning_rate: What the step was made with.
        grad_norm: Euclidean norm of all gradients, before they are clipped.
    """

    step: int
    loss: float
    learning_rate: float
    grad_norm: float


@dataclass
class Curve:
    """The course of a run, a part of its state: after a kill it goes on as though nothing had been.

    Each point is the mean of `stride` steps. When there are `LIMIT` of them, two become one and the
    stride doubles.

    Attributes:
        points: Those that are done.
        stride: Steps in each.
        rest: Steps since the last of them, joined to one point; None if there are none.
        steps_in_rest: How many these are.
    """

    points: list[Point] = field(default_factory=list)
    stride: int = 1
    rest: Point | None = None
    steps_in_rest: int = 0

    @classmethod
    def of(cls, record: dict[str, Any]) -> "Curve":
        """The curve that `dataclasses.asdict` gave."""
        points = [Point(**point) for point in record["points"]]
        rest = Point(**record["rest"]) if record["rest"] else None
        return cls(points, record["stride"], rest, record["steps_in_rest"])

    def __iter__(self) -> Iterator[Point]:
        """All points, at most `LIMIT`; the last may be the mean of fewer steps than the others."""
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

"""Texts that got no answer, on their way into the store: bounded, whatever a flood brings."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from linnet.monitor.prediction_log.record import storable

ROWS_PER_SECOND = 50
MAX_ROWS = 5000  # that wait with their units, and as many sums
SECONDS = 60  # of one sum

Kind = tuple[int, str, bool, bool, str]  # epoch, arm, named, shadow, code


@dataclass(frozen=True, slots=True)
class Failure:
    """Texts of a request that one arm gave no answer to, for one reason.

    Attributes:
        time: When they were given up, seconds since 1970 in UTC.
        epoch: As of a record.
        arm: Which arm was asked.
        unit: As of a record. None if the row adds up the texts of many requests.
        named: As of a record.
        shadow: As of a record.
        code: Why, such as `overloaded` or `deadline_exceeded`.
        texts: How many.
    """

    time: float
    epoch: int
    arm: str
    unit: int | None
    named: bool
    shadow: bool
    code: str
    texts: int


FAILURE_COLUMNS = [field.name for field in fields(Failure)]


class WaitingFailures:
    """Failures that wait for the store. For one thread at a time.

    Up to 50 rows per second are kept as they are, with their units. More are added up for each
    minute, epoch, arm and code, so that a flood of rejected requests fills no disk.
    """

    def __init__(self) -> None:
        self._rows: list[Failure] = []
        self._sums: Counter[tuple[float, Kind]] = Counter()  # by the start of the minute
        self._second = 0
        self._in_second = 0

    def __bool__(self) -> bool:
        return bool(self._rows or self._sums)

    def add(self, failures: Iterable[Failure]) -> None:
        """Take failures over."""
        for one in failures:
            if self._is_of_last(one):
                self._rows[-1] = replace(self._rows[-1], texts=self._rows[-1].texts + one.texts)
                continue
            second = int(one.time)
            if second != self._second:
                self._second = second
                self._in_second = 0
            self._in_second += 1
            if self._in_second <= ROWS_PER_SECOND and len(self._rows) < MAX_ROWS:
                self._rows.append(one)
            else:
                self._add_up(one)

    def _is_of_last(self, one: Failure) -> bool:
        """Whether it is of the last row's request, as one that fails as a whole has many texts."""
        if not self._rows or one.unit is None:
            return False
        last = self._rows[-1]
        return one.time - last.time < 1 and _kind(last) == _kind(one) and last.unit == one.unit

    def take(self) -> list[Failure]:
        """All that wait; none waits any more."""
        taken = self._rows
        taken += [
            Failure(time, epoch, arm, None, named, shadow, code, texts)
            for (time, (epoch, arm, named, shadow, code)), texts in self._sums.items()
        ]
        self._rows = []
        self._sums.clear()
        return taken

    def put_back(self, failures: Sequence[Failure]) -> None:
        """Take back what the store did not take."""
        rows = [one for one in failures if one.unit is not None]
        room = max(0, MAX_ROWS - len(self._rows))
        self._rows = rows[:room] + self._rows
        for one in (*rows[room:], *(one for one in failures if one.unit is None)):
            self._add_up(one)

    def _add_up(self, one: Failure) -> None:
        key = one.time // SECONDS * SECONDS, _kind(one)
        if key not in self._sums and len(self._sums) >= MAX_ROWS:  # the store is down for days
            key = next((old for old in self._sums if old[1] == key[1]), next(iter(self._sums)))
        self._sums[key] += one.texts


def _kind(one: Failure) -> Kind:
    return one.epoch, one.arm, one.named, one.shadow, one.code


def failure_to_row(failure: Failure) -> tuple[Any, ...]:
    """Values in the order of the attributes.

    Raises:
        TypeError, ValueError: An attribute is of the wrong type.
    """
    return (
        float(failure.time),
        int(failure.epoch),
        storable(failure.arm),
        None if failure.unit is None else int(failure.unit),
        bool(failure.named),
        bool(failure.shadow),
        storable(failure.code),
        int(failure.texts),
    )


def row_to_failure(row: Sequence[Any]) -> Failure:
    """The failure of a row."""
    time, epoch, arm, unit, named, shadow, code, texts = row
    return Failure(time, epoch, arm, unit, bool(named), bool(shadow), code, texts)

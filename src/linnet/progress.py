"""Long work, shown: a bar on a terminal, plain lines elsewhere, always with what is left to go."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from linnet.printable import printable_cell
from linnet.terminal import print_line

stderr = Console(stderr=True, markup=False, emoji=False, highlight=False)

SECONDS_BETWEEN_LINES = 10.0
_is_shown = ContextVar("is_shown", default=True)


class Task:
    """One piece of long work.

    `advance` it; `note` puts a short text next to the bar; `done` says how far it is.
    """

    def __init__(
        self,
        description: str,
        total: int | None,
        unit: str,
        bar: Progress | None,
        done: int = 0,
        every: float = 0.0,
    ):
        description = printable_cell(description)
        self._description = description
        self._total = total
        self._unit = unit
        self._bar = bar
        self._id = bar.add_task(description, total=total, completed=done, note="") if bar else None
        self.done = self._before = done
        self._note = ""
        self._every = every
        self._started = self._printed = time.monotonic()

    def advance(self, steps: int = 1) -> None:
        """Say that some steps are done."""
        self.done += steps
        if self._bar is not None and self._id is not None:
            self._bar.advance(self._id, steps)
        elif time.monotonic() - self._printed >= self._every:
            self._print()

    def note(self, text: str) -> None:
        """Show a short text, such as the loss, next to the bar or on the next plain line."""
        self._note = printable_cell(text)
        if self._bar is not None and self._id is not None:
            self._bar.update(self._id, note=self._note)

    def _print(self) -> None:
        self._printed = time.monotonic()
        elapsed = self._printed - self._started
        line = f"{self._description}: {self.done:,}"
        if self._total:
            left = elapsed / max(self.done - self._before, 1) * (self._total - self.done)
            line += f" of {self._total:,} {self._unit}, {timedelta(seconds=round(left))} left"
        else:
            line += f" {self._unit}"
        print_line(line + (f", {self._note}" if self._note else ""), error=True)


@contextmanager
def show_progress(shown: bool) -> Iterator[None]:
    """Show long work, or nothing of it, while the block runs."""
    former = _is_shown.set(shown)
    try:
        yield
    finally:
        _is_shown.reset(former)


@contextmanager
def progress(
    description: str, total: int | None, unit: str = "rows", done: int = 0, shown: bool = True
) -> Iterator[Task]:
    """Show long work while the block runs.

    Args:
        description: What is being done, such as "train".
        total: Steps in all; None where that can't be known.
        unit: What a step is.
        done: Steps that were done at another time, which say nothing about how long the rest takes.
        shown: Whether anything is shown; of several processes at one work a single one should.
    """
    shown = shown and _is_shown.get()
    if not shown or not stderr.is_terminal:
        yield Task(
            description, total, unit, None, done, SECONDS_BETWEEN_LINES if shown else math.inf
        )
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=stderr, transient=True) as bar:
        yield Task(description, total, unit, bar, done)

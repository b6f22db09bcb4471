"""What each long fault cost: measured while it lasts, printed as a table, kept in a file."""

import asyncio
import json
import os
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linnet.files import canonical_json, write_text
from linnet.lineage import lineage

from .load import Tally, until

if TYPE_CHECKING:
    from .conftest import Running

# A rehearsal sets a part of 1: the durations and counts of all long faults are multiplied by it.
SCALE = float(os.environ.get("LINNET_FAULT_SCALE", "1"))
RESULTS = os.environ.get("LINNET_FAULT_RESULTS", "")
RATE = 10.0  # requests per second, which two cores that do other work too can answer
MEGABYTE = 1e6


def scaled(amount: float) -> float:
    """Seconds, or how often, of the full run; at least 1."""
    return max(amount * SCALE, 1.0)


@dataclass(frozen=True)
class Sample:
    """What a service holds: bytes of the front and of its largest worker, and counts."""

    front: int
    worker: int
    files: int
    threads: int


@dataclass
class Recorder:
    """What a service holds while it is at work, and how long it needs to recover."""

    samples: list[Sample] = field(default_factory=list)
    recoveries: list[float] = field(default_factory=list)

    def look(self, one: "Running") -> None:
        """Take a sample, unless a process ends at this moment."""
        with suppress(OSError, TypeError, ValueError):  # no such process, or one without memory
            workers = [one.memory(pid) for pid in one.workers]
            self.samples.append(Sample(one.memory(), max(workers), one.files, one.threads))

    @asynccontextmanager
    async def over(self, one: "Running", pause: float = 1.0) -> AsyncIterator[None]:
        """Take samples of a service while a block runs."""

        async def look_on() -> None:
            while True:
                self.look(one)
                await asyncio.sleep(pause)

        looking = asyncio.create_task(look_on())
        try:
            yield
        finally:
            looking.cancel()

    async def recover(self, holds: Callable[[], Awaitable[bool]], began: float) -> None:
        """Wait until the service is as before a fault; note the seconds since `began`."""
        await until(holds, 90)
        self.recoveries.append(time.monotonic() - began)

    def growth(self, name: str) -> float:
        """The growth from the second fifth of the time to the last."""
        values = [getattr(sample, name) for sample in self.samples]
        part = max(len(values) // 5, 1)
        return statistics.median(values[-part:]) - statistics.median(values[part : 2 * part])


def row(fault: str, done: str, tally: Tally, watch: Recorder, **more: Any) -> dict[str, Any]:
    """The figures of a fault.

    Args:
        fault: Its name, by which the file of results knows it again.
        done: What was done, with numbers.
        tally: Of the requests.
        watch: Of the service.
        more: Other figures.
    """
    recoveries = watch.recoveries
    return {
        "fault": fault,
        "done": done,
        "requests": tally.sent,
        "failed": tally.sent - tally.answered + tally.partly,
        "failed_by_code": dict(tally.failed + Counter(shed=tally.shed, partly=tally.partly)),
        "longest_answer_seconds": round(tally.longest, 3),
        "recovered_within_seconds": round(max(recoveries), 2) if recoveries else None,
        "growth": {name: watch.growth(name) for name in Sample.__annotations__},
        "scale": SCALE,
        "rate": RATE,
        **more,
        "lineage": lineage(),
    }


def keep(rows: list[dict[str, Any]], path: Path) -> None:
    """Put rows into the file of results, each in the place of the former row of its fault."""
    former = json.loads(path.read_text())["rows"] if path.exists() else []
    by_fault = {row["fault"]: row for row in [*former, *rows]}
    write_text(path, canonical_json({"rows": list(by_fault.values())}))


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as a table of Markdown."""
    head = (
        "fault", "what was done", "requests", "failed", "longest answer", "recovered within",
        "memory growth, front and worker",
    )  # fmt: skip
    lines = [head, ("---", "---", *["---:"] * 5), *map(_cells, rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    codes = ", ".join(f"{count} {code}" for code, count in row["failed_by_code"].items() if count)
    recovered = row["recovered_within_seconds"]
    growth = [f"{row['growth'][name] / MEGABYTE:+.1f}" for name in ("front", "worker")]
    return (
        row["fault"],
        row["done"],
        f"{row['requests']:,}",
        f"{row['failed']:,} ({codes})" if codes else "0",
        f"{row['longest_answer_seconds']:.2f} s",
        "never away" if recovered is None else f"{recovered:.1f} s",
        f"{' and '.join(growth)} MB",
    )

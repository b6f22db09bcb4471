"""What does the prediction log cost the service, and how much can it take?

    python benchmarks/log.py                                        # SQLite, in a temporary folder
    python benchmarks/log.py --url postgresql://USER@HOST/DATABASE  # an empty one, made for this

Records are handed over one by one, as by requests of one text: first a few thousand a second, for what a call costs
the event loop while the writer is at work, then as fast as it goes, for how many a second reach the store. Then all are
read.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from linnet.config import PredictionLogConfig
from linnet.monitor import PredictionLog, Record, Store, new_id


def make_record() -> Record:
    """A record like those of a service of one model."""
    answer = ("positive", ("positive",), 0.875, 23, False, False, False, False, 4.5)
    return Record(f"{new_id()}-0", time.time(), "champion", "0" * 64, *answer)


def measure(url: str, count: int) -> dict[str, float]:
    """Record so many, and read them."""
    log = PredictionLog(
        PredictionLogConfig(
            url=url,
            texts=False,
            audit_rate=0.01,
            hash_key_file="",
            max_pending=count,
            retention_days=0,
        )
    )
    records = [make_record() for _ in range(count)]
    paced = count // 5
    durations = []
    for number, record in enumerate(records[:paced]):
        before = time.perf_counter_ns()
        log.record([record])
        durations.append((time.perf_counter_ns() - before) / 1000)
        if number % 10 == 9:
            time.sleep(0.001)
    while log.status().pending:
        time.sleep(0.001)
    started = time.perf_counter()
    for record in records[paced:]:
        log.record([record])
    log.close(600.0)
    seconds = time.perf_counter() - started
    assert log.status().written == count, log.status()
    with Store(url, create=False) as store:
        started = time.perf_counter()
        read = sum(1 for _ in store.read(since=records[0].time))
        reading = time.perf_counter() - started
    assert read == count
    percentiles = statistics.quantiles(durations, n=1000)
    return {
        "record(), median, us": statistics.median(durations),
        "record(), p99, us": percentiles[989],
        "record(), p99.9, us": percentiles[998],
        "written, records/s": (count - paced) / seconds,
        "read, records/s": count / reading,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", help="PostgreSQL's, or the path of an SQLite file")
    parser.add_argument("--records", type=int, default=100_000, metavar="N")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = arguments.url or str(Path(folder) / "log.db")
        rounds = [measure(url, arguments.records) for _ in range(arguments.rounds)]
    table = Table(
        "what",
        "median of the rounds",
        title=f"{arguments.rounds} rounds of {arguments.records} records",
    )
    for name in rounds[0]:
        table.add_row(name, f"{statistics.median(figures[name] for figures in rounds):,.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()

"""What does the prediction log cost the service, and how much can it take?

    python benchmarks/log.py                                        # SQLite, in a temporary folder
    python benchmarks/log.py --url postgresql://USER@HOST/DATABASE  # an empty one, made for this
    python benchmarks/log.py --json benchmarks/results/log.json     # and keep the figures

Records are handed over one by one, as by requests of one text: first a few thousand per second, for
the cost of a call on the event loop while the writer is at work, then as fast as possible, for how
many per second reach the store. Then all are read, row by row and as columns.

"format 1" and "format 2" are the work on the event loop for one text: the row is made and handed
over, with the fields of that format.
"""

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from linnet.config import PredictionLogConfig
from linnet.files import canonical_json, write_text
from linnet.monitor import PredictionLog, Record, Store, new_id
from linnet.serve.telemetry.log_rows import packed

TEXT = "@user just a tweet of about eighty characters, with a name and some #tag in it"
TOKENS = list(range(1000, 1023))
TABLE = [9.5] * 30_000  # of surprise
PROBABILITIES = {"negative": 0.0625, "neutral": 0.0625, "positive": 0.875}


def make_record() -> Record:
    """A record of format 1, like those of a service of one model."""
    answer = ("positive", ("positive",), 0.875, 23, False, False, False, False, 4.5)
    return Record(f"{new_id()}-0", time.time(), "champion", "0" * 64, *answer)


def make_full_record(log: PredictionLog) -> Record:
    """A record of format 2, of a request with a key."""
    answer = ("positive", ("positive",), 0.875, 23, False, False, False, False, 4.5)
    return Record(
        f"{new_id()}-0",
        time.time(),
        "champion",
        "0" * 64,
        *answer,
        text=TEXT if log.keeps_text("id") else None,
        epoch=1,
        named=False,
        unit=log.hash("user-7"),
        text_hash=log.hash(TEXT),
        words=17,
        surprise=sum([TABLE[token] for token in TOKENS]) / 21,
        probabilities=packed(PROBABILITIES, multi_label=False),
    )


def event_loop_cost(url: str, count: int) -> dict[str, float]:
    """Microseconds on the event loop for one text, in each format, with the writer at work."""
    log = PredictionLog(settings(url, count))
    makers: dict[str, Callable[[], Record]] = {
        "format 1": make_record,
        "format 2": lambda: make_full_record(log),
    }
    spent: dict[str, list[float]] = {name: [] for name in makers}
    for number in range(count):
        for name, make in makers.items():
            before = time.perf_counter_ns()
            log.record([make()])
            spent[name].append((time.perf_counter_ns() - before) / 1000)
        if number % 10 == 9:
            time.sleep(0.001)
    log.close(600.0)
    medians = {name: statistics.median(values) for name, values in spent.items()}
    return {
        "format 1, us per text": medians["format 1"],
        "format 2, us per text": medians["format 2"],
        "format 2 costs more, us per text": medians["format 2"] - medians["format 1"],
    }


def column_speed(url: str, count: int) -> dict[str, float]:
    """Seconds to read the columns that a monitor reads, and the peak of the process's memory."""
    names = ["time", "arm", "label", "probability", "tokens", "words", "surprise", "text_hash"]
    names += ["number", "truncated", "abstained", "fast", "epoch"]
    with Store(url) as store:
        for start in range(0, count, 20_000):
            rows = [
                replace(make_record(), id=f"{start + k}", text_hash=k, surprise=1.5, words=9)
                for k in range(min(20_000, count - start))
            ]
            store.add(rows)
    with Store(url, create=False) as store:
        started = time.perf_counter()
        computed = time.process_time()
        after = read = 0
        while (found := store.columns(names, after, 100_000)) and len(found["number"]):
            after = int(found["number"][-1])
            read += len(found["number"])
        seconds = time.perf_counter() - started
        computed = time.process_time() - computed
    assert read >= count
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        f"columns of {count:,} rows, s": seconds,
        f"columns of {count:,} rows, s of one core": computed,
        "columns, rows per second of one core": read / computed,
        "peak memory, MB": memory,
    }


def settings(url: str, count: int) -> PredictionLogConfig:
    """Of a log that drops nothing."""
    return PredictionLogConfig(
        url=url,
        texts=False,
        audit_rate=0.01,
        hash_key_file="",
        max_pending=count * 2,
        retention_days=0,
    )


def measure(url: str, count: int) -> dict[str, float]:
    """Record so many, and read them."""
    log = PredictionLog(settings(url, count))
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
    parser.add_argument("--rows", type=int, default=1_000_000, metavar="N", help="read as columns")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the figures")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        urls = [arguments.url or str(Path(folder) / f"{name}.db") for name in "abc"]
        figures = column_speed(urls[0], arguments.rows)
        rounds = [
            event_loop_cost(urls[1], arguments.records // 10) | measure(urls[2], arguments.records)
            for _ in range(arguments.rounds)
        ]
    for name in rounds[0]:
        figures[name] = statistics.median(one[name] for one in rounds)
    table = Table(
        "what",
        "median of the rounds",
        title=f"{arguments.rounds} rounds of {arguments.records} records",
    )
    for name, value in figures.items():
        table.add_row(name, f"{value:,.1f}")
    if arguments.json:
        content = {name: round(value, 2) for name, value in figures.items()}
        write_text(arguments.json, canonical_json(content))
    Console().print(table)


if __name__ == "__main__":
    main()

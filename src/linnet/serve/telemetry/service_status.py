"""The state of the service at a moment, as metrics: its queue, workers, prediction log and keys."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client import ProcessCollector
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric


@dataclass(frozen=True)
class ServiceStatus:
    """The state of the service at one moment.

    Attributes:
        ready: Whether it can answer.
        queue_texts: Texts that wait.
        queue_tokens: Their tokens.
        queue_oldest_seconds: How long the oldest has waited; 0 where none does.
        workers_expected: Engine workers there should be.
        worker_pids: Process ids of those that are up.
        worker_restarts: Workers started again since the service began.
        log_written: Records that the prediction log has stored.
        log_lost: Records it had to drop.
        log_pending: Records that wait to be stored.
        log_works: Whether the prediction log can be written; True where there is to be none.
        keys_stale: Whether the file of keys that is there now could not be read, or is gone.
        harm: Evidence of harm by challenger and guardrail, as decimal logarithms.
        rolled_back: Challengers, and whether each was rolled back.
    """

    ready: bool
    queue_texts: int
    queue_tokens: int
    queue_oldest_seconds: float
    workers_expected: int
    worker_pids: Sequence[int]
    worker_restarts: int
    log_written: int
    log_lost: int
    log_pending: int
    log_works: bool
    keys_stale: bool
    harm: Mapping[tuple[str, str], float] = field(default_factory=dict)
    rolled_back: Mapping[str, bool] = field(default_factory=dict)


class ServiceCollector:
    """Turns a status into metrics. One status is read per scrape, so its figures agree.

    Args:
        read: Gives the status.
    """

    def __init__(self, read: Callable[[], ServiceStatus]):
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """The status as metrics."""
        status = self._read()
        gauge = GaugeMetricFamily
        counter = CounterMetricFamily
        yield gauge("linnet_ready", "Whether the service can answer: 1 or 0.", value=status.ready)
        yield gauge("linnet_queue_texts", "Texts that wait.", value=status.queue_texts)
        yield gauge(
            "linnet_queue_tokens", "Tokens of the texts that wait.", value=status.queue_tokens
        )
        yield gauge(
            "linnet_queue_oldest_seconds",
            "Seconds that the oldest text has waited.",
            value=status.queue_oldest_seconds,
        )
        yield gauge(
            "linnet_workers_expected",
            "Engine workers there should be.",
            value=status.workers_expected,
        )
        yield gauge(
            "linnet_workers_up", "Engine workers that are up.", value=len(status.worker_pids)
        )
        yield counter(
            "linnet_worker_restarts", "Engine workers started again.", value=status.worker_restarts
        )
        yield from _worker_processes(status.worker_pids)
        yield counter(
            "linnet_log_written",
            "Records that the prediction log has stored.",
            value=status.log_written,
        )
        yield counter(
            "linnet_log_lost", "Records that the prediction log had to drop.", value=status.log_lost
        )
        yield gauge(
            "linnet_log_pending", "Records that wait to be stored.", value=status.log_pending
        )
        yield gauge(
            "linnet_log_up",
            "Whether the prediction log can be written, or is off: 1 or 0.",
            value=status.log_works,
        )
        yield gauge(
            "linnet_keys_stale",
            "Whether the file of keys could not be read again, or is gone: 1 or 0.",
            value=status.keys_stale,
        )
        yield from _experiment(status)


def _experiment(status: ServiceStatus) -> Iterator[Metric]:
    evidence = GaugeMetricFamily(
        "linnet_experiment_evidence",
        "Evidence that a challenger harms, by kind of event, as a decimal logarithm. all: of all "
        "kinds together, which rolls back.",
        labels=["arm", "guardrail"],
    )
    for labels, value in status.harm.items():
        evidence.add_metric(labels, value)
    yield evidence
    rolled_back = GaugeMetricFamily(
        "linnet_rolled_back",
        "Whether a challenger was rolled back, until a person lifts it: 1 or 0.",
        labels=["arm"],
    )
    for arm, is_rolled_back in status.rolled_back.items():
        rolled_back.add_metric([arm], is_rolled_back)
    yield rolled_back


def _worker_processes(pids: Sequence[int]) -> Iterator[Metric]:
    memory = GaugeMetricFamily(
        "linnet_worker_resident_memory_bytes",
        "Resident memory of a worker's process (Linux).",
        labels=["worker"],
    )
    cpu = CounterMetricFamily(
        "linnet_worker_cpu_seconds",
        "Processor time of a worker's process (Linux).",
        labels=["worker"],
    )
    for number, pid in enumerate(pids):
        read = ProcessCollector(pid=lambda pid=pid: pid, registry=None)  # type: ignore[misc]
        for family in read.collect():
            for name, ours in (
                ("process_resident_memory_bytes", memory),
                ("process_cpu_seconds", cpu),
            ):
                if family.name == name:
                    ours.add_metric([str(number)], family.samples[0].value)
    yield memory
    yield cpu

"""What monitoring found, as metrics of the service: read again where a file was written again."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from linnet.monitor.alarms import Gauge, gauges
from linnet.monitor.results import age, read_results, versions

AGE = "linnet_monitor_age_seconds"
AGE_MEANING = "Seconds since `linnet monitor` last ran. No value: it never did."


class MonitorStatus:
    """The results in a folder, as gauges.

    Args:
        folder: The monitor's.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._versions: object = None
        self._gauges: list[Gauge] = []
        self._age: float | None = None

    def refresh(self) -> None:
        """Look at the files; one that changed is read. For a thread, as it may take long."""
        found = versions(self._folder)
        if found != self._versions:
            self._gauges = gauges(read_results(self._folder))
            self._versions = found
        self._age = age(self._folder)

    def gauges(self) -> Sequence[Gauge]:
        """The gauges, as of the last refresh."""
        seconds = [] if self._age is None else [((), self._age)]
        return [*self._gauges, Gauge(AGE, AGE_MEANING, (), seconds)]


class MonitorCollector:
    """Turns gauges into metrics.

    Args:
        read: Gives the gauges.
    """

    def __init__(self, read: Callable[[], Sequence[Gauge]]):
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """The gauges as metrics."""
        for gauge in self._read():
            family = GaugeMetricFamily(gauge.name, gauge.meaning, labels=gauge.labels)
            for values, number in gauge.values:
                family.add_metric(
                    [value.encode("utf-8", "replace").decode("utf-8") for value in values], number
                )
            yield family

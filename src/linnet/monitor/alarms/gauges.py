"""The results as gauges, for the service's /metrics and for a file of the textfile collector.

The names are the same in both.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import get_args

from linnet.monitor.results import Accuracy, Drift, Results, Verdict

VERDICTS = get_args(Verdict)


@dataclass(frozen=True)
class Gauge:
    """One metric.

    Attributes:
        name: Its name.
        meaning: A sentence.
        labels: Names of its labels.
        values: The values of the labels, and the number.
    """

    name: str
    meaning: str
    labels: tuple[str, ...]
    values: Sequence[tuple[tuple[str, ...], float]]


def gauges(results: Results) -> list[Gauge]:
    """What the results say, as metrics.

    Args:
        results: A missing file gives no values, so that no alert rests on it.
    """
    drift = results.drift
    arms = drift.arms if drift else {}
    streams = [
        ((arm, name), stream)
        for arm, found in arms.items()
        for name, stream in found.streams.items()
    ]
    alarming = {(alarm.arm, alarm.stream) for alarm in drift.alarms} if drift else set()
    return [
        Gauge(
            "linnet_drift_evidence",
            "Evidence that a stream left its zone, as its logarithm to base 10.",
            ("arm", "stream"),
            [
                (labels, stream.evidence_log10)
                for labels, stream in streams
                if stream.evidence_log10 is not None
            ],
        ),
        Gauge(
            "linnet_drift_evidence_limit",
            "Evidence at which a stream alarms, as its logarithm to base 10.",
            (),
            _limit(drift),
        ),
        Gauge(
            "linnet_drift_alarm",
            "Whether a stream has an alarm that nobody acknowledged: 1 or 0.",
            ("arm", "stream"),
            [
                (labels, float(labels in alarming and stream.acknowledged is None))
                for labels, stream in streams
            ],
        ),
        Gauge(
            "linnet_accuracy",
            "Accuracy by kind (measured on audited texts, estimated without labels) and bound "
            "(low, value, high). A kind that is not known has no value.",
            ("arm", "kind", "bound"),
            [
                ((arm, *labels), value)
                for arm, found in arms.items()
                for labels, value in _accuracy(found.accuracy)
            ],
        ),
        Gauge(
            "linnet_decision",
            "1 for the verdict of the last decision, 0 for the others.",
            ("verdict",),
            [((verdict,), float(verdict == results.decision.verdict)) for verdict in VERDICTS]
            if results.decision
            else [],
        ),
        Gauge(
            "linnet_monitor_timestamp_seconds",
            "When `linnet monitor` last ran, in seconds since 1970.",
            (),
            [] if results.written_at is None else [((), results.written_at)],
        ),
        Gauge(
            "linnet_monitor_broken_files",
            "Files of results that can't be used.",
            (),
            [((), float(len(results.broken)))],
        ),
    ]


def textfile(found: Sequence[Gauge]) -> str:
    """Gauges in Prometheus' text format, for the textfile collector of the node exporter."""
    return "".join(f"{line}\n" for gauge in found for line in _lines(gauge))


def _limit(drift: Drift | None) -> list[tuple[tuple[str, ...], float]]:
    limit = drift.promise.evidence_limit_log10 if drift else None
    return [] if limit is None else [((), limit)]


def _accuracy(accuracy: Accuracy | None) -> Iterator[tuple[tuple[str, str], float]]:
    if accuracy is None:
        return
    for kind in ("measured", "estimated"):
        found = getattr(accuracy, kind)
        # An estimate that a gate switched off is not shown as if it counted.
        if found is None or (kind == "estimated" and accuracy.state == "unknown"):
            continue
        for bound in ("low", "value", "high"):
            value = getattr(found, bound)
            if value is not None:
                yield (kind, bound), value


def _lines(gauge: Gauge) -> Iterator[str]:
    yield f"# HELP {gauge.name} {gauge.meaning}"
    yield f"# TYPE {gauge.name} gauge"
    for values, number in gauge.values:
        if math.isfinite(number):
            pairs = zip(gauge.labels, values, strict=True)
            labels = ",".join(f'{name}="{_escaped(value)}"' for name, value in pairs)
            yield f"{gauge.name}{{{labels}}} {number!r}" if labels else f"{gauge.name} {number!r}"


def _escaped(value: str) -> str:
    plain = value.encode("utf-8", "replace").decode("utf-8")
    return plain.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")

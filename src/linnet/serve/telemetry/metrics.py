"""What is counted and measured, as Prometheus reads it. Knows nothing of how requests are answered.

Everything is counted in the front process, which sees every request, batch and worker: one registry
is right however many workers there are. Labels are bounded: routes are templates, arms and their
labels come from the configuration, codes from the source; nothing of a request becomes a label.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    exposition,
)
from prometheus_client.openmetrics import exposition as openmetrics

from linnet.monitor.alarms import Gauge as MonitorGauge
from linnet.predict import Prediction
from linnet.serve.errors import CLIENT_LEFT
from linnet.serve.telemetry.monitor_status import MonitorCollector
from linnet.serve.telemetry.service_status import ServiceCollector, ServiceStatus

SHED = {"overloaded", "too_many_connections"}  # codes of what is refused as there is too much
NO_LABEL = "(none)"

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
MOSTLY_UNKNOWN = 0.5  # share of a text's tokens
TEXTS = tuple(2**power for power in range(9))
TOKENS = tuple(2**power for power in range(4, 15))
PADDING = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75)
CONFIDENCE = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)


Family = TypeVar("Family", Counter, Histogram)


@dataclass(frozen=True)
class ArmStatus:
    """What answers under one name; see `GET /v1/models`.

    Attributes:
        arm: The name.
        role: "champion", "challenger" or "shadow".
        share: Of the traffic, from 0 to 1.
        name: The model's.
        digest: The bundle's.
        engine: What runs it.
        variant: In which precision.
    """

    arm: str
    role: str
    share: float
    name: str
    digest: str
    engine: str
    variant: str


class Children(dict[tuple[str, ...], Family]):
    """The children of a family by label values, kept because a lookup costs more than a count."""

    def __init__(self, family: Family):
        self._family: Family = family

    def __missing__(self, values: tuple[str, ...]) -> Family:
        child = self[values] = self._family.labels(*map(_plain, values))
        return child


class Metrics:
    """The metrics of one service; two in one process share nothing.

    Args:
        read: Gives the service's status, at each scrape.
        gauges: Gives what monitoring found.

    Attributes:
        registry: What `render` renders.
    """

    def __init__(
        self,
        read: Callable[[], ServiceStatus],
        gauges: Callable[[], Sequence[MonitorGauge]] = tuple,
    ):
        self.registry = registry = CollectorRegistry()
        self._requests = _counter(
            registry,
            "linnet_requests",
            "Requests by route (a template), outcome (answered, failed, or shed as there was too "
            "much) and status; 499: the client left before its answer.",
            "route outcome status",
        )
        self._request_seconds = _histogram(
            registry,
            "linnet_request_seconds",
            "Seconds from a request's head to the end of its answer.",
            "route outcome",
            SECONDS,
        )
        self._texts = _counter(
            registry,
            "linnet_texts",
            "Texts by outcome: answered, abstained, or a failure's code. other_text_failed: "
            "another text made the request fail.",
            "arm outcome",
        )
        self._labels = _counter(
            registry,
            "linnet_labels",
            "Labels given; (none) where a text was given none.",
            "arm label",
        )
        self._confidence = _histogram(
            registry,
            "linnet_confidence",
            "Probability of the likeliest label of a text.",
            "arm",
            CONFIDENCE,
        )
        self._truncated = _counter(
            registry,
            "linnet_truncated_texts",
            "Texts longer than the model reads, whose end was cut off.",
            "arm",
        )
        self._unknown = _counter(
            registry,
            "linnet_unknown_texts",
            "Texts with more than half of their tokens unknown to the model.",
            "arm",
        )
        self._batch_texts = _histogram(
            registry, "linnet_batch_texts", "Texts in a batch.", "arm", TEXTS
        )
        self._batch_tokens = _histogram(
            registry, "linnet_batch_tokens", "Tokens in a batch, without padding.", "arm", TOKENS
        )
        self._batch_padding = _histogram(
            registry,
            "linnet_batch_padding_share",
            "Share of a batch that is padding.",
            "arm",
            PADDING,
        )
        self._batch_seconds = _histogram(
            registry,
            "linnet_batch_seconds",
            "Seconds in which a batch was computed.",
            "arm",
            SECONDS,
        )
        self._tokens = _counter(
            registry, "linnet_tokens", "Tokens computed, without padding.", "arm"
        )
        self._padding = _counter(
            registry, "linnet_padding_tokens", "Padding computed, in tokens.", "arm"
        )
        self._info = Gauge(
            "linnet_model_info",
            "1 for the model that answers under each arm.",
            ("arm", "role", "name", "digest", "engine", "variant"),
            registry=registry,
        )
        self._share = Gauge(
            "linnet_arm_share",
            "Share of the traffic that an arm is given.",
            ["arm"],
            registry=registry,
        )
        registry.register(ServiceCollector(read))
        registry.register(MonitorCollector(gauges))
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)

    def observe_request(
        self, route: str, status: int, seconds: float, code: str | None = None
    ) -> None:
        """Count a request.

        Args:
            route: The template of the route it matched.
            status: What it was answered with; 0: the client left before.
            seconds: How long that took.
            code: The failure's code, where it failed.
        """
        status = status or CLIENT_LEFT[0]
        outcome = "shed" if code in SHED else "answered" if status < 400 else "failed"
        self._requests[route, outcome, str(status)].inc()
        self._request_seconds[route, outcome].observe(seconds)

    def observe_answer(self, arm: str, answer: Prediction) -> None:
        """Count an answered text: its labels, its confidence and how it was read."""
        self._texts[arm, "abstained" if answer.abstained else "answered"].inc()
        for label in answer.labels or (NO_LABEL,):
            self._labels[arm, label].inc()
        self._confidence[(arm,)].observe(answer.probability)
        self._truncated[(arm,)].inc(answer.truncated)
        self._unknown[(arm,)].inc(answer.unknown_share > MOSTLY_UNKNOWN)

    def observe_failed_text(self, arm: str, code: str) -> None:
        """Count a text that an arm did not answer, by the code of its failure."""
        self._texts[arm, code].inc()

    def observe_batch(
        self, arm: str, texts: int, tokens: int, padded_tokens: int, seconds: float
    ) -> None:
        """Count a batch.

        Args:
            arm: Whose it was.
            texts: How many it held.
            tokens: Their tokens, without padding.
            padded_tokens: Tokens of the whole, padding included; at least one.
            seconds: In which it was computed.
        """
        one = (arm,)
        padding = padded_tokens - tokens
        self._batch_texts[one].observe(texts)
        self._batch_tokens[one].observe(tokens)
        self._batch_padding[one].observe(padding / padded_tokens)
        self._batch_seconds[one].observe(seconds)
        self._tokens[one].inc(tokens)
        self._padding[one].inc(padding)

    def set_arms(self, arms: Sequence[ArmStatus]) -> None:
        """Say which models answer now; called at the start and after each change."""
        self._info.clear()
        self._share.clear()
        for arm in arms:
            named = (arm.arm, arm.role, arm.name, arm.digest, arm.engine, arm.variant)
            self._info.labels(*map(_plain, named)).set(1)
            self._share.labels(_plain(arm.arm)).set(arm.share)

    def render(self, accept: str) -> tuple[bytes, str]:
        """All metrics, and the media type they are in.

        Args:
            accept: The request's header `Accept`: OpenMetrics where it is named, else Prometheus'
                own text.
        """
        # prometheus_client's choose_encoder fails on versions that are no numbers.
        if "application/openmetrics-text" in accept.lower():
            return openmetrics.generate_latest(self.registry), openmetrics.CONTENT_TYPE_LATEST  # type: ignore[no-untyped-call]
        return exposition.generate_latest(self.registry), exposition.CONTENT_TYPE_PLAIN_0_0_4


def _counter(
    registry: CollectorRegistry, name: str, documentation: str, labels: str
) -> Children[Counter]:
    return Children(Counter(name, documentation, labels.split(), registry=registry))


def _histogram(
    registry: CollectorRegistry,
    name: str,
    documentation: str,
    labels: str,
    buckets: Sequence[float],
) -> Children[Histogram]:
    return Children(
        Histogram(name, documentation, labels.split(), registry=registry, buckets=buckets)
    )


def _plain(value: str) -> str:
    # A label's name may hold half of a surrogate pair, which the exposition, being UTF-8, can't.
    return value.encode("utf-8", "replace").decode("utf-8")

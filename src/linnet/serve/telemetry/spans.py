"""Spans of OpenTelemetry:

one a request, the stages of its work below it. Needs the extra `tracing`.
"""

import os
import time
from importlib.metadata import entry_points
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import (
    Span,
    SpanKind,
    StatusCode,
    Tracer,
    format_trace_id,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from linnet.serve.request_id import route_of

GROUP = "opentelemetry_traces_exporter"
UNTRACED = (
    "/healthz",
    "/readyz",
    "/ping",
    "/metrics",
    "/v2/health/live",
    "/v2/health/ready",
)  # asked all day


class RequestSpan:
    """The span of a request, and those of its stages.

    Args:
        tracer: What makes spans.
        parent: The caller's `traceparent` and `tracestate`, if any (W3C Trace Context).
    """

    def __init__(self, tracer: Tracer, parent: dict[str, str]):
        self._tracer = tracer
        self._wall = time.time_ns()
        self._clock = time.perf_counter()
        context = TraceContextTextMapPropagator().extract(parent)
        self._span = tracer.start_span("request", context, SpanKind.SERVER, start_time=self._wall)
        self._below = set_span_in_context(self._span)

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits."""
        return format_trace_id(self._span.get_span_context().trace_id)

    def add_stage(self, name: str, started: float, ended: float) -> None:
        """Add a stage that began and ended at these times of `time.perf_counter`."""
        if self._span.is_recording():
            stage: Span = self._tracer.start_span(name, self._below, start_time=self._at(started))
            stage.end(self._at(ended))

    def end(self, name: str, attributes: dict[str, Any], failed: bool) -> None:
        """End the request's span."""
        self._span.update_name(name)
        self._span.set_attributes(attributes)
        if failed:
            self._span.set_status(StatusCode.ERROR)
        self._span.end(self._at(time.perf_counter()))

    def _at(self, seconds: float) -> int:
        return self._wall + round((seconds - self._clock) * 1e9)


class Spans:
    """What makes and exports spans.

    Args:
        provider: OpenTelemetry's; nothing is set that is global.
    """

    def __init__(self, provider: TracerProvider):
        self._provider = provider
        self._tracer = provider.get_tracer("linnet")

    def around(self, app: ASGIApp) -> ASGIApp:
        """An application whose requests are traced."""
        return TraceRequests(app, self)

    @classmethod
    def exported(cls, names: str) -> "Spans":
        """Spans that are exported as the standard variables say.

        `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_TRACES_SAMPLER`, `OTEL_BSP_...` and
        those of the exporter are read by OpenTelemetry itself.

        Args:
            names: As `OTEL_TRACES_EXPORTER` has them: "otlp", "console", or others that are
                installed, after commas.

        Raises:
            ValueError: One is not installed, or refuses its variables.
        """
        # What is passed here would win over the variables.
        named = "OTEL_SERVICE_NAME" in os.environ or "service.name=" in os.environ.get(
            "OTEL_RESOURCE_ATTRIBUTES", ""
        )
        resource = Resource.create({} if named else {"service.name": "linnet"})
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        for name in filter(None, (part.strip() for part in names.split(","))):
            found = list(
                entry_points(group=GROUP, name="otlp_proto_http" if name == "otlp" else name)
            )
            if not found:
                raise ValueError(f"there is no exporter {name!r}")
            provider.add_span_processor(BatchSpanProcessor(found[0].load()()))
        return cls(provider)

    def begin(self, headers: Headers) -> RequestSpan:
        """Begin the span of a request, below its caller's, if it names one."""
        parent = {name: headers[name] for name in ("traceparent", "tracestate") if name in headers}
        return RequestSpan(self._tracer, parent)

    def close(self) -> None:
        """Export what is left; takes seconds where the collector doesn't answer."""
        self._provider.shutdown()


class TraceRequests:
    """ASGI middleware: a span a request, which `trace_stage` then adds to.

    It holds the method, the route, the status and the ids of request and key; no text and no path.

    Args:
        app: What the request is passed on to.
        spans: What makes spans.
    """

    def __init__(self, app: ASGIApp, spans: Spans):
        self._app = app
        self._spans = spans

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http" or scope["path"] in UNTRACED:
            await self._app(scope, receive, send)
            return
        state = scope["state"]
        state["span"] = span = self._spans.begin(Headers(scope=scope))
        state["trace_id"] = span.trace_id
        status = 0

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            route = route_of(scope)
            attributes = {
                "http.request.method": scope["method"],
                "http.route": route,
                "http.response.status_code": status,
                "linnet.request_id": state["request_id"],
                **({"linnet.key_id": state["key_id"]} if "key_id" in state else {}),
            }
            span.end(f"{scope['method']} {route}", attributes, failed=status >= 500)

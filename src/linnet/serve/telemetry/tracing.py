"""Traces, if they are asked for: the switch, and the record of a stage of a request's work.

OpenTelemetry is an extra (`linnet-text[tracing]`), and is not imported before its environment
variables ask for it.
"""

import logging
import os
from typing import TYPE_CHECKING

from starlette.types import Scope

if TYPE_CHECKING:
    from linnet.serve.telemetry.spans import RequestSpan, Spans

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")

# For FastAPI(telemetry=...). Newer ones trace by themselves where a provider is set globally, as by
# `opentelemetry-instrument`, and export paths, queries and what exceptions say; older ones don't,
# and overlook this.
NO_FASTAPI_TELEMETRY = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}

logger = logging.getLogger("linnet.serve")


def start_tracing() -> "Spans | None":
    """Export traces as OpenTelemetry's standard variables say; None if they ask for none.

    They do by `OTEL_TRACES_EXPORTER` or the endpoint of an OTLP collector. Where the extra is
    missing, or the exporter can't be had, the service goes on without traces and the log says so:
    the variables may be meant for its neighbours.
    """
    exporters = os.environ.get("OTEL_TRACES_EXPORTER", "").strip()
    asked = bool(exporters) or any(os.environ.get(name) for name in ENDPOINTS)
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    if not asked or disabled or exporters == "none":
        return None
    try:
        from linnet.serve.telemetry.spans import Spans  # noqa: PLC0415 - an extra, and only where it is used

        return Spans.exported(exporters or "otlp")
    except (ImportError, ValueError) as error:
        logger.warning(
            "No traces, though OTEL_ variables ask for them: %s. (pip install "
            "'linnet-text[tracing]')",
            error,
        )
        return None


def trace_stage(scope: Scope, name: str, started: float, ended: float) -> None:
    """Add a stage such as "tokenize" to a request's trace; nothing without traces.

    Args:
        scope: The request's.
        name: The stage's.
        started: When it began, in seconds of `time.perf_counter`; on Linux and macOS that is the
            clock of `time.monotonic` too, and of all processes.
        ended: When it ended.
    """
    span: RequestSpan | None = scope["state"].get("span")
    if span:
        span.add_stage(name, started, ended)

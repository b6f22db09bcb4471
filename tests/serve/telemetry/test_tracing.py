"""Traces: asked for by OpenTelemetry's own variables, a span a request, its stages below it, and nothing private."""

import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import fastapi
import pytest
from fastapi import FastAPI, Request
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from starlette.testclient import TestClient

from linnet.serve.middleware.failures import ServerErrorMiddleware
from linnet.serve.middleware.identity import RequestIdMiddleware
from linnet.serve.telemetry.spans import Spans, TraceRequests
from linnet.serve.telemetry.tracing import start_tracing, trace_stage

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    import os

    for name in os.environ:
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)


def make_app(spans: Spans | None) -> FastAPI:
    app = FastAPI()

    @app.get("/models/{name}")
    async def model(request: Request, name: str) -> str:
        now = time.perf_counter()
        trace_stage(request.scope, "tokenize", now - 0.03, now - 0.02)
        trace_stage(request.scope, "queue", now - 0.02, now - 0.01)
        trace_stage(request.scope, "compute", now - 0.01, now)
        return str(1 // len(name.strip("0")))

    @app.get("/healthz")
    async def healthz() -> str:
        return "ok"

    app.add_middleware(ServerErrorMiddleware)
    if spans:
        app.add_middleware(TraceRequests, spans=spans)
    app.add_middleware(RequestIdMiddleware)
    return app


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def client(exporter) -> Iterator[TestClient]:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with TestClient(make_app(Spans(provider))) as client:
        yield client


def test_a_request_is_a_span_with_its_stages_below(client, exporter, caplog):
    with caplog.at_level(logging.INFO, "linnet.serve"):
        began = time.time_ns()
        client.get("/models/private?q=private", headers={"X-Request-ID": "mine"})
        ended = time.time_ns()
    *stages, whole = exporter.get_finished_spans()
    assert (
        whole.name == "GET /models/{name}"
        and whole.kind is SpanKind.SERVER
        and whole.parent is None
    )
    assert whole.attributes == {
        "http.request.method": "GET",
        "http.route": "/models/{name}",
        "http.response.status_code": 200,
        "linnet.request_id": "mine",
    }
    assert began <= whole.start_time <= whole.end_time <= ended
    assert [stage.name for stage in stages] == ["tokenize", "queue", "compute"]
    for stage in stages:
        assert (
            stage.parent.span_id == whole.context.span_id
            and stage.context.trace_id == whole.context.trace_id
        )
        assert stage.end_time - stage.start_time == pytest.approx(10_000_000, rel=1e-3)
    assert stages[0].end_time == pytest.approx(stages[1].start_time, abs=1000)
    assert f"{whole.context.trace_id:032x}" == caplog.records[-1].trace_id


def test_a_caller_s_trace_is_gone_on_with(client, exporter):
    client.get("/models/a", headers={"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "a=b"})
    whole = exporter.get_finished_spans()[-1]
    assert f"{whole.context.trace_id:032x}" == TRACE and f"{whole.parent.span_id:016x}" == PARENT
    assert whole.context.trace_state["a"] == "b"


def test_what_the_caller_does_not_sample_costs_nothing(client, exporter):
    assert (
        client.get("/models/a", headers={"traceparent": f"00-{TRACE}-{PARENT}-00"}).status_code
        == 200
    )
    assert exporter.get_finished_spans() == ()


@pytest.mark.parametrize(
    "sent",
    ["", "00", f"00-{'0' * 32}-{PARENT}-01", "\xff" * 55, "x" * 60_000, f"ff-{TRACE}-{PARENT}-01"],
)
def test_a_hostile_parent_is_none(client, exporter, sent):
    headers = {"traceparent": sent.encode("latin-1"), "tracestate": sent.encode("latin-1")}
    assert client.get("/models/a", headers=headers).status_code == 200
    assert exporter.get_finished_spans()[-1].parent is None


def test_a_failure_of_ours_is_an_error_and_a_caller_s_is_none(client, exporter):
    client.get("/models/0")
    assert exporter.get_finished_spans()[-1].status.status_code is StatusCode.ERROR
    client.get("/nowhere/private")
    last = exporter.get_finished_spans()[-1]
    assert last.status.status_code is StatusCode.UNSET and last.name == "GET (no route)"
    assert "private" not in last.to_json()


def test_probes_are_not_traced(client, exporter):
    client.get("/healthz")
    assert exporter.get_finished_spans() == ()


def test_stages_without_traces_are_nothing():
    with TestClient(make_app(None)) as client:
        assert client.get("/models/a").status_code == 200


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_SERVICE_NAME": "other"},
    ],
)
def test_nothing_is_traced_unless_asked_for(monkeypatch, variables, caplog):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert start_tracing() is None
    assert caplog.text == ""


def test_an_exporter_that_is_not_there_is_told_of(monkeypatch, caplog):
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "zipkin")
    assert start_tracing() is None
    assert "there is no exporter 'zipkin'" in caplog.text


def test_without_the_extra_it_is_told_of(monkeypatch, caplog):
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    monkeypatch.delitem(sys.modules, "linnet.serve.telemetry.spans")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    assert start_tracing() is None
    assert "pip install 'linnet-text[tracing]'" in caplog.text


def test_nothing_is_imported_unless_asked_for():
    code = (
        "import sys, linnet.serve.telemetry.tracing as t\nt.start_tracing()\n"
        "print('opentelemetry.sdk' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


PROVIDED = """
from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.testclient import TestClient
from linnet.serve.telemetry.tracing import NO_FASTAPI_TELEMETRY

exporter = InMemorySpanExporter()
trace.set_tracer_provider(TracerProvider(shutdown_on_exit=False))
trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(exporter))
for options in ({}, {"telemetry": NO_FASTAPI_TELEMETRY}):
    TestClient(FastAPI(**options)).get("/private?q=private")
    print(any("private" in span.to_json() for span in exporter.get_finished_spans()))
    exporter.clear()
"""


def test_fastapi_s_own_spans_would_tell_the_path_and_are_off():
    done = subprocess.run(
        [sys.executable, "-c", PROVIDED], capture_output=True, text=True, check=True
    )
    told, told_nothing = done.stdout.split()
    assert told_nothing == "False"
    assert told == "True" or int(fastapi.__version__.split(".")[1]) < 165


@contextmanager
def collector() -> Iterator[tuple[str, list[bytes]]]:
    """An HTTP server that takes what is sent to it."""
    taken: list[bytes] = []

    class Take(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Take)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", taken
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("name", [None, "classifier"])
def test_spans_reach_the_collector_that_the_variables_name(monkeypatch, name):
    with collector() as (address, taken):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
        if name:
            monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", f"service.name={name}")
        spans = start_tracing()
        with TestClient(make_app(spans)) as client:
            client.get("/models/private")
        spans.close()
    assert len(taken) == 1
    assert b"/models/{name}" in taken[0] and b"compute" in taken[0] and b"private" not in taken[0]
    assert (name or "linnet").encode() in taken[0]

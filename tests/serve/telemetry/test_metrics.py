"""What is counted, and how it is read; every metric is in the reference, and no label is of a request's making."""

import os
import re
from pathlib import Path

import pytest
from fastapi import FastAPI, Request, Response
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text
from starlette.testclient import TestClient

from linnet.predict import Prediction
from linnet.serve.errors import APIError
from linnet.serve.middleware.failures import ServerErrorMiddleware, handle_failures
from linnet.serve.middleware.identity import RequestIdMiddleware
from linnet.serve.telemetry.metrics import ArmStatus, Metrics
from linnet.serve.telemetry.monitor_status import MonitorStatus
from linnet.serve.telemetry.service_status import ServiceStatus

from ...monitor.sample import write

FACTS = ServiceStatus(
    ready=True,
    queue_texts=3,
    queue_tokens=60,
    queue_oldest_seconds=0.25,
    workers_expected=2,
    worker_pids=(os.getpid(),),
    worker_restarts=1,
    log_written=100,
    log_lost=2,
    log_pending=5,
    log_works=True,
    keys_stale=False,
    harm={("new", "failures"): 1.5},
    rolled_back={"new": True},
)
REFERENCE = (Path(__file__).parents[3] / "docs" / "reference.md").read_text()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(lambda: FACTS)


def answer(
    *labels: str,
    probability: float = 0.9,
    truncated: bool = False,
    abstained: bool = False,
    unknown_share: float = 0.0,
) -> Prediction:
    return Prediction(
        labels[0] if labels else None,
        probability,
        {},
        truncated,
        labels,
        abstained,
        unknown_share=unknown_share,
    )


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_texts_that_are_mostly_unknown_are_counted(metrics):
    for share in (0.0, 0.5, 0.51, 1.0):
        metrics.observe_answer("champion", answer("positive", unknown_share=share))
    assert value(metrics, "linnet_unknown_texts_total", arm="champion") == 2


def test_two_services_share_nothing(metrics):
    metrics.observe_request("/v1/predict", 200, 0.01)
    labels = {"route": "/v1/predict", "outcome": "answered", "status": "200"}
    assert value(metrics, "linnet_requests_total", **labels) == 1
    assert value(Metrics(lambda: FACTS), "linnet_requests_total", **labels) is None


@pytest.mark.parametrize(
    ("status", "code", "outcome", "shown"),
    [
        (200, None, "answered", "200"),
        (304, None, "answered", "304"),
        (422, "bad_text", "failed", "422"),
        (429, "overloaded", "shed", "429"),
        (429, "rate_limited", "failed", "429"),
        (503, "not_ready", "failed", "503"),
        (0, None, "failed", "499"),
    ],
)
def test_a_request_has_one_outcome(metrics, status, code, outcome, shown):
    metrics.observe_request("/v1/predict", status, 0.004, code)
    assert (
        value(metrics, "linnet_requests_total", route="/v1/predict", outcome=outcome, status=shown)
        == 1
    )
    named = {"route": "/v1/predict", "outcome": outcome}
    assert value(metrics, "linnet_request_seconds_sum", **named) == 0.004
    assert value(metrics, "linnet_request_seconds_bucket", **named, le="0.002") == 0
    assert value(metrics, "linnet_request_seconds_bucket", **named, le="0.005") == 1


def test_answers_are_counted_by_arm(metrics):
    for one in (
        answer("a"),
        answer("a", truncated=True),
        answer("a", "b"),
        answer(),
        answer(abstained=True, probability=0.4),
    ):
        metrics.observe_answer("champion", one)
    metrics.observe_answer("shadow", answer("a", probability=1.0))
    for _ in range(2):
        metrics.observe_failed_text("champion", "bad_text")
    expected = {
        ("linnet_texts_total", "champion", "outcome", "answered"): 4,
        ("linnet_texts_total", "champion", "outcome", "abstained"): 1,
        ("linnet_texts_total", "champion", "outcome", "bad_text"): 2,
        ("linnet_texts_total", "shadow", "outcome", "answered"): 1,
        ("linnet_labels_total", "champion", "label", "a"): 3,
        ("linnet_labels_total", "champion", "label", "b"): 1,
        ("linnet_labels_total", "champion", "label", "(none)"): 2,
    }
    for (name, arm, label, which), count in expected.items():
        assert value(metrics, name, arm=arm, **{label: which}) == count, (name, which)
    assert value(metrics, "linnet_truncated_texts_total", arm="champion") == 1
    assert value(metrics, "linnet_confidence_count", arm="champion") == 5
    assert value(metrics, "linnet_confidence_sum", arm="champion") == pytest.approx(4 * 0.9 + 0.4)
    assert value(metrics, "linnet_confidence_bucket", arm="shadow", le="1.0") == 1


def test_batches_are_measured(metrics):
    metrics.observe_batch("champion", texts=16, tokens=300, padded_tokens=400, seconds=0.03)
    metrics.observe_batch("champion", texts=1, tokens=10, padded_tokens=10, seconds=0.01)
    assert value(metrics, "linnet_batch_texts_sum", arm="champion") == 17
    assert value(metrics, "linnet_batch_tokens_sum", arm="champion") == 310
    assert value(metrics, "linnet_batch_padding_share_sum", arm="champion") == 0.25
    assert value(metrics, "linnet_batch_seconds_sum", arm="champion") == 0.04
    assert value(metrics, "linnet_tokens_total", arm="champion") == 310
    assert value(metrics, "linnet_padding_tokens_total", arm="champion") == 100


def test_the_facts_are_read_at_each_scrape():
    asked = []

    def read() -> ServiceStatus:
        asked.append(1)
        return FACTS

    metrics = Metrics(read)
    assert asked == []
    body = metrics.render("")[0].decode()
    assert asked == [1]
    for line in (
        "linnet_ready 1.0", "linnet_queue_texts 3.0", "linnet_queue_tokens 60.0", "linnet_queue_oldest_seconds 0.25",
        "linnet_workers_expected 2.0", "linnet_workers_up 1.0", "linnet_worker_restarts_total 1.0",
        "linnet_log_written_total 100.0", "linnet_log_lost_total 2.0", "linnet_log_pending 5.0",
        "linnet_log_up 1.0",
        "linnet_keys_stale 0.0",
    ):  # fmt: skip
        assert f"\n{line}\n" in body
    resident = float(
        re.search(r'\nlinnet_worker_resident_memory_bytes\{worker="0"\} (\S+)\n', body)[1]
    )
    assert resident > 10_000_000
    assert "\nprocess_resident_memory_bytes " in body and "\npython_info{" in body


def test_a_worker_that_died_meanwhile_has_no_facts():
    dead = ServiceStatus(**{**vars(FACTS), "worker_pids": (2**22 + 1,)})
    assert b'worker="0"' not in Metrics(lambda: dead).render("")[0]


def test_the_arms_are_those_of_now(metrics):
    metrics.set_arms([ArmStatus("a", "champion", 0.9, "tweets", "d1", "onnxruntime", "fp32")])
    metrics.set_arms([ArmStatus("b", "champion", 1.0, "tweets", "d2", "openvino", "bf16")])
    body = metrics.render("")[0].decode()
    assert 'arm="a"' not in body
    assert 'linnet_arm_share{arm="b"} 1.0' in body
    assert (
        'linnet_model_info{arm="b",digest="d2",engine="openvino",name="tweets",role="champion",variant="bf16"} 1.0'
        in body
    )


@pytest.mark.parametrize("name", ["\ud800", "a\nb", 'a"b\\', "\0", "", "x" * 100_000, "é\u202e"])
def test_a_label_may_be_called_anything(metrics, name):
    metrics.observe_answer("champion", answer(name))
    metrics.set_arms([ArmStatus("a", "champion", 1.0, name, "d", "o", "v")])
    read = [
        family
        for family in read_text(metrics.render("")[0].decode())
        if family.name == "linnet_labels"
    ]
    assert read[0].samples[0].labels["label"] == name.replace("\ud800", "?")


PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;"
    "q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)


def test_both_formats_can_be_read(metrics):
    metrics.observe_request("/v1/predict", 200, 0.01)
    metrics.observe_answer("champion", answer("a"))
    metrics.observe_batch("champion", 1, 10, 12, 0.01)
    metrics.set_arms([ArmStatus("a", "champion", 1.0, "n", "d", "o", "v")])
    body, kind = metrics.render(PROMETHEUS)
    assert kind == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert {"linnet_requests", "linnet_confidence"} <= {
        family.name for family in read_openmetrics(body.decode())
    }
    body, kind = metrics.render("*/*")
    assert kind == "text/plain; version=0.0.4; charset=utf-8"
    assert {"linnet_requests", "linnet_confidence"} <= {
        family.name for family in read_text(body.decode())
    }


@given(
    st.text()
    | st.sampled_from(
        ["application/openmetrics-text; version=x", "text/plain;version=a.b", ",;=;,"]
    )
)
def test_no_header_breaks_it(accept):
    assert Metrics(lambda: FACTS).render(accept)[0]


def test_each_metric_is_in_the_reference_and_none_beside(tmp_path):
    monitor = MonitorStatus(tmp_path)
    monitor.refresh()
    metrics = Metrics(lambda: FACTS, monitor.gauges)
    ours = {
        family.name for family in metrics.registry.collect() if family.name.startswith("linnet_")
    }
    written = set(re.findall(r"^\| `(linnet_\w+)` \|", REFERENCE, re.MULTILINE))
    assert {name.removesuffix("_total") for name in written} == ours


def test_requests_are_counted_by_template_around_an_app(metrics):
    app = FastAPI(docs_url=None, openapi_url=None)

    @app.get("/models/{name}")
    async def model(name: str) -> str:
        if name == "full":
            raise APIError(429, "overloaded", "Full.")
        return str(1 // len(name.strip("0")))

    @app.get("/metrics")
    async def metrics_(request: Request) -> Response:
        body, kind = metrics.render(request.headers.get("accept", ""))
        return Response(body, media_type=kind)

    handle_failures(app)
    app.add_middleware(ServerErrorMiddleware)
    app.add_middleware(RequestIdMiddleware, observe=metrics.observe_request)
    with TestClient(app) as client:
        for path in (
            "/models/a",
            "/models/b",
            "/models/full",
            "/models/0",
            "/nowhere/1",
            "/nowhere/2",
        ):
            client.get(path)
        shown = client.get("/metrics")
    assert shown.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    counted = {
        tuple(sample.labels[name] for name in ("route", "outcome", "status")): sample.value
        for family in read_text(shown.text)
        if family.name == "linnet_requests"
        for sample in family.samples
    }
    assert counted == {
        ("/models/{name}", "answered", "200"): 2,
        ("/models/{name}", "shed", "429"): 1,
        ("/models/{name}", "failed", "500"): 1,
        ("(no route)", "failed", "404"): 2,
    }


def test_what_monitoring_found_is_read_again_once_a_file_was_written_again(tmp_path):
    monitor = MonitorStatus(tmp_path)
    metrics = Metrics(lambda: FACTS, monitor.gauges)

    def lines():
        monitor.refresh()
        return metrics.render("")[0].decode().splitlines()

    assert not [line for line in lines() if line.startswith(("linnet_drift", "linnet_monitor_age"))]
    write(tmp_path)
    found = lines()
    assert 'linnet_drift_alarm{arm="champion",stream="surprise"} 1.0' in found
    assert 'linnet_decision{verdict="promote"} 1.0' in found
    (age,) = [line for line in found if line.startswith("linnet_monitor_age_seconds ")]
    assert 0 <= float(age.split()[1]) < 60
    write(tmp_path, drift=b"{", decision=None)
    found = lines()
    assert "linnet_monitor_broken_files 1.0" in found
    assert not [
        line for line in found if line.startswith(("linnet_drift_alarm", "linnet_decision{"))
    ]

"""What the service does is counted and recorded: each answer under its id, what is true of it beside it."""

import re

import pytest
from starlette.testclient import TestClient

from linnet.config import load_config
from linnet.monitor import Store
from linnet.serve import Service, create_app


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return str(tmp_path_factory.mktemp("log") / "predictions.db")


@pytest.fixture(scope="module")
def recorded(bundle, store):
    shadow = {"candidate": {"bundle": str(bundle), "shadow": True}}
    overrides = {
        "prediction_log.url": store,
        "prediction_log.texts": True,
        "predict.num_threads": 1,
        "serve.arms": shadow,
    }
    service = Service(load_config(overrides=overrides), str(bundle))
    with TestClient(create_app(service)) as client:
        yield client


def counted(client, name, **labels):
    lines = [line for line in client.get("/metrics").text.splitlines() if line.startswith(name)]
    wanted = [f'{key}="{value}"' for key, value in labels.items()]
    return sum(
        float(line.rsplit(" ", 1)[1]) for line in lines if all(one in line for one in wanted)
    )


def test_each_answer_is_recorded_and_what_is_true_is_joined(recorded, store):
    before = counted(recorded, "linnet_texts_total", arm="champion", outcome="answered")
    answers = recorded.post(
        "/v1/predict",
        json={"texts": ["good day", "", "bad \ud800day".encode("utf-8", "ignore").decode()]},
    )
    items = answers.json()["predictions"]
    given = [item for item in items if "id" in item]
    assert len(given) == 2
    assert counted(recorded, "linnet_texts_total", arm="champion", outcome="answered") == before + 2
    assert counted(recorded, "linnet_texts_total", arm="champion", outcome="bad_text") >= 1
    told = recorded.post(
        "/v1/feedback", json={"id": given[0]["id"], "label": "\ufeffnegative\u200b "}
    )
    assert (told.status_code, told.json()["id"]) == (200, given[0]["id"])
    assert (
        recorded.post("/v1/feedback", json={"id": given[1]["id"], "label": "positive"}).status_code
        == 200
    )
    with Store(store) as log:
        entries = [
            entry for entry in log.read() if entry.record.id in {item["id"] for item in given}
        ]
    by_arm = {arm: [e for e in entries if e.record.arm == arm] for arm in ("champion", "candidate")}
    assert [e.record.id for e in by_arm["champion"]] == [item["id"] for item in given]
    for entry, item in zip(by_arm["champion"], given, strict=True):
        record = entry.record
        assert (record.label, record.digest, record.shadow) == (
            item["label"],
            item["digest"],
            False,
        )
        assert record.probability == pytest.approx(item["probability"])
        assert (
            record.text in ("good day", "bad day") and record.tokens > 2 and record.latency_ms > 0
        )
    assert [e.truth for e in by_arm["champion"]] == [("negative",), ("positive",)]
    assert all(e.record.shadow for e in by_arm["candidate"])


def test_what_a_shadow_answers_is_never_returned(recorded):
    answer = recorded.post("/v1/predict", json={"texts": ["good"], "arm": "candidate"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "unknown_arm")
    for _ in range(5):
        (item,) = recorded.post("/v1/predict", json={"texts": ["good"]}).json()["predictions"]
        assert item["arm"] == "champion"
    assert counted(recorded, "linnet_texts_total", arm="candidate", outcome="answered") >= 5


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"id": "0" * 32 + "-0", "label": "positive"}, 404, "unknown_prediction"),
        (
            {"id": "x\0'; drop table predictions; --", "label": "positive"},
            404,
            "unknown_prediction",
        ),
        ({"id": "0" * 32 + "-0", "label": "other"}, 422, "bad_label"),
        ({"id": "", "label": "positive"}, 422, "invalid_request"),
    ],
)
def test_feedback_that_can_not_be_joined_is_refused(recorded, body, status, code):
    answer = recorded.post("/v1/feedback", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_without_a_log_feedback_is_refused(client):
    answer = client.post("/v1/feedback", json={"id": "0" * 32 + "-0", "label": "positive"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "log_unavailable")


def test_the_metrics_tell_of_requests_batches_workers_and_models(recorded):
    recorded.post("/v1/predict", json={"texts": ["good"] * 3})
    assert (
        counted(
            recorded, "linnet_requests_total", route="/v1/predict", outcome="answered", status="200"
        )
        >= 1
    )
    assert counted(recorded, "linnet_batch_texts_count", arm="champion") >= 1
    assert (
        counted(recorded, "linnet_workers_up") == counted(recorded, "linnet_workers_expected") == 2
    )
    assert counted(recorded, "linnet_ready") == 1
    assert counted(recorded, "linnet_model_info", arm="candidate", role="shadow") == 1
    assert re.search(r"linnet_log_written_total \d", recorded.get("/metrics").text)

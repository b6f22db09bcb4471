"""What the service does is counted and recorded: each answer under its id, what is true of it beside it."""

import re

import numpy as np
import pytest
from starlette.testclient import TestClient

from linnet.bundle import Bundle
from linnet.config import load_config
from linnet.monitor import Store
from linnet.monitor.prediction_log.hashing import audited
from linnet.predict.codec import Codec
from linnet.serve import Service, create_app
from linnet.serve.telemetry.log_rows import packed


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
        ({"id": "0" * 32 + "-0"}, 422, "invalid_request"),
        ({"id": "0" * 32 + "-0", "label": "a", "labels": ["a"]}, 422, "invalid_request"),
        ({"id": "0" * 32 + "-0", "label": "positive", "source": "me"}, 422, "invalid_request"),
        ({"id": "0" * 32 + "-0", "labels": ["positive", "negative"]}, 422, "bad_label"),
        ({"id": "0" * 32 + "-0", "labels": ["positive", "other"]}, 422, "bad_label"),
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


def test_a_row_says_which_arms_were_at_work_and_hashes_who_asked(recorded, store, bundle):
    texts = ["a hashed text", "a hashed text", "another"]
    asked = [
        {"texts": texts},
        {"texts": texts[:1], "key": "user-7"},
        {"texts": texts[2:], "key": "user-7", "arm": "champion"},
    ]
    answers = [recorded.post("/v1/predict", json=body).json()["predictions"] for body in asked]
    recorded.post("/v1/feedback", json={"id": answers[-1][0]["id"], "label": "positive"})
    with Store(store) as log:
        (epoch,) = log.epochs()
        records = {e.record.id: e.record for e in log.read(arm="champion")}
    assert {name: arm.role for name, arm in epoch.arms.items()} == {
        "champion": "champion",
        "candidate": "shadow",
    }
    assert epoch.arms["champion"].share == 1 and len(epoch.arms["champion"].digest) == 64
    rows = [records[item["id"]] for items in answers for item in items]
    assert {row.epoch for row in rows} == {epoch.epoch}
    assert [row.named for row in rows] == [False] * 4 + [True]
    first, again, other, of_user, of_user_too = rows
    assert first.text_hash == again.text_hash == of_user.text_hash != other.text_hash
    assert first.unit == first.text_hash and other.unit == other.text_hash
    assert of_user.unit == of_user_too.unit != of_user.text_hash
    assert other.text_hash == of_user_too.text_hash
    codec = Codec(Bundle.read(bundle))
    ((encoding,),) = codec.encode([texts[0]])
    assert (first.words, first.tokens) == (encoding.words, len(encoding.ids))
    assert first.words == 3
    assert first.surprise == (codec.surprise.of(encoding.ids) if codec.surprise else None)
    assert first.probabilities is None  # of two labels that exclude each other, one says all


def test_texts_without_an_answer_are_recorded_for_their_arm(recorded, store):
    recorded.post("/v1/predict", json={"texts": ["", "fine"], "key": "user-8"})
    (item,) = recorded.post("/v1/predict", json={"texts": ["fine"]}).json()["predictions"]
    recorded.post("/v1/feedback", json={"id": item["id"], "label": "positive"})
    with Store(store) as log:
        failures = [failure for _, failure in log.failures() if failure.code == "bad_text"]
        (epoch,) = log.epochs()
    assert {failure.arm for failure in failures} >= {"champion"}
    assert {failure.epoch for failure in failures} == {epoch.epoch}
    assert all(failure.unit and failure.texts >= 1 for failure in failures)


def test_a_change_of_shares_begins_an_epoch(bundle, tmp_path):
    store = str(tmp_path / "log.db")
    arms = {"next": {"bundle": str(bundle), "share": 0.5}}
    overrides = {"prediction_log.url": store, "predict.num_threads": 1, "serve.arms": arms}
    service = Service(load_config(overrides=overrides), str(bundle))
    with TestClient(create_app(service)) as client:
        client.post("/v1/predict", json={"texts": ["one"]})
        assert client.post("/admin/shares", json={"shares": {"next": 0.25}}).status_code == 200
        client.post("/v1/predict", json={"texts": ["two"]})
    with Store(store) as log:
        epochs = log.epochs()
        rows = [entry.record for entry in log.read()]
    assert [epoch.arms["next"].share for epoch in epochs] == [0.5, 0.25]
    assert [row.epoch for row in rows] == [epoch.epoch for epoch in epochs]
    assert epochs[0].experiment == epochs[1].experiment != ""


def test_only_texts_of_the_audit_are_kept(bundle, tmp_path):
    store = str(tmp_path / "log.db")
    overrides = {
        "prediction_log.url": store,
        "prediction_log.texts": "audit",
        "prediction_log.audit_rate": 0.3,
        "predict.num_threads": 1,
    }
    service = Service(load_config(overrides=overrides), str(bundle))
    with TestClient(create_app(service)) as client:
        client.post("/v1/predict", json={"texts": ["some text"] * 60})
    with Store(store) as log:
        rows = [entry.record for entry in log.read()]
    assert len(rows) == 60
    assert all((row.text == "some text") == audited(row.id, 0.3) for row in rows)
    assert 3 < sum(row.text is not None for row in rows) < 40


def test_probabilities_are_packed_as_halves_where_one_does_not_say_all():
    assert packed({"a": 0.25, "b": 0.75}, multi_label=False) is None
    halves = packed({"a": 0.25, "b": 0.75}, multi_label=True)
    assert halves is not None and np.frombuffer(halves, "<f2").tolist() == [0.25, 0.75]
    assert packed({str(k): 0.0 for k in range(64)}, multi_label=False) == bytes(128)
    assert packed({str(k): 0.0 for k in range(65)}, multi_label=True) is None

"""SageMaker's contract, as its Developer Guide and API reference have it; their sections are named beside the tests."""

import csv
import io
import json
import re
import time
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from linnet.config import load_config
from linnet.serve import Service, create_app
from linnet.serve.errors import APIError
from linnet.serve.models import service
from linnet.serve.models.workers import Pool
from linnet.serve.routes.lines import CSV_COLUMNS

JSON, LINES, CSV = "application/json", "application/jsonlines", "text/csv"
TEXTS = ["I love this film", 'rain, "rain" again', "bad\nbad", "naïve שלום 👩"]


def invoke(
    client: TestClient, content: bytes | str, kind: str, accept: str | None = None, **headers: str
):
    accepted = {} if accept is None else {"Accept": accept}
    return client.post(
        "/invocations", content=content, headers={"Content-Type": kind, **accepted, **headers}
    )


def csv_of(*texts: str) -> str:
    written = io.StringIO()
    csv.writer(written, lineterminator="\r\n").writerows([text] for text in texts)
    return written.getvalue()


def records(answer) -> list[list[str]]:
    return list(csv.reader(io.StringIO(answer.content.decode(), newline=""), strict=True))


def lines(answer) -> list[dict]:
    assert answer.content.endswith(b"\n")
    return [json.loads(line) for line in answer.content.split(b"\n")[:-1]]


def same(items: list[dict], expected: list[dict]) -> None:
    for item, wanted in zip(items, expected, strict=True):
        assert (item["label"], item["labels"]) == (wanted["label"], wanted["labels"])
        assert item["probabilities"] == pytest.approx(wanted["probabilities"])


@pytest.fixture(scope="module")
def expected(client) -> list[dict]:
    return client.post("/v1/predict", json={"texts": TEXTS}).json()["predictions"]


# "How Your Container Should Respond to Health Check (Ping) Requests"


def test_a_ping_is_answered_at_once(client):
    started = time.monotonic()
    assert client.get("/ping").status_code == 200
    assert time.monotonic() - started < 2


def test_a_ping_before_the_model_is_loaded_says_so(app):
    assert TestClient(app).get("/ping").status_code == 503


def test_a_ping_while_a_worker_is_down_says_so(client, monkeypatch):
    monkeypatch.setattr(Pool, "unready", "A worker is being started again.")
    assert client.get("/ping").status_code == 503


# "How Your Container Should Respond to Inference Requests"


@pytest.mark.parametrize("name", ["texts", "instances", "inputs"])
def test_json_by_the_names_that_callers_know(client, expected, name):
    answer = invoke(client, json.dumps({name: TEXTS}), JSON)
    assert (answer.status_code, answer.headers["content-type"]) == (200, JSON)
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    same(answer.json()["predictions"], expected)


def test_one_text_need_be_no_list(client, expected):
    answer = invoke(client, json.dumps({"inputs": TEXTS[0], "arm": "champion", "key": "me"}), JSON)
    same(answer.json()["predictions"], expected[:1])


@pytest.mark.parametrize(
    "body",
    [
        TEXTS,
        [[text] for text in TEXTS],  # a column of numpy's or pandas'
        [{"text": text, "id": 7} for text in TEXTS],
        {"instances": [{"inputs": text} for text in TEXTS]},
        {"inputs": TEXTS, "parameters": {"top_k": 1, "truncation": True}, "options": None},
        {"text": TEXTS, "model_name": "champion"},
    ],
)
def test_json_as_other_containers_have_it(client, expected, body):
    answer = invoke(client, json.dumps(body), JSON)
    assert answer.status_code == 200, answer.text
    same(answer.json()["predictions"], expected)


def test_one_text_in_other_ways(client, expected):
    for body in (TEXTS[0], {"inputs": {"text": TEXTS[0]}}, {"text": TEXTS[0]}, [TEXTS[0]]):
        same(invoke(client, json.dumps(body), JSON).json()["predictions"], expected[:1])


@pytest.mark.parametrize(
    "kind",
    [
        "",
        "application/json; charset=utf-8",
        "application/json; charset=latin-1",
        "application/vnd.example+json",
        "application/octet-stream",
        "application/x-www-form-urlencoded",
        "text/plain",
        "/;;=",
    ],
)
def test_another_content_type_is_read_if_it_is_json(client, expected, kind):
    body = json.dumps({"inputs": TEXTS}, ensure_ascii=False).encode()
    answer = invoke(client, body, kind)
    assert (answer.status_code, answer.headers["content-type"]) == (200, JSON)
    same(answer.json()["predictions"], expected)
    if not kind.startswith(JSON):
        answer = invoke(client, "\n".join(map(json.dumps, TEXTS)), kind)
        assert (answer.status_code, answer.headers["content-type"]) == (200, LINES)
        same(lines(answer), expected)


@pytest.mark.parametrize("kind", [JSON, "application/json; charset=utf-16", "", "text/plain"])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
def test_json_that_is_not_utf_8_is_refused(client, kind, encoding):
    """RFC 8259, section 8.1."""
    answer = invoke(client, json.dumps({"inputs": TEXTS}).encode(encoding), kind)
    expected = (400, "bad_json") if kind.startswith(JSON) else (415, "unsupported_media_type")
    assert (answer.status_code, answer.json()["error"]["code"]) == expected
    assert "in UTF-8" in answer.json()["error"]["message"]


def test_json_after_a_byte_order_mark_is_read(client, expected):
    body = json.dumps(TEXTS, ensure_ascii=False).encode("utf-8-sig")
    same(invoke(client, body, JSON).json()["predictions"], expected)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"texts": []},
        {"inputs": []},
        {"texts": ["a"], "inputs": "a"},
        {"texts": ["a"], "instances": []},
        {"instances": [{"features": [1.5]}]},
        {"instances": [["a", "b"]]},
        {"inputs": 3},
        {"inputs": ["a", 3]},
        {"parameters": {}},
        {"texts": ["a"], "arm": 3},
        [],
        [3],
        3,
        None,
    ],
)
def test_json_of_another_shape_is_refused(client, body):
    answer = invoke(client, json.dumps(body), JSON)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_request")


@pytest.mark.parametrize(
    "kind", [LINES, "application/x-jsonlines", "Application/JsonLines; charset=UTF-8"]
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_a_line_in_is_a_line_out(client, expected, kind, end, last):
    shapes = [TEXTS[0], {"text": TEXTS[1], "id": 7}, {"inputs": TEXTS[2]}, [TEXTS[3]]]
    body = end.join(json.dumps(shape, ensure_ascii=False) for shape in shapes) + end * last
    answer = invoke(client, body.encode(), kind)
    assert (answer.status_code, answer.headers["content-type"]) == (200, LINES)
    same(lines(answer), expected)


def test_only_a_line_feed_ends_a_line(client):
    answer = invoke(
        client, "\ufeff" + json.dumps("good\u2028day\x85 \x0b", ensure_ascii=False), LINES
    )
    assert [item["label"] is not None for item in lines(answer)] == [True]


BAD_LINES = [
    b"",
    b"{",
    b"good day",
    b"1",
    b"null",
    b'["a", "b"]',
    b"[]",
    b"[[]]",
    b"{}",
    b'{"text": null}',
    b'{"text": "a", "inputs": "b"}',
    b"[" * 5000,
    b"9" * 5000,
]


@pytest.mark.parametrize("bad", BAD_LINES)
def test_a_line_without_a_text_has_its_error_in_its_place(client, bad):
    answer = invoke(client, b'"good"\n' + bad + b'\n{"text": ""}\n"bad"', LINES)
    found = lines(answer)
    assert ["label" in item for item in found] == [True, False, False, True]
    assert found[1]["error"]["code"] == "bad_text"
    assert found[1]["error"]["details"] == {"reason": "not_text", "index": 1}
    assert found[1]["error"]["message"].startswith("Text 1: ")
    assert found[2]["error"]["details"] == {"reason": "empty_text", "index": 2}


@pytest.mark.parametrize("kind", [LINES, CSV])
def test_a_line_that_is_not_utf_8_says_so(client, kind):
    answer = invoke(client, b'"caf\xe9 was lovely"\n"a bad day"\n', kind, LINES)
    failed, answered = lines(answer)
    assert failed["error"]["details"] == {"reason": "wrong_encoding", "index": 0}
    assert "UTF-8" in failed["error"]["message"]
    assert "label" in answered
    assert records(invoke(client, answer.request.content, kind, CSV))[0][-1] == "wrong_encoding"


@pytest.mark.parametrize("bad", ['"é"', '{"text": "é"}'])
def test_a_line_in_another_encoding(client, bad):
    found = lines(invoke(client, b'"good"\n' + bad.encode("latin-1") + b'\n"bad"', LINES))
    assert ["label" in item for item in found] == [True, False, True]
    assert found[1]["error"]["details"] == {"reason": "wrong_encoding", "index": 1}


def test_nothing_but_bad_lines_is_still_a_line_each(client):
    """A batch transform would give up all its records for one that fails."""
    for body, kind in (
        (b"{\n{\n", LINES),
        (b'{"texts": ["", "\\u0000"]}', JSON),
        (b'""\n""\n', CSV),
    ):
        answer = invoke(client, body, kind, LINES)
        assert answer.status_code == 200
        assert ["error" in item for item in lines(answer)] == [True, True]


def test_csv_is_a_column_without_a_header(client, expected):
    answer = invoke(client, csv_of(*TEXTS), CSV)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/csv")
    for record, wanted in zip(records(answer), expected, strict=True):
        assert record[0] == wanted["label"]
        assert float(record[1]) == pytest.approx(wanted["probability"])
        assert record[2:] == ["false", "false", ""]


def test_csv_with_a_header_if_its_type_says_so(client):
    """RFC 4180, section 3: the parameter `header`."""
    found = records(invoke(client, csv_of("text", "", "good day"), "text/csv; header=present"))
    assert found[0] == list(CSV_COLUMNS)
    assert [record[-1] for record in found[1:]] == ["empty_text", ""]
    assert len(records(invoke(client, csv_of("text", "good day"), "text/csv; header=absent"))) == 2


def test_the_header_of_the_answer_is_as_accept_says(client):
    for kind in (LINES, CSV, "text/csv; header=present"):
        body = b'"text"\n"good"\n'
        rows = 1 if "present" in kind else 2
        for accept in ("text/csv; header=present", 'text/csv;header="present";q=0.5'):
            found = records(invoke(client, body, kind, accept))
            assert found[0] == list(CSV_COLUMNS)
            assert len(found) == 1 + rows
        assert len(records(invoke(client, body, kind, "text/csv; header=absent"))) == rows


def test_a_header_names_the_column_of_the_text(client, expected):
    body = csv_of("x").replace("x", "id, text ,note") + "".join(
        f"{row},{csv_of(text)[:-2]},so\r\n" for row, text in enumerate(TEXTS)
    )
    answer = invoke(client, body.encode(), "text/csv; header=present", LINES)
    same(lines(answer), expected)
    body = b"id,text\n1,good\n2\n3,bad,so\n\n"
    found = records(invoke(client, body, "text/csv; header=present"))[1:]
    assert [record[-1] for record in found] == ["", "not_text", "not_text", "empty_text"]


@pytest.mark.parametrize("names", ["a,b", "text,inputs", ",", "text,text"])
def test_a_header_of_several_columns_must_name_the_text(client, names):
    answer = invoke(client, f"{names}\na,b\n", "text/csv; header=present")
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_request")


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"a,b", "not_text"),
        (b'"a" b', "not_text"),
        (b"", "empty_text"),
        (b"a\0", "nul_byte"),
        (b"\xff", "wrong_encoding"),
        (b"\xed\xa0\xbd", "wrong_encoding"),
    ],
)
def test_a_record_that_can_not_be_used_has_its_reason_in_its_place(client, bad, reason):
    found = records(invoke(client, b"good\n" + bad + b'\n"bad, so"\n', CSV))
    assert [record[-1] for record in found] == ["", reason, ""]
    assert found[1] == ["", "", "", "", reason]


def test_an_open_quote_takes_no_other_records_with_it(client):
    found = records(invoke(client, b'"good\nbad\nday', CSV))
    assert [record[-1] for record in found] == ["not_text", "", ""]


def test_csv_of_several_labels_and_of_none(tone_bundle, config):
    with TestClient(create_app(Service(config, str(tone_bundle)))) as client:
        body = csv_of("bad sun hate rain this", "was it so very")
        found = records(invoke(client, body, CSV))
        items = lines(invoke(client, body, CSV, LINES))
    assert [record[0] for record in found] == ["|".join(item["labels"]) for item in items]
    assert [len(item["labels"]) for item in items] == [2, 0]


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (None, "text/csv"),
        ("*/*", "text/csv"),
        ("", "text/csv"),
        (JSON, JSON),
        ("application/x-jsonlines", "application/x-jsonlines"),
        ("Text/CSV", "text/csv"),
        ("application/*", JSON),
        ("image/png, application/jsonlines;q=0.5, application/json;q=0.2", LINES),
        ("*/*;q=0.1, application/json", JSON),
        ("text/csv;q=0, */*", JSON),
        ("text/csv;q=nan, application/json;q=0.1", JSON),
    ],
)
def test_the_answer_is_in_the_format_that_is_asked_for(client, accept, kind):
    answer = invoke(client, csv_of("good", "bad"), CSV, accept)
    assert (answer.status_code, answer.headers["content-type"]) == (200, kind)


@pytest.mark.parametrize(
    "accept", ["image/png", "text/html, application/xml;q=0.9", "application/json;q=0", ",;=q"]
)
def test_a_format_that_there_is_none_of_is_406(client, accept):
    answer = invoke(client, b'"good"', LINES, accept)
    assert (answer.status_code, answer.json()["error"]["code"]) == (406, "not_acceptable")


BROKEN = ["text/csv; charset*=a; charset*0=b", f"text/csv; charset*{'9' * 5000}=x"]


@pytest.mark.parametrize(
    "kind",
    [
        "",
        "application/x-npy",
        "text/plain",
        "text/csv; charset=latin-1",
        "application/jsonlines; charset=utf-16",
        "/;;=",
        *BROKEN,
    ],
)
@pytest.mark.parametrize("body", [b"good", b"good\nbad", b"", b"3", b"\x93NUMPY\x01", b"[" * 5000])
def test_another_format_is_415(client, kind, body):
    answer = invoke(client, body, kind)
    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize("kind", [JSON, LINES, CSV])
def test_the_bounds_are_those_of_the_service(client, config, kind):
    most = config.serve.max_texts

    def body(count: int) -> bytes:
        return json.dumps({"texts": ["a"] * count}).encode() if kind == JSON else b'"a"\n' * count

    assert invoke(client, body(most), kind).status_code == 200
    for count in (most + 1, 2000):
        answer = invoke(client, body(count), kind)
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "too_many_texts")
    answer = invoke(client, body(config.serve.max_body_bytes), kind)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")


@pytest.mark.parametrize("kind", [LINES, CSV])
def test_no_lines_at_all_are_refused(client, kind):
    assert invoke(client, b"", kind).json()["error"]["code"] == "invalid_request"


def test_what_is_the_services_own_failure_fails_the_whole(client, monkeypatch):
    """A batch transform sends again what is answered so, but would keep for good a line that says so."""
    predict = service.Service.predict

    async def die_halfway(self, texts, *rest):
        items = await predict(self, texts, *rest)
        refusal = APIError(503, "worker_died", "Send it again.", headers={"Retry-After": "1"})
        return [items[0], replace(items[1], answer=None, error=refusal)]

    monkeypatch.setattr(service.Service, "predict", die_halfway)
    answer = invoke(client, b"good\nbad\n", CSV)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "worker_died")
    assert answer.headers["retry-after"] == "1"


# API reference, InvokeEndpoint: "CustomAttributes", "InferenceId"


@pytest.mark.parametrize(
    ("note", "back"),
    [("trace=7; a b", True), ("x" * 1024, True), ("x" * 1025, False), ("é", False)],
)
def test_the_callers_note_comes_back(client, note, back):
    answer = invoke(
        client, b'"good"', LINES, **{"X-Amzn-SageMaker-Custom-Attributes": note.encode()}
    )
    assert answer.headers.get("x-amzn-sagemaker-custom-attributes") == (note if back else None)


def test_the_inference_id_is_the_requests_id(client):
    mine = {"X-Amzn-SageMaker-Inference-Id": "mine-7"}
    assert invoke(client, b'"good"', LINES, **mine).headers["x-request-id"] == "mine-7"
    assert (
        invoke(client, b'"good"', LINES, **mine, **{"X-Request-ID": "other"}).headers[
            "x-request-id"
        ]
        == "other"
    )
    odd = invoke(client, b'"good"', LINES, **{"X-Amzn-SageMaker-Inference-Id": "no; id"})
    assert re.fullmatch("[0-9a-f]{32}", odd.headers["x-request-id"])


# "Custom Inference Code with Batch Transform", "How Containers Serve Requests"


@pytest.mark.parametrize(
    ("size", "transforms", "payload"),
    [(20_000, 16, 1), (6 * 2**20, 16, 6), (25 * 2**20, 4, 25), (2**30, 1, 100)],
)
def test_a_batch_transform_is_told_to_ask_for_one_record_at_a_time(
    bundle, size, transforms, payload
):
    config = load_config(overrides={"serve.max_body_bytes": size, "prediction_log.url": ""})
    found = TestClient(create_app(Service(config, str(bundle)))).get("/execution-parameters").json()
    assert found == {
        "MaxConcurrentTransforms": transforms,
        "BatchStrategy": "SINGLE_RECORD",
        "MaxPayloadInMB": payload,
    }
    assert transforms * payload <= 100


hostile = (
    st.text()
    | st.text(st.characters(), max_size=12)
    | st.sampled_from(['"', ",", "\r", "\n", '""', "\0", "\ud800"])
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=120, deadline=None
)
@given(
    texts=st.lists(hostile, min_size=1, max_size=8),
    raw=st.none() | st.binary(max_size=60),
    kind=st.sampled_from([JSON, LINES, CSV]),
    accept=st.sampled_from([JSON, LINES, CSV]),
)
def test_no_body_is_a_defect_and_every_text_keeps_its_place(client, texts, raw, kind, accept):
    if raw is not None:
        body = raw
    elif kind == JSON:
        body = json.dumps({"texts": texts}).encode()
    elif kind == LINES:
        body = "\n".join(json.dumps(text) for text in texts).encode()
    else:
        body = csv_of(*texts).encode("utf-8", "surrogatepass")
    answer = invoke(client, body, kind, accept)
    assert answer.status_code in ({200} if raw is None else {200, 400, 422})
    if raw is None:
        found = {
            JSON: lambda: answer.json()["predictions"],
            LINES: lambda: lines(answer),
            CSV: lambda: records(answer),
        }
        assert len(found[accept]()) == len(texts)


anything = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["texts", "text", "inputs", "instances", "arm", "parameters"]), inner
        )
    ),
    max_leaves=8,
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None
)
@given(
    body=st.binary(max_size=40) | anything.map(json.dumps).map(str.encode),
    kind=st.text(max_size=8)
    | st.sampled_from([JSON, LINES, CSV, "text/csv; header=present", "text/plain"]),
    accept=st.text(max_size=8)
    | st.sampled_from([JSON, LINES, CSV, "text/csv; header=present", "*/*;q=0.5"]),
)
def test_no_request_is_a_defect(client, body, kind, accept):
    headers = {"Content-Type": kind.encode(), "Accept": accept.encode()}
    answer = client.post("/invocations", content=body, headers=headers)
    assert answer.status_code in {200, 400, 406, 415, 422}

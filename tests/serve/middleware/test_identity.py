"""Request ids: the client's own where it is sane, else a new one; in the answer, the body and the log."""

import logging
import re

import pytest


@pytest.mark.parametrize(
    "identity", ["abc", "A-1_b.c:d/e+f=", "1" * 128, "4f0c1b6c-9a7e-4d2f-8b3a-5c6d7e8f9012"]
)
def test_a_sane_id_is_kept(client, identity):
    answer = client.post("/v1/predict", json={"texts": ["a"]}, headers={"X-Request-ID": identity})
    assert answer.headers["x-request-id"] == answer.json()["request_id"] == identity


@pytest.mark.parametrize(
    "identity", ["", " ", "1" * 129, "a b", "a;b", "<b>", "-x", b"\xff", 'a"b', "é".encode()]
)
def test_another_id_is_replaced(client, identity):
    answer = client.get("/nowhere", headers={"X-Request-ID": identity})
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-request-id"])
    assert answer.headers["x-request-id"] == answer.json()["error"]["request_id"]


def test_ids_are_new_each_time(client):
    assert len({client.get("/healthz").headers["x-request-id"] for _ in range(20)}) == 20


def test_the_log_has_the_id_and_neither_text_nor_path(client, caplog):
    with caplog.at_level(logging.INFO, "linnet.serve"):
        client.post(
            "/v1/predict?q=private",
            json={"texts": ["very private"]},
            headers={"X-Request-ID": "mine"},
        )
        client.get("/private/path%0aforged", headers={"X-Request-ID": "other"})
    first, second = [record.getMessage() for record in caplog.records]
    assert re.fullmatch(r"mine POST /v1/predict 200 in [0-9.]+ ms", first)
    assert re.fullmatch(r"other GET \(no route\) 404 in [0-9.]+ ms", second)

"""When a request is tried again and when not, without a network: the flow is told what came of each step."""

import random
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linnet.client.exchange import LONGEST_WAIT, Reply, Request, Send, Wait, exchange, retry_after
from linnet.errors import ServiceError

ASK = Request("POST", "v1/predict", b"{}")
OK = Reply(200, "", b"fine")


def flow(timeout=60.0):
    return exchange(ASK, timeout, lambda body, _: body)


def end_of(steps, outcome):
    with pytest.raises(StopIteration) as end:
        steps.send(outcome)
    return end.value.value


@pytest.mark.parametrize(
    "outcome",
    [
        Reply(429, "", b""),
        Reply(502, "", b"<html>"),
        Reply(503, "soon", b""),
        Reply(504, "", b""),
        httpx2.ConnectError("refused"),
        httpx2.ConnectTimeout(""),
        httpx2.PoolTimeout(""),
    ],
)
def test_what_is_tried_again(outcome):
    steps = flow()
    first = next(steps)
    wait = steps.send(outcome)
    assert isinstance(wait, Wait) and 0 <= wait.seconds <= 0.1
    second = steps.send(None)
    assert first.headers["X-Request-ID"] == second.headers["X-Request-ID"]
    assert first.deadline == second.deadline
    assert (
        float(second.headers["X-Request-Timeout"])
        <= float(first.headers["X-Request-Timeout"])
        <= 60
    )
    assert end_of(steps, OK) == b"fine"


@pytest.mark.parametrize(
    ("outcome", "code", "status"),
    [
        (Reply(400, "1", b""), "http_400", 400),
        (Reply(401, "1", b'{"error": {"code": "no_key", "message": "m"}}'), "no_key", 401),
        (Reply(500, "1", b""), "http_500", 500),
        (Reply(302, "1", b""), "http_302", 302),
        (Reply(204, "", b""), "http_204", 204),
        (httpx2.ReadError("reset"), "connection_lost", None),
        (httpx2.WriteError("reset"), "connection_lost", None),
        (httpx2.RemoteProtocolError("half"), "connection_lost", None),
        (httpx2.DecodingError("gzip"), "connection_lost", None),
        (httpx2.ReadTimeout(""), "deadline_exceeded", None),
    ],
)
def test_what_is_not_tried_again(outcome, code, status):
    steps = flow()
    sent = next(steps)
    with pytest.raises(ServiceError) as caught:
        steps.send(outcome)
    assert (caught.value.code, caught.value.status) == (code, status)
    assert caught.value.request_id == sent.headers["X-Request-ID"]


def test_the_wait_is_as_asked_and_never_past_the_deadline():
    steps = flow(timeout=10)
    next(steps)
    assert steps.send(Reply(429, "7", b"")) == Wait(7.0)
    steps.send(None)
    with pytest.raises(ServiceError, match="429"):
        steps.send(Reply(429, "11", b""))  # there is no use in waiting so long


def test_waits_without_advice_grow_to_a_limit_and_differ():
    random.seed(1)
    steps, waits = flow(timeout=1e6), []
    step = next(steps)
    for _ in range(300):
        step = steps.send(Reply(503, "", b"") if isinstance(step, Send) else None)
        if isinstance(step, Wait):
            waits.append(step.seconds)
    assert all(wait <= min(0.1 * 2**n, LONGEST_WAIT) for n, wait in enumerate(waits))
    late = waits[10:]
    # Full jitter is uniform from 0 to the limit: the mean of 140 such strays further than this once in 100,000 times.
    assert abs(sum(late) / len(late) - LONGEST_WAIT / 2) < 0.11 * LONGEST_WAIT
    assert len(set(late)) == len(late)


def test_an_answer_that_cannot_be_read_is_an_error():
    def read(*_):
        raise ValueError("secret text")

    steps = exchange(ASK, 60, read)
    next(steps)
    with pytest.raises(ServiceError) as caught:
        steps.send(OK)
    assert caught.value.code == "bad_answer" and "secret" not in str(caught.value)


def test_retry_after_as_a_date():
    later = datetime.now(UTC) + timedelta(seconds=90)
    assert 88 < retry_after(format_datetime(later, usegmt=True)) <= 90
    assert retry_after("Sun, 06 Nov 1994 08:49:37 GMT") == 0  # over


@pytest.mark.parametrize(
    ("value", "seconds"), [("3", 3), (" 2.5 ", 2.5), ("0", 0), ("-4", 0), ("nan", 0), ("inf", 0)]
)
def test_retry_after_as_a_number(value, seconds):
    assert retry_after(value) == seconds


@given(st.text())
def test_any_retry_after_is_a_number_of_seconds(value):
    assert retry_after(value) >= 0


def test_time_is_told():
    steps = flow(timeout=5)
    sent = next(steps)
    assert 4.5 < float(sent.headers["X-Request-Timeout"]) <= 5
    assert 0 < sent.deadline - time.monotonic() <= 5

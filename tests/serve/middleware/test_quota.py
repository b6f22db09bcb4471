"""How often and how many: the bucket of a minute and the texts of a day, by a clock that is told the time."""

import asyncio
import json
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linnet.files import locked
from linnet.serve.errors import APIError
from linnet.serve.middleware import quota
from linnet.serve.middleware.keys import Key
from linnet.serve.middleware.quota import MINUTE, SECOND, Quotas

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def key_of(requests_per_minute: int = 0, texts_per_day: int = 0, identity: str = "00000001") -> Key:
    return Key(
        id=identity,
        name="a",
        sha256="0" * 64,
        scopes=("predict",),
        requests_per_minute=requests_per_minute,
        texts_per_day=texts_per_day,
        created=NOON,
        expires=None,
        revoked=None,
    )


class Time:
    """Both clocks, which stand still until they are told otherwise."""

    def __init__(self) -> None:
        self.nanoseconds, self.moment = 0, NOON

    def quotas(self, path: Path | None = None) -> Quotas:
        return Quotas(path, lambda: self.nanoseconds, lambda: self.moment)


@pytest.fixture
def time() -> Time:
    return Time()


def refused(call, *arguments) -> APIError:
    with pytest.raises(APIError) as caught:
        call(*arguments)
    return caught.value


def test_a_key_without_limits_has_none(time):
    quotas = time.quotas()
    for _ in range(1000):
        quotas.admit(key_of())
        quotas.take(key_of(), 10**9)


def test_a_minute_s_requests_at_once_then_evenly(time):
    quotas, key = time.quotas(), key_of(requests_per_minute=6)
    for _ in range(6):
        quotas.admit(key)
    refusal = refused(quotas.admit, key)
    assert (refusal.status_code, refusal.code, refusal.headers) == (
        429,
        "rate_limited",
        {"Retry-After": "10"},
    )
    time.nanoseconds = 10 * SECOND - 1
    assert refused(quotas.admit, key).headers == {"Retry-After": "1"}
    time.nanoseconds = 10 * SECOND
    quotas.admit(key)
    assert refused(quotas.admit, key).headers == {"Retry-After": "10"}


@given(
    st.integers(1, 10_000),
    st.lists(st.integers(0, 3 * SECOND), min_size=1, max_size=60),
)
def test_retry_after_is_exact_and_no_window_has_more_than_two_minutes_worth(rate, pauses):
    time = Time()
    quotas, key, admitted = time.quotas(), key_of(requests_per_minute=rate), []
    for pause in pauses * 3:
        time.nanoseconds += pause
        try:
            quotas.admit(key)
            admitted.append(time.nanoseconds)
        except APIError as refusal:
            wait, now = int(refusal.headers["Retry-After"]), time.nanoseconds
            assert wait >= 1
            time.nanoseconds = now + (wait - 1) * SECOND
            refused(quotas.admit, key)  # a second less is too early
            time.nanoseconds = now + wait * SECOND
            quotas.admit(key)
            admitted.append(time.nanoseconds)
    for start in admitted:
        assert sum(start <= moment < start + MINUTE for moment in admitted) <= 2 * rate


def test_keys_do_not_share_and_a_new_limit_holds_at_once(time):
    quotas = time.quotas()
    quotas.admit(key_of(1))
    quotas.admit(key_of(1, identity="00000002"))
    refused(quotas.admit, key_of(1))
    refused(quotas.admit, key_of(60))  # the bucket is empty, and fills faster
    time.nanoseconds = SECOND
    quotas.admit(key_of(60))


def test_a_day_s_texts_are_counted_all_or_none(time):
    quotas, key = time.quotas(), key_of(texts_per_day=10)
    quotas.take(key, 7)
    refusal = refused(quotas.take, key, 4)
    assert (refusal.status_code, refusal.code, refusal.details) == (
        429,
        "quota_used_up",
        {"texts_left": 3},
    )
    quotas.take(key, 3)
    quotas.give_back(key, 2)
    quotas.take(key, 2)
    assert refused(quotas.take, key, 1).details == {"texts_left": 0}
    quotas.give_back(key, 10**6)
    quotas.take(key, 10)


def test_more_than_any_day_has_is_no_matter_of_waiting(time):
    refusal = refused(time.quotas().take, key_of(texts_per_day=10), 11)
    assert (refusal.status_code, refusal.code, refusal.headers) == (422, "too_many_texts", {})


@pytest.mark.parametrize(
    ("moment", "seconds"),
    [
        (NOON, 12 * 3600),
        (datetime(2026, 11, 24, 23, 59, 59, tzinfo=UTC), 1),
        (datetime(2026, 11, 24, 23, 59, 58, 999_999, tzinfo=UTC), 2),
        (datetime(2026, 12, 31, 0, 0, 0, tzinfo=UTC), 24 * 3600),
    ],
)
def test_the_next_day_is_waited_for(time, moment, seconds):
    time.moment = moment
    quotas, key = time.quotas(), key_of(texts_per_day=1)
    quotas.take(key, 1)
    assert refused(quotas.take, key, 1).headers == {"Retry-After": str(seconds)}
    time.moment = moment + timedelta(seconds=seconds)
    quotas.take(key, 1)


def test_a_clock_that_is_put_back_gives_no_second_day(time):
    quotas, key = time.quotas(), key_of(texts_per_day=1)
    quotas.take(key, 1)
    time.moment = NOON - timedelta(days=1)
    assert refused(quotas.take, key, 1).headers == {"Retry-After": str(36 * 3600)}


def test_one_glitch_of_the_clock_locks_no_key_and_gives_no_day(time):
    quotas, key = time.quotas(), key_of(texts_per_day=1)
    time.moment = NOON + timedelta(days=1500)
    quotas.take(key, 1)
    time.moment = NOON
    assert refused(quotas.take, key, 1).headers == {"Retry-After": str(12 * 3600)}
    time.moment = NOON + timedelta(hours=12)
    quotas.take(key, 1)


@given(st.lists(st.integers(-2000, 2000), max_size=20))
def test_no_key_is_locked_for_two_days(jumps):
    """Whatever the clock does, within two days of a right clock there is a new day."""
    time = Time()
    quotas, key = time.quotas(), key_of(texts_per_day=1)
    for days in jumps:
        time.moment = NOON + timedelta(days=days)
        try:
            quotas.take(key, 1)
        except APIError as refusal:
            assert int(refusal.headers["Retry-After"]) <= 2 * 24 * 3600
    time.moment = NOON
    quotas.give_back(key, 0)
    time.moment = NOON + timedelta(days=2)
    quotas.take(key, 1)


def test_giving_back_less_than_nothing_changes_nothing(time):
    quotas, key = time.quotas(), key_of(texts_per_day=2)
    quotas.take(key, 1)
    quotas.give_back(key, -1)
    quotas.take(key, 1)


def test_a_quota_that_was_lowered_leaves_none(time):
    quotas = time.quotas()
    quotas.take(key_of(texts_per_day=10), 10)
    assert refused(quotas.take, key_of(texts_per_day=5), 1).details == {"texts_left": 0}


def kept(quotas: Quotas, *takes: tuple[Key, int], seconds: float = 0.0) -> None:
    async def run() -> None:
        async with quotas.kept():
            for key, texts in takes:
                quotas.take(key, texts)
            await asyncio.sleep(seconds)

    asyncio.run(run())


def test_the_counts_outlive_a_restart_but_not_the_day(time, tmp_path):
    path, key = tmp_path / "usage.json", key_of(texts_per_day=10)
    kept(time.quotas(path), (key, 7))
    assert json.loads(path.read_text()) == {"day": "2026-11-24", "texts": {"00000001": 7}}
    again = time.quotas(path)
    with pytest.raises(APIError, match="3 are left"):
        kept(again, (key, 4))
    time.moment += timedelta(days=1)
    kept(time.quotas(path), (key, 10))
    assert json.loads(path.read_text())["texts"] == {"00000001": 10}


def test_what_a_kill_would_lose_is_written_every_few_seconds(time, tmp_path, monkeypatch):
    monkeypatch.setattr(quota, "SAVE_SECONDS", 0.01)
    path = tmp_path / "usage.json"

    async def run() -> None:
        quotas = time.quotas(path)
        async with quotas.kept():
            quotas.take(key_of(texts_per_day=10), 7)
            while not path.exists():
                await asyncio.sleep(0.01)
            assert json.loads(path.read_text())["texts"] == {"00000001": 7}

    asyncio.run(asyncio.wait_for(run(), 60))


ENDLESS = b'{"day": "2026-11-24", "texts": {"00000001": 1e999}}'


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"day": 1, "texts": 1}', b"\xff", b"[" * 100_000, ENDLESS]
)
def test_counts_that_can_not_be_read_begin_at_0_and_it_is_said(time, tmp_path, content, caplog):
    path = tmp_path / "usage.json"
    path.write_bytes(content)
    kept(time.quotas(path), (key_of(texts_per_day=10), 10))
    assert "begin at 0" in caplog.text
    assert json.loads(path.read_text())["texts"] == {"00000001": 10}


def test_two_services_do_not_overwrite_each_other(time, tmp_path, caplog):
    path = tmp_path / "usage.json"
    with locked(tmp_path / ".usage.json.lock"):
        kept(time.quotas(path), (key_of(texts_per_day=10), 7))
    assert not path.exists() and "another service" in caplog.text


def test_a_disk_that_refuses_is_told_of_once_and_stops_nothing(time, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(quota, "SAVE_SECONDS", 0.01)
    path = tmp_path / "usage.json"
    path.mkdir()  # a file can't take its place
    (path / "file").touch()
    with caplog.at_level(logging.ERROR, "linnet.serve"):
        kept(time.quotas(path), (key_of(texts_per_day=10), 7), seconds=0.2)
    assert len(caplog.records) == 1 and "not kept" in caplog.text


def test_a_folder_that_is_not_there_is_told_of(time, tmp_path, caplog):
    kept(time.quotas(tmp_path / "nowhere" / "usage.json"), (key_of(texts_per_day=10), 7))
    assert "not kept" in caplog.text

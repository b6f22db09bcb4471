"""Far more is asked than can be answered: what is accepted is answered in time, the rest is refused at once."""

import asyncio
import time
from collections.abc import Iterator

import pytest

from .conftest import Running, serving
from .load import Client, Load

TEXTS = 200  # in a request, so that a slow load generator can ask ten times more than the service can do
SECONDS = 2.0  # a request has


@pytest.fixture(scope="module")
def small(bundle) -> Iterator[Running]:
    """A service that lets little wait."""
    limits = {
        "serve__max_queue_tokens": 10_000,
        "serve__max_wait_seconds": 0.2,
        "serve__timeout_seconds": SECONDS,
    }
    with serving(bundle, **limits) as one:
        yield one


def test_accepted_requests_are_in_time_and_the_rest_is_refused_at_once(small, expected):
    async def run():
        before = small.memory()
        usual = await Load(small.port, expected, TEXTS).during(asyncio.sleep(1.5), connections=2)
        rate = usual.answered / 1.5
        assert not usual.failed
        for times in (2, 10):
            tally = await Load(small.port, expected, TEXTS).at(times * rate, asyncio.sleep(2.5))
            assert not tally.failed, tally
            assert tally.answered > 0.2 * rate * 2.5
            assert tally.quantile(200, 0.99) < SECONDS
            if times == 10:
                assert tally.shed > tally.answered
                assert tally.quantile(429, 0.5) < 0.5
        assert small.memory() - before < 100e6
        recovered = await Load(small.port, expected, TEXTS).during(
            asyncio.sleep(0.5), connections=1
        )
        assert not recovered.shed and not recovered.failed

    asyncio.run(run())


def test_the_clients_own_deadline_is_kept_under_overload(small, expected):
    async def hurry():
        client, statuses = Client(small.port), set()
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            started = time.monotonic()
            content = {"texts": list(expected[next(iter(expected))])[:20]}
            reply = await client.ask(
                "POST", "/v1/predict", content, **{"X-Request-Timeout": "0.02"}
            )
            statuses.add(reply.status)
            assert time.monotonic() - started < 1.0
            await asyncio.sleep(0.01)
        client.close()
        assert 504 in statuses and statuses <= {200, 429, 504}

    asyncio.run(Load(small.port, expected, TEXTS).during(hurry(), connections=12))

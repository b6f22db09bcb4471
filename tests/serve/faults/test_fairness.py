"""One key floods the service, by long texts and by many: the others are answered as if it were half as fast."""

import asyncio
import random
import time
from collections import Counter

import pytest

from linnet.serve.middleware.keys import add_key

from .conftest import serving
from .load import Client

WORDS = random.Random(0).choices("abcdefghijklmnopqrstuvwxyz", k=975_000)
LONG = " ".join("".join(WORDS[start : start + 99]) for start in range(0, 975_000, 99))
SECONDS, RATE = 10.0, 5
FLOODS = {
    "long texts": ("/v1/predict", {"texts": [LONG]}),
    "long words": ("/v1/predict", {"texts": ["x" * 975_000]}),
    "many texts": ("/v1/predict", {"texts": ["a good day and a bad film " * 4] * 200}),
    "explanations": ("/v1/explain", {"text": "a good day and a bad film " * 4}),
}


@pytest.mark.slow
@pytest.mark.parametrize("flood", FLOODS)
def test_a_well_behaved_key_is_answered_within_a_second(bundle, tmp_path, flood):
    path = tmp_path / "keys.json"
    victim, attacker = (add_key(path, name, ["predict"])[1] for name in ("victim", "attacker"))

    async def attack(port, end, statuses):
        client = Client(port)
        while time.monotonic() < end:
            route, content = FLOODS[flood]
            statuses[
                (await client.ask("POST", route, content, **{"X-API-Key": attacker})).status
            ] += 1
        client.close()

    async def ask(port, seconds):
        client, began = Client(port), time.monotonic()
        reply = await client.ask(
            "POST", "/v1/predict", {"texts": ["a lovely day"]}, **{"X-API-Key": victim}
        )
        client.close()
        seconds.append(time.monotonic() - began if reply.status == 200 else float("inf"))

    async def run(port):
        seconds, statuses, end = [], Counter(), time.monotonic() + SECONDS
        flood = [asyncio.create_task(attack(port, end, statuses)) for _ in range(4)]
        asked = []
        while time.monotonic() < end:
            asked.append(asyncio.create_task(ask(port, seconds)))
            await asyncio.sleep(1 / RATE)
        await asyncio.gather(*asked, *flood)
        assert statuses[200] > 1  # it is a flood of good requests
        assert sum(one <= 1.0 for one in seconds) >= 0.95 * len(seconds), (seconds, statuses)

    with serving(bundle, serve__keys=str(path)) as one:
        asyncio.run(run(one.port))

"""Who answers: as many as the share says, always the same for a text or a key; and a shadow is in nobody's way."""

import asyncio
import math
import signal

from .conftest import with_signal
from .load import Client, Load, until

TEXTS = [f"good day {number}" for number in range(2000)]


async def arms_of(server, texts, **body):
    client, found = Client(server.port), []
    for start in range(0, len(texts), 200):
        reply = await client.ask(
            "POST", "/v1/predict", {"texts": texts[start : start + 200], **body}
        )
        assert reply.status == 200, reply
        found += [item["arm"] for item in reply.json()["predictions"]]
    client.close()
    return found


def test_a_challenger_has_its_share_and_keeps_its_texts(server, bundle, other):
    async def run():
        found = {}
        for share in (0.1, 0.3):
            await server.swap(champion=bundle, challenger={"bundle": str(other), "share": share})
            found[share] = await arms_of(server, TEXTS)
            count, spread = (
                found[share].count("challenger"),
                math.sqrt(len(TEXTS) * share * (1 - share)),
            )
            assert abs(count - share * len(TEXTS)) < 4 * spread
            assert await arms_of(server, TEXTS[::-1]) == found[share][::-1]
        assert all(
            after == before
            for before, after in zip(*found.values(), strict=True)
            if before == "challenger"
        )
        by_key = {
            arm
            for key in range(20)
            for arm in [tuple(await arms_of(server, TEXTS[:9], key=str(key)))]
        }
        assert by_key == {("champion",) * 9, ("challenger",) * 9}
        assert await arms_of(server, TEXTS[:5], arm="challenger") == ["challenger"] * 5
        await server.swap(champion=bundle)

    asyncio.run(run())


def test_a_shadow_that_hangs_or_dies_is_in_nobodys_way(server, bundle, other, expected):
    async def run():
        await until(server.ready)
        champions = set(server.workers)
        reply = await server.swap(champion=bundle, candidate={"bundle": str(other), "shadow": True})
        assert reply.status == 200, reply
        shadows = set(server.workers) - champions
        assert len(shadows) == 1
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for shadow in set(server.workers) - champions:
                with_signal(shadow, number)
            tally = await Load(server.port, expected).during(asyncio.sleep(1.0))
            assert tally.answered > 50 and set(tally.arms) == {"champion"}
            assert not tally.failed and not tally.shed
            assert tally.quantile(200, 0.5) < 0.5
            assert await server.ready()
        assert await server.metric("linnet_texts_total", arm="candidate", outcome="worker_died") > 0
        assert (await server.swap(champion=bundle)).status == 200

        async def alone():
            return set(server.workers) == champions

        await until(alone)

    asyncio.run(run())

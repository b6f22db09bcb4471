"""A challenger that dies under load is rolled back, and nobody else notices."""

import asyncio
import signal

from .conftest import serving, with_signal
from .load import Load, until


def test_a_challenger_that_dies_under_load_is_rolled_back_at_no_cost_to_others(
    bundle, other, expected
):
    with serving(bundle) as server:

        async def run():
            champions = set(server.workers)

            async def go_bad():
                challenger = {"bundle": str(other), "share": 0.3}
                await server.swap(champion=bundle, challenger=challenger)

                async def rolled_back():
                    for worker in set(server.workers) - champions:
                        with_signal(worker, signal.SIGKILL)
                    return await server.metric("linnet_rolled_back", arm="challenger") == 1

                await until(rolled_back)
                assert await server.metric("linnet_arm_share", arm="challenger") == 0

            tally = await Load(server.port, expected).during(go_bad(), connections=6)
            failed = {"worker_died", "not_ready"}
            assert set(tally.failed) <= failed
            challengers = sum(
                [
                    await server.metric("linnet_texts_total", arm="challenger", outcome=code)
                    for code in failed
                ]
            )
            assert challengers == tally.failed.total() > 0
            after = await Load(server.port, expected).during(asyncio.sleep(0.5))
            assert set(after.arms) == {"champion"}
            assert not after.failed and not after.shed
            total = await server.metric("linnet_texts_total")
            assert total == tally.sent + after.sent

        asyncio.run(run())
        assert "challenger" in server.log and "was rolled back" in server.log

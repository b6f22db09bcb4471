"""The log's disk is full, or PostgreSQL is gone: answers go on, and what could not be recorded is counted."""

import asyncio
import resource

from ...monitor.conftest import postgres  # noqa: F401
from .conftest import serving
from .load import Load, until


async def recorded(server):
    """Answers, and what the log says became of them."""
    text = (await server.get("/metrics")).body.decode()

    def value(name):
        return sum(
            float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name)
        )

    answered = value('linnet_texts_total{arm="champion",outcome="answered"}')
    return answered, [
        value(f"linnet_log_{name}") for name in ("written_total", "lost_total", "pending")
    ]


async def adds_up(server):
    answered, parts = await recorded(server)
    assert answered == sum(parts), (answered, parts)
    return answered, *parts


def test_a_full_disk_stops_no_answer(bundle, expected, tmp_path):
    with serving(
        bundle, prediction_log__url=str(tmp_path / "log.db"), prediction_log__max_pending=300
    ) as one:

        async def fill():
            await asyncio.sleep(0.5)
            soft, hard = resource.prlimit(one.process.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(one.process.pid, resource.RLIMIT_FSIZE, (40_000, hard))

            async def loses():
                return (await adds_up(one))[2] > 0

            await until(loses)
            assert await one.ready()
            resource.prlimit(one.process.pid, resource.RLIMIT_FSIZE, (soft, hard))
            before = (await adds_up(one))[1]

            async def writes():
                return (await adds_up(one))[1] > before

            await until(writes)

        async def run():
            tally = await Load(one.port, expected).during(fill())
            assert not tally.failed and not tally.shed

            async def written():
                return (await adds_up(one))[3] == 0

            await until(written)
            answered, wrote, lost, _ = await adds_up(one)
            assert answered == tally.answered == wrote + lost

        asyncio.run(run())


def test_postgresql_is_stopped_and_started_under_load(bundle, expected, postgres):  # noqa: F811
    with serving(
        bundle, prediction_log__url=postgres.new_database(), prediction_log__max_pending=300
    ) as one:

        async def stop_and_start():
            await asyncio.sleep(0.5)
            await asyncio.to_thread(postgres.stop, "immediate")

            async def loses():
                return (await adds_up(one))[2] > 0

            await until(loses)
            await asyncio.to_thread(postgres.start)

        async def run():
            tally = await Load(one.port, expected).during(stop_and_start())
            assert not tally.failed and not tally.shed

            async def written():
                answered, _, _, pending = await adds_up(one)
                return pending == 0 and answered == tally.answered

            await until(written)

        asyncio.run(run())
        assert one.end() == 0

"""Long faults under a steady load: each answer is right or a refusal, and all recovers."""

import asyncio
import random
import shutil
import signal
import socket
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from linnet.bundle import Bundle

from ...monitor.conftest import postgres  # noqa: F401
from .conftest import alive, serving, with_signal
from .hostile import TRIGGER, hungry
from .load import LOST, Client, Load, until
from .rows import RATE, Recorder, row, scaled
from .test_log import adds_up

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
KILL_SECONDS = scaled(300)
SWAPS = round(scaled(50))
AWAY_SECONDS = scaled(30)  # PostgreSQL, three times
HUNGRY_SECONDS = scaled(60)
GROWTH = 40e6  # bytes
UNDER_WAY = {"worker_died", "not_ready"}
TEXTS = 16  # in a request, so that a kill meets requests that are computed


def test_workers_are_killed(bundle, expected, note):
    watch = Recorder()
    with serving(bundle, serve__workers=2) as one:
        draw, end = random.Random(1), time.monotonic() + KILL_SECONDS

        async def kill():
            async with watch.over(one):
                while time.monotonic() < end:
                    await asyncio.sleep(draw.uniform(0, min(6.0, KILL_SECONDS / 4)))
                    began = time.monotonic()
                    with_signal(draw.choice(one.workers), signal.SIGKILL)
                    # The front has to see it first, or it would still say that it is ready.
                    restarts = await one.metric("linnet_worker_restarts_total")

                    async def whole(before=restarts):
                        restarts = await one.metric("linnet_worker_restarts_total")
                        return restarts > before and await one.ready()

                    await watch.recover(whole, began)

        tally = asyncio.run(Load(one.port, expected, TEXTS).at(RATE, kill()))
        kills = len(watch.recoveries)
        done = f"{kills} workers of 2 killed with SIGKILL in {KILL_SECONDS:.0f} s"
        note(row("workers killed", done, tally, watch))
        assert {code.removeprefix("one text: ") for code in tally.failed} <= UNDER_WAY
        assert tally.failed.total() + tally.partly <= 2 * kills
        assert watch.growth("front") < GROWTH
        assert len(one.workers) == 2 and one.end() == 0


def test_the_front_is_killed(bundle, expected, tmp_path, note):
    log, watch, workers = tmp_path / "log.db", Recorder(), []
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
    draw, end = random.Random(2), time.monotonic() + KILL_SECONDS

    async def kill():
        """Kill it and start it again at once, as a supervisor does."""
        began, first = time.monotonic(), True
        while time.monotonic() < end:
            service = serving(
                bundle, serve__port=port, serve__workers=2, prediction_log__url=str(log)
            )
            one = await asyncio.to_thread(service.__enter__)
            try:
                if not first:
                    await watch.recover(one.ready, began)
                watch.look(one)
                await asyncio.sleep(draw.uniform(0, min(20.0, KILL_SECONDS / 2)))
                watch.look(one)
                workers.extend(one.workers)
                began, first = time.monotonic(), False
                one.process.kill()
            finally:
                await asyncio.to_thread(service.__exit__, None, None, None)

    tally = asyncio.run(Load(port, expected, TEXTS).at(RATE, kill()))
    kills = len(watch.recoveries)
    done = f"killed with SIGKILL and started again {kills} times in {KILL_SECONDS:.0f} s"
    note(row("front killed", done, tally, watch))
    # Connections that were open are cut off, and none is taken until it listens again.
    lost = {error.__name__ for error in LOST} | {"ConnectionRefusedError", "ConnectionResetError"}
    assert {code.removeprefix("one text: ") for code in tally.failed} <= UNDER_WAY | lost
    assert tally.answered and not any(map(alive, workers))
    with closing(sqlite3.connect(log)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_models_are_swapped(bundle, other, expected, note):
    watch = Recorder()
    with serving(bundle, serve__workers=2) as one:

        async def swap():
            async with watch.over(one):
                for number in range(SWAPS):
                    assert (await one.swap(champion=(other, bundle)[number % 2])).status == 200

                    async def drained():
                        return len(one.workers) == 2

                    await until(drained)

        tally = asyncio.run(Load(one.port, expected).at(RATE, swap()))
        note(row("models swapped", f"{SWAPS} swaps, one after the other", tally, watch))
        assert tally.answered == tally.sent
        assert len(tally.digests) == 2
        assert watch.growth("front") < GROWTH and watch.growth("files") <= 4
        assert one.end() == 0


def test_postgresql_is_stopped_and_started(bundle, expected, postgres, note):  # noqa: F811
    watch = Recorder()
    with serving(bundle, prediction_log__url=postgres.new_database()) as one:

        async def works():
            return (await adds_up(one))[3] < RATE and await one.metric("linnet_log_up") == 1

        async def stop_and_start():
            async with watch.over(one):
                for mode in ("immediate", "fast", "smart"):
                    await asyncio.sleep(AWAY_SECONDS / 6)
                    await asyncio.to_thread(postgres.stop, "fast" if mode == "smart" else mode)
                    await asyncio.sleep(AWAY_SECONDS)
                    assert await one.ready()
                    await asyncio.to_thread(postgres.start)
                    await watch.recover(works, time.monotonic())

        tally = asyncio.run(Load(one.port, expected).at(RATE, stop_and_start()))

        async def written():
            return (await adds_up(one))[3] == 0

        asyncio.run(until(written))
        answered, wrote, lost, _ = asyncio.run(adds_up(one))
        done = f"stopped 3 times for {AWAY_SECONDS:.0f} s"
        note(row("PostgreSQL stopped", done, tally, watch, records_lost=lost))
        assert tally.answered == tally.sent == answered == wrote and lost == 0
        assert one.end() == 0


def test_a_worker_reaches_its_memory_limit(bundle, expected, tmp_path, note):
    folder = hungry(Path(shutil.copytree(bundle, tmp_path / "hungry")), gib=64, always=False)
    texts = expected[Bundle.read(bundle).digest]
    known = {text: answer for text, answer in texts.items() if TRIGGER not in text.split()}
    watch = Recorder()
    with serving(folder, serve__worker_memory_mb=4000) as one:
        codes = set()

        async def starve():
            client, end = Client(one.port), time.monotonic() + HUNGRY_SECONDS
            async with watch.over(one):
                while time.monotonic() < end:
                    body = {"texts": ["good day", f"good {TRIGGER}"]}
                    began = time.monotonic()
                    items = (await client.ask("POST", "/v1/predict", body)).json()["predictions"]
                    codes.add(tuple(item.get("error", {}).get("code") for item in items))
                    await watch.recover(one.ready, began)
                    await asyncio.sleep(min(1.0, HUNGRY_SECONDS / 5))
            client.close()

        load = Load(one.port, {Bundle.read(folder).digest: known})
        tally = asyncio.run(load.at(RATE, starve()))
        times = len(watch.recoveries)
        done = f"{times} texts that take 64 GiB each, of workers that may take 4,000 MB"
        note(row("out of memory", done, tally, watch))
        assert codes == {(None, "out_of_memory")}
        assert tally.answered == tally.sent
        assert one.end() == 0

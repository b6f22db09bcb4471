"""Half an hour of work and of faults that fail no request: memory and files stay bounded."""

import asyncio
import os
import random
import signal
import time

import pytest

from .conftest import serving
from .load import Load, until
from .rows import RATE, Recorder, row, scaled

SECONDS = scaled(1800)
PAUSE = min(15.0, SECONDS / 20)  # between two disturbances
# What the service may hold more in the last fifth of the time than in the second.
GROWTH = {"front": 24e6, "worker": 24e6, "files": 4, "threads": 2}
UNFINISHED = (
    b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: application/json\r\nContent-Length: 9\r\n\r\n"
)


async def disturb(one, bundles, draw):
    """Swap, read the folder again, or have clients that leave or send their bodies too slowly."""
    what = draw.choice(("swap", "hang up", "leave", "slow"))
    if what == "swap":
        assert (await one.swap(champion=draw.choice(bundles))).status == 200
    elif what == "hang up":
        os.kill(one.process.pid, signal.SIGHUP)
    else:
        for _ in range(50):
            reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
            writer.write(UNFINISHED)
            if what == "leave":
                writer.transport.abort()
            else:
                assert b" 408 " in await reader.readline()
                writer.close()
                break


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 600)
def test_what_a_service_holds_stays_bounded(bundle, other, expected, tmp_path, note):
    settings = {
        "serve__workers": 2,
        "serve__client_timeout_seconds": 2.0,
        "prediction_log__url": str(tmp_path / "log.db"),
    }
    with serving(bundle, **settings) as one:
        draw, watch, ended = random.Random(5), Recorder(), time.monotonic() + SECONDS

        async def work():
            async def settled():
                return await one.ready() and len(one.workers) == 2

            while time.monotonic() < ended:
                await asyncio.sleep(PAUSE)
                await disturb(one, (bundle, other), draw)
                await until(settled, 90)
                watch.look(one)

        tally = asyncio.run(Load(one.port, expected, texts=4).at(RATE, work()))
        done = f"{SECONDS / 60:.0f} minutes of swaps, SIGHUP, slow clients and clients that leave"
        note(row("soak", done, tally, watch))
        assert tally.answered == tally.sent and not tally.failed
        for name, most in GROWTH.items():
            assert watch.growth(name) <= most, name
        assert one.end() == 0

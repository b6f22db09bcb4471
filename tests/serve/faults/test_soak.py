"""Half an hour of everything at once: memory, files and processes stay as they were."""

import asyncio
import os
import random
import signal
import time

import pytest

from .conftest import alive, serving, with_signal
from .load import Load, until

MINUTES = float(os.environ.get("LINNET_SOAK_MINUTES", "30"))
GROWTH = 24e6  # bytes that the front, or a worker, may hold more at the end than after the first fifth of the time


@pytest.mark.slow
@pytest.mark.timeout(MINUTES * 60 + 300)
def test_memory_stays_flat(bundle, other, expected, tmp_path, capsys):
    overrides = {
        "serve__workers": 2,
        "serve__client_timeout_seconds": 2.0,
        "log__url": str(tmp_path / "log.db"),
    }
    with serving(bundle, **overrides) as one:
        draw, seen = random.Random(5), []

        async def disturb():
            started = time.monotonic()
            while (elapsed := time.monotonic() - started) < MINUTES * 60:
                await asyncio.sleep(min(15.0, MINUTES * 60 / 20))
                what = draw.choice(("swap", "kill", "leave"))
                if what == "swap":
                    assert (await one.swap(champion=draw.choice((bundle, other)))).status == 200
                elif what == "kill":
                    killed = draw.choice(one.workers)
                    with_signal(killed, signal.SIGKILL)
                    while alive(killed):
                        await asyncio.sleep(0.01)
                else:
                    for _ in range(50):
                        _, writer = await asyncio.open_connection("127.0.0.1", one.port)
                        writer.write(
                            b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\n"
                            b"Content-Length: 9\r\n\r\n"
                        )
                        writer.transport.abort()

                async def settled():
                    return await one.ready() and len(one.workers) == 2

                await until(settled, 90)
                seen.append((elapsed, one.memory(), max(map(one.memory, one.workers)), one.files))

        tally = asyncio.run(Load(one.port, expected, 4).during(disturb()))
        with capsys.disabled():
            for moment, front, worker, files in (seen[0], seen[len(seen) // 5], seen[-1]):
                print(
                    f"\n{moment:.0f} s: {front / 1e6:.1f} MB, worker {worker / 1e6:.1f} MB, {files} files",
                    end="",
                )
            print(
                f"\n{tally.sent} sent, {tally.answered} answered, {tally.shed} shed, {dict(tally.failed)} failed"
            )
        assert set(tally.failed) <= {
            "worker_died",
            "not_ready",
            "one text: worker_died",
            "one text: not_ready",
        }
        early = seen[len(seen) // 5]
        assert seen[-1][1] - early[1] < GROWTH and seen[-1][2] - early[2] < GROWTH
        assert seen[-1][3] <= early[3] + 4
        assert one.end() == 0

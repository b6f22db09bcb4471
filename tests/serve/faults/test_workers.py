"""Workers die, hang, and talk nonsense; each request is answered rightly or refused, and others are started."""

import asyncio
import random
import re
import shutil
import signal
import sys
import time
from collections.abc import Iterator

import pytest

import linnet
from linnet.bundle import Bundle
from linnet.errors import BundleError
from linnet.predict.plan import choose_plan
from linnet.serve.errors import APIError
from linnet.serve.models.workers import Answer, Pool
from linnet.serve.models.workers import worker_client as worker
from linnet.serve.models.workers.worker_main import respond

from .conftest import Running, serving, with_signal
from .load import Load, until


@pytest.fixture(scope="module")
def pair(bundle) -> Iterator[Running]:
    """A service of two workers and short patience."""
    with serving(bundle, serve__workers=2, serve__worker_timeout_seconds=2.0) as one:
        yield one


def test_workers_are_killed_at_random_under_load(pair, expected):
    seconds, pause = 4.0, 1.0
    draw, unready = random.Random(1), []

    async def kill():
        end = time.monotonic() + seconds
        before = await pair.metric("linnet_worker_restarts_total")
        killed = 0
        while time.monotonic() < end:
            if workers := pair.workers:
                killed += with_signal(draw.choice(workers), signal.SIGKILL)
            again = time.monotonic() + draw.random() * 2 * pause
            while time.monotonic() < again:
                unready.append(not await pair.ready())
                await asyncio.sleep(0.05)
        await until(pair.ready)
        assert await pair.metric("linnet_worker_restarts_total") > before
        assert killed > 1

    tally = asyncio.run(Load(pair.port, expected).during(kill()))
    assert any(unready)
    assert tally.answered > 100
    assert set(tally.failed) <= {"worker_died", "not_ready"}
    assert len(pair.workers) == 2


def test_a_worker_that_dies_while_nobody_asks_is_seen(pair):
    async def run():
        await until(pair.ready)
        with_signal(pair.workers[0], signal.SIGKILL)

        async def unready():
            reply = await pair.get("/readyz")
            return reply.status == 503 and reply.json()["error"]["code"] == "not_ready"

        await until(unready, 5)
        await until(pair.ready)

    asyncio.run(run())


def test_a_worker_that_hangs_is_replaced(pair, expected):
    async def stop_one():
        await until(pair.ready)
        hanging = pair.workers[0]
        with_signal(hanging, signal.SIGSTOP)

        async def replaced():
            return hanging not in pair.workers and await pair.ready()

        await until(replaced)

    tally = asyncio.run(Load(pair.port, expected).during(stop_one()))
    assert set(tally.failed) == {"worker_died"} and tally.failed.total() <= 3
    assert "no reply within 2 s" in pair.log


def pool_of(bundle, config, **settings):
    opened = Bundle.read(bundle)
    serve = config.serve.model_copy(update=settings)
    return Pool(opened, choose_plan(opened, **config.predict.model_dump()), serve)


async def ask(one):
    return await asyncio.gather(
        *one.classify(one.codec.encode(["good day", "bad film"])), return_exceptions=True
    )


def test_the_pause_grows_where_a_worker_can_not_be_started(bundle, config, tmp_path, caplog):
    shutil.copytree(bundle, tmp_path / "here")

    async def run():
        one = pool_of(tmp_path / "here", config)
        await one.start()
        (tmp_path / "here").rename(tmp_path / "away")
        with_signal(one.pids[0], signal.SIGKILL)
        async with asyncio.timeout(60):
            while len(pauses()) < 2:
                await asyncio.sleep(0.05)
        assert one.unready and "1 of 1 workers of tiny are being started again" in one.unready
        with pytest.raises(APIError, match="Try again later"):
            one.check()
        (tmp_path / "away").rename(tmp_path / "here")
        async with asyncio.timeout(60):
            while one.unready:
                await asyncio.sleep(0.05)
        assert one.restarts == 1
        assert all(isinstance(answer, Answer) for answer in await ask(one))
        await one.stop()

    def pauses():
        return [float(found) for found in re.findall(r"next try in ([\d.]+) s", caplog.text)]

    asyncio.run(run())
    assert pauses()[:2] == [0.2, 0.4]


NONSENSE = """
import json, socket, sys
with socket.socket(fileno=int(sys.argv[1])) as connection, connection.makefile("rwb") as stream:
    stream.readline()
    stream.write(b'{"ready": true}\\n')
    stream.flush()
    for line in stream:
        stream.write(NONSENSE)
        stream.flush()
"""
RIGHT = (
    b'{"logits": [[1, 2], [2, 1]], "truncated": [0, 0], "fast": [0, 0], "unknown_share": [0, 0], '
    b'"failed": {}, "seconds": 0.1}\n'
)


@pytest.mark.parametrize(
    "nonsense",
    [
        b"{}\n",
        b"[]\n",
        b"null\n",
        b"\n",
        b"\xff\xfe\n",
        b"no line",
        RIGHT * 2,
        RIGHT.replace(b"[1, 2], ", b""),
        RIGHT.replace(b"1", b'"1"'),
        RIGHT.replace(b"[1, 2]", b"[1]"),
        RIGHT.replace(b"[2, 1]", b"[2, NaN]"),
        RIGHT.replace(b"[0, 0]", b"[0]", 1),
        RIGHT.replace(b"{}", b"0"),
        RIGHT.replace(b"0.1", b"null"),
    ],
)
def test_what_is_no_answer_reaches_nobody_and_ends_the_worker(
    bundle, config, monkeypatch, nonsense
):
    async def run():
        one = pool_of(bundle, config, worker_timeout_seconds=0.5)
        program = NONSENSE.replace("NONSENSE", repr(nonsense))
        monkeypatch.setattr(worker, "PROGRAM", [sys.executable, "-S", "-c", program])
        await one.start()
        answers = await ask(one)
        assert [(answer.status_code, answer.code) for answer in answers] == [
            (503, "worker_died")
        ] * 2
        async with asyncio.timeout(60):
            while one.restarts == 0:
                await asyncio.sleep(0.01)
        await one.stop()

    asyncio.run(run())


def test_an_explanation_that_is_none_reaches_nobody(bundle, config, monkeypatch):
    async def run():
        one = pool_of(bundle, config)
        program = NONSENSE.replace("NONSENSE", repr(b'{"ready": true}\n'))
        monkeypatch.setattr(worker, "PROGRAM", [sys.executable, "-S", "-c", program])
        await one.start()
        (encodings,) = one.codec.encode(["good day"])
        with pytest.raises(APIError, match="The worker that computed the answer died"):
            await one.explain("good day", encodings, None)
        await one.stop()

    asyncio.run(run())


def test_a_text_at_which_explaining_fails_does_not_end_the_worker(bundle, config, monkeypatch):
    classifier = linnet.load(bundle, verify=False, num_threads=1)

    def fail(text, label=None):
        raise RuntimeError("the engine's own")

    monkeypatch.setattr(classifier, "explain", fail)
    assert (
        respond(classifier, {"explain": "good", "label": None})["error"]["code"] == "model_failed"
    )


def test_a_worker_that_can_not_start_is_a_sentence(bundle, config, monkeypatch):
    async def run(program):
        monkeypatch.setattr(worker, "PROGRAM", program)
        with pytest.raises(BundleError, match="ended while it started"):
            await pool_of(bundle, config, workers=2).start()

    asyncio.run(run([sys.executable, "-S", "-c", "exit(3)"]))
    asyncio.run(run(["/no/such/program"]))

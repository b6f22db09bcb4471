"""Bundles that hang, take memory or make the tokenizer panic cost the models at work, and the stop, nothing."""

import asyncio
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import linnet
from linnet.bundle import Bundle
from linnet.errors import BundleError, TextError
from linnet.predict.peak import Peak, limit_bytes
from linnet.predict.plan import Plan
from linnet.score.chunks import Chunk
from linnet.score.job import answer

from .conftest import Running, alive, serving, with_signal
from .hostile import TRIGGER, change_tokenizer, endless, hungry, large
from .load import Client, until

PANICS = "good \U00100000"  # where a tokenizer of 244 units panics
END_SECONDS = 12  # after SIGTERM, on a busy machine; an orchestrator kills after 30


@pytest.fixture
def copy(bundle, tmp_path):
    """A copy of the bundle that a test may spoil."""

    def make(name="spoilt") -> Path:
        return Path(shutil.copytree(bundle, tmp_path / name))

    return make


async def begun(one: Running, swap: "asyncio.Task[object]", before: list[int]) -> None:
    """Wait until a swap has started its workers."""

    async def more():
        return one.workers != before or swap.done()

    await until(more)
    assert not swap.done(), swap


def stopped(one: Running) -> None:
    """End a service by SIGTERM, within its time and without a traceback."""
    workers, started = one.workers, time.monotonic()
    assert one.end(seconds=END_SECONDS) == 0
    assert time.monotonic() - started < END_SECONDS
    assert not any(map(alive, workers))
    assert "Traceback" not in one.log and "defect" not in one.log, one.log


def test_a_candidate_that_hangs_is_given_up_and_holds_up_neither_swaps_nor_the_end(
    bundle, other, copy
):
    hanging = endless(copy())
    with serving(bundle, serve__swap_timeout_seconds=6.0) as one:

        async def run():
            before = one.workers
            first = asyncio.create_task(one.swap(champion=hanging))
            await begun(one, first, before)
            second = await one.swap(champion=other)
            assert second.status == 200 and not first.done()
            assert second.json()["arms"][0]["name"] == "other"
            late = await first
            assert (late.status, late.code) == (504, "deadline_exceeded")
            assert (await one.get("/v1/models")).json()["arms"][0]["name"] == "other"

            async def drained():
                return len(one.workers) == 1

            await until(drained)
            last = asyncio.create_task(one.swap(champion=hanging))
            await begun(one, last, one.workers)
            await asyncio.to_thread(stopped, one)
            reply = await last
            assert (reply.status, reply.code) == (503, "not_ready")

        asyncio.run(run())


def test_a_large_bundle_that_is_verified_does_not_hold_the_end_up(bundle, copy):
    folder = large(copy(), gib=64)
    with serving(bundle) as one:

        async def run():
            swap = asyncio.create_task(one.swap(champion=folder))
            await asyncio.sleep(1.0)
            assert not swap.done()
            await asyncio.to_thread(stopped, one)
            reply = await swap
            assert (reply.status, reply.code) == (503, "not_ready")

        asyncio.run(run())


def test_no_worker_outlives_a_killed_front(bundle, copy):
    hanging = endless(copy(), always=False)
    with serving(hanging, serve__workers=2) as one:
        workers = one.workers
        assert len(workers) == 2

        async def run():
            client = Client(one.port)
            asked = asyncio.create_task(
                client.ask("POST", "/v1/predict", {"texts": [f"good {TRIGGER}"]})
            )
            await asyncio.sleep(0.5)
            assert not asked.done()
            asked.cancel()
            client.close()
            busy = await asyncio.to_thread(busiest, workers)
            (idle,) = set(workers) - {busy}
            with_signal(idle, signal.SIGSTOP)
            one.process.kill()

            async def gone():
                return not any(map(alive, workers))

            await until(gone, 5)

        asyncio.run(run())


def busiest(pids):
    def ticks(pid):
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11])

    before = {pid: ticks(pid) for pid in pids}
    time.sleep(0.5)
    return max(pids, key=lambda pid: ticks(pid) - before[pid])


@pytest.mark.parametrize("way", ["connection", "parent"])
def test_each_way_ends_a_child_by_itself(way):
    """One way is enough: the thread that watches the connection, or the kernel."""
    program = {
        "connection": "import socket; from linnet.child import end_with_connection as end; "
        "kept = socket.socket(fileno=0); end(kept)",
        "parent": "import os, sys; from linnet.child import end_with_parent as end; "
        "end(int(sys.argv[1]))",
    }[way]
    parent = (
        "import os, socket, subprocess, sys, time; ours, theirs = socket.socketpair(); "
        f"child = subprocess.Popen([sys.executable, '-c', {program + chr(10) + 'while True: pass'!r}, "
        "str(os.getpid())], stdin=theirs); theirs.close(); print(child.pid, flush=True); "
        "time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True) as one:
        child = int(one.stdout.readline())
        time.sleep(1.0)
        was_alive = alive(child)
        one.kill()
    assert was_alive
    end = time.monotonic() + 5
    while alive(child):
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_child_whose_parent_has_gone_already_ends():
    code = "import os; from linnet.child import end_with_parent; end_with_parent(os.getppid() + 1)"
    assert subprocess.run([sys.executable, "-c", f"{code}\nprint('on')"]).returncode == 70


def test_a_tokenizer_that_panics_is_a_bundle_error(server, copy):
    folder = change_tokenizer(copy(), units=0)
    with pytest.raises(BundleError, match=r"Expected a tokenizer in|can't encode a character"):
        linnet.load(folder)

    async def run():
        reply = await server.swap(champion=folder)
        assert (reply.status, reply.code) == (422, "bad_bundle")
        assert "tokenizer.json" in reply.json()["error"]["message"]

    asyncio.run(run())
    command = [
        sys.executable,
        "-m",
        "linnet.cli.main",
        "serve",
        str(folder),
        "--set",
        'prediction_log.url=""',
    ]
    done = subprocess.run([*command, "--port", "0"], capture_output=True, text=True)
    assert done.returncode == 5
    assert len(done.stderr.splitlines()) < 10, done.stderr
    assert "Traceback" not in done.stderr and "tokenizer.json" in done.stderr.splitlines()[-1]


def test_a_text_at_which_the_tokenizer_panics_fails_alone(bundle, copy):
    folder = change_tokenizer(copy(), units=244)
    classifier = linnet.load(folder, num_threads=1)
    with pytest.raises(TextError, match="Text 1: The model's tokenizer fails") as caught:
        classifier.predict(["good day", PANICS])
    assert caught.value.index == 1
    texts = ["good day", PANICS, "bad day"]
    answers = answer(classifier, Chunk([], texts, [""] * 3, 0))
    assert answers[1] == "tokenizer_failed" and answers[0].label and answers[2].label
    with serving(folder) as one:

        async def run():
            client = Client(one.port)
            items = (await client.ask("POST", "/v1/predict", {"texts": texts})).json()
            client.close()
            return items["predictions"]

        items = asyncio.run(run())
        assert ["error" in item for item in items] == [False, True, False]
        stopped(one)


def test_a_bundle_that_takes_more_memory_than_was_measured_is_refused(server, bundle, copy):
    assert limit_bytes(Bundle.read(bundle), Plan(), 0) < 64 << 30
    folder = hungry(copy(), gib=64)

    async def run():
        reply = await server.swap(champion=folder)
        assert (reply.status, reply.code) == (422, "out_of_memory"), reply
        assert "serve.worker_memory_mb" in reply.json()["error"]["message"]

    asyncio.run(run())


def test_a_text_beyond_the_memory_fails_alone(bundle, copy):
    folder = hungry(copy(), gib=64, always=False)
    with serving(folder, serve__worker_memory_mb=4000) as one:

        async def run():
            client = Client(one.port)
            texts = ["good day", f"good {TRIGGER}", "bad day"]
            for _ in range(2):
                reply = await client.ask("POST", "/v1/predict", {"texts": texts})
                items = reply.json()["predictions"]
                codes = [item.get("error", {}).get("code") for item in items]
                assert codes == [None, "out_of_memory", None]
            client.close()
            await until(one.ready)

        asyncio.run(run())
        stopped(one)


def test_the_limit_follows_what_was_measured(bundle):
    opened = Bundle.read(bundle)
    peak = Peak(**opened.proof["memory"])
    assert 0 < peak.loaded_bytes <= peak.peak_bytes < 1 << 30
    measured = limit_bytes(opened, Plan(num_threads=1), 0)
    assert measured > 2 * peak.peak_bytes
    assert limit_bytes(opened, Plan(num_threads=1, max_batch_tokens=4096), 0) >= measured
    assert limit_bytes(opened, Plan("openvino", num_threads=1), 0) > measured
    assert limit_bytes(opened, Plan(), 300) == 300 << 20
    assert limit_bytes(opened, Plan(), -1) is None


@pytest.mark.parametrize("figure", [None, "much", {}, {"peak_bytes": 0}, {"peak_bytes": True}])
def test_a_bundle_without_the_figure_has_no_limit(bundle, figure):
    opened = Bundle.read(bundle)
    opened.__dict__["proof"] = {"memory": figure}
    assert limit_bytes(opened, Plan(), 0) is None
    assert re.fullmatch(r"\d+", str(limit_bytes(opened, Plan(), 100)))

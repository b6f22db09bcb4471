"""The service is told to stop, or is killed: what it accepted is answered, and no process is left."""

import asyncio
import signal
import socket
import time

import pytest

from linnet.monitor import Store

from .conftest import PLAIN, Running, alive, serving, with_signal
from .load import LOST, Client, Load, until


def ended(pids, seconds=120.0):
    end = time.monotonic() + seconds
    while any(map(alive, pids)):
        assert time.monotonic() < end, "a worker is left"
        time.sleep(0.02)


def test_a_stop_under_load_answers_what_was_accepted(bundle, expected, tmp_path):
    with serving(bundle, serve__workers=2, prediction_log__url=str(tmp_path / "log.db")) as one:
        workers = one.workers

        async def stop():
            await asyncio.sleep(1.0)
            one.process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(one.process.wait, 30)

        tally = asyncio.run(Load(one.port, expected).during(stop(), connections=16))
        assert one.process.returncode == 0
    ended(workers)
    assert not set(tally.failed) & {"worker_died", "not_ready", "deadline_exceeded"}
    with Store(str(tmp_path / "log.db")) as log:
        assert (
            len(list(log.read())) == tally.answered
        )  # so that nothing was answered to nobody, or not recorded
    assert "Traceback" not in one.log and "defect" not in one.log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_while_it_starts_is_a_good_end(bundle, number):
    one = Running(bundle, PLAIN)
    while not one.workers:
        assert one.process.poll() is None
        time.sleep(0.01)
    workers = one.workers
    assert one.end(number) == 0
    ended(workers)
    assert "Traceback" not in one.log


def test_a_hangup_while_it_starts_changes_nothing(bundle):
    one = Running(bundle, PLAIN)
    while not one.workers:
        assert one.process.poll() is None
        time.sleep(0.01)
    one.process.send_signal(signal.SIGHUP)
    one.wait()
    assert one.end() == 0


def test_workers_end_with_a_service_that_is_killed(bundle, expected):
    with serving(bundle, serve__workers=2) as one:
        workers = one.workers

        async def kill():
            await asyncio.sleep(0.3)
            one.process.kill()
            one.process.wait()

        tally = asyncio.run(Load(one.port, expected).during(kill()))
        assert set(tally.failed) <= {error.__name__ for error in LOST} | {
            "ConnectionRefusedError",
            "ConnectionResetError",
        }
        ended(workers)


def test_neither_hanging_workers_nor_slow_clients_nor_a_swap_hold_up_the_end(bundle, other):
    limits = {"serve__timeout_seconds": 1.0, "serve__client_timeout_seconds": 1.5}
    shadow = {"candidate": {"bundle": str(other), "shadow": True}}
    with serving(bundle, serve__arms=shadow, **limits) as one:
        workers = one.workers

        async def run():
            client, waiter = Client(one.port), Client(one.port)
            assert (
                await client.ask("POST", "/v1/predict", {"texts": ["good"]})
            ).status == 200  # asks the shadow, too
            for worker in workers:
                with_signal(worker, signal.SIGSTOP)
            asked = asyncio.create_task(waiter.ask("POST", "/v1/predict", {"texts": ["rain"]}))
            slow = socket.create_connection(("127.0.0.1", one.port))
            slow.sendall(
                b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\n"
                b"Content-Type: application/json\r\nContent-Length: 10\r\n\r\n"
            )
            await asyncio.sleep(0.2)
            one.process.send_signal(signal.SIGHUP)
            one.process.send_signal(signal.SIGTERM)
            assert (await asked).status == 504
            assert b"408" in await asyncio.to_thread(slow.recv, 100)
            slow.close()
            client.close()
            waiter.close()
            assert await asyncio.to_thread(one.process.wait, 28) == 0

        asyncio.run(run())
        ended(workers)
        assert "Traceback" not in one.log and "defect" not in one.log, one.log


def test_a_stop_while_models_are_swapped_answers_the_swap(bundle, other):
    with serving(bundle) as one:

        async def run():
            before = one.workers
            swap = asyncio.create_task(one.swap(champion=other))

            async def starts():
                return one.workers != before

            await until(starts)
            workers = one.workers
            one.process.send_signal(signal.SIGTERM)
            assert (await swap).status in (200, 503)
            assert await asyncio.to_thread(one.process.wait, 28) == 0
            return workers

        ended(asyncio.run(run()))
        assert "Traceback" not in one.log and "defect" not in one.log, one.log

"""Clients that are slow, say nothing, leave or take nothing: they cost little, and the others are answered."""

import asyncio
import json
import random
import resource
import signal
import socket
import struct

import pytest

from linnet.errors import UsageError
from linnet.serve.listen import BACKLOG
from linnet.serve.middleware.connections import SPARE
from linnet.serve.server import OTHER_FILES
from linnet.serve.server import _connections as connections_of

from .conftest import serving, with_signal
from .load import LOST, Client, Load, read_reply, until

BODY = json.dumps({"texts": ["good day"] * 3}).encode()
HEAD = (
    b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    % len(BODY)
)
A_WHILE = 0.05
RESET = struct.pack("ii", 1, 0)  # close by RST


async def send_slowly(port, start, slowly, pause=A_WHILE):
    """Send a part at once and the rest a byte at a time, until there is an answer; gives it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(start)

    async def trickle():
        for byte in slowly:
            writer.write(bytes([byte]))
            await asyncio.sleep(pause)

    trickling = asyncio.create_task(trickle())
    try:
        async with asyncio.timeout(30):
            reply = await read_reply(reader)
            rest = await reader.read()
    except ConnectionResetError:  # the last byte met a closed connection
        rest = b""
    finally:
        trickling.cancel()
        writer.close()
    return reply, rest


@pytest.mark.parametrize(
    ("start", "slowly"),
    [
        (b"", b""),
        (b"", HEAD),
        (HEAD, BODY),
        (b"\r\n", b"\r\n" * 500),
        (
            HEAD.replace(b"Content-Length: %d" % len(BODY), b"Transfer-Encoding: chunked"),
            b"1\r\n \r\n" * 50,
        ),
    ],
    ids=["nothing", "head", "body", "empty lines", "chunks"],
)
def test_a_request_that_does_not_come_whole_in_time_is_refused(server, expected, start, slowly):
    async def run():
        load, before = Load(server.port, expected), await counted(server, 408)
        slow = asyncio.gather(*(send_slowly(server.port, start, slowly) for _ in range(30)))
        tally = await load.during(slow, connections=2)
        for reply, rest in slow.result():
            assert (reply.status, reply.code, rest) == (408, "request_too_slow", b"")
            assert (
                len(reply.headers["x-request-id"]) == len(reply.json()["error"]["request_id"]) == 32
            )
        assert not tally.failed and not tally.shed and tally.answered > 20
        assert await counted(server, 408) == before + 30

    asyncio.run(run())


def test_one_connection_too_many_is_told_so_and_costs_the_others_nothing(bundle, expected):
    async def run(server):
        load = Load(server.port, expected)
        held = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(3)]
        for _, writer in held:
            writer.write(b"POST")  # an idle one would make room
        async with asyncio.timeout(20):
            for size in (0, 100, 64_000, 900_000) * 5:
                reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
                writer.write(
                    b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
                    % size
                    + b"x" * size
                )
                reply = await read_reply(reader)
                assert (reply.status, reply.code, reply.headers["retry-after"]) == (
                    429,
                    "too_many_connections",
                    "1",
                )
                assert await reader.read() == b""
                writer.close()
            watching = Client(server.port)
            for path in ("/healthz", "/readyz", "/metrics"):
                reply = await watching.ask("GET", path)
                watching.close()
                assert reply.status == 200
                watching = Client(server.port)
            assert 'outcome="shed",route="(no route)",status="429"} 20.0' in reply.body.decode()
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert (await read_reply(reader)).status == 200
            assert await reader.read() == b""  # not kept for another request
            writer.close()
            more = [
                await asyncio.open_connection("127.0.0.1", server.port) for _ in range(SPARE + 20)
            ]
            cut = await asyncio.gather(*(left_alone(reader) for reader, _ in more))
            assert not all(cut) and any(cut)
            for _, writer in more:
                writer.close()
            held.pop()[1].close()
            await until(answers(server.port))
        tally = await load.during(asyncio.sleep(0.3), connections=1)
        assert tally.answered and not tally.failed
        for _, writer in held:
            writer.close()

    with serving(bundle, serve__max_connections=3) as server:
        asyncio.run(run(server))


async def left_alone(reader):
    """Whether a connection is still open after a moment."""
    try:
        async with asyncio.timeout(0.5):
            return await reader.read(1) != b""
    except TimeoutError:
        return True
    except ConnectionResetError:
        return False


def answers(port):
    async def asked():
        client = Client(port)
        try:
            return (await client.ask("GET", "/healthz")).status == 200
        finally:
            client.close()

    return asked


def test_the_limit_of_open_files_is_raised_for_connections_or_leaves_fewer(monkeypatch, caplog):
    limits = 200, 1000  # fewer than may come at once before the first is closed
    monkeypatch.setattr(resource, "getrlimit", lambda which: limits)
    raised = []
    monkeypatch.setattr(resource, "setrlimit", lambda which, pair: raised.append(pair))
    assert connections_of(500) == 500 and raised == [(1000, 1000)] and not caplog.records
    assert connections_of(5000) == 1000 - OTHER_FILES and raised[1:] == [(1000, 1000)]
    assert f"at most {1000 - OTHER_FILES} connections" in caplog.text
    limits = 100, resource.RLIM_INFINITY
    assert connections_of(5000) == 5000 and raised[2:] == [
        (5000 + OTHER_FILES + BACKLOG, resource.RLIM_INFINITY)
    ]
    limits = 3000, 4000
    assert connections_of(30) == 30 and len(raised) == 3
    limits = 60, 60
    with pytest.raises(UsageError, match="lets a process open 60 files"):
        connections_of(5000)
    limits = resource.RLIM_INFINITY, resource.RLIM_INFINITY
    assert connections_of(5000) == 5000 and len(raised) <= 4


async def counted(server, status):
    """How often such a status was given where no route was matched."""
    client = Client(server.port)
    text = (await client.ask("GET", "/metrics")).body.decode()
    client.close()
    name = f'linnet_requests_total{{outcome="failed",route="(no route)",status="{status}"}} '
    return next(
        (float(line[len(name) :]) for line in text.splitlines() if line.startswith(name)), 0.0
    )


def test_a_slow_second_request_leaves_the_first_its_answer(server):
    async def run():
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(HEAD + BODY + b"GET /heal")
        async with asyncio.timeout(30):
            assert (await read_reply(reader)).status == 200
            late = await read_reply(reader)
        assert late.status == 408
        writer.close()

    asyncio.run(run())


def test_a_connection_that_is_kept_is_not_cut_off_between_requests(server):
    async def run():
        client = Client(server.port)
        for _ in range(2):
            assert (await client.ask("GET", "/healthz")).status == 200
            await asyncio.sleep(1.5)  # the limit is 1 s for what has begun
        assert client._writer and not client._reader.at_eof()
        client.close()

    asyncio.run(run())


def test_a_head_without_end_is_refused(server):
    async def run():
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        before = server.memory()
        writer.write(b"GET /healthz HTTP/1.1\r\nX-Long: ")
        async with asyncio.timeout(30):
            try:
                for _ in range(1000):
                    writer.write(b"a" * 65536)
                    await writer.drain()
            except ConnectionError:
                pass
            else:
                raise AssertionError("64 MB were taken")
        assert server.memory() - before < 20e6
        with socket.create_connection(("127.0.0.1", server.port)) as plain:
            plain.sendall(b"GET /" + b"a" * 70_000)
            assert plain.recv(100).startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
        writer.close()

    asyncio.run(run())


def test_a_client_that_takes_no_answer_is_cut_off(server):
    async def run():
        files = server.files
        with socket.create_connection(("127.0.0.1", server.port)) as greedy:
            greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            greedy.setblocking(False)
            request = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
            loop = asyncio.get_running_loop()
            with pytest.raises(ConnectionError):
                async with asyncio.timeout(60):
                    while True:
                        await loop.sock_sendall(greedy, request * 100)
                        await asyncio.sleep(A_WHILE)

        async def closed():
            return server.files <= files

        await until(closed)

    asyncio.run(run())


def test_what_clients_asked_that_left_is_not_computed(server):
    async def run():
        await until(server.ready)
        files, workers = server.files, server.workers
        before = await server.metric("linnet_batch_texts_sum")
        gone = await server.metric("linnet_requests_total", status="499")
        for worker in workers:
            with_signal(worker, signal.SIGSTOP)
        for how in ("close", "half", "reset") * 8:
            plain = socket.create_connection(("127.0.0.1", server.port))
            plain.sendall(HEAD + BODY)
            await asyncio.sleep(0.03)
            if how == "half":
                plain.shutdown(socket.SHUT_WR)
                assert plain.recv(10) == b""
            elif how == "reset":
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            plain.close()

        async def left():
            return await server.metric("linnet_requests_total", status="499") - gone == 24

        await until(left, 1.5)
        for worker in workers:
            with_signal(worker, signal.SIGCONT)
        client = Client(server.port)
        assert (await client.ask("POST", "/v1/predict", {"texts": ["rain"]})).status == 200
        client.close()

        async def settled():
            return server.files <= files and await server.metric("linnet_queue_texts") == 0

        await until(settled)
        computed = await server.metric("linnet_batch_texts_sum") - before
        assert (
            computed <= 3 * len(workers) + 1
        )  # what the workers had been told before the clients left

    asyncio.run(run())


def test_clients_that_leave_at_any_moment_leave_nothing_behind(server, expected):
    draw = random.Random(3)

    async def leave():
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", server.port)
            plain = writer.get_extra_info("socket")
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            request = HEAD + BODY
            writer.write(
                request[: draw.randint(0, len(request))] if draw.random() < 0.5 else request
            )
            await asyncio.sleep(draw.random() * 0.02)
            writer.transport.abort()
        except LOST:
            pass

    async def leave_again_and_again():
        for _ in range(40):
            await asyncio.gather(*(leave() for _ in range(10)))

    async def run():
        await until(server.ready)
        files = server.files
        tally = await Load(server.port, expected).during(leave_again_and_again(), connections=4)
        assert not tally.failed and not tally.shed

        async def settled():
            return server.files <= files and await server.metric("linnet_queue_texts") == 0

        await until(settled)
        assert "defect" not in server.log, server.log[server.log.index("defect") - 200 :][:4000]

    asyncio.run(run())

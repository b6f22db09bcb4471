"""Who is let in when there are too many connections."""

import socket
import time
from functools import partial

import pytest

from linnet.serve.middleware.connection import Connection
from linnet.serve.middleware.connections import SPARE, SPARE_PER_ADDRESS, Connections
from linnet.serve.middleware.failures import ServerErrorMiddleware
from linnet.serve.middleware.identity import RequestIdMiddleware
from linnet.serve.middleware.limits import ConnectionLimitMiddleware

GET = b"GET /%s HTTP/1.1\r\nHost: a\r\n\r\n"


class Client:
    """A connection of a client, which knows whether it was closed."""

    def __init__(self) -> None:
        self.closed = False

    def abort(self) -> None:
        self.closed = True


def test_the_one_that_waited_longest_for_its_first_byte_goes_first():
    connections = Connections(3)
    first, second, third, *more = [Client() for _ in range(6)]
    for one in (first, second, third):
        assert connections.add(one, "") is None
    connections.set_busy(first)
    assert connections.add(more[0], "") is None and second.closed
    assert connections.add(more[1], "") is None and third.closed
    assert not first.closed and not more[0].closed
    connections.remove(second)  # as the loop says a moment later
    connections.set_busy(more[0])
    connections.set_idle(more[0])  # it was answered, and goes after those that said nothing
    assert connections.add(more[2], "") is None and more[1].closed
    connections.set_busy(more[2])
    assert connections.add(Client(), "") is None and more[0].closed


def test_where_all_are_busy_the_new_one_is_refused_and_far_too_many_are_cut_off():
    connections = Connections(2)
    for _ in range(2):
        one = Client()
        assert connections.add(one, "") is None
        connections.set_busy(one)
    more = [Client() for _ in range(SPARE + 3)]
    for one in more:
        assert connections.add(one, "") == "2 connections"
        connections.set_busy(one)
    assert [one.closed for one in more] == [False] * SPARE + [True] * 3


@pytest.mark.parametrize(
    ("same", "other"),
    [
        (["192.0.2.1"] * 2, "192.0.2.2"),
        (["2001:db8::1", "2001:db8::2"], "2001:db8:0:1::1"),
        (["::ffff:192.0.2.1", "192.0.2.1"], "::ffff:192.0.2.2"),
    ],
)
def test_an_address_may_have_a_limit_of_its_own(same, other):
    connections = Connections(100, 2)
    silent, busy = Client(), Client()
    for one, address in zip((silent, busy), same, strict=True):
        assert connections.add(one, address) is None
    connections.set_busy(busy)
    assert connections.add(Client(), other) is None and not silent.closed
    third, fourth = Client(), Client()
    assert connections.add(third, same[0]) is None and silent.closed
    connections.set_busy(third)
    assert connections.add(fourth, same[0]) == "2 connections from one address"
    connections.set_busy(fourth)
    flood = [Client() for _ in range(SPARE_PER_ADDRESS + 1)]
    for one in flood:
        connections.add(one, same[0])
        connections.set_busy(one)
    assert flood[-1].closed and not busy.closed
    for one in (busy, third, fourth, *flood):
        connections.remove(one)
    assert connections.add(Client(), same[0]) is None
    assert connections.add(Client(), "") is None  # of a Unix socket


async def answer(scope, receive, send):
    """Answers with nothing."""
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]}
    )
    await send({"type": "http.response.body", "body": b""})


def status(client: socket.socket, path: bytes = b"") -> bytes:
    client.settimeout(20)
    try:
        client.sendall(GET % path)
        return client.recv(4096)[9:12]
    except ConnectionError:
        return b""


def connected(port: int, count: int) -> list[socket.socket]:
    return [socket.create_connection(("127.0.0.1", port), 20) for _ in range(count)]


def test_idle_connections_keep_nobody_out(wired):
    """Far more connections than there may be, of which none sends a byte."""
    app = RequestIdMiddleware(ServerErrorMiddleware(ConnectionLimitMiddleware(answer)))
    made = partial(
        Connection, seconds=60.0, open_connections=Connections(10), observe=lambda *_: None
    )
    with wired(app, made) as port:
        flood = connected(port, 10)
        for _ in range(8):
            flood += connected(port, 25)
            (one,) = connected(port, 1)
            assert status(one) == b"200"
            assert status(one) == b"200"  # it is not the first to go
            one.close()
        for one in flood:
            one.close()


def test_the_probe_port_answers_probes_alone(wired):
    app = RequestIdMiddleware(ServerErrorMiddleware(ConnectionLimitMiddleware(answer)))
    made = partial(
        Connection,
        seconds=60.0,
        open_connections=Connections(10),
        observe=lambda *_: None,
        probes_only=True,
    )
    with wired(app, made) as port:
        (one,) = connected(port, 1)
        for path in (b"healthz", b"readyz", b"metrics"):
            assert status(one, path) == b"200"
        for path in (b"", b"v1/predict", b"admin/models", b"healthz/"):
            assert status(one, path) == b"404"
        one.close()


def test_a_connection_between_two_requests_goes_before_a_busy_one(wired):
    app = RequestIdMiddleware(ServerErrorMiddleware(ConnectionLimitMiddleware(answer)))
    made = partial(
        Connection, seconds=60.0, open_connections=Connections(2), observe=lambda *_: None
    )
    with wired(app, made) as port:
        busy, idle = connected(port, 2)
        busy.sendall((GET % b"")[:10])  # it has begun a request
        assert status(idle) == b"200"
        time.sleep(0.05)
        (new,) = connected(port, 1)
        assert status(new) == b"200"
        assert status(idle) == b""
        busy.sendall((GET % b"")[10:])
        assert busy.recv(4096)[9:12] == b"200"
        for one in (busy, idle, new):
            one.close()

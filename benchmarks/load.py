"""Requests at a fixed rate, whether or not the ones before are answered: what a service sees of users, not of a loop.

    python benchmarks/load.py URL RATE SECONDS < bodies   # a JSON body a line; prints {"answers": [[status, ms], ...]}

A request that finds no free connection opens one. A closed loop, such as wrk's, asks less the slower it is answered,
and so can't show what happens when more comes than can be done (Schroeder et al. 2006, "Open Versus Closed").
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from urllib.parse import urlsplit

import uvloop

GIVEN_UP = (
    30.0  # seconds after the last request was due, when what is not answered counts as status 0
)


class Connection(asyncio.Protocol):
    """A connection that one request at a time is sent on. No coroutine waits for it: that would cost as much again."""

    def __init__(self) -> None:
        self._told: Callable[[int], None] | None = None
        self._received, self._closed = b"", False
        self._transport: asyncio.Transport

    def ask(self, request: bytes, told: Callable[[int], None]) -> None:
        """Send a request; `told` is called with the answer's status, 0 if there is none."""
        self._told = told
        if self._closed:
            self._tell(0)
        else:
            self._transport.write(request)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Called by the loop."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        start = head.lower().index(b"content-length:") + len(b"content-length:")
        if len(body) >= int(head[start:].split(b"\r\n", 1)[0]):
            self._received = b""
            self._tell(int(head[9:12]))

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop."""
        self._closed = True
        self._tell(0)

    def _tell(self, status: int) -> None:
        told, self._told = self._told, None
        if told:
            told(status)


async def run(
    url: str, rate: float, seconds: float, bodies: Sequence[bytes]
) -> list[tuple[int, float]]:
    """Status and milliseconds of each request, in the order they were due; the time counts from when one was due."""
    parts, loop = urlsplit(url), asyncio.get_running_loop()
    head = f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\nContent-Length: "
    requests = [f"{head}{len(body)}\r\n\r\n".encode() + body for body in bodies]
    total = int(rate * seconds)
    answers, left, all_answered = [(0, GIVEN_UP * 1000)] * total, total, asyncio.Event()
    free: list[Connection] = []
    opening: set[asyncio.Task[None]] = set()
    begun = time.perf_counter()

    def tell(number: int, connection: Connection | None, status: int) -> None:
        nonlocal left
        answers[number] = (status, (time.perf_counter() - begun - number / rate) * 1000)
        left -= 1
        if connection and status:
            free.append(connection)
        if not left:
            all_answered.set()

    def ask(number: int, connection: Connection) -> None:
        connection.ask(requests[number % len(requests)], partial(tell, number, connection))

    async def connect_and_ask(number: int) -> None:
        try:
            _, connection = await loop.create_connection(Connection, parts.hostname, parts.port)
        except OSError:
            tell(number, None, 0)
        else:
            ask(number, connection)

    for number in range(total):
        if (early := begun + number / rate - time.perf_counter()) > 0:
            await asyncio.sleep(early)
        if free:
            ask(number, free.pop())
        else:
            opening.add(task := loop.create_task(connect_and_ask(number)))
            task.add_done_callback(opening.discard)
    with suppress(TimeoutError):
        await asyncio.wait_for(all_answered.wait(), GIVEN_UP)
    return answers


def main() -> None:
    """Run from the command line."""
    url, rate, seconds = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
    bodies = sys.stdin.buffer.read().splitlines()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        answers = runner.run(run(url, rate, seconds, bodies))
    print(json.dumps({"answers": answers}))


if __name__ == "__main__":
    main()

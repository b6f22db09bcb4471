"""A load generator that loses nothing: what was sent is answered, shed or failed, and every answer is looked into."""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

TOLERANCE = 2e-5  # of probabilities, which padding moves by less
LOST = (ConnectionError, asyncio.IncompleteReadError, TimeoutError, ValueError, OSError)
Expected = Mapping[str, Mapping[str, Mapping[str, float]]]  # digest -> text -> label -> probability


@dataclass(frozen=True)
class Reply:
    """An HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """What a failure is called."""
        return str(self.json()["error"]["code"])


class Client:
    """One connection that is kept, and made anew where it was lost."""

    def __init__(self, port: int, seconds: float = 60.0):
        self._port, self._seconds = port, seconds
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, method: str, path: str, content: Any = None, **headers: str) -> Reply:
        """The answer to a request.

        Raises:
            One of LOST: The connection was.
        """
        body = b"" if content is None else json.dumps(content).encode()
        head = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}"]
        head += [
            "Content-Type: application/json",
            *(f"{name}: {value}" for name, value in headers.items()),
            "",
            "",
        ]
        try:
            async with asyncio.timeout(self._seconds):
                if self._writer and self._reader.at_eof():
                    self.close()  # the service closes connections that are idle for long
                if self._writer is None:
                    self._reader, self._writer = await asyncio.open_connection(
                        "127.0.0.1", self._port, limit=1 << 24
                    )
                self._writer.write("\r\n".join(head).encode() + body)
                reply = await read_reply(self._reader)
        except BaseException:
            self.close()
            raise
        if reply.headers.get("connection") == "close":
            self.close()
        return reply

    def close(self) -> None:
        """Let the connection go."""
        if self._writer:
            self._writer.close()
            self._writer = None


async def read_reply(reader: asyncio.StreamReader) -> Reply:
    """The next answer on a connection."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {
        name.lower(): value.strip()
        for name, _, value in (line.partition(":") for line in head[1:] if line)
    }
    return Reply(
        int(head[0].split()[1]), headers, await reader.readexactly(int(headers["content-length"]))
    )


@dataclass
class Tally:
    """What became of the requests that were sent."""

    sent: int = 0
    answered: int = 0
    partly: int = 0  # of these, with an error in the place of a text's answer
    shed: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    digests: Counter[str] = field(default_factory=Counter)
    arms: Counter[str] = field(default_factory=Counter)
    seconds: dict[int, list[float]] = field(default_factory=dict)  # by status

    def check(self) -> None:
        """Pass if nothing is missing, and nothing was answered that should not have been."""
        assert not self.wrong, self.wrong[:5]
        assert self.sent == self.answered + self.shed + self.failed.total(), self

    @property
    def longest(self) -> float:
        """Seconds that the slowest answer took."""
        return max(max(seconds) for seconds in self.seconds.values())

    def quantile(self, status: int, share: float) -> float:
        """Seconds that so large a share of the answers of a status took at most."""
        ordered = sorted(self.seconds[status])
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


class Load:
    """Requests of texts whose answers are known.

    Args:
        port: Of the service, on this machine.
        expected: What each of the digests that may answer says of each text.
        texts: In a request.
        headers: Of every request.
    """

    def __init__(self, port: int, expected: Expected, texts: int = 1, **headers: str):
        self._port, self._expected, self._headers = port, expected, headers
        self._texts, self._count = list(next(iter(expected.values()))), texts
        self._next = 0
        self._idle: list[Client] = []
        self.tally = Tally()

    async def during(self, work: Awaitable[Any], connections: int = 3) -> Tally:
        """Ask over so many connections at once, for as long as something else takes; what was asked is waited for."""
        ended = asyncio.Event()

        async def ask_on() -> None:
            client = Client(self._port)
            while not ended.is_set():
                await self._ask(client)
            client.close()

        askers = [asyncio.create_task(ask_on()) for _ in range(connections)]
        try:
            await work
        finally:
            ended.set()
            await asyncio.gather(*askers)
        self.tally.check()
        return self.tally

    async def at(self, rate: float, work: Awaitable[Any], seed: int = 0) -> Tally:
        """Send so many requests per second at random moments, however slowly they are answered.

        Args:
            rate: Requests per second, on average.
            work: The requests are sent until it ends; its exception is raised.
            seed: Of the moments.
        """
        draw, asked = random.Random(seed), []
        working = asyncio.ensure_future(work)
        moment = time.monotonic()
        while not working.done():
            moment += draw.expovariate(rate)
            await asyncio.wait([working], timeout=max(moment - time.monotonic(), 0))
            if not working.done():
                asked.append(asyncio.create_task(self._ask_on_idle()))
        await asyncio.gather(*asked)
        for client in self._idle:
            client.close()
        self._idle.clear()
        await working
        self.tally.check()
        return self.tally

    async def _ask_on_idle(self) -> None:
        client = self._idle.pop() if self._idle else Client(self._port)
        await self._ask(client)
        self._idle.append(client)

    def _take(self) -> list[str]:
        texts = [self._texts[(self._next + k) % len(self._texts)] for k in range(self._count)]
        self._next += self._count
        return texts

    async def _ask(self, client: Client) -> None:
        tally, texts = self.tally, self._take()
        tally.sent += 1
        started = time.monotonic()
        try:
            reply = await client.ask("POST", "/v1/predict", {"texts": texts}, **self._headers)
        except LOST as error:
            tally.failed[type(error).__name__] += 1
            await asyncio.sleep(0.02)
            return
        tally.seconds.setdefault(reply.status, []).append(time.monotonic() - started)
        if reply.status == 200:
            tally.answered += 1
            self._look_into(texts, reply.json()["predictions"])
        elif reply.status == 429:
            tally.shed += 1
            if int(reply.headers["retry-after"]) < 1 or reply.code != "overloaded":
                tally.wrong.append(str(reply))
        elif reply.status in (503, 504):
            tally.failed[reply.code] += 1
        else:
            tally.wrong.append(str(reply))
        if reply.status != 200:
            await asyncio.sleep(0.005)

    def _look_into(self, texts: Sequence[str], items: Sequence[Mapping[str, Any]]) -> None:
        if len(items) != len(texts):
            self.tally.wrong.append(f"{len(items)} answers to {len(texts)} texts")
        self.tally.partly += any("error" in item for item in items)
        for text, item in zip(texts, items, strict=False):
            if "error" in item:
                self.tally.failed[f"one text: {item['error']['code']}"] += (
                    0  # the request itself is answered
                )
                continue
            self.tally.digests[item["digest"]] += 1
            self.tally.arms[item["arm"]] += 1
            known = self._expected.get(item["digest"], {}).get(text, {})
            found = item["probabilities"]
            if found.keys() != known.keys() or any(
                abs(found[name] - known[name]) > TOLERANCE for name in known
            ):
                self.tally.wrong.append(f"{text!r}: {item}, not {known}")


async def until(holds: Any, seconds: float = 60.0) -> None:
    """Wait until an asynchronous question is answered with yes; a lost connection is a no."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(*LOST):
            if await holds():
                return
        await asyncio.sleep(0.02)
    raise AssertionError(f"not within {seconds} seconds: {holds}")

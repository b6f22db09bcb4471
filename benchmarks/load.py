"""Requests at a fixed rate, whether or not the ones before are answered: what a service sees of users, not of a loop.

    python benchmarks/load.py URL RATE SECONDS < bodies   # a JSON body a line; prints {"answers": [[status, ms], ...]}

A request that finds no free connection opens one. A closed loop, such as wrk's, asks less the slower it is answered,
and so can't show what happens when more comes than can be done (Schroeder et al. 2006, "Open Versus Closed").
"""

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

GIVEN_UP = 30.0  # seconds after which a request counts as not answered, as status 0


async def run(url: str, rate: float, seconds: float, bodies: Sequence[bytes]) -> list[tuple[int, float]]:
    """Status and milliseconds of each request, in the order they were due; the time counts from when one was due."""
    parts = urlsplit(url)
    assert parts.hostname and parts.port
    head = f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\nContent-Length: "
    requests = [f"{head}{len(body)}\r\n\r\n".encode() + body for body in bodies]
    free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    begun = time.perf_counter()

    async def ask(number: int) -> tuple[int, float]:
        due = begun + number / rate
        await asyncio.sleep(due - time.perf_counter())
        status = 0
        try:
            async with asyncio.timeout(GIVEN_UP):
                connection = free.pop() if free else await asyncio.open_connection(parts.hostname, parts.port)
                connection[1].write(requests[number % len(requests)])
                status = await _read(connection[0])
                free.append(connection)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass
        return status, (time.perf_counter() - due) * 1000

    answers = await asyncio.gather(*(ask(number) for number in range(int(rate * seconds))))
    for _, writer in free:
        writer.close()
    return answers


async def _read(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    await reader.readexactly(length)
    return int(head[9:12])


def main() -> None:
    """Run from the command line."""
    url, rate, seconds = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
    bodies = sys.stdin.buffer.read().splitlines()
    print(json.dumps({"answers": asyncio.run(run(url, rate, seconds, bodies))}))


if __name__ == "__main__":
    main()

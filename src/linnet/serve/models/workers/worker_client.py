"""The near end of a worker: its process started, asked one thing at a time, and seen to die."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from typing import Any

from linnet.errors import BundleError, OutOfMemoryError

# Not by `-m`: the package imports that module, so it would be loaded twice, with a warning.
# The kernel is asked first, as importing the rest takes a while.
PROGRAM = [
    sys.executable,
    "-c",
    "import sys; from linnet.child import end_with_parent; end_with_parent(int(sys.argv[2])); "
    "from linnet.serve.models.workers.worker_main import main; main()",
]
START_SECONDS = 300.0  # after which a worker that starts hangs
LINE_BYTES = 1 << 28  # of one reply


class WorkerDied(Exception):
    """A worker's process has ended, or hangs, or talks nonsense."""


class WorkerOutOfMemory(WorkerDied):
    """A worker's process has ended, as its memory ran out."""


class Worker(asyncio.Protocol):
    """A running process; `worker_main.py` has its messages.

    Args:
        order: Its first line.
        seconds: After which one that has not replied hangs.

    Attributes:
        process: The process, once it was started.
        ended: Is done once the process has closed its end of the connection, also while nobody
            asks.
    """

    process: subprocess.Popen[bytes]

    def __init__(self, order: dict[str, Any], seconds: float):
        self._order = order
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._reply: asyncio.Future[bytearray] | None = None
        self.ended: asyncio.Future[None] = self._loop.create_future()

    async def start(self) -> None:
        """Start the process, and wait until it is ready.

        Raises:
            BundleError: It can't load the bundle.
            WorkerDied: It can't be started, or ended without a word.
        """
        ours = self._start_process()
        try:
            await self._loop.create_connection(lambda: self, sock=ours)
            reply = await self.ask(self._order, START_SECONDS)
            if "error" in reply:
                code = reply["error"]["code"]
                message = reply["error"]["message"]
                if code == OutOfMemoryError.code:
                    raise OutOfMemoryError(message + self._limit)
                raise BundleError(message)
        except BaseException:
            self.kill()
            raise

    def _start_process(self) -> socket.socket:
        try:
            ours, theirs = socket.socketpair()
        except OSError as error:  # no file descriptors left
            raise WorkerDied(str(error)) from None
        with theirs:
            command = [*PROGRAM, str(theirs.fileno()), str(os.getpid())]
            try:
                self.process = subprocess.Popen(
                    command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL
                )
            except OSError as error:  # no memory or processes left
                ours.close()
                raise WorkerDied(str(error)) from None
        return ours

    async def ask(self, message: dict[str, Any], seconds: float | None = None) -> dict[str, Any]:
        """The reply to a message.

        Args:
            message: The message to the worker.
            seconds: To wait for the reply; None: as many as any reply may take.

        Raises:
            WorkerDied: There is none within so many seconds.
        """
        assert self._transport is not None
        if self.ended.done():
            raise WorkerDied(self.how_it_ended)
        self._reply = self._loop.create_future()
        limit = self._seconds if seconds is None else seconds
        try:
            self._transport.write(json.dumps(message).encode() + b"\n")
            async with asyncio.timeout(limit):
                reply = json.loads(await self._reply)
        except TimeoutError:
            raise WorkerDied(f"no reply within {limit:g} s") from None
        except ValueError as error:
            raise WorkerDied(f"no JSON: {error}") from None
        if not isinstance(reply, dict):
            raise WorkerDied(f"a reply that is no object: {reply!r:.40}")
        if reply.get("ended") == OutOfMemoryError.code:
            raise WorkerOutOfMemory(f"its memory ran out.{self._limit}")
        return reply

    @property
    def how_it_ended(self) -> str:
        """Why the process is gone."""
        code = self.process.poll()
        if code is None:
            return "it closed its connection"
        return f"exit code {code}.{self._limit}" if self._limit else f"exit code {code}"

    @property
    def _limit(self) -> str:
        limit = self._order.get("memory_bytes")
        if limit is None:
            return ""
        return f" It may take at most {limit >> 20:,} MiB (serve.worker_memory_mb)"

    def kill(self) -> None:
        """End the process at once."""
        if self._transport:
            self._transport.abort()
        self.process.kill()
        self.process.wait()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Called by the loop."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Called by the loop: a part of a reply has come."""
        assert self._transport is not None
        self._received += data
        if (
            self._reply is None or self._reply.done() or len(self._received) > LINE_BYTES
        ):  # nobody asked for it
            self._transport.abort()
        elif data.endswith(b"\n"):
            line = self._received
            self._received = bytearray()
            self._reply.set_result(line)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop: the process has closed its end, as it does when it dies."""
        self.ended.set_result(None)
        if self._reply and not self._reply.done():
            self._reply.set_exception(WorkerDied(self.how_it_ended))

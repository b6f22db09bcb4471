"""Reading ahead: a thread unpacks the next bytes while the last ones are worked on.

The decompressors of the standard library let go of the interpreter, so that they run on another
core.
"""

import io
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO

BLOCK = 1 << 20
BLOCKS_AHEAD = 8


@contextmanager
def read_ahead(stream: IO[bytes]) -> Iterator[IO[bytes]]:
    """Read a stream in a thread while the block runs.

    Errors of the stream are raised to the reader of the bytes.
    """
    reader = _Reader(stream)
    try:
        yield io.BufferedReader(reader, BLOCK)
    finally:
        reader.stop()


class _Reader(io.RawIOBase):
    def __init__(self, stream: IO[bytes]):
        self._stream = stream
        self._blocks: queue.Queue[bytes | BaseException] = queue.Queue(BLOCKS_AHEAD)
        self._block: memoryview = memoryview(b"")
        self._stopped = threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="read ahead", daemon=True)
        self._thread.start()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        if not self._block and not self._ended:
            self._take()
        size = min(len(buffer), len(self._block))
        buffer[:size] = self._block[:size]
        self._block = self._block[size:]
        return size

    def stop(self) -> None:
        """End the thread; it may be in the midst of a block, or wait to hand one over."""
        self._stopped.set()
        while self._thread.is_alive():
            with suppress(queue.Empty):
                self._blocks.get_nowait()
            self._thread.join(0.01)

    def _take(self) -> None:
        block = self._blocks.get()
        if isinstance(block, BaseException):
            self._ended = True
            raise block
        self._ended = not block
        self._block = memoryview(block)

    def _run(self) -> None:
        try:
            while not self._stopped.is_set():
                block = self._stream.read(BLOCK)
                self._blocks.put(block)
                if not block:
                    return
        except BaseException as error:  # handed to whoever reads
            self._blocks.put(error)

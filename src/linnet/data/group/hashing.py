"""Hash chunks of texts, in a process of its own while the reading continues."""

import io
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

import numpy as np

from linnet.data.group.near import Sketches, sketch
from linnet.data.group.rank import ranks
from linnet.data.group.texts import digests, normalised
from linnet.errors import StorageError


@dataclass(frozen=True)
class Hashes:
    """Hashes of n clean texts.

    Attributes:
        rank: Ranks, uint64 (n,).
        text: Digests of the texts, uint64 (n,).
        normal: Digests of the normalised texts, uint64 (n,).
        sketches: MinHash sketches, which find near-duplicates.
    """

    rank: np.ndarray
    text: np.ndarray
    normal: np.ndarray
    sketches: Sketches


def hash_texts(texts: Sequence[str], seed: int) -> Hashes:
    """Hash clean texts."""
    keys = normalised(texts)
    encoded = [text.encode() for text in texts]
    return Hashes(
        ranks(encoded, seed),
        digests(encoded),
        digests([key.encode() for key in keys]),
        sketch(keys),
    )


class Helper:
    """A process that hashes texts.

    Hashing takes as long as reading, and one interpreter does one of them at a time. The process
    is started and not forked, because threads may be running. It ends with its parent (see
    `linnet.child`).
    """

    def __init__(self, seed: int):
        code = (
            f"import sys; sys.path[:0] = {sys.path!r}; "
            f"from linnet.child import end_with_parent; end_with_parent({os.getpid()}); "
            f"from linnet.data.group.hashing import help_out; help_out({seed})"
        )
        # In a session of its own, so that Ctrl-C reaches only the parent.
        self._process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )

    def hash_texts(self, texts: Sequence[str]) -> Hashes:
        """Hash clean texts; other threads of the caller keep running.

        Raises:
            StorageError: The process has died, most likely because memory ran out.
        """
        assert self._process.stdin
        assert self._process.stdout
        try:
            _write(self._process.stdin, [np.frombuffer("\n".join(texts).encode(), np.uint8)])
            rank, text, normal, *sketches = _read(self._process.stdout)
        except (BrokenPipeError, EOFError):
            code = self._process.wait()
            raise StorageError(
                f"The process that hashes texts has ended (exit {code}). "
                "Most likely memory ran out. "
                "Nothing was written. Free some memory and prepare again."
            ) from None
        return Hashes(rank, text, normal, Sketches(*sketches))

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


def help_out(seed: int) -> None:
    """Run the process: read texts from standard input, write arrays to standard output."""
    stdin = sys.stdin.buffer
    stdout = sys.stdout.buffer
    try:
        while True:
            (texts,) = _read(stdin)
            hashes = hash_texts(texts.tobytes().decode().split("\n"), seed)
            sketches = hashes.sketches
            _write(
                stdout,
                [
                    hashes.rank,
                    hashes.text,
                    hashes.normal,
                    sketches.words,
                    sketches.lengths,
                    sketches.keys,
                ],
            )
    except (EOFError, BrokenPipeError):
        return


def _write(stream: IO[bytes], arrays: Sequence[np.ndarray]) -> None:
    buffer = io.BytesIO()
    for array in arrays:
        np.save(buffer, array, allow_pickle=False)
    stream.write(len(arrays).to_bytes(8, "little") + buffer.tell().to_bytes(8, "little"))
    stream.write(buffer.getbuffer())
    stream.flush()


def _read(stream: IO[bytes]) -> list[np.ndarray]:
    head = stream.read(16)
    count = int.from_bytes(head[:8], "little")
    size = int.from_bytes(head[8:], "little")
    content = stream.read(size)
    if len(head) < 16 or len(content) < size:
        raise EOFError
    buffer = io.BytesIO(content)
    return [np.load(buffer, allow_pickle=False) for _ in range(count)]

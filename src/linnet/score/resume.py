"""Keep the rows scored so far on disk, in a folder next to the target.

    FILE.unfinished/
      rows          the chunks written so far, in order
      state.json    identity of the work, position of the next chunk, valid bytes of `rows`

A chunk is valid once state.json covers it. Bytes that a killed process left after that are cut
off. If there is a state and no `rows`, the rows have already been moved to the target.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from linnet.errors import UsageError
from linnet.files import canonical_json, disk_errors, install, open_own, write_text
from linnet.resume import check_same, locked, unfinished_path

STATE = "state.json"
ROWS = "rows"
WHOLE = "whole"


class ResumableScoring:
    """Scored rows on disk; made by `resumable`.

    Attributes:
        rows: The file of the rows.
        finished: Whether the target is complete, so that nothing is left to do.
        end: Position of the next chunk; None if nothing has been written.
        counts: The counts so far.
    """

    def __init__(
        self,
        target: Path,
        folder: Path,
        identity: dict[str, Any],
        state: dict[str, Any],
        finished: bool,
    ):
        self.rows = folder / ROWS
        self.finished = finished
        self.end: int | None = state["end"]
        self.counts: dict[str, int] = state["counts"]
        self._target = target
        self._folder = folder
        self._identity = identity
        self._file: IO[bytes] | None = None
        self._size: int = state["bytes"]

    def append(self, data: bytes, end: int, counts: dict[str, int]) -> None:
        """Write a chunk, whole or not at all.

        Raises:
            StorageError: The disk refused a write. Earlier chunks stay valid.
        """
        with disk_errors(self.rows):
            if self._file is None:
                self._file = open_own(self.rows)
                self._file.truncate(self._size)
            self._file.write(data)
            self._file.flush()
            os.fsync(self._file.fileno())
        self._size += len(data)
        state = {"identity": self._identity, "end": end, "bytes": self._size, "counts": counts}
        write_text(self._folder / STATE, canonical_json(state))
        self.end = end
        self.counts = dict(counts)

    def restart(self) -> None:
        """Discard the rows written so far."""
        (self._folder / STATE).unlink(missing_ok=True)
        self.end = None
        self.counts = {}
        self._size = 0

    def close(self) -> None:
        """Close the file, and remove the folder if nothing was written."""
        if self._file is not None:
            self._file.close()
        if not (self._folder / STATE).exists():
            self.remove()

    def whole(self) -> Path:
        """Path for a file that is made from the rows and replaces the target."""
        return self._folder / WHOLE

    def put(self, file: Path) -> None:
        """Move a finished file to the target, and remove the folder.

        Raises:
            StorageError: The disk refused. The old target is unchanged.
        """
        install(file, self._target)
        self.remove()

    def remove(self) -> None:
        """Remove the folder once the target is complete."""
        shutil.rmtree(self._folder, ignore_errors=True)


@contextmanager
def resumable(
    target: Path, identity: dict[str, Any], overwrite: bool
) -> Iterator[ResumableScoring]:
    """Start or resume work for the block.

    Args:
        target: The file to write.
        identity: Everything that its content depends on, as JSON values.
        overwrite: Discard any unfinished work.

    Raises:
        UsageError: The folder has other work, another process uses it, or it can't be made.
        StorageError: The disk refused a write.
    """
    folder = unfinished_path(target)
    with locked(folder, "is scoring into"):
        if overwrite:
            (folder / STATE).unlink(missing_ok=True)
        state = _read(folder, identity)
        moved = state is not None and not (folder / ROWS).exists()
        if state is None or (moved and not target.exists()):
            state = {"end": None, "bytes": 0, "counts": {}}
        work = ResumableScoring(target, folder, identity, state, finished=moved and target.exists())
        try:
            yield work
        finally:
            work.close()


def _read(folder: Path, identity: dict[str, Any]) -> dict[str, Any] | None:
    """Read state.json; None if there is none."""
    file = folder / STATE
    rows = folder / ROWS
    if not file.exists():
        return None
    try:
        state: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        found = state["identity"]
        sound = not rows.exists() or state["bytes"] <= rows.stat().st_size
        sound &= {"end", "counts"} <= state.keys()
    except (ValueError, KeyError, TypeError, AttributeError):
        found = identity
        sound = False
    check_same(folder, found, identity)
    if not sound:
        raise UsageError(
            f"{folder} is damaged: {STATE} and {ROWS} do not match. Restart with --overwrite."
        )
    return state

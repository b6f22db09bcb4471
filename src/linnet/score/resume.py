"""What has been scored so far, on disk beside the file that it will become.

    FILE.unfinished/
      rows          what is written so far, part behind part
      state.json    what the work is, where the next part begins, and how much of `rows` counts

A part counts from the moment state.json says so; what a kill left behind it is cut off. Where there is a state and no
`rows`, these have taken the file's place already.
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
    """Rows on disk that are not all yet; made by `resumable`.

    Attributes:
        rows: The file that they are in.
        finished: Whether they have taken the target's place, so that nothing is left to do.
        end: Where the next part begins; None where nothing has been written.
        counts: What was counted so far.
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
        """Write a part, whole or not at all.

        Raises:
            StorageError: The disk refused; the parts before it still count.
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
        """Forget what was written."""
        (self._folder / STATE).unlink(missing_ok=True)
        self.end = None
        self.counts = {}
        self._size = 0

    def close(self) -> None:
        """Let go of the file, and leave nothing where nothing was written."""
        if self._file is not None:
            self._file.close()
        if not (self._folder / STATE).exists():
            self.remove()

    def whole(self) -> Path:
        """Where a file can be made of the rows that is put in the target's place instead of them."""
        return self._folder / WHOLE

    def put(self, file: Path) -> None:
        """Put a finished file, the rows or what was made of them, in the target's place, and remove the folder.

        Raises:
            StorageError: The disk refused; what stood at the target still stands.
        """
        install(file, self._target)
        self.remove()

    def remove(self) -> None:
        """Remove the folder, when the target stands."""
        shutil.rmtree(self._folder, ignore_errors=True)


@contextmanager
def resumable(
    target: Path, identity: dict[str, Any], overwrite: bool
) -> Iterator[ResumableScoring]:
    """Begin work, or go on with it, for the block.

    Args:
        target: The file that it will become.
        identity: Everything that its content depends on, JSON-able.
        overwrite: Begin anew, whatever lies there.

    Raises:
        UsageError: Other work lies there, another process is at it, or no folder can be made there.
        StorageError: The disk refused.
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
    """What state.json says; None where there is none."""
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
            f"{folder} is damaged: its {STATE} doesn't tell what lies beside it. Begin anew with --overwrite."
        )
    return state

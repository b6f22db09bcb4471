"""Which challengers were rolled back, so that a restart puts none of them back to work.

The file is `{"format": 1, "rolled_back": {digest: {"arm", "experiment", "time", "reason"}}}`.
Services that share it add to it in turn.
"""

import asyncio
import logging
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from linnet.config import Config
from linnet.errors import LinnetError
from linnet.files import canonical_json, disk_errors, locked, write_text
from linnet.serve.models.background import in_background

FILE = "rolled_back.json"

logger = logging.getLogger("linnet.serve")


class RollBack(BaseModel):
    """Why a challenger was rolled back.

    Attributes:
        arm: Its name then.
        experiment: The experiment's.
        time: When, seconds since 1970 in UTC.
        reason: For people.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    arm: str
    experiment: str
    time: float
    reason: str


class _File(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    format: Literal[1]
    rolled_back: dict[str, RollBack]


def state_path(config: Config) -> Path | None:
    """Where roll-backs are kept; None: only in memory."""
    if config.experiment.state_file:
        return Path(config.experiment.state_file)
    url = config.prediction_log.url.removeprefix("sqlite:///")
    return Path(url).parent / FILE if url and "://" not in url else None


class RollBacks:
    """The roll-backs in force, by the digest of the bundle. Of one event loop alone.

    Args:
        path: Their file; None: they are only kept in memory.
    """

    def __init__(self, path: Path | None):
        self.path = path
        self._known: dict[str, RollBack] = {}
        self._turn = asyncio.Lock()  # so that changes reach the file in their order

    def find(self, digest: str) -> RollBack | None:
        """The roll-back of a bundle, if there is one in force."""
        return self._known.get(digest)

    async def read(self) -> None:
        """Read the file. A damaged one is a line in the log: the service starts without it."""
        self._turn = asyncio.Lock()  # of this loop
        if self.path is None:
            return
        path = self.path
        try:
            self._known = await in_background(lambda check: _read(path))
        except (OSError, ValidationError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it has another form"
            logger.error(
                "%s can't be used: %s. Challengers that were rolled back have their shares again. "
                "Repair or remove the file.",
                path,
                reason,
            )

    def add(self, digest: str, roll_back: RollBack) -> None:
        """Roll a bundle back, in memory; `save` writes it."""
        self._known[digest] = roll_back

    def remove(self, digest: str) -> None:
        """Lift a roll-back, in memory; `save` writes it."""
        self._known.pop(digest, None)

    async def save(self, digest: str) -> None:
        """Write what is in force for a bundle. If the disk refuses, the log says so."""
        if self.path is None:
            return
        path = self.path
        async with self._turn:
            roll_back = self._known.get(digest)
            try:
                await in_background(lambda check: _write(path, digest, roll_back))
            except (LinnetError, OSError, ValidationError) as error:
                logger.error(
                    "%s could not be written: %s. The roll-back is in force, and is forgotten if "
                    "the service restarts.",
                    path,
                    error,
                )


def _read(path: Path) -> dict[str, RollBack]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return {}
    return _File.model_validate_json(content).rolled_back


def _write(path: Path, digest: str, roll_back: RollBack | None) -> None:
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.with_name(f".{path.name}.lock")):
        try:
            found = _read(path)
        except ValidationError:
            found = {}  # damaged, and said when the service started
        found.pop(digest, None)
        if roll_back:
            found[digest] = roll_back
        content = _File(format=1, rolled_back=found).model_dump(mode="json")
        write_text(path, canonical_json(content))

"""What was asked for and what was answered: `queue.json` in the monitor's folder.

Before a queue is written, its rows are noted here as a batch that is not finished. So a killed
command writes the same rows the next time, and no row is asked for twice. The file holds ids and
labels, no texts.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from linnet.errors import UsageError
from linnet.files import canonical_json, write_text

NAME = "queue.json"

Reason = Literal["audit", "disagree", "margin", "surprise", "user_doubt"]
# What the log calls the source of an answer to each.
SOURCE_OF: Mapping[str, str] = {
    "audit": "audit",
    "disagree": "disagree",
    "margin": "queue",
    "surprise": "queue",
    "user_doubt": "queue",
}


class Asked(BaseModel):
    """One row that was asked for.

    Attributes:
        reason: Why.
        inclusion: The probability with which such a row is asked for; None if it was chosen.
        batch: The number of its queue, from 1.
        position: Its position in the queue, from 0.
        again: Whether annotators disagree, so that it is asked for again.
        votes: The labels by annotator.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    reason: Reason
    inclusion: float | None
    batch: int
    position: int
    again: bool = False
    votes: dict[str, Annotated[tuple[str, ...], Field(strict=False)]] = {}


class _Content(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    format: Literal[1]
    unfinished: int
    rows: dict[str, Asked]


@dataclass
class Ledger:
    """The rows that were asked for, by id.

    Attributes:
        path: The file.
        rows: By id.
        unfinished: The number of the batch that may not have been written; 0 if there is none.
    """

    path: Path
    rows: dict[str, Asked] = field(default_factory=dict)
    unfinished: int = 0

    @classmethod
    def read(cls, folder: Path) -> "Ledger":
        """Read the ledger of a folder; an empty one if there is none.

        Raises:
            UsageError: The file is not a ledger, or of a newer format.
        """
        path = folder / NAME
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            found = _Content.model_validate(content)
        except FileNotFoundError:
            return cls(path)
        except (OSError, ValueError, RecursionError, ValidationError) as error:
            why = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise UsageError(
                f"{path} can't be read as the list of queued rows: {why}. "
                "Restore a copy, or move it aside: then rows without an answer are asked for again."
            ) from None
        return cls(path, found.rows, found.unfinished)

    def write(self) -> None:
        """Write the ledger, whole or not at all.

        Raises:
            StorageError: The disk refused it.
        """
        content = _Content(format=1, unfinished=self.unfinished, rows=self.rows)
        write_text(self.path, canonical_json(content.model_dump(mode="json")), private=True)

    def open_batch(self) -> dict[str, Asked]:
        """The rows of the batch that is not finished, in their order."""
        rows = [pair for pair in self.rows.items() if pair[1].batch == self.unfinished]
        return dict(sorted(rows, key=lambda pair: pair[1].position))

    def next_batch(self) -> int:
        """The number of a new batch."""
        return 1 + max((row.batch for row in self.rows.values()), default=0)

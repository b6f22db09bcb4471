"""The arms that are at work together: which bundles, in which roles, with which shares.

A row of the log keeps the number of its epoch. It is a hash of what the epoch says, so all servers
of the same arms have the same number without speaking to each other.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import Any, Self

from linnet.files import canonical_json


@dataclass(frozen=True, slots=True)
class ArmInEpoch:
    """One arm of an epoch.

    Attributes:
        digest: The digest of its bundle.
        role: `champion`, `challenger` or `shadow`.
        share: Of the texts, from 0 to 1; for a shadow, the part of the texts that it gets too.
    """

    digest: str
    role: str
    share: float


@dataclass(frozen=True, slots=True)
class Epoch:
    """Arms and shares that are at work together, on all servers.

    Attributes:
        epoch: The number in the rows of the log, from 1 to 2^63 - 1. Rows of format 1 have 0.
        time: When a server first began it, seconds since 1970 in UTC.
        experiment: The salt of the assignment of texts to arms.
        arms: The arms by name.
    """

    epoch: int
    time: float
    experiment: str
    arms: Mapping[str, ArmInEpoch]

    @classmethod
    def of(cls, time: float, experiment: str, arms: Mapping[str, ArmInEpoch]) -> Self:
        """The epoch of these arms, with its number."""
        content = _dumps(experiment, arms)
        digest = blake2b(content.encode(), digest_size=8).digest()
        return cls(int.from_bytes(digest, "big") >> 1 or 1, time, experiment, arms)


def epoch_to_row(epoch: Epoch) -> tuple[Any, ...]:
    """Number, time, and the rest as canonical JSON."""
    return epoch.epoch, epoch.time, _dumps(epoch.experiment, epoch.arms)


def row_to_epoch(row: tuple[Any, ...]) -> Epoch:
    """The epoch of a row."""
    number, time, content = row
    described = json.loads(content)
    arms = {name: ArmInEpoch(**arm) for name, arm in described["arms"].items()}
    return Epoch(number, time, described["experiment"], arms)


def _dumps(experiment: str, arms: Mapping[str, ArmInEpoch]) -> str:
    described = {name: asdict(arm) for name, arm in arms.items()}
    return canonical_json({"experiment": experiment, "arms": described})

"""state.json: where in the log the monitor is, and the evidence of each arm. It is small."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from linnet.errors import UsageError
from linnet.files import write_text
from linnet.monitor.drift.arm import Arm
from linnet.monitor.drift.hours import ArmKey
from linnet.monitor.drift.references import References

FILE = "state.json"
FORMAT = 1


@dataclass(slots=True)
class State:
    """What a run of the monitor leaves to the next.

    Attributes:
        settings: Those that the evidence depends on.
        reference: The adopted reference's digest; None: there is none.
        training: Digests of the bundles whose validation rows are compared with.
        position: Number of the last row that was judged; 0: none.
        position_id: Its id, which shows whether the log is still the same.
        block: Number of the block that comes next; None: nothing was read.
        first: Time of the first row, in seconds since 1970.
        rows: Rows of the log.
        ahead: Rows from the future, which were left out.
        failures: Number of the last failure that was counted, and the texts of all.
        incidents: How many there were.
        arms: By name and digest.
    """

    settings: Mapping[str, Any]
    reference: str | None
    position: int = 0
    position_id: str | None = None
    block: int | None = None
    first: float | None = None
    rows: int = 0
    ahead: int = 0
    failures: tuple[int, int] = (0, 0)
    incidents: int = 0
    arms: dict[ArmKey, Arm] = field(default_factory=dict)

    def current(self) -> dict[str, Arm]:
        """For each arm's name the bundle that answered last."""
        found = {}
        for key in sorted(self.arms, key=lambda key: (self.arms[key].seen, self.arms[key].began)):
            found[key[0]] = self.arms[key]
        return dict(sorted(found.items()))

    def write(self, folder: Path) -> None:
        """Write the file.

        Raises:
            StorageError: The disk refused.
        """
        content = {
            "format": FORMAT,
            "settings": dict(self.settings),
            "reference": self.reference,
            "position": [self.position, self.position_id],
            "block": self.block,
            "first": self.first,
            "rows": self.rows,
            "ahead": self.ahead,
            "failures": self.failures,
            "incidents": self.incidents,
            "arms": [self.arms[key].to_json() for key in sorted(self.arms)],
        }
        text = json.dumps(
            content, ensure_ascii=False, sort_keys=True, allow_nan=False, separators=(",", ":")
        )
        write_text(folder / FILE, text + "\n")


def read_state(folder: Path, references: References) -> State | None:
    """The state that the last run left; None: there is none.

    Raises:
        UsageError: The file can't be used.
    """
    path = folder / FILE
    try:
        content = json.loads(path.read_bytes())
        if content["format"] != FORMAT:
            raise ValueError(f"it is of format {content['format']!r}, and {FORMAT} was expected")
        arms = {}
        for one in content["arms"]:
            _, streams = references.of(one["name"], one["digest"])
            arms[one["name"], one["digest"]] = Arm.from_json(one, streams)
        return State(
            settings=content["settings"],
            reference=content["reference"],
            position=content["position"][0],
            position_id=content["position"][1],
            block=content["block"],
            first=content["first"],
            rows=content["rows"],
            ahead=content["ahead"],
            failures=(content["failures"][0], content["failures"][1]),
            incidents=content["incidents"],
            arms=arms,
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(
            f"{path} can't be used: {reason}. Restore it, or delete it: then the log is judged "
            "from its beginning, and acknowledged alarms may be raised again."
        ) from None

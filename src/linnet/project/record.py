"""`.linnet-init.json`: what a project was made from, so that `--check` can make it again."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from linnet.errors import UsageError
from linnet.files import canonical_json
from linnet.project.options import Options

RECORD = ".linnet-init.json"


@dataclass(frozen=True)
class Record:
    """What `linnet init` has written.

    Attributes:
        options: The values it was given.
        version: Linnet's.
        digests: SHA-256 of each file, by its path.
    """

    options: Options
    version: str
    digests: Mapping[str, str]

    def to_json(self) -> str:
        """Equal records give equal bytes."""
        return canonical_json(
            {
                "format": 1,
                "options": asdict(self.options),
                "version": self.version,
                "digests": dict(self.digests),
            }
        )

    @classmethod
    def read(cls, folder: Path) -> "Record":
        """Read the record of a project.

        Raises:
            UsageError: There is none, or it can't be read.
        """
        path = folder / RECORD
        try:
            content: Any = json.loads(path.read_bytes())
            given = content["options"]
            options = Options(**{name: str(value) for name, value in given.items()})
            return cls(options, str(content["version"]), dict(content["digests"]))
        except FileNotFoundError:
            raise UsageError(
                f"{folder} has no {RECORD}, which `linnet init` writes. Name the folder of a "
                "project."
            ) from None
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise UsageError(
                f"{path} can't be read ({type(error).__name__}). Take it from git again."
            ) from error

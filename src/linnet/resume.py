"""Work under way, on disk next to what it will become: kept from other processes, and known again.

Knows nothing of what the work is.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from linnet import files
from linnet.errors import UsageError
from linnet.files import disk_errors
from linnet.links import followed, planted

LOCK = ".lock"
SHOWN = 8


def unfinished_path(target: Path) -> Path:
    """The folder of the work that will become a file or a folder; a symbolic link is followed.

    Raises:
        UsageError: The target is a symbolic link that leads nowhere.
    """
    real = followed(target) if target.is_symlink() else target
    return real.with_name(f"{real.name}.unfinished")


@contextmanager
def locked(folder: Path, doing: str) -> Iterator[None]:
    """Make a folder and keep other processes out of it for the block, also after a kill.

    Args:
        folder: The folder.
        doing: What a process does there, for the message, such as "is training into".

    Raises:
        UsageError: Another process has it, or something else is there.
        StorageError: The disk refused.
    """
    with disk_errors(folder):
        try:
            followed(folder).mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise UsageError(
                f"No folder can be made at {folder}: {error.strerror}. "
                "Choose another folder: --out, or --name of a run."
            ) from None
        if planted(followed(folder)):
            raise UsageError(
                f"{folder} belongs to another user, in a folder that others may write to. "
                "Remove it, or choose another folder: --out, or --name of a run."
            )
    with files.locked(folder / LOCK, wait=False) as held:
        if not held:
            raise UsageError(
                f"Another process {doing} {folder}. Wait for it, or choose another folder: "
                "--out, or --name of a run."
            )
        yield


def check_same(folder: Path, found: dict[str, Any], identity: dict[str, Any]) -> None:
    """Refuse to resume other work than was begun.

    Args:
        folder: Where it lies.
        found: What it was begun with, JSON-able.
        identity: What would resume it.

    Raises:
        UsageError: Names what differs.
    """
    differ = differences(found, json.loads(files.canonical_json(identity)))
    if differ:
        raise UsageError(
            f"{folder} holds a run that was not finished, and it is another one:\n{differ}\n"
            "Resume it with the settings it began with, start over with --overwrite, or choose "
            "another "
            "folder: --out, or --name of a run."
        )


def differences(before: dict[str, Any], now: dict[str, Any]) -> str:
    """What differs between two identities, a line each, at most eight; empty where nothing does."""
    flat = _flat(before)
    other = _flat(now)
    differ = [name for name in sorted(flat | other) if flat.get(name) != other.get(name)]
    return "\n".join(
        f"  {name}  was {flat.get(name)!r}, is now {other.get(name)!r}" for name in differ[:SHOWN]
    )


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {prefix: value}
    return {
        name: leaf
        for key, item in value.items()
        for name, leaf in _flat(item, f"{prefix}.{key}".lstrip(".")).items()
    }

"""How a project differs from the template of this version of Linnet."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from linnet.files import digest
from linnet.project.record import Record
from linnet.project.template import YOURS, render

State = Literal["missing", "changed here", "template is newer", "changed here and in the template"]


@dataclass(frozen=True)
class Drift:
    """A file that differs.

    Attributes:
        path: In the project.
        state: How it differs.
        is_yours: It is there to be changed, so the difference is no fault.
    """

    path: str
    state: State
    is_yours: bool


def drift(folder: Path, version: str) -> tuple[Drift, ...]:
    """Compare a project with its template.

    Args:
        folder: The project's.
        version: Linnet's.

    Raises:
        UsageError: The folder is no project.
    """
    record = Record.read(folder)
    found = []
    for path, text in render(record.options, version):
        file = folder / path
        now = digest(file) if file.is_file() else None
        wanted = hashlib.sha256(text.encode()).hexdigest()
        if now != wanted:
            state = _state(now, record.digests.get(path), wanted)
            found.append(Drift(path, state, path in YOURS and state == "changed here"))
    return tuple(found)


def _state(now: str | None, written: str | None, wanted: str) -> State:
    if now is None:
        return "missing"
    if written == wanted:
        return "changed here"
    return "template is newer" if now == written else "changed here and in the template"

"""A teacher's logits of texts: computed once, kept on disk, resumed after a kill.

    teacher/
      DIGEST.npz    the logits of texts; the digest is of teacher, plan and texts

The digest finds the logits again, whatever other settings have changed. Each file appears whole.
A damaged file is ignored, and its logits are computed again.
"""

import hashlib
import threading
from collections.abc import Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from linnet.errors import StoppedError, UsageError
from linnet.files import disk_errors, install, temporary_file
from linnet.predict import Classifier
from linnet.progress import progress
from linnet.train.distributed import Group

TEXTS_AT_ONCE = 2048  # a kill loses no more; enough for batches of similar lengths


def ask(
    teacher: Classifier, texts: Sequence[str], folder: Path, stopped: threading.Event, group: Group
) -> NDArray[np.float32]:
    """The teacher's logits of texts, float32 (n, labels).

    Args:
        teacher: The bundle.
        texts: Clean texts.
        folder: The folder for the logits.
        stopped: Set when the process is asked to stop. It stops after the file in progress.
        group: The processes that share the work.

    Raises:
        StoppedError: `stopped` was set.
        StorageError: The disk refused a write.
        UsageError: The folder can't be created.
    """
    parts = [
        list(texts[start : start + TEXTS_AT_ONCE]) for start in range(0, len(texts), TEXTS_AT_ONCE)
    ]
    files = [folder / f"{_digest(teacher, part)}.npz" for part in parts]
    with disk_errors(folder):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise UsageError(
                f"No folder can be made at {folder}: {error.strerror}. Choose another."
            ) from None
    with progress(f"ask {teacher.bundle.path}", len(texts), "texts") as task:
        for number in range(group.rank, len(parts), group.size):
            if stopped.is_set():
                raise StoppedError(
                    f"Stopped while the teacher answers. Its answers so far are saved in {folder}. "
                    "The same command resumes the run."
                )
            if _read(files[number], len(parts[number])) is None:
                _write(files[number], teacher.logits(parts[number]))
            task.advance(len(parts[number]) * group.size)
    group.wait()
    return np.concatenate([_read(file, len(part)) for file, part in zip(files, parts, strict=True)])


def _digest(teacher: Classifier, texts: Sequence[str]) -> str:
    """A digest of the texts, the teacher and its plan. No clean text has a line feed."""
    plan = teacher.plan
    return hashlib.sha256(
        "\n".join([teacher.digest, plan.engine, plan.variant, *texts]).encode()
    ).hexdigest()


def _read(file: Path, rows: int) -> NDArray[np.float32] | None:
    """The logits in a file; None if the file is missing or damaged."""
    try:
        with file.open("rb") as stream, np.load(stream) as stored:
            logits: NDArray[np.float32] = stored["logits"]
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None
    return logits if len(logits) == rows else None


def _write(file: Path, logits: NDArray[np.float32]) -> None:
    temporary = temporary_file(file)
    with disk_errors(file), temporary.open("xb") as stream:
        np.savez(stream, logits=logits)
    install(temporary, file)

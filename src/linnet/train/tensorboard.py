"""A run as TensorBoard shows it:

an event file with every step and epoch, under the names that Trainer gives them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from linnet.errors import MissingExtraError
from linnet.files import disk_errors
from linnet.train.curve import Point
from linnet.train.loop import Epoch


class Events:
    """An open event file.

    Args:
        folder: Where it lies, with those of the run's earlier processes.
        step: Steps done. What these processes wrote of later ones, before they were killed, is not
            shown.

    Raises:
        StorageError: The disk refused a write; so do all methods.
    """

    def __init__(self, folder: Path, step: int):
        self._folder = folder
        with disk_errors(folder):
            self._writer = writer_class()(str(folder), purge_step=step + 1)

    def step(self, point: Point, texts_per_second: float) -> None:
        """Write what a step came to."""
        values = {
            "loss": point.loss,
            "learning_rate": point.learning_rate,
            "grad_norm": point.grad_norm,
        }
        self._write("train", values | {"samples_per_second": texts_per_second}, point.step)

    def epoch(self, epoch: Epoch, step: int) -> None:
        """Write what an epoch came to that ended with a step."""
        self._write(
            "eval",
            {"loss": epoch.eval_loss, "accuracy": epoch.eval_accuracy, "f1": epoch.eval_f1},
            step,
        )

    def flush(self) -> None:
        """See to it that all of it is on disk."""
        with disk_errors(self._folder):
            self._writer.flush()

    def close(self) -> None:
        """Write the rest."""
        with disk_errors(self._folder):
            self._writer.close()

    def _write(self, kind: str, values: dict[str, float], step: int) -> None:
        with disk_errors(self._folder):
            for name, value in values.items():
                self._writer.add_scalar(f"{kind}/{name}", value, step)


@contextmanager
def events(folder: Path | None, step: int) -> Iterator[Events | None]:
    """An event file that is closed at the end; None where there is no folder for it."""
    if folder is None:
        yield None
        return
    opened = Events(folder, step)
    try:
        yield opened
    finally:
        opened.close()


def writer_class() -> Any:
    """What writes event files.

    Raises:
        MissingExtraError: TensorBoard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415, needs an extra
    except ImportError as error:
        raise MissingExtraError("tensorboard", "tensorboard") from error
    return SummaryWriter

"""The four stages of a run, in their order, for the command line and for Python alike.

Knows nothing of what is printed.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linnet.config import Config
from linnet.data import prepare
from linnet.errors import UsageError
from linnet.evaluate import evaluate
from linnet.export import export
from linnet.run_folder import SETTINGS, run_folder
from linnet.train import train
from linnet.train.distributed import world_size


@dataclass(frozen=True)
class Stage:
    """One stage of a run.

    Attributes:
        name: The stage's command.
        folder: What it writes.
        finished: Whether the folder is there already, so that the stage is skipped.
        start: Do the work; gives what the stage's own function gives. To be called if not finished.
    """

    name: str
    folder: Path
    finished: bool
    start: Callable[[], Any]


def check_single_process() -> None:
    """Refuse to run in several processes.

    Raises:
        UsageError: torchrun started more than one.
    """
    if world_size() > 1:
        raise UsageError(
            "A run is made by one process, but torchrun started several: each would prepare the "
            "data. Run `linnet prepare`, then train in several (`torchrun ... -m linnet.cli.main "
            "train`), then `linnet export`."
        )


def stages(config: Config, overwrite: bool) -> Iterator[Stage]:
    """The stages of the run that the settings name, each before it is to be started.

    Args:
        config: All settings; they are saved in the run's folder as soon as that exists.
        overwrite: Start every stage, also the finished ones.
    """
    directory = run_folder(config)
    splits = directory / "splits"
    checkpoint = directory / "checkpoint"
    bundle = directory / "bundle"
    report = directory / "report"

    def start_prepare() -> Any:
        card = prepare(config, splits)
        config.save(directory / SETTINGS)  # not before: an unreadable file leaves no run behind
        return card

    work: list[tuple[str, Path, Callable[[], Any]]] = [
        ("prepare", splits, start_prepare),
        ("train", checkpoint, lambda: train(config, splits, checkpoint, overwrite=overwrite)),
        ("export", bundle, lambda: export(config, checkpoint, splits, bundle)),
        ("evaluate", report, lambda: evaluate(config, bundle, splits, report)),
    ]
    if (directory / SETTINGS).exists():
        config.save(directory / SETTINGS)
    for name, folder, start in work:
        yield Stage(name, folder, folder.is_dir() and not overwrite, start)

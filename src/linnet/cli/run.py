"""Prepare, train, export and evaluate in one go, into DIRECTORY/NAME.

Each stage is a command of its own too and reads only the folders that the earlier ones wrote.
Finished stages are skipped, so a run that was stopped resumes where it was. It is refused if a
setting that a finished stage reads has changed.
"""

import argparse
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linnet.cli import evaluate, export, prepare, train
from linnet.cli.options import add_config_options, config_from
from linnet.errors import UsageError
from linnet.terminal import print_line

if TYPE_CHECKING:
    from linnet.config import Config

SUMMARY = "prepare, train, export and evaluate in one go"
SETTINGS = "linnet.toml"
# The settings that each stage reads: a section, or one key of it.
READS = {
    "splits": ("data", "model.name_or_path", "model.max_length"),
    "checkpoint": ("model", "train"),
    "bundle": (
        "model.max_length",
        "export",
        "evaluate.confidence_level",
        "evaluate.calibration_bins",
        "evaluate.bootstrap_resamples",
        "evaluate.seed",
        "predict.num_threads",
    ),
    "report": ("evaluate", "predict", "model.max_length"),
}
OF_SCRATCH = ("model.num_hidden_layers", "model.hidden_size", "model.vocab_size")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    add_config_options(parser, *prepare.FLAGS, "train.num_train_epochs", "run.name")
    parser.add_argument(
        "--overwrite", action="store_true", help="repeat every stage, also the finished ones"
    )


def main(arguments: argparse.Namespace) -> None:
    """Run the command."""
    config = config_from(arguments)
    directory = Path(config.run.directory) / config.run.name
    if not arguments.overwrite:
        _check_same_settings(directory, config)
    _check_alone()
    if arguments.overwrite or not (directory / "checkpoint").is_dir():
        train.print_encoder_note(config)  # a mistyped name is reported before the data are read
    print_line(f"Run {config.run.name!r} in {directory}")
    if (directory / SETTINGS).exists():
        config.save(directory / SETTINGS)
    again = bool(arguments.overwrite)
    for name, folder, stage in _stages(config, directory, again):
        if (directory / folder).is_dir() and not again:
            print_line(f"\n{name}: {directory / folder} is kept (--overwrite repeats it)")
            continue
        print_line(f"\n{name}: writing {directory / folder}")
        stage()
        if name == "prepare":  # not before: a file that can't be read leaves no run behind
            config.save(directory / SETTINGS)
    bundle = directory / "bundle"
    page = directory / "report" / "report.html"
    if _beats_baseline(directory / "report" / "report.json"):
        print_line(f"\nServe it with: linnet serve {shlex.quote(str(bundle))}")
    else:
        print_line("\nIt is not shown to beat its baseline, so do not serve it yet.")
        print_line(f"The reasons and what to change are in {page}")
    print_line(f"Read how good it is in: {page}")


def _beats_baseline(report: Path) -> bool:
    return json.loads(report.read_text(encoding="utf-8")).get("beats_baseline") is True


def _check_alone() -> None:
    from linnet.train.distributed import world_size

    if world_size() > 1:
        raise UsageError(
            "A run is made by one process, but torchrun started several: each would prepare the "
            "data. Run `linnet prepare`, then train in several (`torchrun ... -m linnet.cli.main "
            "train`), then `linnet export`."
        )


def _stages(
    config: "Config", directory: Path, again: bool
) -> list[tuple[str, str, Callable[[], Any]]]:
    import linnet.data
    import linnet.evaluate
    import linnet.export
    import linnet.train

    splits = directory / "splits"
    checkpoint = directory / "checkpoint"
    bundle = directory / "bundle"
    report = directory / "report"

    def learn() -> None:
        train.print_training(
            linnet.train.train(config, splits, checkpoint, overwrite=again), checkpoint
        )

    return [
        ("prepare", "splits", lambda: prepare.print_card(linnet.data.prepare(config, splits))),
        ("train", "checkpoint", learn),
        (
            "export",
            "bundle",
            lambda: export.print_proof(linnet.export.export(config, checkpoint, splits, bundle)),
        ),
        (
            "evaluate",
            "report",
            lambda: evaluate.print_report(
                linnet.evaluate.evaluate(config, bundle, splits, report), report
            ),
        ),
    ]


def _check_same_settings(directory: Path, config: "Config") -> None:
    from linnet.config import load_config

    settings = directory / SETTINGS
    if not settings.exists():
        if directory.exists() and any(directory.iterdir()):
            raise UsageError(
                f"{directory} exists and is not a run of Linnet's (it holds no {SETTINGS}). "
                "Choose another --name, or --overwrite its stages."
            )
        return
    before = load_config(settings).model_dump()
    now = config.model_dump()
    changed = [
        f"{section}.{key} was {before[section][key]!r}, is {value!r}"
        for section, values in now.items()
        for key, value in values.items()
        if before[section][key] != value and _is_read(f"{section}.{key}", directory, config)
    ]
    if changed:
        raise UsageError(
            f"{directory} was made with other settings: {'; '.join(changed)}. Choose another "
            f"--name, or --overwrite it."
        )


def _is_read(name: str, directory: Path, config: "Config") -> bool:
    """Whether a finished stage of the run reads a setting."""
    if name in OF_SCRATCH and config.model.name_or_path != "scratch":
        return False
    section = name.partition(".")[0]
    return any(
        (directory / folder).is_dir() and not {section, name}.isdisjoint(reads)
        for folder, reads in READS.items()
    )

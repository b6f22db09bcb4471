"""Prepare, train, export and evaluate in one go, into DIRECTORY/NAME.

Each stage is a command of its own too and reads only the folders that the earlier ones wrote.
Finished stages are skipped, so a run that was stopped resumes where it was. It is refused if a
setting that a finished stage reads has changed.

To retrain a model with labels that people gave: linnet run --retrain runs/OLD --name NEW --add
labelled.jsonl. It takes the old run's settings, and every old row stays in its split.
"""

import argparse
import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linnet.cli import evaluate, export, prepare, train
from linnet.cli.options import add_config_options, config_from
from linnet.terminal import print_line

if TYPE_CHECKING:
    from linnet.config import Config

SUMMARY = "prepare, train, export and evaluate in one go"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    add_config_options(parser, *prepare.FLAGS, "train.num_train_epochs", "run.name")
    parser.add_argument(
        "--retrain",
        type=Path,
        metavar="RUN",
        help="take the settings of an earlier run, and keep its rows in their splits",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="do every stage again, also the finished ones"
    )


def main(arguments: argparse.Namespace) -> None:
    """Run the command."""
    from linnet.errors import UsageError
    from linnet.run_folder import check_same_settings, run_folder

    if arguments.retrain:
        _retrain(arguments)
    config = config_from(arguments)
    directory = run_folder(config)
    if arguments.retrain and directory.resolve() == arguments.retrain.resolve():
        raise UsageError("A retrained model is a run of its own. Name it with --name.")
    again = bool(arguments.overwrite)
    if not again:
        check_same_settings(config)
    from linnet.build.stages import check_single_process, stages

    check_single_process()
    if again or not (directory / "checkpoint").is_dir():
        train.print_encoder_note(config)  # a mistyped name is reported before the data are read
    print_line(f"Run {config.run.name!r} in {directory}")
    for stage in stages(config, again):
        if stage.finished:
            print_line(f"\n{stage.name}: {stage.folder} is finished (--overwrite does it again)")
            continue
        print_line(f"\n{stage.name}: writing {stage.folder}")
        _print_result(stage.name, stage.folder, stage.start())
    if config.track.uri:
        _track(config, directory)
    bundle = directory / "bundle"
    page = directory / "report" / "report.html"
    if _beats_baseline(directory / "report" / "report.json"):
        print_line(f"\nServe it with: linnet serve {shlex.quote(str(bundle))}")
    else:
        print_line("\nIt is not shown to beat its baseline, so do not serve it yet.")
        print_line(f"The reasons and what to change are in {page}")
    print_line(f"Read how good it is in: {page}")


def _retrain(arguments: argparse.Namespace) -> None:
    """Take the settings of a finished run, and its splits as those to keep."""
    from linnet.errors import UsageError
    from linnet.run_folder import SETTINGS

    old = arguments.retrain
    if arguments.config:
        raise UsageError("--retrain takes the old run's settings, so it doesn't go with --config.")
    if not (old / SETTINGS).is_file():
        raise UsageError(
            f"{old} is not a run of Linnet's (it holds no {SETTINGS}). "
            "Name the run to retrain, such as runs/default."
        )
    arguments.config = old / SETTINGS
    splits = json.dumps(str(old / "splits"), ensure_ascii=False)
    arguments.set_overrides.insert(0, f"data.previous_splits={splits}")


def _print_result(stage: str, folder: Path, result: Any) -> None:
    if stage == "prepare":
        prepare.print_card(result)
    elif stage == "train":
        train.print_training(result, folder)
    elif stage == "export":
        export.print_proof(result)
    else:
        evaluate.print_report(result, folder)


def _track(config: "Config", directory: Path) -> None:
    """Log the finished run. A store that is down costs the run nothing."""
    from linnet.cli.track import print_tracked
    from linnet.errors import ServiceError

    try:
        print_tracked(config, directory)
    except ServiceError as error:
        print_line(f"{error} The command is: linnet track {shlex.quote(str(directory))}")


def _beats_baseline(report: Path) -> bool:
    return json.loads(report.read_text(encoding="utf-8")).get("beats_baseline") is True

"""Log a finished run to an MLflow store and register its bundle; the same bundle is one version.

Reads finished files only, and runs nothing of the store. Needs the extra `track`.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from linnet.cli.options import add_config_options, config_from
from linnet.terminal import print_line

if TYPE_CHECKING:
    from linnet.config import Config

SUMMARY = "finished run to an MLflow store"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "run",
        type=Path,
        nargs="?",
        default=Path(),
        help="a run's folder, with bundle/ and report/ in it (default: this folder)",
    )
    parser.add_argument("--bundle", type=Path, metavar="DIR", help="the bundle (RUN/bundle)")
    parser.add_argument("--report", type=Path, metavar="DIR", help="its report (RUN/report)")
    add_config_options(parser, "track.uri", "track.model")


def main(arguments: argparse.Namespace) -> None:
    """Run the command."""
    print_tracked(config_from(arguments), arguments.run, arguments.bundle, arguments.report)


def print_tracked(
    config: "Config", folder: Path, bundle: Path | None = None, report: Path | None = None
) -> None:
    """Track a run, and print its version."""
    from linnet.track.finished_run import FinishedRun
    from linnet.track.log import track

    run = FinishedRun.read(folder, bundle, report)
    name = config.track.model or run.bundle.manifest.name
    tracked = track(run, config.track, name)
    state = "is" if tracked.is_new else "was registered before as"
    print_line(
        f"{run.bundle.path} ({run.bundle.digest[:12]}) {state} version {tracked.version.number} of "
        f"{name!r}, run {tracked.run_id}."
    )
    print_line(f"Compare it with the champion: linnet promote {name} --splits DIR")

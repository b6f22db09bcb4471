"""Write a project: settings, a DVC pipeline, workflows of GitHub Actions, an image and tests.

Nothing is overwritten: the folder has to be empty, or to hold the same files. Neither DVC nor
MLflow nor git is needed. `--check` names the files that differ from the template, and exits with 10
if there are any besides those that are there to be changed.
"""

import argparse
import os
from pathlib import Path

from linnet.errors import RefusedError, UsageError
from linnet.terminal import print_line

SUMMARY = "a folder for a project, with pipeline and workflows"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "folder",
        type=Path,
        nargs="?",
        metavar="NAME",
        help="the project's folder, whose name is its name (with --check: this folder)",
    )
    parser.add_argument(
        "--data", type=Path, metavar="FILE", help="a file of data, which is copied to data/"
    )
    parser.add_argument(
        "--remote",
        metavar="PLACE",
        help="where DVC keeps data and results: a path or s3://BUCKET/PATH (default: dvc-store)",
    )
    parser.add_argument(
        "--tracking", metavar="URI", help="the MLflow store (default: sqlite:///mlflow.db)"
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing, and name the files that differ"
    )


def main(arguments: argparse.Namespace) -> None:
    """Run the command."""
    if arguments.check:
        _check(arguments)
        return
    if arguments.folder is None:
        raise UsageError("Name the project, such as `linnet init reviews`.")
    from linnet import __version__
    from linnet.project import Options, init

    folder = Path(os.path.abspath(arguments.folder))
    options = Options.parse(folder.name, arguments.data, arguments.remote, arguments.tracking)
    written = init(folder, options, __version__, arguments.data)
    for path in written.new:
        print_line(f"  {path}")
    kept = f"; {len(written.same)} were there already" if written.same else ""
    print_line(f"{arguments.folder}: {len(written.new)} files written{kept}. Read its README.md.")


def _check(arguments: argparse.Namespace) -> None:
    if arguments.data or arguments.remote or arguments.tracking:
        raise UsageError("--check takes the values of the project: leave the other flags out.")
    from linnet import __version__
    from linnet.project import drift

    folder = arguments.folder or Path()
    found = drift(folder, __version__)
    for item in found:
        note = " (yours to change)" if item.is_yours else ""
        print_line(f"  {item.path}: {item.state}{note}")
    faults = [item for item in found if not item.is_yours]
    if faults:
        raise RefusedError(
            f"{len(faults)} {'file differs' if len(faults) == 1 else 'files differ'} from the "
            f"template of Linnet {__version__}. Make a project elsewhere with the same flags, and "
            "compare."
        )
    print_line(f"{folder}: nothing differs from the template of Linnet {__version__}.")

"""Search for a better recipe than `[train]` and write the best one as best.toml.

The same command resumes a study that was stopped or killed; started several times, its
processes share it.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from linnet.cli.options import add_config_options, config_from
from linnet.cli.tables import add_row, new_table, print_table
from linnet.cli.train import print_encoder_note
from linnet.terminal import print_line

SUMMARY = "splits to a better recipe"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "--splits",
        type=Path,
        default=Path("splits"),
        metavar="DIR",
        help="splits (default: splits)",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("study"), metavar="DIR", help="folder (default: study)"
    )
    add_config_options(parser, "model.name_or_path", "tune.n_trials", "tune.timeout")


def main(arguments: argparse.Namespace) -> None:
    """Run the command."""
    from linnet.train.tune import tune

    config = config_from(arguments)
    print_encoder_note(config)
    print_study(tune(config, arguments.splits, arguments.out, on_trial=print_trial), arguments.out)


def print_trial(trial: dict[str, Any]) -> None:
    """Print how a trial ended, on a line."""
    value = "" if trial["value"] is None else f", {trial['value']:.4f}"
    parameters = ", ".join(f"{name} {number:.3g}" for name, number in trial["parameters"].items())
    print_line(f"Trial {trial['number']} {trial['state']}{value}: {trial['reason'] or parameters}")
    sys.stdout.flush()


def print_study(results: dict[str, Any], directory: Path) -> None:
    """Print the state of a study."""
    states = ", ".join(f"{count} {state}" for state, count in results["states"].items() if count)
    title = f"{results['metric']} of {results['n_trials']} trials: {states}"
    values = ("The recipe as it is", "Best")
    table = new_table("Setting", *values, title=title, right=values)
    best = results["best"]
    for name, value in results["trials"][0]["parameters"].items():
        found = f"{best['parameters'][name]:.3g}" if best else ""
        add_row(table, f"train.{name}", f"{value:.3g}", found)
    print_table(table)
    for note in results["notes"]:
        print_line(note)
    if best:
        print_line(f"Settings: {directory / 'best.toml'}")
    print_line(f"Study: {directory / 'study.html'}")

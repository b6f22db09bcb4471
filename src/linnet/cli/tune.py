"""Search for a better recipe than `[train]`: trials judged on the validation split, the best written as best.toml.

A study that was stopped or killed is gone on with by the same command; started several times, its processes share it.
"""

import argparse
from pathlib import Path
from typing import Any

from linnet.cli.options import add_config_options, config_from
from linnet.cli.train import tell_encoder

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
    tell_encoder(config)
    show(tune(config, arguments.splits, arguments.out, on_trial=tell), arguments.out)


def tell(trial: dict[str, Any]) -> None:
    """Print how a trial ended, on a line."""
    value = "" if trial["value"] is None else f", {trial['value']:.4f}"
    parameters = ", ".join(f"{name} {number:.3g}" for name, number in trial["parameters"].items())
    print(
        f"Trial {trial['number']} {trial['state']}{value}: {trial['reason'] or parameters}",
        flush=True,
    )


def show(results: dict[str, Any], directory: Path) -> None:
    """Print how a study stands."""
    from rich.console import Console
    from rich.table import Table

    states = ", ".join(f"{count} {state}" for state, count in results["states"].items() if count)
    table = Table(
        title=f"{results['metric']} of {results['n_trials']} trials: {states}", title_justify="left"
    )
    table.add_column("Setting")
    for header in ("The recipe as it is", "Best"):
        table.add_column(header, justify="right")
    best = results["best"]
    for name, value in results["trials"][0]["parameters"].items():
        table.add_row(
            f"train.{name}", f"{value:.3g}", f"{best['parameters'][name]:.3g}" if best else ""
        )
    Console().print(table)
    for note in results["notes"]:
        print(note)
    if best:
        print(f"Settings: {directory / 'best.toml'}")
    print(f"Study: {directory / 'study.html'}")

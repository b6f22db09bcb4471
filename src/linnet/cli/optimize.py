"""Measure how a bundle runs fastest on this host, and write the choice into its host.json.

Engines, variants, threads, sessions and batch sizes are tried, among those that the bundle has
proof of. What loads the bundle on a host like this one (serve, evaluate, linnet.load) then uses the
choice, and says so.
"""

import argparse
from pathlib import Path
from typing import Any

from linnet.cli.tables import add_row, new_table, print_table
from linnet.terminal import print_line

SUMMARY = "the fastest proven way to run a bundle on this host"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("bundle", type=Path, help="the bundle, such as runs/NAME/bundle")
    parser.add_argument(
        "--goal",
        choices=("throughput", "latency"),
        default="throughput",
        help="throughput: lists of texts; latency: one text at a time (default: throughput)",
    )
    parser.add_argument(
        "--budget",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="how long to measure, about (default: 60)",
    )


def main(arguments: argparse.Namespace) -> None:
    """Run the command."""
    from linnet.predict.optimize import optimize

    print_choice(optimize(arguments.bundle, arguments.goal, arguments.budget))
    print_line(
        f"Written to {arguments.bundle / 'host.json'}: serve, evaluate and linnet.load use it on "
        f"a host like this one."
    )


def print_choice(found: dict[str, Any]) -> None:
    """Print what was measured, and the choice."""
    host = found["host"]
    title = f"{host['cpu']}, cores: {host['cores']}, medians of alternating rounds"
    figures = ("sessions", "threads", "tokens per batch", "texts per second", "ms per text")
    table = new_table("variant", "engine", *figures, title=title, right=figures)
    for row in found["table"]:
        numbers = [str(row[key]) for key in ("num_sessions", "num_threads", "max_batch_tokens")]
        speed = f"{row['texts_per_second']:,.0f}", f"{row['ms_a_text']:.2f}"
        best = all(row[key] == value for key, value in found["plan"].items())
        add_row(table, row["variant"], row["engine"], *numbers, *speed, bold=best)
    print_table(table)
    for left in found["left_out"]:
        print_line(
            f"Left out: {left['variant']} in {left['engine']}: {left['reason'].rstrip('.')}."
        )
    print_line(
        f"Fastest for {found['goal']}: "
        f"{' '.join(f'{key}={value}' for key, value in found['plan'].items())}, "
        f"{found['speedup']:.2f} times float32 in ONNX Runtime with its defaults; "
        f"{found['padding']:.1%} padding."
    )

"""Turn a checkpoint into a bundle:

an ONNX graph, checked against torch on validation rows, with its proof.
"""

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from linnet.cli.options import add_config_options, config_from
from linnet.cli.tables import add_row, new_table, print_table
from linnet.terminal import print_line

if TYPE_CHECKING:
    from linnet.bundle import Bundle

SUMMARY = "checkpoint to proven bundle"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    folders = {
        "--checkpoint": ("checkpoint", "a trained model in Hugging Face layout"),
        "--splits": ("splits", "what `linnet prepare` wrote"),
        "--out": ("bundle", "the bundle to write"),
    }
    for flag, (default, text) in folders.items():
        parser.add_argument(
            flag,
            type=Path,
            default=Path(default),
            metavar="DIR",
            help=f"{text} (default: {default})",
        )
    add_config_options(
        parser, "export.max_accuracy_drop", "export.cascade", "predict.num_threads", "run.name"
    )


def main(arguments: argparse.Namespace) -> None:
    """Run the command."""
    from linnet.export import export

    print_proof(
        export(config_from(arguments), arguments.checkpoint, arguments.splits, arguments.out)
    )
    words = ["linnet", "evaluate", str(arguments.out), "--splits", str(arguments.splits)]
    print_line(f"Judge it with: {shlex.join(words)}")


def print_proof(bundle: "Bundle") -> None:
    """Print a bundle's proof."""
    table = new_table("check", "passed", "detail", title=f"Proof of {bundle.manifest.name}")
    for name, check in bundle.proof["checks"].items():
        add_row(table, name, "yes" if check["passed"] else "NO", check["detail"])
    print_table(table)
    variants = new_table("variant", "engine", "kept", "why", title="Variants")
    for entry in bundle.proof.get("variants", []):
        kept = "yes" if entry["accepted"] else "no"
        add_row(variants, entry["variant"], entry["engine"], kept, entry["reason"])
    print_table(variants)
    for check in bundle.proof["checks"].values():
        for note in check.get("notes", []):
            print_line(note)
    print_line(f"Bundle: {bundle.path}")
    print_line(f"Digest: {bundle.digest}")

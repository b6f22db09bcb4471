"""Turn a checkpoint into a bundle: an ONNX graph, checked against torch on validation rows, with its proof."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from linnet.cli.options import add_config_options, config_from

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

    show(export(config_from(arguments), arguments.checkpoint, arguments.splits, arguments.out))
    print(f"Serve it with: linnet serve {arguments.out}")


def show(bundle: "Bundle") -> None:
    """Print a bundle's proof."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(
        "check", "passed", "detail", title=f"Proof of {bundle.manifest.name}", title_justify="left"
    )
    for name, check in bundle.proof["checks"].items():
        table.add_row(name, "yes" if check["passed"] else "NO", check["detail"])
    console = Console()
    console.print(table)
    variants = Table("variant", "engine", "kept", "why", title="Variants", title_justify="left")
    for entry in bundle.proof.get("variants", []):
        cells = (
            entry["variant"],
            entry["engine"],
            "yes" if entry["accepted"] else "no",
            entry["reason"],
        )
        variants.add_row(
            *map(Text, cells)
        )  # a reason may hold a path, and that what rich takes for markup
    console.print(variants)
    for check in bundle.proof["checks"].values():
        for note in check.get("notes", []):
            print(note)
    print(f"Bundle: {bundle.path}")
    print(f"Digest: {bundle.digest}")

"""Fine-tune an encoder on the training split and keep the best epoch."""

import argparse
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linnet.cli.options import add_config_options, config_from
from linnet.cli.tables import add_row, new_table, print_table
from linnet.terminal import print_line

if TYPE_CHECKING:
    from linnet.config import Config

SUMMARY = "splits to checkpoint"


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
        "--out",
        type=Path,
        default=Path("checkpoint"),
        metavar="DIR",
        help="folder (default: checkpoint)",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="start over and delete the unfinished run"
    )
    add_config_options(parser, "model.name_or_path", "train.num_train_epochs")


def main(arguments: argparse.Namespace) -> None:
    """Run the command."""
    import linnet.train

    config = config_from(arguments)
    print_encoder_note(config)
    record = linnet.train.train(
        config, arguments.splits, arguments.out, overwrite=arguments.overwrite
    )
    if linnet.train.is_main_process():
        print_training(record, arguments.out)


def print_encoder_note(config: "Config") -> None:
    """Print what there is to say of the encoder, before other work is done that would need it.

    Raises:
        ModelError: It can't be had.
    """
    from linnet.train import check_encoder, is_main_process

    note = check_encoder(config)
    if note and is_main_process():
        print_line(note)


def print_training(record: dict[str, Any], directory: Path) -> None:
    """Print how training went."""
    encoder = record["encoder"]
    title = (
        f"{encoder['name']} on {record['rows']['train']:,} rows, judged on "
        f"{record['rows']['validation']:,}"
    )
    headers = ("Epoch", "Training Loss", "Validation Loss", "Accuracy", "F1")
    table = new_table(*headers, title=title, right=headers)
    for row in record["history"]:
        best = row["epoch"] == record["best_epoch"]
        cells = [f"{row['train_loss']:.4f}", f"{row['eval_loss']:.4f}"]
        cells += [f"{100 * row[metric]:.2f} %" for metric in ("eval_accuracy", "eval_f1")]
        add_row(table, str(row["epoch"]), *cells, bold=best)
    print_table(table)
    print_line(f"Stopped: {record['stop_reason']}; epoch {record['best_epoch']} is kept.")
    print_line(
        f"{timedelta(seconds=round(record['train_runtime']))} on {record['device']} in "
        f"{record['precision']}, {record['global_step']:,} steps "
        f"({record['train_steps_per_second']:.2f} a second), {record['total_flos']:.3g} FLOPs."
    )
    for name, count in record["truncated"].items():
        if count:
            length = record["settings"]["model"]["max_length"]
            print_line(
                f"Truncated to {length} tokens: {count:,} of {record['rows'][name]:,} {name} texts."
            )
    print_line(f"Loss and accuracy, drawn: {directory / 'training.html'}")
    print_line(f"Final model: {directory}")

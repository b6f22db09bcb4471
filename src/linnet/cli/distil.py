"""Train a student on what one or several bundles answer.

The texts are those of the train split and any texts without labels.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from linnet.cli import train
from linnet.cli.options import add_config_options, config_from
from linnet.terminal import print_line

SUMMARY = "bundles and texts to the checkpoint of one model that answers like them"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "teachers",
        type=Path,
        nargs="+",
        metavar="teacher",
        help="the bundle that answers; of several the mean is learnt",
    )
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
        default=Path("student"),
        metavar="DIR",
        help="the student's checkpoint (default: student)",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="start over and delete the unfinished run"
    )
    add_config_options(
        parser,
        "distil.texts",
        "data.text_column",
        "model.name_or_path",
        "train.num_train_epochs",
        "predict.num_threads",
    )


def main(arguments: argparse.Namespace) -> None:
    """Run the command."""
    import linnet.train

    config = config_from(arguments)
    train.print_encoder_note(config)
    record = linnet.train.distil(
        config, arguments.teachers, arguments.splits, arguments.out, overwrite=arguments.overwrite
    )
    if linnet.train.is_main_process():
        print_distillation(record, arguments.teachers, arguments.out)


def print_distillation(record: dict[str, Any], teachers: Sequence[Path], directory: Path) -> None:
    """Print what was learnt, how training went, and the agreement with the teachers."""
    distillation = record["distil"]
    source = distillation["source"]
    rows = distillation["rows"]
    if source:
        dropped = ", ".join(
            f"{reason} {count:,}" for reason, count in source["dropped"].items() if count
        )
        print_line(
            f"{source['name']}: {source['rows_in']:,} rows in = {source['rows_used']:,} used + "
            f"{sum(source['dropped'].values()):,} dropped{f' ({dropped})' if dropped else ''}."
        )
    names = ", ".join(map(str, teachers))
    print_line(
        f"Taught by {names}: {rows['train']:,} texts of the train split and {rows['texts']:,} "
        f"others."
    )
    if left_out := distillation["left_out"]:
        print_line(
            f"{left_out['telling_words']:,} words tell the label; {left_out['words']:,} of them "
            f"were left out of {left_out['texts']:,} texts."
        )
    for teacher, facts in zip(teachers, distillation["teachers"], strict=True):
        if facts["trained_elsewhere"]:
            print_line(
                f"{teacher} was trained on other splits than these: it may have seen some of the "
                f"rows held out here."
            )
    train.print_training(record, directory)
    # float32
    size = 4 * record["parameters"]
    all_bytes = sum(teacher["bytes"] for teacher in distillation["teachers"])
    print_line(
        f"Its weights take {size / 1e6:,.1f} MB, {size / all_bytes:.0%} of its teachers' "
        f"{all_bytes / 1e6:,.1f} MB."
    )
    agreement = distillation["agreement"]
    student = record["history"][record["best_epoch"] - 1]
    print_line(
        f"Agreement with the teacher on validation texts: {100 * agreement['value']:.2f} % "
        f"({100 * agreement['low']:.2f} to {100 * agreement['high']:.2f} %). Accuracy of the "
        f"teacher: {100 * distillation['teacher_scores']['eval_accuracy']:.2f} %, of the student: "
        f"{100 * student['eval_accuracy']:.2f} %."
    )

"""Which rows a bundle is judged on, and what has to be said about them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from linnet.bundle import Manifest
from linnet.config import EvaluateConfig
from linnet.data import Split, read_split
from linnet.errors import DataError, LabelError
from linnet.files import digest
from linnet.predict import task_of

SPLITS = ("train", "validation", "test")
TRAIN_FILE = "train.parquet"
FEWEST = 2  # one row has no spread, so no interval

NOTES = {
    "train": "The model learned from these rows: the figures say what it remembers, not what it "
    "can do.",
    "validation": "The validation rows chose the epoch that was kept, so these figures flatter "
    "the model somewhat.",
}


@dataclass(frozen=True)
class Rows:
    """The rows to judge on.

    Attributes:
        split: The rows themselves.
        rows_in_split: How many rows they were drawn from.
        notes: What a reader has to know about them, in sentences.
    """

    split: Split
    rows_in_split: int
    notes: list[str]


def choose_rows(splits: Path, manifest: Manifest, settings: EvaluateConfig) -> Rows:
    """Read a split, check that it is the bundle's kind, and draw a sample where one is asked for.

    Args:
        splits: Folder that `linnet prepare` wrote.
        manifest: The bundle's; its labels are compared, and the splits that it was made from.
        settings: Which split, how many rows of it, and the seed of the draw.

    Raises:
        DataError: The split is missing or has too few rows.
        LabelError: The split's labels are not the bundle's, or only one of them is multi-label.
    """
    split = read_split(splits, settings.split)
    if len(split) < FEWEST:
        raise DataError(
            f"The {split.name} split of {splits} has {len(split)} rows. Expected at least "
            f"{FEWEST}. {_splits_with_rows(splits)} Choose one with evaluate.split, or prepare "
            f"again with a larger data.{split.name}_size."
        )
    _check_labels(split.label_names, manifest.labels, splits)
    if split.multi_label != manifest.multi_label:
        raise LabelError(
            f"{splits} has {task_of(split.multi_label).labels_per_text}, but the bundle gives "
            f"{task_of(manifest.multi_label).labels_per_text}. "
            "Choose the splits that the model was trained on."
        )
    notes = [NOTES[split.name]] if split.name in NOTES else []
    if trained_elsewhere(splits, manifest):
        notes.append(
            "The bundle was trained on other splits than these: it may have seen some of the "
            "judged rows."
        )
    if set(split.mask) != set(manifest.mask):
        notes.append(
            f"In these texts {', '.join(split.mask) or 'nothing'} is masked, and the bundle masks "
            f"{', '.join(manifest.mask) or 'nothing'}: it was trained on others."
        )
    if not 0 < settings.sample < len(split):
        return Rows(split, len(split), notes)
    drawn = np.random.default_rng(settings.seed).choice(len(split), settings.sample, replace=False)
    drawn.sort()
    notes.append(f"Judged on {len(drawn):,} of the split's {len(split):,} rows, drawn at random.")
    sample = replace(split, texts=[split.texts[i] for i in drawn], labels=split.labels[drawn])
    return Rows(sample, len(split), notes)


def trained_elsewhere(splits: Path, manifest: Manifest) -> bool:
    """Whether a bundle is known to come from other training rows than these splits have."""
    made_from = (manifest.lineage.get("data") or {}).get("splits") or {}
    train = splits / TRAIN_FILE
    return TRAIN_FILE in made_from and train.is_file() and digest(train) != made_from[TRAIN_FILE]


def _splits_with_rows(splits: Path) -> str:
    sizes = {
        name: len(read_split(splits, name))
        for name in SPLITS
        if (splits / f"{name}.parquet").is_file()
    }
    large_enough = [f"{name} ({size:,})" for name, size in sizes.items() if size >= FEWEST]
    return (
        f"Those with rows are {', '.join(large_enough)}." if large_enough else "No split has rows."
    )


def _check_labels(labels: Sequence[str], expected: Sequence[str], splits: Path) -> None:
    if tuple(labels) == tuple(expected):
        return
    if only_split := sorted(set(labels) - set(expected)):
        difference = f"The bundle doesn't know {_names(only_split)}"
        if only_bundle := sorted(set(expected) - set(labels)):
            difference += f", and the splits lack {_names(only_bundle)}"
    elif only_bundle := sorted(set(expected) - set(labels)):
        difference = f"The splits lack {_names(only_bundle)}"
    else:
        difference = (
            f"The splits have them in the order {_names(labels)}, the bundle in the order "
            f"{_names(expected)}"
        )
    raise LabelError(
        f"The labels of {splits} are not the bundle's. {difference}. Choose the splits that the "
        "model was trained on, or prepare again with data.labels set to the bundle's."
    )


def _names(labels: Sequence[str]) -> str:
    return ", ".join(repr(label) for label in labels)

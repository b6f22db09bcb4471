"""Write suspects.csv: train rows with likely wrong labels, the likeliest first, for review.

Every cell is quoted. A cell that a spreadsheet would run as a formula begins with an apostrophe.
"""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from linnet.data.audit.noise import FOLDS, find_label_issues, out_of_fold_probabilities
from linnet.data.audit.sample import read_sample
from linnet.data.group.texts import digests, normalised
from linnet.files import digest
from linnet.progress import progress
from linnet.tables.formulas import defused

NAME = "suspects.csv"
LONGEST = 2000  # characters of a text that are used, about what an encoder of 512 tokens reads


def write(directory: Path, sample: int) -> dict[str, Any] | None:
    """List likely wrong labels among the first train rows, which are a random sample.

    Args:
        directory: The splits folder, with the train split in it.
        sample: Number of rows to check.

    Returns:
        `rows` checked, `suspects` listed, `agreement` of the model with the labels, the estimated
        `share` of wrong labels, and the `sha256` of the list. The share is too high where the model
        itself errs. None for multi-label data, or if there is too little to learn from.
    """
    train = read_sample(directory, "train", sample)
    if pa.types.is_list(train.table.schema.field("label").type):
        return None
    texts = train.table["text"].to_pylist()
    labels = train.table["label"].to_numpy()
    if len(texts) < FOLDS or len(np.unique(labels)) < len(train.label_names):
        return None
    with progress("look for wrong labels", 1, "steps") as task:
        beginnings = [text[:LONGEST] for text in texts]
        groups = digests([key.encode() for key in normalised(beginnings)])
        probabilities = out_of_fold_probabilities(beginnings, labels, groups)
        found = find_label_issues(labels, probabilities)
        task.advance()
    names = train.label_names
    with (directory / NAME).open("w", encoding="utf-8", newline="") as file:
        # Quoted, so that a spreadsheet that splits at semicolons keeps a text in one cell.
        rows = csv.writer(file, quoting=csv.QUOTE_ALL)
        rows.writerow(["text", "label", "suggested", "label_probability", "suggested_probability"])
        for index, suggested, given, probability in zip(
            found.index, found.suggested, found.given, found.probability, strict=True
        ):
            rows.writerow(
                [
                    defused(texts[index]),
                    defused(names[labels[index]]),
                    defused(names[suggested]),
                    f"{given:.4f}",
                    f"{probability:.4f}",
                ]
            )
    agreement = float((probabilities.argmax(axis=1) == labels).mean())
    return {
        "rows": len(texts),
        "suspects": len(found.index),
        "agreement": agreement,
        "share": found.share,
        "sha256": digest(directory / NAME),
    }

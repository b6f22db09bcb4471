"""reference.json:

what the validation rows and the answers to them looked like, for monitoring to compare with.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linnet.predict import Task
from linnet.text import Encoding

FORMAT = 1
PROBABILITY_BINS = 20
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


def describe(
    task: Task,
    probabilities: NDArray[np.float64],
    labels: NDArray[Any],
    encodings: Sequence[Encoding],
    label_names: Sequence[str],
    max_length: int,
    predictions: NDArray[np.bool_],
) -> dict[str, Any]:
    """Sum up rows and answers.

    Args:
        task: Single-label or multi-label.
        probabilities: What the model answered, float (n, C).
        labels: The true label ids, int (n,); bool (n, C) if the task is multi-label.
        encodings: The n texts as the model saw them.
        label_names: Names by id.
        max_length: Tokens a text may have.
        predictions: The labels that they were given, bool (n, C).

    Returns:
        `rows`, `accuracy` (of those that were answered), `true_labels` and `predicted_labels` (name
        to share of the rows), `abstained` (share), `top_probability` (counts in equal bins on [0,
        1]), `token_length` (counts by number of tokens from 0 to `max_length`, and quantiles) and
        `truncated` (share).
    """
    rows = len(labels)
    answered = task.answered(predictions)
    labels = task.applies(labels, len(label_names))
    counts, _ = np.histogram(probabilities.max(axis=1), bins=PROBABILITY_BINS, range=(0.0, 1.0))
    lengths = np.fromiter((len(encoding.ids) for encoding in encodings), np.int64, rows)
    return {
        "format": FORMAT,
        "rows": rows,
        "accuracy": float(
            (predictions == labels).all(axis=1)[answered].sum() / max(answered.sum(), 1)
        ),
        "true_labels": _shares(labels, label_names),
        "predicted_labels": _shares(predictions, label_names),
        "abstained": float(1 - answered.mean()),
        "top_probability": {"bins": PROBABILITY_BINS, "counts": counts.tolist()},
        "token_length": {
            "counts": np.bincount(lengths, minlength=max_length + 1).tolist(),
            "quantiles": dict(
                zip(map(str, QUANTILES), np.quantile(lengths, QUANTILES).tolist(), strict=True)
            ),
        },
        "truncated": sum(encoding.truncated for encoding in encodings) / rows,
    }


def _shares(applies: NDArray[np.bool_], names: Sequence[str]) -> dict[str, float]:
    return dict(zip(names, applies.mean(axis=0).tolist(), strict=True))

"""reference.json:

what the validation rows and the answers to them looked like, for monitoring to compare with.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linnet.predict import Task
from linnet.text import Encoding

FORMAT = 2
PROBABILITY_BINS = 20
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
GRID = np.linspace(0, 1, 101)  # the quantiles of a stream
CONFIDENCE_BINS = 10  # of the accuracy table, each with as many rows


@dataclass(frozen=True)
class ReferenceRows:
    """The n validation rows and the answers to them, with C labels.

    Attributes:
        task: Single-label or multi-label.
        label_names: Names by id.
        max_length: Tokens a text may have.
        labels: The true label ids, int (n,); bool (n, C) if the task is multi-label.
        encodings: The texts as the model saw them.
        probabilities: What the model answered, float (n, C).
        predictions: The labels that they were given, bool (n, C).
        cross_predictions: The labels that they would be given by thresholds chosen on other rows,
            bool (n, C).
        fast: Whether the smaller model of a cascade answered, bool (n,).
        surprise: How unusual each text is, float (n,).
    """

    task: Task
    label_names: Sequence[str]
    max_length: int
    labels: NDArray[Any]
    encodings: Sequence[Encoding]
    probabilities: NDArray[np.float64]
    predictions: NDArray[np.bool_]
    cross_predictions: NDArray[np.bool_]
    fast: NDArray[np.bool_]
    surprise: NDArray[np.float64]


def describe(rows: ReferenceRows) -> dict[str, Any]:
    """Sum up rows and answers.

    Returns:
        `rows`, `accuracy` (of those that were answered), `true_labels` and `predicted_labels` (name
        to share of the rows), `abstained` (share), `top_probability` (counts in equal bins on [0,
        1]), `token_length` (counts by number of tokens from 0 to `max_length`, and quantiles),
        `truncated` (share), and what `_streams`, `_accuracy_table` and `_confusion` give. A text
        of a multi-label model is right if all of its labels are.
    """
    names = rows.label_names
    n = len(rows.labels)
    answered = rows.task.answered(rows.predictions)
    labels = rows.task.applies(rows.labels, len(names))
    right = (rows.predictions == labels).all(axis=1)
    counts, _ = np.histogram(
        rows.probabilities.max(axis=1), bins=PROBABILITY_BINS, range=(0.0, 1.0)
    )
    lengths = np.fromiter((len(encoding.ids) for encoding in rows.encodings), np.int64, n)
    truncated = sum(encoding.truncated for encoding in rows.encodings) / n
    abstained = float(1 - answered.mean())
    given = _shares(rows.predictions, names)
    return {
        "format": FORMAT,
        "rows": n,
        "accuracy": float(right[answered].sum() / max(answered.sum(), 1)),
        "true_labels": _shares(labels, names),
        "predicted_labels": given,
        "abstained": abstained,
        "top_probability": {"bins": PROBABILITY_BINS, "counts": counts.tolist()},
        "token_length": {
            "counts": np.bincount(lengths, minlength=rows.max_length + 1).tolist(),
            "quantiles": dict(
                zip(map(str, QUANTILES), np.quantile(lengths, QUANTILES).tolist(), strict=True)
            ),
        },
        "truncated": truncated,
        "labels": given,
        "rates": {
            "truncated": truncated,
            "abstained": abstained,
            "fast": float(rows.fast.mean()),
        },
        "streams": _streams(rows, lengths),
        **_accuracy_table(rows, labels),
        "confusion": None if rows.task.multi_label else _confusion(rows, labels),
    }


def _shares(applies: NDArray[np.bool_], names: Sequence[str]) -> dict[str, float]:
    return dict(zip(names, applies.mean(axis=0).tolist(), strict=True))


def _streams(rows: ReferenceRows, lengths: NDArray[np.int64]) -> dict[str, Any]:
    """Quantiles of what each text gives; `mean` and `sd` are of its mid-rank among the rows."""
    words = np.array([encoding.words for encoding in rows.encodings], float)
    confidence, _ = _top(rows.probabilities, rows.predictions)
    values = {
        "confidence": confidence,
        "tokens": lengths.astype(float),
        "surprise": rows.surprise,
        "pieces": 1 - words / np.maximum(lengths, 1),
    }
    return {name: _stream(of) for name, of in values.items()}


def _stream(values: NDArray[np.float64]) -> dict[str, Any]:
    n = len(values)
    _, ties = np.unique(values, return_counts=True)
    return {
        "grid": np.quantile(values, GRID).tolist(),
        "mean": 0.5,
        "sd": float(((1 - ((ties / n) ** 3).sum()) / 12) ** 0.5),
        "n": n,
    }


def _top(
    probabilities: NDArray[np.float64], predictions: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The confidence of each text and the most probable label that it was given; -1 is none."""
    given = predictions.any(axis=1)
    among = np.where(predictions, probabilities, -1.0)
    confidence = np.where(given, among.max(axis=1), probabilities.max(axis=1))
    return confidence, np.where(given, among.argmax(axis=1), -1)


def _accuracy_table(rows: ReferenceRows, labels: NDArray[np.bool_]) -> dict[str, Any]:
    """How often answers are right, by confidence, label and model.

    Thresholds come from other rows (`cross_predictions`), so that the table doesn't flatter. Bin k
    holds the confidences from the k-th of `accuracy_bins` on, counted from 1, to the next one.
    """
    served, _ = _top(rows.probabilities, rows.predictions)
    confidence, top = _top(rows.probabilities, rows.cross_predictions)
    edges = np.quantile(served, np.linspace(0, 1, CONFIDENCE_BINS + 1)[1:-1])
    bins = np.searchsorted(edges, confidence, side="right")
    right = (rows.cross_predictions == labels).all(axis=1)
    answered = rows.task.answered(rows.cross_predictions)
    cells = list(zip(bins.tolist(), top.tolist(), rows.fast.tolist(), strict=True))
    of_all = Counter(cell for cell, counts in zip(cells, answered, strict=True) if counts)
    of_right = Counter(cell for cell, counts in zip(cells, answered & right, strict=True) if counts)
    return {
        "accuracy_bins": edges.tolist(),
        "accuracy_table": [
            {
                "bin": cell[0],
                "label": _name(rows, cell[1]),
                "fast": cell[2],
                "n": of_all[cell],
                "right": of_right[cell],
            }
            for cell in sorted(of_all)
        ],
    }


def _confusion(rows: ReferenceRows, labels: NDArray[np.bool_]) -> list[dict[str, Any]]:
    """How often each true label was given each label; None: the model abstained."""
    _, top = _top(rows.probabilities, rows.cross_predictions)
    counts = Counter(zip(labels.argmax(axis=1).tolist(), top.tolist(), strict=True))
    return [
        {"true": rows.label_names[pair[0]], "predicted": _name(rows, pair[1]), "n": counts[pair]}
        for pair in sorted(counts)
    ]


def _name(rows: ReferenceRows, label: int) -> str | None:
    return None if label < 0 else rows.label_names[label]

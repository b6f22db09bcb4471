"""The figures of a single-label model for the report; `linnet.evaluate.report` lists them."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linnet.config import EvaluateConfig
from linnet.data import Split, read_split
from linnet.evaluate import metrics, plots
from linnet.evaluate.baselines import Baseline, majority_class, tfidf_logistic_regression
from linnet.evaluate.calibration import ReliabilityBin, calibrated_limit, reliability_bins
from linnet.evaluate.intervals import (
    Agreement,
    bootstrap_f1,
    bootstrap_mean,
    mcnemar_p,
    paired_difference,
    proportion,
    share_or_none,
)
from linnet.evaluate.verdict import Judgement, Served, verdict

MOST_CONFUSED = 10

Floats = NDArray[np.float64]


def judge(served: Served, split: Split, splits: Path, settings: EvaluateConfig) -> Judgement:
    """Judge answers as if each text had to be answered.

    Args:
        served: Of the rows; only the probabilities count, as the model may abstain.
        split: The rows judged.
        splits: Where the baselines' train rows are.
        settings: Of the intervals.
    """
    train = read_split(splits, "train")
    baselines = [majority_class(train, split.texts), tfidf_logistic_regression(train, split.texts)]
    probabilities = served.probabilities
    predictions = probabilities.argmax(axis=1)
    correct = predictions == split.labels
    confidence = probabilities.max(axis=1)
    reliability = reliability_bins(
        confidence, correct, settings.calibration_bins, settings.confidence_level
    )
    accuracy = proportion(int(correct.sum()), len(split), settings.confidence_level)
    compared = [_compare(baseline, split, correct, settings) for baseline in baselines]
    figures = {
        **verdict(accuracy, compared[-1]["accuracy"], compared[-1], settings.confidence_level),
        "accuracy": asdict(accuracy),
        **_measures(probabilities, predictions, split, settings),
        "calibration": _calibration(probabilities, split, reliability, settings),
        "baselines": compared,
        "train_rows": train.label_counts,
    }
    drawings = {
        "comparison": plots.comparison(
            [
                ("this model", figures["accuracy"]),
                *((item["title"], item["accuracy"]) for item in compared),
            ]
        ),
        "confusion": plots.confusion(np.array(figures["confusion_matrix"]), split.label_names),
        "reliability": plots.reliability(reliability),
        "probabilities": plots.probabilities(confidence, correct),
    }
    return Judgement(figures, drawings, "report.html")


def _measures(
    probabilities: Floats,
    predictions: NDArray[np.int64],
    split: Split,
    settings: EvaluateConfig,
) -> dict[str, Any]:
    level = settings.confidence_level
    resamples = settings.bootstrap_resamples
    seed = settings.seed
    matrix = metrics.confusion_matrix(split.labels, predictions, len(split.label_names))
    macro_f1, f1 = bootstrap_f1(matrix, level, resamples, seed)
    right = matrix.diagonal()
    predicted = matrix.sum(axis=0)
    present = matrix.sum(axis=1)
    losses = metrics.log_losses(probabilities, split.labels)
    return {
        "macro_f1": asdict(macro_f1),
        "log_loss": asdict(bootstrap_mean(losses, level, resamples, seed)),
        "per_class": [
            {
                "label": label,
                "precision": share_or_none(int(right[k]), int(predicted[k]), level),
                "recall": share_or_none(int(right[k]), int(present[k]), level),
                "f1": asdict(f1[k]),
                "support": int(present[k]),
                "predicted": int(predicted[k]),
            }
            for k, label in enumerate(split.label_names)
        ],
        "confusion_matrix": matrix.tolist(),
        "most_confused": _most_confused(matrix, split.label_names),
    }


def _most_confused(matrix: NDArray[np.int64], labels: Sequence[str]) -> list[dict[str, Any]]:
    mistakes = matrix - np.diag(matrix.diagonal())
    largest = np.argsort(-mistakes, axis=None, kind="stable")[:MOST_CONFUSED]
    pairs = [divmod(int(cell), len(labels)) for cell in largest]
    return [
        {
            "label": labels[label],
            "predicted": labels[predicted],
            "rows": int(mistakes[label, predicted]),
        }
        for label, predicted in pairs
        if mistakes[label, predicted]
    ]


def _calibration(
    probabilities: Floats,
    split: Split,
    reliability: Sequence[ReliabilityBin],
    settings: EvaluateConfig,
) -> dict[str, Any]:
    confidence = probabilities.max(axis=1)
    bins = settings.calibration_bins
    level = settings.confidence_level
    return {
        "expected_calibration_error": metrics.expected_calibration_error(
            probabilities, split.labels, bins
        ),
        "calibrated_limit": calibrated_limit(
            confidence, bins, level, settings.bootstrap_resamples, settings.seed
        ),
        "bins": [asdict(item) for item in reliability],
    }


def _compare(
    baseline: Baseline, split: Split, correct: NDArray[np.bool_], settings: EvaluateConfig
) -> dict[str, Any]:
    right = baseline.predictions == split.labels
    agreement = Agreement.count(correct, right)
    return {
        "name": baseline.name,
        "title": baseline.title,
        "seconds": baseline.seconds,
        "accuracy": asdict(proportion(int(right.sum()), len(split), settings.confidence_level)),
        "macro_f1": metrics.macro_f1(split.labels, baseline.predictions),
        "difference": asdict(paired_difference(agreement, settings.confidence_level)),
        "mcnemar_p": mcnemar_p(agreement),
    }

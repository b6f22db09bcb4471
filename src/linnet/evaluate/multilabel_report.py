"""The report of a multi-label model. report.json then holds:

    verdict, beats_baseline      by micro F1
    accuracy                     subset accuracy: the share of the rows with all of their labels
                                 right
    micro_f1, macro_f1           over all decisions, and the mean of the labels' own
    hamming_loss, log_loss       share of wrong decisions, and mean binary cross-entropy; each over
                                 rows and labels
    average_precision            without thresholds: `macro` over the labels that are there, `micro`
                                 over all decisions
    per_class                    for each label threshold, precision, recall, f1, average_precision,
                                 support, predicted
    by_label_count               rows by how many labels they have, with accuracy and micro_f1
    calibration                  each label for itself, the error averaged; the bins hold all
                                 decisions
    baselines                    each with accuracy, micro_f1, macro_f1, and the paired difference
                                 of micro F1 to it

All but average_precision and the calibration error have an interval: value, low, high.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from linnet.config import EvaluateConfig
from linnet.data import Split, read_split
from linnet.evaluate import multilabel, plots
from linnet.evaluate.baselines import Baseline, best_constant, one_vs_rest_logistic_regression
from linnet.evaluate.calibration import one_vs_rest_error, one_vs_rest_limit, reliability_bins
from linnet.evaluate.intervals import Estimate, bootstrap_mean, proportion, share_or_none
from linnet.evaluate.verdict import Judgement, Served, verdict

MANY = 3  # labels of a row, from which on rows are counted together

Bools = NDArray[np.bool_]


def judge(served: Served, split: Split, splits: Path, settings: EvaluateConfig) -> Judgement:
    """Judge answers.

    Args:
        served: Of the rows.
        split: The rows judged.
        splits: Where the baselines' train and validation rows are.
        settings: Of the intervals.
    """
    probabilities = served.probabilities
    predictions = served.predictions
    labels = split.labels
    level = settings.confidence_level
    train = read_split(splits, "train")
    validation = read_split(splits, "validation")
    f1s = multilabel.bootstrap_f1s(
        labels, predictions, level, settings.bootstrap_resamples, settings.seed
    )
    compared = [
        _compare(baseline, labels, predictions, settings)
        for baseline in (
            best_constant(train, split.texts),
            one_vs_rest_logistic_regression(train, validation, split.texts),
        )
    ]
    bins = reliability_bins(probabilities.ravel(), labels.ravel(), settings.calibration_bins, level)
    figures = {
        **verdict(f1s.micro, compared[-1]["micro_f1"], compared[-1], level),
        "accuracy": asdict(_subset_accuracy(labels, predictions, level)),
        "micro_f1": asdict(f1s.micro),
        "macro_f1": asdict(f1s.macro),
        "hamming_loss": _mean((labels != predictions).mean(axis=1), settings),
        "log_loss": _mean(multilabel.log_losses(probabilities, labels), settings),
        **_by_label(served, split, f1s.labels, level),
        "by_label_count": _by_label_count(labels, predictions, settings),
        "calibration": {
            "expected_calibration_error": one_vs_rest_error(
                probabilities, labels, settings.calibration_bins
            ),
            "calibrated_limit": one_vs_rest_limit(
                probabilities,
                settings.calibration_bins,
                level,
                settings.bootstrap_resamples,
                settings.seed,
            ),
            "bins": [asdict(item) for item in bins],
        },
        "baselines": compared,
        "train_rows": train.label_counts,
    }
    models = [
        ("this model", figures["micro_f1"]),
        *((item["title"], item["micro_f1"]) for item in compared),
    ]
    drawings = {
        "comparison": plots.comparison(models, "micro F1"),
        "by_label": plots.by_label(figures["per_class"]),
        "reliability": plots.reliability(
            bins, "probability of a label", "share of the texts that have it"
        ),
    }
    return Judgement(figures, drawings, "report_multilabel.html")


def _subset_accuracy(labels: Bools, predictions: Bools, level: float) -> Estimate:
    return proportion(int((labels == predictions).all(axis=1).sum()), len(labels), level)


def _mean(values: NDArray[np.float64], settings: EvaluateConfig) -> dict[str, float]:
    level = settings.confidence_level
    resamples = settings.bootstrap_resamples
    seed = settings.seed
    return asdict(bootstrap_mean(values, level, resamples, seed))


def _by_label(
    served: Served, split: Split, f1s: Sequence[Estimate], level: float
) -> dict[str, Any]:
    labels = split.labels
    probabilities = served.probabilities
    predictions = served.predictions
    precisions = multilabel.average_precisions(probabilities, labels)
    there = [value for value in precisions if value is not None]
    right, present, predicted = (
        (some.sum(axis=0)).tolist() for some in (labels & predictions, labels, predictions)
    )
    thresholds = served.thresholds or ()
    return {
        "average_precision": {
            "macro": float(np.mean(there)) if there else None,
            "micro": float(average_precision_score(labels.ravel(), probabilities.ravel()))
            if there
            else None,
        },
        "per_class": [
            {
                "label": label,
                "threshold": thresholds[k],
                "precision": share_or_none(right[k], predicted[k], level),
                "recall": share_or_none(right[k], present[k], level),
                "f1": asdict(f1s[k]),
                "average_precision": precisions[k],
                "support": present[k],
                "predicted": predicted[k],
            }
            for k, label in enumerate(split.label_names)
        ],
    }


def _by_label_count(
    labels: Bools, predictions: Bools, settings: EvaluateConfig
) -> list[dict[str, Any]]:
    counts = np.minimum(labels.sum(axis=1), MANY)
    level = settings.confidence_level
    resamples = settings.bootstrap_resamples
    seed = settings.seed
    groups = []
    for count in np.unique(counts).tolist():
        chosen = counts == count
        truth = labels[chosen]
        given = predictions[chosen]
        f1s = multilabel.bootstrap_f1s(truth, given, level, resamples, seed) if count else None
        groups.append(
            {
                "labels": f"{count} or more" if count == MANY else str(count),
                "rows": int(chosen.sum()),
                "accuracy": asdict(_subset_accuracy(truth, given, level)),
                "micro_f1": asdict(f1s.micro)
                if f1s
                else None,  # of rows without a label it is always 0
            }
        )
    return groups


def _compare(
    baseline: Baseline, labels: Bools, predictions: Bools, settings: EvaluateConfig
) -> dict[str, Any]:
    level = settings.confidence_level
    resamples = settings.bootstrap_resamples
    seed = settings.seed
    f1s = multilabel.bootstrap_f1s(labels, baseline.predictions, level, resamples, seed)
    gap = multilabel.paired_micro_f1(
        labels, predictions, baseline.predictions, level, resamples, seed
    )
    return {
        "name": baseline.name,
        "title": baseline.title,
        "seconds": baseline.seconds,
        "accuracy": asdict(_subset_accuracy(labels, baseline.predictions, level)),
        "micro_f1": asdict(f1s.micro),
        "macro_f1": f1s.macro.value,
        "difference": asdict(gap),
    }

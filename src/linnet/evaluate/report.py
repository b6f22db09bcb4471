"""The stage itself: a bundle answers a split, and the report compares it with baselines.

report.json holds the following, and never a text:

    verdict               one sentence; `beats_baseline` is the same for programs
    model                 name, digest, labels, temperature, thresholds if it has any
    split, rows           what was judged: `rows` of `rows_in_split`, `split_sha256` of its file,
                          `notes` in words
    accuracy, macro_f1, log_loss      value, low, high: the ends of the interval at
                                      `confidence_level`
    per_class             for each label precision, recall, f1 (each value, low, high), support and
                          predicted (rows); precision is null of a label that is never predicted,
                          recall of one without rows
    confusion_matrix      rows are labels, columns are predictions; `most_confused` names its
                          largest mistakes
    calibration           expected_calibration_error, which has no interval (see `calibrated_limit`,
                          what chance alone would show, for why), and the reliability bins
    selective             null, or where the bundle has a `min_precision` that, coverage (the share
                          of the rows that are answered), precision of the answers, and by label
                          threshold, answered (rows) and precision; with one label a text, all other
                          figures count every row, as though it had to be answered
    truncated             rows whose text was longer than the model reads
    latency               of one text, and of a list, on the host named
    baselines             each with accuracy, macro_f1, and the paired difference of the model to it
    diagnosis             why the model is not shown to beat the baseline: `reason` and `sentence`;
                          else empty
    train_rows            rows of each label in the train split
    unknown               share of the judged texts' tokens that the model does not know; rows with
                          more than half
    history, settings, lineage

For a multi-label model, `linnet.evaluate.multilabel_report` says what is in place
of some of these.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linnet.bundle import Manifest
from linnet.config import Config, EvaluateConfig
from linnet.data import Split, read_split
from linnet.evaluate import diagnosis, latency, metrics, plots, selective
from linnet.evaluate import multilabel_report as several
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
from linnet.evaluate.rows import choose_rows
from linnet.evaluate.verdict import Judgement, verdict
from linnet.files import canonical_json, check_replaceable, digest, whole_directory, write_text
from linnet.html import render
from linnet.lineage import lineage
from linnet.predict import Classifier, load
from linnet.progress import progress

FORMAT = 1
REPORT = "report.json"
TEXTS_A_STEP = 2048
MOST_CONFUSED = 10
MOSTLY_UNKNOWN = 0.5  # share of a text's tokens


@dataclass(frozen=True)
class _Answers:
    probabilities: NDArray[np.float64]
    truncated: int
    unknown_shares: NDArray[np.float64]
    seconds: float

    @property
    def predictions(self) -> NDArray[np.int64]:
        return np.asarray(np.argmax(self.probabilities, axis=1), dtype=np.int64)


def evaluate(config: Config, bundle: Path, splits: Path, directory: Path) -> dict[str, Any]:
    """Judge a bundle on a split.

    Args:
        config: Its `evaluate` and `predict` sections are used.
        bundle: What will be served. It is verified first.
        splits: Folder that `linnet prepare` wrote; the baselines learn from its train split.
        directory: The report folder; appears whole.

    Returns:
        The report, as in report.json.

    Raises:
        BundleError: The bundle is broken.
        DataError: The split is missing or has too few rows.
        LabelError: The split's labels are not the bundle's.
        UsageError: There is something else in the report's place.
    """
    settings = config.evaluate
    check_replaceable(directory, REPORT)  # before the work, not after it
    classifier = load(bundle, **config.predict.model_dump())
    manifest = classifier.bundle.manifest
    judged = choose_rows(splits, manifest, settings)
    split = judged.split
    answers = _answer(classifier, split.texts)
    alone = latency.measure_alone(classifier, split.texts)
    if split.multi_label:
        judgement = several.judge(classifier, answers.probabilities, split, splits, settings)
    else:
        judgement = _judge(answers, split, splits, settings)
    answered = _selective(classifier, answers, split, settings)
    report = {
        "format": FORMAT,
        **judgement.figures,
        "selective": answered,
        "model": _model(manifest),
        "split": split.name,
        "rows": len(split),
        "rows_in_split": judged.rows_in_split,
        "split_sha256": digest(splits / f"{split.name}.parquet"),
        "notes": judged.notes + selective.notes(answered, split.multi_label)
        if answered
        else judged.notes,
        "confidence_level": settings.confidence_level,
        "truncated": {"rows": answers.truncated, "share": answers.truncated / len(split)},
        "unknown": {
            "share": float(answers.unknown_shares.mean()),
            "rows": int((answers.unknown_shares > MOSTLY_UNKNOWN).sum()),
        },
        "latency": asdict(latency.describe(alone, len(split), answers.seconds, classifier.plan)),
        "history": manifest.lineage.get("history"),
        "settings": config.model_dump(mode="json"),
        "lineage": lineage(),
    }
    facts = diagnosis.Symptoms(report, manifest.lineage, manifest.max_length)
    report["diagnosis"] = diagnosis.diagnose(facts)
    _write(report, judgement, directory)
    return report


def _model(manifest: Manifest) -> dict[str, Any]:
    model: dict[str, Any] = {
        "name": manifest.name,
        "digest": manifest.digest,
        "labels": list(manifest.labels),
    }
    model["temperature"] = manifest.temperature
    if manifest.multi_label:
        model["problem_type"] = manifest.problem_type
    if manifest.thresholds is not None:
        model["thresholds"] = list(manifest.thresholds)
    return model


def _selective(
    classifier: Classifier, answers: _Answers, split: Split, settings: EvaluateConfig
) -> dict[str, Any] | None:
    manifest = classifier.bundle.manifest
    if manifest.min_precision is None or manifest.thresholds is None:
        return None
    labels = (
        split.labels
        if split.multi_label
        else split.labels[:, None] == np.arange(len(split.label_names))
    )
    given = classifier.decide(answers.probabilities)
    found = selective.describe(
        labels, given, split.label_names, manifest.thresholds, split.multi_label, settings
    )
    return {"min_precision": manifest.min_precision, **found}


def _answer(classifier: Classifier, texts: Sequence[str]) -> _Answers:
    predictions = []
    with progress("judge", len(texts), "texts") as task:
        started = time.perf_counter()
        for start in range(0, len(texts), TEXTS_A_STEP):
            predictions += classifier.predict(texts[start : start + TEXTS_A_STEP])
            task.advance(min(TEXTS_A_STEP, len(texts) - start))
        seconds = time.perf_counter() - started
    probabilities = np.array(
        [list(prediction.probabilities.values()) for prediction in predictions]
    )
    return _Answers(
        probabilities,
        sum(prediction.truncated for prediction in predictions),
        np.array([prediction.unknown_share for prediction in predictions]),
        seconds,
    )


def _judge(answers: _Answers, split: Split, splits: Path, settings: EvaluateConfig) -> Judgement:
    train = read_split(splits, "train")
    baselines = [majority_class(train, split.texts), tfidf_logistic_regression(train, split.texts)]
    correct = answers.predictions == split.labels
    confidence = answers.probabilities.max(axis=1)
    reliability = reliability_bins(
        confidence, correct, settings.calibration_bins, settings.confidence_level
    )
    accuracy = proportion(int(correct.sum()), len(split), settings.confidence_level)
    compared = [_compare(baseline, split, correct, settings) for baseline in baselines]
    figures = {
        **verdict(accuracy, compared[-1]["accuracy"], compared[-1], settings.confidence_level),
        "accuracy": asdict(accuracy),
        **_measures(answers, split, settings),
        "calibration": _calibration(answers, split, reliability, settings),
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


def _measures(answers: _Answers, split: Split, settings: EvaluateConfig) -> dict[str, Any]:
    level = settings.confidence_level
    resamples = settings.bootstrap_resamples
    seed = settings.seed
    matrix = metrics.confusion_matrix(split.labels, answers.predictions, len(split.label_names))
    macro_f1, f1 = bootstrap_f1(matrix, level, resamples, seed)
    right = matrix.diagonal()
    predicted = matrix.sum(axis=0)
    present = matrix.sum(axis=1)
    losses = metrics.log_losses(answers.probabilities, split.labels)
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
    answers: _Answers, split: Split, reliability: Sequence[ReliabilityBin], settings: EvaluateConfig
) -> dict[str, Any]:
    confidence = answers.probabilities.max(axis=1)
    bins = settings.calibration_bins
    level = settings.confidence_level
    return {
        "expected_calibration_error": metrics.expected_calibration_error(
            answers.probabilities, split.labels, bins
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


def _write(report: dict[str, Any], judgement: Judgement, directory: Path) -> None:
    history = plots.history(report["history"]) if report["history"] else None
    figures = {**judgement.drawings, "history": history}
    worst_first = sorted(report["per_class"], key=lambda item: item["f1"]["value"])
    page = render(judgement.template, report=report, figures=figures, worst_first=worst_first)
    with whole_directory(directory, holds=REPORT) as folder:
        write_text(folder / REPORT, canonical_json(report))
        write_text(folder / "report.html", page)

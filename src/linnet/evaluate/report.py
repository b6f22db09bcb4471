"""The stage itself: a bundle answers a split, and the report compares it with baselines.

report.json holds the following, and never a text (metrics.json and report.md are extracts of it):

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
from linnet.data import Split
from linnet.evaluate import (
    diagnosis,
    latency,
    multilabel_report,
    plots,
    selective,
    single_label_report,
    summary,
)
from linnet.evaluate.rows import choose_rows
from linnet.evaluate.verdict import Judgement, Served
from linnet.files import canonical_json, check_replaceable, digest, whole_directory, write_text
from linnet.html import render
from linnet.lineage import lineage
from linnet.predict import Classifier, load
from linnet.progress import progress

FORMAT = 1
REPORT = "report.json"
TEXTS_A_STEP = 2048
MOSTLY_UNKNOWN = 0.5  # share of a text's tokens


@dataclass(frozen=True)
class _Answers:
    probabilities: NDArray[np.float64]
    truncated: int
    unknown_shares: NDArray[np.float64]
    seconds: float


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
    judge = multilabel_report.judge if classifier.task.multi_label else single_label_report.judge
    predictions = classifier.decide(answers.probabilities)
    served = Served(answers.probabilities, predictions, manifest.thresholds)
    judgement = judge(served, split, splits, settings)
    answered = _selective(classifier, served, split, settings)
    report = {
        "format": FORMAT,
        **judgement.figures,
        "selective": answered,
        "model": _model(manifest),
        "split": split.name,
        "rows": len(split),
        "rows_in_split": judged.rows_in_split,
        "split_sha256": digest(splits / f"{split.name}.parquet"),
        "notes": judged.notes + selective.notes(answered, classifier.task)
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
    symptoms = diagnosis.Symptoms(report, manifest.lineage, manifest.max_length)
    report["diagnosis"] = diagnosis.diagnose(symptoms)
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
    classifier: Classifier, served: Served, split: Split, settings: EvaluateConfig
) -> dict[str, Any] | None:
    manifest = classifier.bundle.manifest
    if manifest.min_precision is None or manifest.thresholds is None:
        return None
    task = classifier.task
    labels = task.applies(split.labels, len(split.label_names))
    figures = selective.describe(
        labels, served.predictions, split.label_names, manifest.thresholds, task, settings
    )
    return {"min_precision": manifest.min_precision, **figures}


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


def _write(report: dict[str, Any], judgement: Judgement, directory: Path) -> None:
    history = plots.history(report["history"]) if report["history"] else None
    figures = {**judgement.drawings, "history": history}
    worst_first = sorted(report["per_class"], key=lambda item: item["f1"]["value"])
    page = render(judgement.template, report=report, figures=figures, worst_first=worst_first)
    with whole_directory(directory, holds=REPORT) as folder:
        write_text(folder / REPORT, canonical_json(report))
        write_text(folder / "report.html", page)
        write_text(folder / summary.METRICS, canonical_json(summary.metrics(report)))
        write_text(folder / summary.MARKDOWN, summary.to_markdown(report))

"""The stage itself:

a checkpoint becomes a bundle, which appears only if every check on it passed.
"""

import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linnet.bundle import (
    CARD,
    CONFIG,
    MANIFEST,
    PROOF,
    REFERENCE,
    SURPRISE,
    TOKENIZER,
    Bundle,
    Cascade,
)
from linnet.config import Config
from linnet.data import Split, read_split
from linnet.errors import DataError, LabelError
from linnet.evaluate import latency, thresholds
from linnet.export import card, proof, reference
from linnet.export.cascade import CascadeBuilder
from linnet.export.checkpoint import MULTI_LABEL, SINGLE_LABEL, Checkpoint, load_checkpoint
from linnet.export.cuts import check_cuts
from linnet.export.draft import BundleDraft
from linnet.export.gate import Answers, Gate
from linnet.export.graph import write_graph
from linnet.export.parity import compare
from linnet.export.validation import Calibration, calibrate
from linnet.export.variants import MODEL, TEXTS_A_STEP, TokenIds, VariantSet, VariantTrial
from linnet.files import canonical_json, check_replaceable, digest, whole_directory, write_text
from linnet.lineage import lineage
from linnet.predict import Classifier, Task, task_of
from linnet.predict.batching import padding_share
from linnet.predict.onnx_engine import OnnxEngine
from linnet.predict.peak import Peak, measure_peak
from linnet.predict.plan import Choice, Plan
from linnet.predict.synthetic import FINGERPRINT_ROWS, synthetic_rows
from linnet.progress import progress
from linnet.surprise import SurpriseTable

ROWS_COUNTED = 100_000  # of the training split, for the table of surprise


def export(config: Config, checkpoint: Path, splits: Path, directory: Path) -> Bundle:
    """Turn a checkpoint into a proven bundle.

    Args:
        config: Its `export`, `model`, `predict` and `run` sections are used, and from `evaluate`
            the confidence level, the number of bins, and the resamples and seed of a bootstrap.
        checkpoint: Folder in Hugging Face layout with safetensors weights.
        splits: Folder that `linnet prepare` wrote; its validation rows are what is checked on.
        directory: The bundle's folder; appears whole, or not at all if a check fails.

    Returns:
        The bundle, verified.

    Raises:
        ModelError: The checkpoint can't be used or exported.
        DataError: The validation split is missing or empty.
        LabelError: The checkpoint's labels are not those of the splits, or only one of them is
            multi-label.
        ProofError: A check failed; the message names it.
        UsageError: There is something else in the bundle's place.
    """
    checkpoint = Path(checkpoint)
    splits = Path(splits)
    directory = Path(directory)
    check_replaceable(directory, MANIFEST)
    trained = load_checkpoint(checkpoint, config.model.max_length)
    split = _read(splits, trained)
    task = task_of(split.multi_label)
    check_cuts(trained.tokenizer, split.texts)
    front = CascadeBuilder(config, split) if config.export.cascade else None
    draft = BundleDraft(
        name=config.run.name,
        labels=trained.labels,
        problem_type=MULTI_LABEL if trained.multi_label else SINGLE_LABEL,
        max_length=config.model.max_length,
        lineage=_lineage(trained, splits),
        mask=split.mask,
        thresholds=[thresholds.EVEN] * len(trained.labels) if trained.multi_label else None,
    )
    with whole_directory(directory, holds=MANIFEST) as folder:
        shutil.copyfile(trained.tokenizer_path, folder / TOKENIZER)
        write_text(folder / CONFIG, canonical_json(trained.public_config()))
        with progress("write the ONNX graph", None, "steps"):
            write_graph(trained.model, folder / MODEL, config.export.opset)
        parity = _parity(config, task, trained, split, folder / MODEL)
        # Judged through the very code that will serve it; the manifest is written again once the
        # rest is there.
        choice = Choice(Plan(num_threads=config.predict.num_threads), "as it is proven")
        classifier = Classifier(draft.seal(folder), choice)
        logits, seconds = _score(classifier, split.texts)
        fast_answered = np.zeros(len(split), np.bool_)
        calibrated = calibrate(config, logits, split)
        draft = draft.calibrated(calibrated)
        encodings = trained.tokenizer.encode(split.texts)
        rows = [encoding.ids for encoding in encodings]
        speed = _latency(classifier, split, seconds, rows)
        variants = _make_variants(
            config, task, folder, trained, splits, split, rows, logits, calibrated
        )
        draft = replace(draft, models=variants.models, engines=variants.engines)
        if front:
            fast, check = front.judge(logits, calibrated.temperature, _score)
            draft = replace(draft, cascade=fast)
            front.copy(folder)
            cascade = Classifier(draft.seal(folder), choice)
            check |= front.compare(classifier, cascade, check["detail"])
            served, seconds = _score(cascade, split.texts)
            fast_answered = front.answers
            calibrated = calibrate(config, served, split)
            draft = draft.calibrated(calibrated)
            speed = _latency(cascade, split, seconds, rows)
            calibrated.checks["cascade"] = check
        proven = {
            "format": proof.FORMAT,
            "checks": {"parity": parity, **calibrated.checks, "latency": speed},
            "variants": variants.table,
        }
        if peak := _peak(folder, trained, config.model.max_length, draft.cascade):
            proven["memory"] = asdict(peak)
        table = _surprise(trained, splits)
        np.save(folder / SURPRISE, table.values, allow_pickle=False)
        seen = reference.describe(
            reference.ReferenceRows(
                task=task,
                label_names=trained.labels,
                max_length=config.model.max_length,
                labels=split.labels,
                encodings=encodings,
                probabilities=calibrated.probabilities,
                predictions=calibrated.predictions,
                cross_predictions=calibrated.cross_predictions,
                fast=fast_answered,
                surprise=np.array([table.of(ids) for ids in rows]),
            )
        )
        write_text(folder / PROOF, canonical_json(proven))
        write_text(folder / REFERENCE, canonical_json(seen))
        write_text(folder / CARD, card.write(draft, proven, seen))
        draft.seal(folder).verify()
    return Bundle.read(directory)


def _read(splits: Path, trained: Checkpoint) -> Split:
    split = read_split(splits, "validation")
    if not split.texts:
        raise DataError(
            f"The validation split of {splits} is empty, so nothing can be proven. Prepare again."
        )
    if split.label_names != trained.labels:
        raise LabelError(
            f"The labels of {splits} are {', '.join(split.label_names)}; those of {trained.path} "
            f"are {', '.join(trained.labels)}. Expected the same in the same order: export with "
            "the splits that the checkpoint was trained on."
        )
    if split.multi_label != trained.multi_label:
        read, learned = (task_of(one.multi_label).labels_per_text for one in (split, trained))
        raise LabelError(
            f"{splits} has {read}, but {trained.path} was trained on {learned}. "
            "Export with the splits that the checkpoint was trained on."
        )
    masked = split.mask if trained.training is None else tuple(trained.training.get("mask", ()))
    if masked != split.mask:
        raise DataError(
            f"In the texts of {splits} {_listed(split.mask)} is masked, but {trained.path} was "
            f"trained with "
            f"{_listed(masked)} masked. Export with the splits that the checkpoint was trained on."
        )
    return split


def _listed(mask: Sequence[str]) -> str:
    return ", ".join(mask) or "nothing"


def _lineage(trained: Checkpoint, splits: Path) -> dict[str, Any]:
    record = trained.training or {}
    described = _data_card(splits / "data_card.json")
    return {
        "training": record.get("lineage"),
        "settings": record.get("settings"),
        "history": record.get("history"),
        "encoder": record.get("encoder"),
        "distil": record.get("distil"),
        "data": {
            "source": described.get("source"),
            "generated": described.get("generated", False),
            "splits": {file.name: digest(file) for file in sorted(splits.glob("*.parquet"))},
            "card_sha256": record.get("data_card_sha256"),
        },
        "export": lineage(),
    }


def _data_card(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path} can't be read as JSON: {error}. Prepare again.") from error
    if not isinstance(content, dict):
        raise DataError(
            f"{path} can't be read: expected a JSON object, got {type(content).__name__}. Prepare "
            f"again."
        )
    return content


def _surprise(trained: Checkpoint, splits: Path) -> SurpriseTable:
    texts = read_split(splits, "train").texts
    chosen = np.linspace(0, len(texts) - 1, min(ROWS_COUNTED, len(texts)), dtype=int)
    tokenizer = trained.tokenizer
    encodings = tokenizer.encode([texts[i] for i in chosen])
    rows = (encoding.ids for encoding in encodings)
    return SurpriseTable.count(rows, tokenizer.vocab_size, tokenizer.special_ids)


def _parity(
    config: Config, task: Task, trained: Checkpoint, split: Split, path: Path
) -> proof.Check:
    chosen = np.linspace(0, len(split) - 1, min(config.export.parity_rows, len(split)), dtype=int)
    rows = [encoding.ids for encoding in trained.tokenizer.encode([split.texts[i] for i in chosen])]
    engine = OnnxEngine(path, config.predict.num_threads)
    parity = compare(
        trained.model,
        engine,
        rows,
        trained.tokenizer.pad_id,
        config.model.max_length,
        task,
    )
    return proof.require("parity", proof.parity_check(parity, config.export.parity_tolerance))


def _score(classifier: Classifier, texts: Sequence[str]) -> tuple[NDArray[np.float32], float]:
    """Logits of all texts, and the seconds that they took."""
    parts = []
    started = time.perf_counter()
    with progress("judge", len(texts), "texts") as task:
        for start in range(0, len(texts), TEXTS_A_STEP):
            parts.append(classifier.logits(texts[start : start + TEXTS_A_STEP]))
            task.advance(len(parts[-1]))
    return np.concatenate(parts), time.perf_counter() - started


def _latency(classifier: Classifier, split: Split, seconds: float, rows: TokenIds) -> proof.Check:
    alone = latency.measure_alone(classifier, split.texts)
    padding = padding_share([len(row) for row in rows], classifier.plan.max_batch_tokens)
    return proof.latency_check(
        latency.describe(alone, len(split), seconds, classifier.plan), padding
    )


def _peak(
    folder: Path, trained: Checkpoint, max_length: int, cascade: Cascade | None
) -> Peak | None:
    """The memory of a process that answers by the bundle's default plan."""
    names = [MODEL, *([cascade.model] if cascade else [])]
    plan = Plan(num_threads=1)
    return measure_peak(
        [(folder / name, plan) for name in names], max_length, trained.tokenizer.pad_id
    )


def _make_variants(
    config: Config,
    task: Task,
    folder: Path,
    trained: Checkpoint,
    splits: Path,
    split: Split,
    rows: TokenIds,
    logits: NDArray[np.float32],
    calibrated: Calibration,
) -> VariantSet:
    def answers(logits: NDArray[np.float32]) -> Answers:
        probabilities = task.probabilities(logits, calibrated.temperature)
        given = task.decide(probabilities, calibrated.thresholds)
        return Answers(logits, probabilities, given)

    gate = Gate(
        labels=task.applies(split.labels, len(split.label_names)),
        label_names=split.label_names,
        task=task,
        reference=answers(logits),
        margin=config.export.max_accuracy_drop / 100,
        tolerance=config.export.parity_tolerance,
        min_precision=calibrated.min_precision,
        settings=config.evaluate,
    )
    texts = read_split(splits, "train").texts
    chosen = np.linspace(
        0, len(texts) - 1, min(config.export.calibration_rows, len(texts)), dtype=int
    )
    learned = trained.tokenizer.encode([texts[i] for i in chosen])
    lengths = np.bincount([len(row) for row in rows])
    trial = VariantTrial(
        folder,
        trained.tokenizer,
        gate,
        rows,
        [encoding.ids for encoding in learned],
        synthetic_rows(lengths, trained.tokenizer.vocab_size, FINGERPRINT_ROWS),
        answers,
        config.predict.num_threads,
    )
    return trial.make(config.export.variants)

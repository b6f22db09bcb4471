"""What each stage has written, in short: its folder and the figures that one looks at first.

All other figures are in the JSON files of the folder.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linnet import bundle
from linnet.data import read_card


@dataclass(frozen=True)
class Splits:
    """What `prepare` has written.

    Attributes:
        path: The splits folder.
        page: The data card, for a browser.
        labels: Names of the labels, in the order of their ids.
        rows: Number of rows of each split.
        dropped: Number of rows that are in no split, for each reason.
        notes: Sentences about the data that deserve a look.
    """

    path: Path
    page: Path
    labels: tuple[str, ...]
    rows: Mapping[str, int]
    dropped: Mapping[str, int]
    notes: tuple[str, ...]

    @classmethod
    def read(cls, path: Path) -> "Splits":
        """Read a splits folder.

        Raises:
            DataError: The folder holds no data card.
        """
        card = read_card(path)
        return cls(
            path=path,
            page=path / "data_card.html",
            labels=tuple(card["labels"]),
            rows=card["accounting"]["used"],
            dropped=card["accounting"]["dropped"],
            notes=tuple(card["notes"]),
        )


@dataclass(frozen=True)
class Checkpoint:
    """What `train` has written. The figures are those of the epoch that is kept.

    Attributes:
        path: The checkpoint folder, in Hugging Face layout.
        page: The curves of loss and accuracy, for a browser.
        best_epoch: The epoch that is kept, from 1.
        accuracy: On the validation split, from 0 to 1.
        f1: On the validation split: macro-F1, or micro-F1 of multi-label texts.
        loss: On the validation split, in nats per text.
        seconds: How long training took.
        stop_reason: Why training ended.
        encoder_note: Why another encoder than the first choice was taken; empty if it was not.
    """

    path: Path
    page: Path
    best_epoch: int
    accuracy: float
    f1: float
    loss: float
    seconds: float
    stop_reason: str
    encoder_note: str

    @classmethod
    def read(cls, path: Path) -> "Checkpoint":
        """Read a checkpoint folder that Linnet has trained."""
        record = _json(path / "training.json")
        best = record["history"][record["best_epoch"] - 1]
        return cls(
            path=path,
            page=path / "training.html",
            best_epoch=record["best_epoch"],
            accuracy=best["eval_accuracy"],
            f1=best["eval_f1"],
            loss=best["eval_loss"],
            seconds=record["train_runtime"],
            stop_reason=record["stop_reason"],
            encoder_note=record["encoder_note"],
        )


@dataclass(frozen=True)
class Bundle:
    """What `export` has written. `linnet.load(bundle.path)` loads it.

    Attributes:
        path: The bundle's folder.
        digest: SHA-256 of the manifest's content, which names the bundle.
        checks: The checks of the proof, each with the sentence that says how it was passed.
        variants: The precisions that it holds: "fp32", and others such as "int8-dynamic".
    """

    path: Path
    digest: str
    checks: Mapping[str, str]
    variants: tuple[str, ...]

    @classmethod
    def read(cls, path: Path) -> "Bundle":
        """Read a bundle.

        Raises:
            BundleError: The folder holds no bundle, or one of another format.
        """
        found = bundle.Bundle.read(path)
        checks = found.proof["checks"]
        variants = found.proof.get("variants", [])
        return cls(
            path=path,
            digest=found.digest,
            checks={name: check["detail"] for name, check in checks.items()},
            variants=tuple(entry["variant"] for entry in variants if entry["accepted"]),
        )


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval, at the level of `evaluate.confidence_level`.

    Attributes:
        value: The figure, from 0 to 1.
        low: The lower end of its interval.
        high: The upper end of its interval.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Report:
    """What `evaluate` has written.

    Attributes:
        path: The report's folder.
        page: The report, for a browser.
        split: The split that the bundle was judged on.
        rows: Number of rows that were judged.
        metric: What `score` is: "accuracy", or "micro_f1" of multi-label texts.
        score: The main figure.
        macro_f1: The mean of the labels' F1.
        beats_baseline: Whether the bundle is shown to be better than its baseline.
        verdict: The same, in a sentence.
        advice: Sentences about what to change, if it does not beat its baseline.
    """

    path: Path
    page: Path
    split: str
    rows: int
    metric: str
    score: Estimate
    macro_f1: Estimate
    beats_baseline: bool
    verdict: str
    advice: tuple[str, ...]

    @classmethod
    def read(cls, path: Path) -> "Report":
        """Read a report's folder."""
        report = _json(path / "report.json")
        metric = "micro_f1" if "micro_f1" in report else "accuracy"
        return cls(
            path=path,
            page=path / "report.html",
            split=report["split"],
            rows=report["rows"],
            metric=metric,
            score=_estimate(report[metric]),
            macro_f1=_estimate(report["macro_f1"]),
            beats_baseline=report["beats_baseline"] is True,
            verdict=report["verdict"],
            advice=tuple(item["sentence"] for item in report["diagnosis"]),
        )


@dataclass(frozen=True)
class Run:
    """What `run` has written.

    Attributes:
        path: The run's folder.
        splits: What `prepare` has written.
        checkpoint: What `train` has written.
        bundle: What `export` has written.
        report: What `evaluate` has written.
    """

    path: Path
    splits: Splits
    checkpoint: Checkpoint
    bundle: Bundle
    report: Report

    @classmethod
    def read(cls, path: Path) -> "Run":
        """Read the folder of a finished run.

        Raises:
            DataError: The folder holds no splits.
            BundleError: The folder holds no bundle.
        """
        return cls(
            path=path,
            splits=Splits.read(path / "splits"),
            checkpoint=Checkpoint.read(path / "checkpoint"),
            bundle=Bundle.read(path / "bundle"),
            report=Report.read(path / "report"),
        )


def _json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _estimate(figure: Mapping[str, Any]) -> Estimate:
    return Estimate(figure["value"], figure["low"], figure["high"])

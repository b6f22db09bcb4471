"""A smaller model in front of the full one: the confidence it needs, its cost and its gain.

The texts are taken from those that the smaller model is surest of, and ever more of them are left
to it; each number of them stands for the hypothesis "this costs the margin or more", which the
largest drop of accuracy that the rows don't rule out rejects or not. The first number that can't be
rejected ends it, so that no allowance for many tests is due (fixed sequence testing: Angelopoulos
et al. 2021, Learn then Test). As the gate, it lets a cascade that costs the margin or more pass in
at most 5 of 100 exports, at a confidence of 95 %.
"""

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from linnet.bundle import Bundle, Cascade
from linnet.config import Config
from linnet.data import Split
from linnet.errors import LabelError, UsageError
from linnet.evaluate.intervals import Agreement, largest_drop
from linnet.export import proof
from linnet.export.model_file import write_model
from linnet.predict import Classifier
from linnet.predict.plan import Choice, Plan
from linnet.predict.stages import confidence

MODEL = "fast.onnx"
TOKENIZER = "fast.json"
STEPS = 100  # of the ladder, each a hundredth of the rows
TEXTS_TIMED = 2000
ROUNDS = 5

Score = Callable[[Classifier, Sequence[str]], tuple[NDArray[np.float32], float]]


@dataclass(frozen=True)
class FinishedRun:
    """Where the smaller model is sure.

    Attributes:
        threshold: The probability from which on it is.
        share: Of the rows, those that it answers.
        drop: Accuracy that this costs on the rows, as a share.
        limit: The largest drop that the rows don't rule out.
    """

    threshold: float
    share: float
    drop: float
    limit: float


def fit(
    sure: NDArray[np.float64],
    fast_right: NDArray[np.bool_],
    full_right: NDArray[np.bool_],
    margin: float,
    confidence_level: float,
) -> FinishedRun | None:
    """The lowest threshold that is shown to cost less than the margin; None if there is none.

    Args:
        sure: The smaller model's largest probability for each row, (n,).
        fast_right: Whether it is right, (n,).
        full_right: Whether the full one is, (n,).
        margin: The drop of accuracy, as a share, that must be ruled out.
        confidence_level: How surely.
    """
    order = np.argsort(-sure, kind="stable")
    best = None
    for count in np.unique(np.ceil(np.linspace(0, len(sure), STEPS + 1)[1:]).astype(int)).tolist():
        threshold = float(sure[order[count - 1]])
        left = sure >= threshold
        agreement = Agreement.count(full_right, np.where(left, fast_right, full_right))
        limit = largest_drop(agreement, confidence_level)
        if limit >= margin:
            break
        drop = (agreement.only_first - agreement.only_second) / len(sure)
        best = FinishedRun(threshold, float(left.mean()), drop, limit)
    return best


def check_fast(fast: Bundle, split: Split, min_precision: float) -> None:
    """See that a bundle can be asked first.

    Raises:
        LabelError: Its labels are not those of the rows, or one of them is multi-label.
        UsageError: Answers are held back for a precision, its texts are masked otherwise, or it is
            a cascade itself.
    """
    manifest = fast.manifest
    if split.multi_label or manifest.multi_label:
        raise LabelError(
            "A cascade is of models for one label a text; export one with several labels without "
            "it."
        )
    if manifest.labels != split.label_names:
        raise LabelError(
            f"The labels of {fast.path} are {', '.join(manifest.labels)}; those of the splits are "
            f"{', '.join(split.label_names)}. Expected the same in the same order."
        )
    if set(manifest.mask) != set(split.mask):
        raise UsageError(
            f"{fast.path} masks {', '.join(manifest.mask) or 'nothing'} in its texts, the splits "
            f"{', '.join(split.mask) or 'nothing'}. Both models are to read the same: train the "
            f"smaller one so."
        )
    if min_precision or manifest.min_precision:
        raise UsageError(
            "A cascade answers every text: export both models without export.min_precision."
        )
    if manifest.cascade:
        raise UsageError(f"{fast.path} is a cascade itself. Give the bundle of a single model.")


class CascadeBuilder:
    """The smaller model, and what comes of asking it first.

    Args:
        config: Its `export`, `predict` and `evaluate` sections are used.
        split: The validation rows.

    Attributes:
        answers: Which rows the smaller model answers, bool (n,), as `judge` found.

    Raises:
        BundleError: The smaller model's bundle can't be used.
        ProofError: Its proof is missing or failed.
        LabelError: As `check_fast`.
        UsageError: As `check_fast`.
    """

    def __init__(self, config: Config, split: Split):
        self._config = config
        self._split = split
        self.answers = np.zeros(len(split), np.bool_)
        fast = Bundle.read(config.export.cascade).verify()
        check_fast(fast, split, config.export.min_precision)
        plan = Plan(num_threads=config.predict.num_threads)
        self._classifier = Classifier(fast, Choice(plan, "as it is proven"))

    def judge(
        self, full: NDArray[np.float32], temperature: float, score: Score
    ) -> tuple[Cascade, dict[str, Any]]:
        """Find out when the smaller model is sure.

        Args:
            full: The full model's logits of the rows, (n, C).
            temperature: The full model's.
            score: Gives a classifier's logits of texts, and the seconds that it took.

        Returns:
            What the manifest says, and the check for proof.json.

        Raises:
            ProofError: No text can be left to the smaller model at the accuracy that may be lost.
        """
        manifest = self._classifier.bundle.manifest
        labels = self._split.labels
        logits, _ = score(self._classifier, self._split.texts)
        sure = confidence(logits, manifest.temperature)
        margin = self._config.export.max_accuracy_drop / 100
        level = self._config.evaluate.confidence_level
        fitted = fit(
            sure, logits.argmax(axis=1) == labels, full.argmax(axis=1) == labels, margin, level
        )
        check = proof.require("cascade", _check(fitted, manifest.name, len(labels), margin, level))
        assert fitted  # or the check would not have passed
        self.answers = np.asarray(sure >= fitted.threshold)
        cascade = Cascade(
            name=manifest.name,
            digest=manifest.digest,
            model=MODEL,
            tokenizer=TOKENIZER,
            max_length=manifest.max_length,
            temperature=manifest.temperature,
            threshold=fitted.threshold,
            scale=temperature / manifest.temperature,
        )
        return cascade, check

    def copy(self, folder: Path) -> None:
        """Put the smaller model into the bundle that is being made."""
        write_model(onnx.load(self._classifier.bundle.model_path()), folder / MODEL)
        shutil.copyfile(self._classifier.bundle.tokenizer_path, folder / TOKENIZER)

    def compare(self, full: Classifier, cascade: Classifier, detail: str) -> dict[str, Any]:
        """How many times as fast a list is answered by the cascade as by the full model:

        the median of some turns.
        """
        texts = self._split.texts[:TEXTS_TIMED]
        ratios = []
        for _ in range(ROUNDS):
            seconds = []
            for classifier in (full, cascade):
                started = time.perf_counter()
                classifier.logits(texts)
                seconds.append(time.perf_counter() - started)
            ratios.append(seconds[0] / seconds[1])
        times = median(ratios)
        return {
            "speed_up": times,
            "detail": f"{detail}; a list is answered {times:.1f} times as fast",
        }


def _check(
    fitted: FinishedRun | None, name: str, rows: int, margin: float, confidence_level: float
) -> dict[str, Any]:
    allowed = f"{100 * margin:g} points at {confidence_level:.0%} confidence"
    asked = {
        "passed": fitted is not None,
        "margin": margin,
        "confidence_level": confidence_level,
        "rows": rows,
    }
    if fitted is None:
        return asked | {
            "detail": f"{rows:,} validation rows don't show of any text that leaving it to {name} "
            f"costs less than "
            f"{allowed}"
        }
    return asked | {
        "threshold": fitted.threshold,
        "share": fitted.share,
        "accuracy_drop": {"value": fitted.drop, "limit": fitted.limit},
        "detail": f"{name} answers {fitted.share:.1%} of the {rows:,} validation rows, "
        f"{100 * fitted.drop:+.2f} points "
        f"of accuracy lost, at most {100 * fitted.limit:.2f} (allowed: {allowed})",
    }

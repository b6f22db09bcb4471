"""What the validation rows decide: temperature, thresholds, and whether the model passes.

The rows are scored once; everything here follows from their logits, and so agrees with what will be
served.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linnet.config import Config, EvaluateConfig
from linnet.data import Split
from linnet.evaluate import selective, thresholds
from linnet.evaluate.temperature import choose
from linnet.export import proof
from linnet.predict import Task, task_of


@dataclass(frozen=True)
class Calibration:
    """What goes into the bundle.

    Attributes:
        temperature: What logits are divided by; 1 if nothing better was found.
        min_precision: The precision that each label's answers were asked to reach, if any.
        thresholds: The probability from which on each label is given, as in manifest.json.
        checks: As in proof.json; all have passed.
        probabilities: What will be answered to the rows, float (n, C).
        predictions: Which labels they will be given, bool (n, C).
        cross_predictions: Which labels they would be given by thresholds chosen on other rows,
            bool (n, C). How often these are right flatters nobody.
    """

    temperature: float
    min_precision: float | None
    thresholds: list[float | None] | None
    checks: dict[str, proof.Check]
    probabilities: NDArray[np.float64]
    predictions: NDArray[np.bool_]
    cross_predictions: NDArray[np.bool_]


def calibrate(config: Config, logits: NDArray[np.float32], split: Split) -> Calibration:
    """Choose the temperature and the thresholds, and check what they lead to.

    Args:
        config: Its `export` section, and from `evaluate` the confidence level, the number of bins,
            and the resamples and seed of a bootstrap.
        logits: What the graph answered to the rows, (n, C).
        split: The rows.

    Raises:
        ProofError: A check failed; the message names it.
    """
    settings = config.evaluate
    task = task_of(split.multi_label)
    temperature = choose(logits, split.labels, settings.seed) if config.export.calibrate else None
    value = 1.0 if temperature is None else temperature.value
    probabilities = task.probabilities(logits, value)
    checks = {
        "accuracy": proof.require("accuracy", _accuracy(settings, probabilities, split)),
        "calibration": proof.calibration_check(
            logits, split.labels, temperature, settings.calibration_bins
        ),
    }
    applies = task.applies(split.labels, len(split.label_names))
    precise = config.export.min_precision or None
    chosen = _thresholds(probabilities, applies, task, precise, settings.confidence_level)
    predictions = task.decide(probabilities, chosen)
    if precise is not None and chosen is not None:
        check = proof.precision_check(
            applies, predictions, split.label_names, chosen, task, precise, settings
        )
        checks["precision"] = proof.require("precision", check)

    def decide_by(others: NDArray[np.bool_], rows: NDArray[np.bool_]) -> NDArray[np.bool_]:
        found = _thresholds(
            probabilities[others], applies[others], task, precise, settings.confidence_level
        )
        return task.decide(probabilities[rows], _completed(found, chosen))

    crossed = predictions if chosen is None else _cross_decide(decide_by, predictions)
    return Calibration(value, precise, chosen, checks, probabilities, predictions, crossed)


def _cross_decide(
    decide_by: Callable[[NDArray[np.bool_], NDArray[np.bool_]], NDArray[np.bool_]],
    predictions: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    fold = np.arange(len(predictions)) % thresholds.FOLDS
    crossed = predictions.copy()
    for k in range(thresholds.FOLDS if len(predictions) >= thresholds.FOLDS else 0):
        crossed[fold == k] = decide_by(fold != k, fold == k)
    return crossed


def _completed(
    found: list[float | None] | None, chosen: list[float | None] | None
) -> list[float | None] | None:
    """Thresholds of fewer rows; where these show none for a label, that of all rows."""
    if found is None or chosen is None:
        return chosen
    return [chosen[k] if value is None else value for k, value in enumerate(found)]


def _thresholds(
    probabilities: NDArray[np.float64],
    labels: NDArray[np.bool_],
    task: Task,
    min_precision: float | None,
    confidence_level: float,
) -> list[float | None] | None:
    if min_precision is not None:
        return selective.choose(probabilities, labels, task, min_precision, confidence_level)
    return thresholds.tune(probabilities, labels).tolist() if task.multi_label else None


def _accuracy(
    settings: EvaluateConfig, probabilities: NDArray[np.float64], split: Split
) -> proof.Check:
    if not split.multi_label:
        return proof.accuracy_check(
            split.labels, probabilities.argmax(axis=1), split.label_names, settings.confidence_level
        )
    decided = thresholds.cross_decide(probabilities, split.labels)
    return proof.multi_label_check(
        split.labels,
        decided,
        split.label_names,
        settings.confidence_level,
        settings.bootstrap_resamples,
        settings.seed,
    )

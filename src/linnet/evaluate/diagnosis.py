"""Why a model does not beat its baseline, and what to change.

It knows the record of training and the report alone.

Each reason is looked for by itself. Knows nothing of files or models.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from linnet.evaluate.selective import listed

UNDERCONFIDENT = 0.75  # temperature below which the logits had to be spread a lot
FEW_ROWS = 30  # train rows of a class
RARE_SHOWN = 5
MUCH_UNKNOWN = 0.05  # share of the judged texts' tokens
MUCH_TRUNCATED = 0.1  # share of the judged texts
OVERFITTED = 1.1  # last validation loss by the lowest
UNLEARNED = 0.98  # lowest validation loss by that of the labels' shares
SMALL_ENCODERS = {"built-in", "scratch"}
LOW_RATE = 1e-4  # of these


@dataclass(frozen=True)
class Symptoms:
    """What reasons are looked for in.

    Attributes:
        report: report.json but for the diagnosis.
        training: The bundle's lineage: `settings`, `history` and `encoder` of the training run,
            each None where the model was trained elsewhere.
        max_length: Tokens that the model reads.
    """

    report: Mapping[str, Any]
    training: Mapping[str, Any]
    max_length: int

    @property
    def recipe(self) -> Mapping[str, Any]:
        """The section `[train]` of the training run; empty where it is not known."""
        return (self.training.get("settings") or {}).get("train") or {}

    @property
    def history(self) -> Sequence[Mapping[str, Any]]:
        """The epochs."""
        return self.training.get("history") or []

    def now(self, name: str) -> str:
        """The name of a setting of `[train]`, with its value where it is known."""
        value = self.recipe.get(name)
        shown = f"{value:g}" if isinstance(value, float) else value
        return f"train.{name}" if value is None else f"train.{name} (now {shown})"


def diagnose(symptoms: Symptoms) -> list[dict[str, str]]:
    """Reasons why a model is not shown to beat its baseline.

    Returns:
        `reason`, a name for programs, and `sentence`, which says what to change. Empty of a model
        that beats its baseline; else at least one.
    """
    if symptoms.report["beats_baseline"]:
        return []
    findings = [
        {"reason": name, "sentence": sentence}
        for name, look in REASONS.items()
        if (sentence := look(symptoms))
    ]
    return findings or [{"reason": "unknown", "sentence": UNKNOWN}]


UNKNOWN = (
    "No usual reason was found. Try another encoder (model.name_or_path), search for a better "
    "recipe (linnet tune), or add labelled rows."
)


def _low_rate(symptoms: Symptoms) -> str:
    source = (symptoms.training.get("encoder") or {}).get("source")
    rate = symptoms.recipe.get("learning_rate")
    if source not in SMALL_ENCODERS or not isinstance(rate, float) or rate >= LOW_RATE:
        return ""
    return (
        f"A small encoder learns little at a learning rate of {rate:g}. "
        'Set train.learning_rate = "auto", which takes the encoder\'s own.'
    )


def _still_improving(symptoms: Symptoms) -> str:
    history = symptoms.history
    raise_them = f"Raise {symptoms.now('num_train_epochs')} or {symptoms.now('learning_rate')}."
    if len(history) == 1:
        return f"Training lasted one epoch, so it may have ended too early. {raise_them}"
    if len(history) < 2:
        return ""
    last = history[-1]
    former = history[-2]
    if last["eval_loss"] >= former["eval_loss"]:
        return ""
    metric = symptoms.recipe.get("metric_for_best_model", "eval_accuracy")
    best = (min if metric == "eval_loss" else max)(history, key=lambda epoch: epoch[metric])
    if best is not last:
        return ""
    return f"The model was still improving in its last epoch, {len(history)}. {raise_them}"


def _unlearned(symptoms: Symptoms) -> str:
    counts = [count for count in symptoms.report["train_rows"].values() if count]
    if not symptoms.history or "micro_f1" in symptoms.report or len(counts) < 2:
        return ""
    total = sum(counts)
    shares = -sum(count / total * math.log(count / total) for count in counts)
    lowest = min(epoch["eval_loss"] for epoch in symptoms.history)
    if lowest < UNLEARNED * shares:
        return ""
    return (
        f"The validation loss never fell below {lowest:.2f}, which guessing by the labels' shares "
        f"reaches ({shares:.2f}): the model learned next to nothing. "
        f'Change {symptoms.now("learning_rate")}, or set it to "auto".'
    )


def _overfitted(symptoms: Symptoms) -> str:
    losses = [epoch["eval_loss"] for epoch in symptoms.history]
    if len(losses) < 2 or losses[-1] < OVERFITTED * min(losses):
        return ""
    lowest = losses.index(min(losses)) + 1
    return (
        f"The validation loss rose after epoch {lowest}: the model learned its training rows by "
        f"heart. Add labelled rows, or lower {symptoms.now('learning_rate')}."
    )


def _underconfident(symptoms: Symptoms) -> str:
    temperature = symptoms.report["model"]["temperature"]
    if temperature >= UNDERCONFIDENT:
        return ""
    return (
        f"Its probabilities were too even: the temperature is {temperature:.2f}, far below 1, as "
        f"of a model that was trained too little. Raise {symptoms.now('num_train_epochs')} or "
        f"{symptoms.now('learning_rate')}."
    )


def _few_rows(symptoms: Symptoms) -> str:
    rows = symptoms.report["train_rows"]
    rare = sorted(
        (label for label, count in rows.items() if count < FEW_ROWS), key=lambda label: rows[label]
    )
    if not rare:
        return ""
    shown = ", ".join(f"{label!r}: {rows[label]:,}" for label in rare[:RARE_SHOWN])
    more = f" and {len(rare) - RARE_SHOWN} more" if len(rare) > RARE_SHOWN else ""
    return (
        f"{len(rare)} of {len(rows)} labels have fewer than {FEW_ROWS} rows to train on "
        f"({shown}{more}). Label more rows of them, or leave them out: data.min_class_rows."
    )


def _unknown_tokens(symptoms: Symptoms) -> str:
    share = symptoms.report["unknown"]["share"]
    if share < MUCH_UNKNOWN:
        return ""
    return (
        f"{share:.1%} of the texts' tokens are unknown to the encoder, so it can't read them. "
        f"Take an "
        'encoder for this language or script (model.name_or_path), or "scratch", which learns a '
        "vocabulary from the training texts."
    )


def _never_predicted(symptoms: Symptoms) -> str:
    rows = symptoms.report["train_rows"]
    never = [
        item["label"]
        for item in symptoms.report["per_class"]
        if item["support"] and not item["predicted"]
    ]
    if not never:
        return ""
    counts = ", ".join(f"{rows.get(label, 0):,}" for label in never[:3])
    return (
        f"{len(never)} of {len(rows)} labels were never predicted: {listed(never)}, with {counts} "
        f"rows "
        'to train on. Set train.class_weight = "balanced", or label more rows of them.'
    )


def _truncated(symptoms: Symptoms) -> str:
    share = symptoms.report["truncated"]["share"]
    if share < MUCH_TRUNCATED:
        return ""
    return (
        f"{share:.1%} of the texts are longer than the {symptoms.max_length:,} tokens that the "
        "model reads, so their ends were cut off. Raise model.max_length."
    )


def _few_judged(symptoms: Symptoms) -> str:
    gap = symptoms.report["baselines"][-1]["difference"]
    if gap["value"] <= 0:
        return ""
    return (
        f"It is ahead of the baseline, but {symptoms.report['rows']:,} rows can't show that it is "
        "not by chance. Judge on more rows: raise data.test_size or set evaluate.sample = 0."
    )


REASONS = {
    "low_learning_rate": _low_rate,
    "still_improving": _still_improving,
    "unlearned": _unlearned,
    "underconfident": _underconfident,
    "overfitted": _overfitted,
    "never_predicted": _never_predicted,
    "few_rows": _few_rows,
    "unknown_tokens": _unknown_tokens,
    "truncated": _truncated,
    "few_judged_rows": _few_judged,
}

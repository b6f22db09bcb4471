"""The gate lets pass what costs little, refuses what can't show it, and is wrong no more often than it says."""

from typing import Any

import numpy as np
import pytest

from linnet.config import load_config
from linnet.errors import DataError
from linnet.export.gate import Answers, Gate
from linnet.predict import MultiLabel, SingleLabel, softmax

LABELS = ["negative", "positive"]


def answers(logits: np.ndarray, thresholds: list[float] | None = None) -> Answers:
    probabilities = softmax(logits)
    return Answers(logits, probabilities, SingleLabel().decide(probabilities, thresholds))


def make_logits(draw: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits of two labels that are right in some 85 of 100 rows, and the labels that apply."""
    truth = draw.integers(2, size=rows)
    margin = draw.normal(2.0, 2.0, rows) * np.where(truth == 1, 1, -1)
    return np.stack([-margin / 2, margin / 2], axis=1).astype(np.float32), truth[
        :, None
    ] == np.arange(2)


def make_gate(logits: np.ndarray, labels: np.ndarray, **changes: Any) -> Gate:
    given = {
        "labels": labels,
        "label_names": LABELS,
        "task": SingleLabel(),
        "reference": answers(logits),
        "margin": 0.002,
        "tolerance": 1e-3,
        "min_precision": None,
        "settings": load_config().evaluate,
    }
    return Gate(**given | changes)


def flipped(logits: np.ndarray, rows: np.ndarray) -> np.ndarray:
    changed = logits.copy()
    changed[rows] = changed[rows, ::-1]
    return changed


def test_equal_logits_pass_however_few_the_rows():
    logits, labels = make_logits(np.random.default_rng(0), 10)
    entry = make_gate(logits, labels).judge(answers(logits + np.float32(5e-4)))
    assert entry["accepted"] is True
    assert entry["reason"].startswith("equals float32, its logits up to 0.0005")
    assert entry["label_agreement"] == 1.0


def test_a_variant_that_loses_nothing_passes_with_rows_enough():
    logits, labels = make_logits(np.random.default_rng(1), 4_000)
    entry = make_gate(logits, labels).judge(answers(logits * 1.1))
    assert entry["accepted"] is True
    assert entry["accuracy_drop"]["value"] == 0 < entry["accuracy_drop"]["limit"] < 0.002
    assert (
        entry["reason"]
        == "+0.00 points of accuracy lost on 4,000 validation rows, at most 0.09 at 95% confidence"
    )


def test_a_variant_that_loses_much_is_refused_and_no_rows_would_help():
    logits, labels = make_logits(np.random.default_rng(2), 4_000)
    right = np.flatnonzero(labels[np.arange(4_000), logits.argmax(axis=1)])
    entry = make_gate(logits, labels).judge(answers(flipped(logits, right[:200])))
    assert entry["accepted"] is False
    assert entry["accuracy_drop"]["value"] == pytest.approx(0.05)
    assert entry["rows_to_show"] is None
    assert "not shown to be under 0.2; no number of rows would, at this loss" in entry["reason"]
    assert entry["label_agreement"] == 0.95
    lost = sum(
        (one["recall"] - one["recall_variant"]) * one["support"] for one in entry["per_class"]
    )
    assert lost == pytest.approx(200)
    assert [one["label"] for one in entry["per_class"]] == LABELS


def test_few_rows_are_told_how_many_it_takes():
    logits, labels = make_logits(np.random.default_rng(3), 2_000)
    correct = labels[np.arange(2_000), logits.argmax(axis=1)]
    rows = np.concatenate([np.flatnonzero(correct)[:8], np.flatnonzero(~correct)[:8]])
    entry = make_gate(logits, labels).judge(answers(flipped(logits, rows)))
    assert entry["accepted"] is False
    assert entry["accuracy_drop"]["value"] == 0
    assert 4_000 < entry["rows_to_show"] < 8_000
    assert f"it would take about {entry['rows_to_show']:,} rows like these" in entry["reason"]


def test_too_few_rows_to_show_anything():
    logits, labels = make_logits(np.random.default_rng(4), 1_815)
    with pytest.raises(
        DataError,
        match=r"1,815 validation rows can't show .* less than 0\.2 points .* at least 1,816",
    ):
        make_gate(logits, labels).check_rows()
    make_gate(*make_logits(np.random.default_rng(4), 1_816)).check_rows()


@pytest.mark.parametrize(
    ("lost", "won", "rows"), [(0.002, 0.0, 2_000), (0.012, 0.01, 2_000), (0.007, 0.005, 10_000)]
)
def test_a_variant_that_costs_the_margin_passes_in_at_most_five_percent(lost, won, rows):
    draw = np.random.default_rng(5)
    passed, rounds = 0, 400
    for _ in range(rounds):
        logits, labels = make_logits(draw, rows)
        correct = labels[np.arange(rows), logits.argmax(axis=1)]
        chance = draw.random(rows)
        share = correct.mean()
        changed = np.flatnonzero(
            np.where(correct, chance < lost / share, chance < won / (1 - share))
        )
        passed += make_gate(logits, labels).judge(answers(flipped(logits, changed)))["accepted"]
    assert passed / rounds <= 0.05 + 3 * (0.05 * 0.95 / rounds) ** 0.5


def test_the_disagreement_that_is_allowed_mostly_passes():
    draw = np.random.default_rng(6)
    passed = 0
    for _ in range(200):
        logits, labels = make_logits(draw, 20_000)
        gate = make_gate(logits, labels)
        correct = labels[np.arange(20_000), logits.argmax(axis=1)]
        share = np.where(correct, correct.mean(), 1 - correct.mean())
        changed = np.flatnonzero(draw.random(20_000) < gate.allowed_disagreement() / 2 / share)
        passed += gate.judge(answers(flipped(logits, changed)))["accepted"]
    assert passed / 200 > 0.6


def test_a_precision_that_was_asked_for_must_be_shown_again():
    logits, labels = make_logits(np.random.default_rng(7), 3_000)
    gate = make_gate(
        logits, labels, min_precision=0.9, margin=0.5, reference=answers(logits, [0.8, 0.8])
    )
    assert gate.judge(answers(logits * 1.01, [0.8, 0.8]))["accepted"] is True
    entry = gate.judge(answers(logits * 100, [0.8, 0.8]))  # now sure of everything
    assert entry["accepted"] is False
    assert (
        entry["reason"] == "its answers 'negative', 'positive' are not shown to be right in 90.00%"
    )


def test_with_any_number_of_labels_all_of_a_text_count():
    draw = np.random.default_rng(8)
    labels = draw.random((4_000, 3)) < 0.3
    logits = np.where(labels, 3.0, -3.0).astype(np.float32)
    probabilities = 1 / (1 + np.exp(-logits.astype(np.float64)))
    exact = Answers(logits, probabilities, labels)
    changed = labels.copy()
    changed[:400, 1] ^= True
    gate = make_gate(
        logits, labels, label_names=["a", "b", "c"], task=MultiLabel(), reference=exact
    )
    entry = gate.judge(Answers(logits + np.float32(1), probabilities, changed))
    assert entry["accepted"] is False
    assert entry["accuracy_drop"]["value"] == 0.1
    assert entry["label_agreement"] == 0.9
    assert [one["recall"] for one in entry["per_class"]] == [1, 1, 1]
    assert entry["per_class"][1]["recall_variant"] < 1 == entry["per_class"][0]["recall_variant"]

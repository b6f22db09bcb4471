"""Plots of the sizes and labels that real data bring."""

import numpy as np
import pytest

from linnet.evaluate import plots
from linnet.evaluate.calibration import reliability_bins


@pytest.mark.parametrize("size", [2, 5, 30, 77])
def test_confusion_of_few_and_of_many_labels(size):
    labels = [f"label {k}" for k in range(size)]
    drawing = plots.confusion(np.diag(np.arange(size)) + 1, labels)
    assert (">label 0<" in drawing) == (size <= plots.TICKS) == bool(drawing)
    assert len(drawing) < 200_000


def test_labels_of_any_text_are_drawn_as_they_are():
    drawing = plots.confusion(np.eye(4, dtype=int), ["$5 or $6", "<b>", "好", "x" * 300])
    assert "$5 or $6" in drawing
    assert "&lt;b&gt;" in drawing
    assert "好" in drawing
    assert "x" * 30 not in drawing


def test_a_label_without_rows_has_no_share():
    assert plots.confusion(np.array([[3, 1], [0, 0]]), ["a", "b"]).count(">75\u00a0%<") == 1


def test_a_model_that_is_always_certain_can_be_drawn():
    confidence, correct = np.ones(10), np.ones(10, dtype=bool)
    assert plots.probabilities(confidence, correct).startswith("<svg")
    assert plots.reliability(reliability_bins(confidence, correct, 15, 0.95)).startswith("<svg")


def test_the_comparison_names_each_model_with_its_accuracy():
    figures = {"value": 0.8123, "low": 0.8, "high": 0.82}
    drawing = plots.comparison(
        [("this model", figures), ("majority class", {"value": 0.5, "low": 0.48, "high": 0.52})]
    )
    assert all(f">{text}<" in drawing for text in ("this model", "majority class", "81.2", "50.0"))


def test_a_history_of_one_epoch():
    row = {"epoch": 1, "train_loss": 0.5, "eval_loss": 0.4, "eval_accuracy": 0.8}
    assert ">validation accuracy<" in plots.history([row])


def test_the_course_of_a_single_step():
    row = {"epoch": 1, "train_loss": 0.5, "eval_loss": 0.4, "eval_accuracy": 0.8}
    drawing = plots.course([{"step": 1, "loss": 0.5}], [row], 1)
    assert all(f">{words}<" in drawing for words in ("training loss", "validation loss", "step"))


def test_the_running_mean_keeps_a_line_and_calms_noise():
    line = np.arange(300.0)
    assert plots.running_mean(line)[10:-10] == pytest.approx(line[10:-10])
    assert np.abs(plots.running_mean(line) - line).max() == 5
    noise = np.random.default_rng(0).normal(size=300)
    assert plots.running_mean(noise).std() < noise.std() / 3
    assert plots.running_mean([0.5]) == pytest.approx([0.5])

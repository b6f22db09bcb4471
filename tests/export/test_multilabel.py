"""A multi-label checkpoint becomes a bundle that decides by tuned thresholds, and masks as its texts were."""

import json
import shutil

import numpy as np
import pytest

import linnet
from linnet.bundle import Bundle
from linnet.config import load_config
from linnet.data import read_split
from linnet.errors import DataError, LabelError
from linnet.evaluate.thresholds import tune
from linnet.export import export, proof, stage

CONFIG = load_config(overrides={"model.max_length": 64})


@pytest.fixture(scope="module")
def bundle(tone_bundle):
    return Bundle.read(tone_bundle).verify()


def test_the_manifest_says_how_to_decide(bundle, tone_splits):
    manifest = bundle.manifest
    split = read_split(tone_splits, "validation")
    assert manifest.problem_type == "multi_label_classification"
    probabilities = linnet.load(bundle.path).predict_proba(split.texts)
    assert manifest.thresholds == pytest.approx(tune(probabilities, split.labels), abs=1e-6)
    assert len(set(manifest.thresholds)) > 1
    assert manifest.mask == ("email", "handle")


def test_the_proof_is_about_sets_of_labels(bundle):
    checks = bundle.proof["checks"]
    assert checks["parity"]["label_agreement"] == 1.0
    accuracy = checks["accuracy"]
    assert accuracy["metric"] == "micro_f1"
    assert accuracy["interval"][0] < accuracy["value"] < accuracy["interval"][1]
    assert accuracy["best_constant"]["micro_f1"] < accuracy["interval"][0]
    assert accuracy["difference"]["low"] > 0
    assert "always answering 'praise'" in accuracy["detail"]
    assert 0 < checks["calibration"]["expected_calibration_error"] < 0.3


def test_the_reference_counts_each_label_for_itself(bundle, tone_splits):
    split = read_split(tone_splits, "validation")
    seen = bundle.reference
    assert [seen["true_labels"][name] for name in split.label_names] == pytest.approx(split.labels.mean(axis=0))
    answers = linnet.load(bundle.path).predict(split.texts)
    for label, share in seen["predicted_labels"].items():
        assert share == pytest.approx(np.mean([label in answer.labels for answer in answers]))
    right = [
        {split.label_names[k] for k in np.flatnonzero(row)} == set(answer.labels)
        for row, answer in zip(split.labels, answers, strict=True)
    ]
    assert seen["accuracy"] == pytest.approx(np.mean(right))


def test_the_card_says_so(bundle):
    text = (bundle.path / "README.md").read_text()
    assert "any number of 4 labels (praise, blame, weather, film)" in text
    assert f"praise {bundle.manifest.thresholds[0]:.2f}" in text
    assert "what looks like an e-mail address, a handle such as @name is replaced" in text


@pytest.fixture
def quick(monkeypatch, tone_bundle):
    """Takes the graph that is there instead of exporting it each time, which takes seconds."""
    monkeypatch.setattr(stage, "write_graph", lambda model, path, opset: shutil.copy(tone_bundle / "model.onnx", path))


@pytest.fixture
def copy(tone_checkpoint, tmp_path):
    return shutil.copytree(tone_checkpoint, tmp_path / "checkpoint")


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_one_label_a_text_is_another_problem(quick, copy, tone_splits, tmp_path):
    edit(copy / "config.json", problem_type="single_label_classification")
    with pytest.raises(LabelError, match=r"has any number of labels a text, but .* was trained on one label a text"):
        export(CONFIG, copy, tone_splits, tmp_path / "bundle")


@pytest.mark.parametrize("mask", [[], ["email"]])
def test_texts_masked_in_another_way_are_refused(quick, copy, tone_splits, tmp_path, mask):
    edit(copy / "training.json", mask=mask)
    with pytest.raises(DataError, match=f"trained with {'email' if mask else 'nothing'} masked"):
        export(CONFIG, copy, tone_splits, tmp_path / "bundle")


def test_a_checkpoint_without_a_record_masks_as_the_splits_are(quick, copy, tone_splits, tmp_path):
    (copy / "training.json").unlink()
    assert export(CONFIG, copy, tone_splits, tmp_path / "bundle").manifest.mask == ("email", "handle")


def test_answers_of_chance_pass_no_check():
    draw = np.random.default_rng(0)
    labels = draw.random((300, 4)) < 0.3
    noise = draw.random((300, 4)) < 0.3
    names = ["a", "b", "c", "d"]
    assert not proof.multi_label_check(labels, noise, names, 0.95, 500, 0)["passed"]
    assert not proof.multi_label_check(labels, np.zeros_like(labels), names, 0.95, 500, 0)["passed"]
    assert proof.multi_label_check(labels, labels ^ (draw.random((300, 4)) < 0.05), names, 0.95, 500, 0)["passed"]
    always = proof.multi_label_check(labels, np.ones_like(labels), names, 0.95, 500, 0)
    assert always["difference"]["value"] == 0 and not always["passed"]

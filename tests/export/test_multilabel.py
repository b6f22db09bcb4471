"""A multi-label checkpoint becomes a bundle that decides by tuned thresholds, and masks as its texts were."""

import json
import shutil

import numpy as np
import onnx
import pytest

import linnet
from linnet.bundle import Bundle
from linnet.config import load_config
from linnet.data import read_split
from linnet.errors import DataError, LabelError
from linnet.evaluate import evaluate
from linnet.evaluate.selective import listed
from linnet.evaluate.temperature import choose
from linnet.evaluate.thresholds import tune
from linnet.export import export, proof, stage
from linnet.export.model_file import write_model

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


def test_the_temperature_divides_each_logit(bundle, tone_splits):
    split = read_split(tone_splits, "validation")
    found = choose(linnet.load(bundle.path).logits(split.texts), split.labels, CONFIG.evaluate.seed)
    check = bundle.proof["checks"]["calibration"]
    assert (
        bundle.manifest.temperature == check["temperature"] == pytest.approx(found.value, abs=1e-3)
    )
    assert check["kind"] == "one-vs-rest"
    assert check["log_loss"] <= check["log_loss_before"]


def test_labels_are_given_as_precisely_as_asked(quick, tone_checkpoint, tone_splits, tmp_path):
    config = load_config(overrides={"model.max_length": 64, "export.min_precision": 0.8})
    made = export(config, tone_checkpoint, tone_splits, tmp_path / "bundle")
    check = made.proof["checks"]["precision"]
    thresholds = dict(zip(made.manifest.labels, made.manifest.thresholds, strict=True))
    never = [label for label, threshold in thresholds.items() if threshold is None]
    assert "film" in never == check["never"]  # a twelfth of 160 rows can't show it
    assert f"80.00% with a confidence of 95%: {listed(never)}. It takes" in check["notes"][0]
    split = read_split(tone_splits, "test")
    answers = linnet.load(made.path).predict(split.texts)
    for k, (label, threshold) in enumerate(thresholds.items()):
        own = [
            row for row, answer in zip(split.labels, answers, strict=True) if label in answer.labels
        ]
        assert threshold is None or np.mean([row[k] for row in own]) >= 0.8
    validation = linnet.load(made.path).predict(read_split(tone_splits, "validation").texts)
    for label, share in made.reference["predicted_labels"].items():
        assert share == pytest.approx(np.mean([label in answer.labels for answer in validation]))
    assert made.reference["abstained"] == 0.0
    report = evaluate(config, made.path, tone_splits, tmp_path / "report")
    assert report["selective"]["coverage"]["value"] == pytest.approx(
        np.mean([bool(a.labels) for a in answers])
    )
    assert report["per_class"][3]["threshold"] is None
    assert any(note.startswith("The model gives labels to") for note in report["notes"])
    page = (tmp_path / "report" / "report.html").read_text()
    assert "never" in page and "None" not in page


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
    assert [seen["true_labels"][name] for name in split.label_names] == pytest.approx(
        split.labels.mean(axis=0)
    )
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
    assert "any of 4 labels (praise, blame, weather, film)" in text
    assert f"praise {bundle.manifest.thresholds[0]:.2f}" in text
    assert "what looks like an e-mail address, a handle such as @name is replaced" in text


@pytest.fixture
def quick(monkeypatch, tone_bundle):
    """Takes the graph that is there instead of exporting it each time, which takes seconds."""
    graph = tone_bundle / "model.onnx"
    monkeypatch.setattr(
        stage, "write_graph", lambda model, path, opset: write_model(onnx.load(graph), path)
    )


@pytest.fixture
def copy(tone_checkpoint, tmp_path):
    return shutil.copytree(tone_checkpoint, tmp_path / "checkpoint")


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_one_label_a_text_is_another_problem(quick, copy, tone_splits, tmp_path):
    edit(copy / "config.json", problem_type="single_label_classification")
    with pytest.raises(
        LabelError, match=r"has several labels per text, but .* was trained on one label per text"
    ):
        export(CONFIG, copy, tone_splits, tmp_path / "bundle")


@pytest.mark.parametrize("mask", [[], ["email"]])
def test_texts_masked_in_another_way_are_refused(quick, copy, tone_splits, tmp_path, mask):
    edit(copy / "training.json", mask=mask)
    with pytest.raises(DataError, match=f"trained with {'email' if mask else 'nothing'} masked"):
        export(CONFIG, copy, tone_splits, tmp_path / "bundle")


def test_a_checkpoint_without_a_record_masks_as_the_splits_are(quick, copy, tone_splits, tmp_path):
    (copy / "training.json").unlink()
    assert export(CONFIG, copy, tone_splits, tmp_path / "bundle").manifest.mask == (
        "email",
        "handle",
    )


def test_answers_of_chance_pass_no_check():
    draw = np.random.default_rng(0)
    labels = draw.random((300, 4)) < 0.3
    noise = draw.random((300, 4)) < 0.3
    names = ["a", "b", "c", "d"]
    assert not proof.multi_label_check(labels, noise, names, 0.95, 500, 0)["passed"]
    assert not proof.multi_label_check(labels, np.zeros_like(labels), names, 0.95, 500, 0)["passed"]
    assert proof.multi_label_check(
        labels, labels ^ (draw.random((300, 4)) < 0.05), names, 0.95, 500, 0
    )["passed"]
    always = proof.multi_label_check(labels, np.ones_like(labels), names, 0.95, 500, 0)
    assert always["difference"]["value"] == 0 and not always["passed"]

"""A checkpoint becomes a bundle whose files tell the truth, or nothing is written."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow.parquet as pq
import pytest
from huggingface_hub import ModelCard
from onnx import numpy_helper
from transformers import AutoConfig

import linnet
from linnet.bundle import Bundle
from linnet.config import Config, load_config
from linnet.data import read_split
from linnet.errors import DataError, LabelError, ModelError, ProofError, UsageError
from linnet.evaluate.metrics import expected_calibration_error
from linnet.evaluate.temperature import choose, log_loss
from linnet.export import export, stage
from linnet.export.model_file import write_model
from linnet.files import digest
from linnet.predict import softmax


def settings(**overrides: Any) -> Config:
    return load_config(overrides={"model.max_length": 64, "run.name": "tiny", **overrides})


def test_the_bundle_is_whole_and_verified(bundle):
    graph = {"model.onnx", "model.onnx.data"}
    names = graph | {"tokenizer.json", "manifest.json", "proof.json", "reference.json", "README.md"}
    names |= {"config.json", "surprise.npy"}
    assert {file.name for file in bundle.iterdir()} == names
    assert Bundle.read(bundle).verify().manifest.models["fp32"] == "model.onnx"


def test_other_programs_find_a_config_without_what_is_private(bundle, checkpoint):
    config = json.loads((bundle / "config.json").read_text())
    own = json.loads((checkpoint / "config.json").read_text())
    same = ("model_type", "id2label", "label2id", "architectures", "dim", "vocab_size")
    assert {key: config[key] for key in same} == {key: own[key] for key in same}
    assert not {"_name_or_path", "auto_map"} & config.keys()
    assert str(checkpoint) not in (bundle / "config.json").read_text()
    loaded = AutoConfig.from_pretrained(bundle)
    assert (loaded.model_type, loaded.id2label) == ("distilbert", {0: "negative", 1: "positive"})
    assert "config.json" in Bundle.read(bundle).manifest.files


def test_the_model_card_has_metadata_that_the_hub_reads(bundle):
    data = ModelCard.load(bundle / "README.md").data
    (result,) = data.eval_results
    proof = Bundle.read(bundle).proof["checks"]["accuracy"]
    assert (data.library_name, data.pipeline_tag) == ("linnet", "text-classification")
    assert (result.metric_type, result.dataset_split) == ("accuracy", "validation")
    assert result.metric_value == round(proof["value"], 4)


def test_the_manifest_says_where_it_came_from(bundle, splits):
    manifest = Bundle.read(bundle).manifest
    assert manifest.name == "tiny"
    assert manifest.max_length == 64
    assert (manifest.min_precision, manifest.thresholds) == (None, None)
    lineage = manifest.lineage
    assert (
        lineage["training"]
        is lineage["settings"]
        is lineage["history"]
        is lineage["encoder"]
        is None
    )
    assert lineage["data"]["source"]["name"] == "rows.csv"
    assert lineage["data"]["generated"] is False
    assert lineage["data"]["splits"] == {
        f"{name}.parquet": digest(splits / f"{name}.parquet")
        for name in ("train", "validation", "test")
    }
    assert set(lineage["export"]["packages"]) >= {"linnet-text", "torch", "onnxruntime"}
    assert manifest.created == lineage["export"]["created"]


def test_the_training_record_is_handed_on(quick, checkpoint, splits, tmp_path):
    trained = tmp_path / "checkpoint"
    shutil.copytree(checkpoint, trained)
    record = {
        "history": [{"epoch": 1}],
        "settings": {"model": {"max_length": 64}},
        "lineage": {"git": {"commit": "abc"}},
        "encoder": {"name": "an/encoder", "source": "hub"},
    }
    (trained / "training.json").write_text(json.dumps(record))
    made = export(settings(), trained, splits, tmp_path / "bundle")
    assert made.manifest.lineage["training"] == {"git": {"commit": "abc"}}
    for key in ("history", "settings", "encoder"):
        assert made.manifest.lineage[key] == record[key]
    assert "fine-tuned from `an/encoder`" in (tmp_path / "bundle" / "README.md").read_text()


def test_the_proof_is_what_the_bundle_does(bundle, splits):
    checks = Bundle.read(bundle).proof["checks"]
    assert set(checks) == {"parity", "accuracy", "calibration", "latency"}
    assert all(check["passed"] is True and check["detail"] for check in checks.values())
    split = read_split(splits, "validation")
    classifier = linnet.load(bundle)
    right = sum(
        answer.label == split.label_names[label]
        for answer, label in zip(classifier.predict(split.texts), split.labels, strict=True)
    )
    accuracy = checks["accuracy"]
    assert accuracy["value"] == right / len(split)
    assert accuracy["rows"] == len(split)
    assert accuracy["interval"][0] < accuracy["value"] < accuracy["interval"][1]
    assert accuracy["interval"][0] > accuracy["majority_class"]["share"]
    assert accuracy["majority_class"]["share"] == np.bincount(split.labels).max() / len(split)
    assert 0 <= checks["parity"]["max_logit_difference"] < 1e-4
    assert checks["parity"]["label_agreement"] == 1
    assert checks["parity"]["rows"] == len(split)
    assert 0 <= checks["calibration"]["expected_calibration_error"] < 0.3
    assert checks["latency"]["median_ms_one_text"] > 0 < checks["latency"]["texts_per_second"]


def test_the_temperature_is_of_the_validation_logits(bundle, splits):
    split = read_split(splits, "validation")
    classifier = linnet.load(bundle)
    logits = classifier.logits(split.texts)
    check = classifier.bundle.proof["checks"]["calibration"]
    found = choose(logits, split.labels, settings().evaluate.seed)
    assert (
        classifier.bundle.manifest.temperature
        == check["temperature"]
        == pytest.approx(found.value, abs=1e-3)
    )
    for key, divisor in (("log_loss_before", 1.0), ("log_loss", found.crossed)):
        assert check[key] == pytest.approx(log_loss(logits / divisor, split.labels), abs=1e-4)
    before = expected_calibration_error(softmax(logits), split.labels, 15)
    assert check["expected_calibration_error_before"] == pytest.approx(before, abs=1e-3)
    assert check["log_loss"] <= check["log_loss_before"]
    assert f"{check['expected_calibration_error']:.2%}" in check["detail"]
    assert check["rows"] == len(split)


def test_the_rows_are_scored_once(quick, checkpoint, splits, tmp_path, monkeypatch):
    scored = []
    logits = stage.Classifier.logits
    monkeypatch.setattr(
        stage.Classifier,
        "logits",
        lambda self, texts: scored.append(len(texts)) or logits(self, texts),
    )
    export(settings(**{"export.min_precision": 0.6}), checkpoint, splits, tmp_path / "bundle")
    assert sum(scored) == len(read_split(splits, "validation"))


def test_calibration_can_be_left_out(quick, checkpoint, splits, bundle, tmp_path):
    made = export(settings(**{"export.calibrate": False}), checkpoint, splits, tmp_path / "bundle")
    assert made.manifest.temperature == 1.0
    check, calibrated = (
        some.proof["checks"]["calibration"] for some in (made, Bundle.read(bundle))
    )
    assert check["expected_calibration_error"] == calibrated["expected_calibration_error_before"]
    assert "at a temperature of 1" in check["detail"] and check["notes"] == []


def test_what_is_held_back_agrees_everywhere(quick, checkpoint, splits, tmp_path):
    made = export(
        settings(**{"export.min_precision": 0.7}), checkpoint, splits, tmp_path / "bundle"
    )
    split = read_split(splits, "validation")
    answers = linnet.load(made.path).predict(split.texts)
    right = [
        answer.label == split.label_names[k]
        for answer, k in zip(answers, split.labels, strict=True)
    ]
    answered = [not answer.abstained for answer in answers]
    check = made.proof["checks"]["precision"]
    assert made.manifest.min_precision == check["min_precision"] == 0.7
    assert 0 < sum(answered) < len(split)
    assert check["coverage"]["value"] == pytest.approx(np.mean(answered))
    assert check["precision"]["value"] == pytest.approx(sum(right) / sum(answered))
    assert [item["threshold"] for item in check["per_class"]] == list(made.manifest.thresholds)
    assert made.reference["abstained"] == pytest.approx(1 - np.mean(answered))
    assert made.reference["accuracy"] == pytest.approx(sum(right) / sum(answered))
    assert sum(made.reference["predicted_labels"].values()) == pytest.approx(np.mean(answered))
    for item in check["per_class"]:
        own = [
            good
            for good, answer in zip(right, answers, strict=True)
            if answer.label == item["label"]
        ]
        assert item["answered"] == len(own) and (not own or item["precision"]["value"] > 0.7)
    assert check["detail"] in (made.path / "README.md").read_text()
    test = read_split(splits, "test")
    fresh = linnet.load(made.path).predict(test.texts)
    kept = [
        answer.label == test.label_names[k]
        for answer, k in zip(fresh, test.labels, strict=True)
        if answer.label
    ]
    assert np.mean(kept) >= 0.7


def test_a_precision_that_no_label_reaches_is_refused(quick, checkpoint, splits, tmp_path):
    with pytest.raises(
        ProofError,
        match=r"'precision' failed: 120 rows show no label to be right in at least 99\.90%.*Ask",
    ):
        export(settings(**{"export.min_precision": 0.999}), checkpoint, splits, tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


def test_the_reference_is_what_the_rows_look_like(bundle, splits):
    seen = Bundle.read(bundle).reference
    split = read_split(splits, "validation")
    answers = linnet.load(bundle).predict(split.texts)
    assert (
        seen["rows"]
        == sum(seen["token_length"]["counts"])
        == sum(seen["top_probability"]["counts"])
        == len(split)
    )
    assert len(seen["token_length"]["counts"]) == 65
    share = sum(answer.label == "positive" for answer in answers) / len(answers)
    assert seen["predicted_labels"] == pytest.approx({"negative": 1 - share, "positive": share})
    assert seen["true_labels"]["positive"] == pytest.approx(split.labels.mean())
    confident = sum(answer.probability >= 0.95 for answer in answers)
    assert seen["top_probability"]["counts"][-1] == confident
    assert seen["truncated"] == 0


def test_the_card_tells_it(bundle):
    card = (bundle / "README.md").read_text()
    proof = Bundle.read(bundle).proof["checks"]
    assert card.startswith("---\n") and "\n---\n\n# tiny\n" in card
    assert "one of 2 labels (negative, positive)" in card
    for check in proof.values():
        assert check["detail"] in card
    assert "rows.csv" in card
    assert "first 64 tokens" in card
    assert "## Licence" in card


def test_the_same_inputs_give_the_same_graph_and_answers(checkpoint, splits, bundle, tmp_path):
    again = export(settings(), checkpoint, splits, tmp_path / "again")
    for name in ("model.onnx", "model.onnx.data", "tokenizer.json", "reference.json"):
        assert again.manifest.files[name] == Bundle.read(bundle).manifest.files[name]


def break_graph(path: Path) -> None:
    """Shift one weight of the head, as a faulty exporter might."""
    model = onnx.load(path)
    weight = next(
        item for item in model.graph.initializer if item.name.endswith(".classifier.bias")
    )
    values = numpy_helper.to_array(weight) + np.array([0.01, 0], np.float32)
    weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    onnx.save(model, path)


def test_a_broken_graph_is_not_written(checkpoint, splits, bundle, tmp_path, monkeypatch):
    def write_broken(model: Any, path: Path, opset: int) -> None:
        write_model(onnx.load(bundle / "model.onnx"), path)
        break_graph(path)

    monkeypatch.setattr(stage, "write_graph", write_broken)
    with pytest.raises(
        ProofError,
        match=r"'parity' failed: largest logit difference to torch 0\.01 \(allowed: 0\.001\)",
    ):
        export(settings(), checkpoint, splits, tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []
    looser = export(
        settings(**{"export.parity_tolerance": 0.02}), checkpoint, splits, tmp_path / "bundle"
    )
    assert looser.proof["checks"]["parity"]["tolerance"] == 0.02


def test_a_failed_export_leaves_the_former_bundle(quick, checkpoint, splits, bundle, tmp_path):
    standing = tmp_path / "bundle"
    shutil.copytree(bundle, standing)
    former = Bundle.read(standing).digest
    with pytest.raises(ProofError):
        export(settings(**{"export.parity_tolerance": 1e-12}), checkpoint, splits, standing)
    assert Bundle.read(standing).verify().digest == former
    assert [file.name for file in tmp_path.iterdir()] == ["bundle"]


def test_an_export_replaces_the_former_bundle(quick, checkpoint, splits, bundle, tmp_path):
    standing = tmp_path / "bundle"
    shutil.copytree(bundle, standing)
    made = export(settings(**{"run.name": "next"}), checkpoint, splits, standing)
    assert Bundle.read(standing).verify().digest == made.digest != Bundle.read(bundle).digest


def test_a_model_that_knows_nothing_is_not_served(quick, checkpoint, splits, tmp_path):
    shuffled = tmp_path / "splits"
    shutil.copytree(splits, shuffled)
    table = pq.read_table(shuffled / "validation.parquet")
    labels = np.random.default_rng(0).permutation(table["label"].to_numpy())
    position = table.schema.get_field_index("label")
    pq.write_table(
        table.set_column(position, table.schema.field(position), [labels]),
        shuffled / "validation.parquet",
    )
    with pytest.raises(
        ProofError,
        match=r"The check 'accuracy' failed: .* not shown to be above .* No bundle was written",
    ):
        export(settings(), checkpoint, shuffled, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_an_empty_validation_split(checkpoint, splits, tmp_path):
    emptied = tmp_path / "splits"
    shutil.copytree(splits, emptied)
    table = pq.read_table(emptied / "validation.parquet")
    pq.write_table(table.slice(0, 0), emptied / "validation.parquet")
    with pytest.raises(DataError, match=r"validation split of .* is empty"):
        export(settings(), checkpoint, emptied, tmp_path / "bundle")


@pytest.mark.parametrize("content", ["{", "[]", ""])
def test_a_broken_data_card(checkpoint, splits, tmp_path, content):
    spoilt = tmp_path / "splits"
    shutil.copytree(splits, spoilt)
    (spoilt / "data_card.json").write_text(content)
    with pytest.raises(DataError, match=r"data_card\.json can't be read"):
        export(settings(), checkpoint, spoilt, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_labels_of_other_splits(checkpoint, splits, tmp_path):
    trained = tmp_path / "checkpoint"
    shutil.copytree(checkpoint, trained)
    config = json.loads((trained / "config.json").read_text())
    config |= {
        "id2label": {"0": "positive", "1": "negative"},
        "label2id": {"positive": 0, "negative": 1},
    }
    (trained / "config.json").write_text(json.dumps(config))
    with pytest.raises(
        LabelError, match=r"are negative, positive; those of .* are positive, negative"
    ):
        export(settings(), trained, splits, tmp_path / "bundle")


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_is_no_bundle_is_not_replaced(checkpoint, splits, tmp_path, kind):
    target = tmp_path / "precious"
    if kind == "file":
        target.write_text("thesis")
    else:
        target.mkdir()
        (target / "thesis.txt").write_text("thesis")
    with pytest.raises(UsageError, match=r"is no folder|not Linnet.s to replace"):
        export(settings(), checkpoint, splits, target)
    assert "thesis" in (target if kind == "file" else target / "thesis.txt").read_text()


@pytest.mark.parametrize(
    ("which", "kind"),
    [("checkpoint", ModelError), ("splits", DataError)],
    ids=["checkpoint", "splits"],
)
def test_a_missing_input_writes_nothing(checkpoint, splits, tmp_path, which, kind):
    places = {"checkpoint": checkpoint, "splits": splits} | {which: tmp_path / "nowhere"}
    with pytest.raises(kind, match="nowhere"):
        export(settings(), places["checkpoint"], places["splits"], tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


def test_a_kill_in_the_middle_writes_nothing(quick, checkpoint, splits, tmp_path, monkeypatch):
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(stage, "calibrate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export(settings(), checkpoint, splits, tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []

"""Variants get into a bundle by the gate alone, and the bundle says which did not, and why."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import linnet
from linnet.bundle import Bundle
from linnet.config import load_config
from linnet.data import read_split
from linnet.errors import BundleError
from linnet.export import export, variants
from linnet.export.quantize import by_sensitivity
from linnet.predict.batching import pad

from ..processor import computes_in_bfloat16

WIDE = {"export.max_accuracy_drop": 20, "model.max_length": 64, "export.calibration_rows": 64}


@pytest.fixture(scope="module")
def made(checkpoint: Path, splits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of the tiny model with all variants, for a wide margin; 120 validation rows show no narrow one."""
    directory = tmp_path_factory.mktemp("variants") / "bundle"
    export(load_config(overrides=WIDE), checkpoint, splits, directory)
    return directory


def table(bundle: Path) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (entry["variant"], entry["engine"]): entry
        for entry in Bundle.read(bundle).proof["variants"]
    }


def test_all_pass_a_wide_margin_that_this_processor_computes_in(made):
    manifest, rough = Bundle.read(made).verify().manifest, {"bf16": ("openvino",)}
    assert manifest.engines == (rough if computes_in_bfloat16() else {}) | {
        "fp32": ("onnxruntime", "openvino"),
        "int8-dynamic": ("onnxruntime",),
        "int8-static": ("onnxruntime", "openvino"),
    }
    assert manifest.models["fp32"] == "model.onnx"
    assert manifest.models["int8-static"] == "model.int8-static.onnx" in manifest.files
    for (variant, _), entry in table(made).items():
        if variant == "bf16" and not computes_in_bfloat16():
            assert (
                not entry["accepted"]
                and "doesn't compute in bf16, so model.onnx is not run" in entry["reason"]
            )
        else:
            assert entry["accepted"] and np.isfinite(entry["witness"]).all()


@pytest.mark.skipif(not computes_in_bfloat16(), reason="this processor doesn't compute in bfloat16")
def test_bfloat16_is_the_float32_graph(made):
    manifest = Bundle.read(made).manifest
    assert manifest.models["bf16"] == manifest.models["fp32"] == "model.onnx"


def test_what_the_table_says_is_what_is_served(made, splits):
    split = read_split(splits, "validation")
    exact = linnet.load(made)
    for (variant, engine), entry in table(made).items():
        if not entry["accepted"]:
            continue
        classifier = linnet.load(made, engine=engine, variant=variant, num_threads=1)
        assert (classifier.plan.engine, classifier.plan.variant) == (engine, variant)
        if variant == "fp32":
            continue
        before, after = exact.predict_proba(split.texts), classifier.predict_proba(split.texts)
        right = [(one.argmax(axis=1) == split.labels).sum() for one in (before, after)]
        assert entry["accuracy_drop"]["value"] == pytest.approx(
            (right[0] - right[1]) / len(split), abs=1 / len(split)
        )
        assert entry["max_probability_shift"] == pytest.approx(
            np.abs(before - after).max(), rel=0.3
        )
        assert entry["label_agreement"] > 0.9


def test_integers_are_in_the_graph(made):
    operators = {
        name: {node.op_type for node in onnx.load(made / f"model.{name}.onnx").graph.node}
        for name in ("int8-dynamic", "int8-static")
    }
    assert "MatMulInteger" in operators["int8-dynamic"]
    assert "QuantizeLinear" in operators["int8-static"]
    assert all(
        not node.metadata_props for node in onnx.load(made / "model.int8-static.onnx").graph.node
    )


def test_few_rows_show_nothing_and_the_bundle_says_so(quick, checkpoint, splits, tmp_path):
    made = export(
        load_config(overrides={"model.max_length": 64}), checkpoint, splits, tmp_path / "bundle"
    )
    assert set(made.manifest.models) == {"fp32", "bf16"} or set(made.manifest.models) == {"fp32"}
    assert not list(made.path.glob("model.int8*"))
    entry = table(made.path)["int8-dynamic", "onnxruntime"]
    assert entry["accepted"] is False
    assert (
        "120 validation rows can't show" in entry["reason"]
        and "it would take at least 1,816" in entry["reason"]
    )
    assert entry["reason"] in (made.path / "README.md").read_text()
    with pytest.raises(BundleError, match="holds no variant 'int8-dynamic'"):
        linnet.load(made.path, variant="int8-dynamic")


def test_none_asked_for(quick, checkpoint, splits, tmp_path):
    settings = load_config(overrides={**WIDE, "export.variants": []})
    made = export(settings, checkpoint, splits, tmp_path / "bundle")
    assert made.manifest.engines == {"fp32": ("onnxruntime",)}
    assert [entry["variant"] for entry in made.proof["variants"]] == ["fp32"]


@pytest.mark.parametrize("value", [-3.0, np.nan])
def test_a_variant_broken_on_purpose_is_refused(
    quick, checkpoint, splits, tmp_path, monkeypatch, value
):
    def broken(source: Path, target: Path, leave_out: Any, batches: Any) -> None:
        graph = onnx.load(source)
        weight = next(
            item for item in graph.graph.initializer if item.name.endswith(".classifier.weight")
        )
        weight.CopyFrom(
            numpy_helper.from_array(numpy_helper.to_array(weight) * np.float32(value), weight.name)
        )
        onnx.save(graph, target)

    monkeypatch.setitem(variants.QUANTIZED, "int8-dynamic", broken)
    settings = load_config(overrides={**WIDE, "export.variants": ["int8-dynamic"]})
    made = export(settings, checkpoint, splits, tmp_path / "bundle")
    entry = table(made.path)["int8-dynamic", "onnxruntime"]
    assert entry["accepted"] is False
    assert "no number" in entry["reason"]  # of rows would do; or: it answers no number
    assert set(made.manifest.models) == {"fp32"}
    assert not (made.path / "model.int8-dynamic.onnx").exists()


def test_without_the_extra_it_says_what_to_install(
    quick, checkpoint, splits, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "nncf", None)
    monkeypatch.setattr(variants, "installed", lambda engine: engine != "openvino")
    settings = load_config(overrides={**WIDE, "export.variants": ["bf16", "int8-static"]})
    made = export(settings, checkpoint, splits, tmp_path / "bundle")
    reasons = {
        key: entry["reason"] for key, entry in table(made.path).items() if not entry["accepted"]
    }
    assert set(reasons) == {(v, "openvino") for v in ("fp32", "bf16", "int8-static")} | {
        ("int8-static", "onnxruntime")
    }
    assert "pip install 'linnet-text[train]'" in reasons.pop(("int8-static", "onnxruntime"))
    assert all("pip install 'linnet-text[openvino]'" in reason for reason in reasons.values())


def test_what_hurts_most_is_left_in_float32_when_the_gate_asks(
    quick, checkpoint, splits, tmp_path, monkeypatch
):
    tried: list[list[str]] = []
    dynamic = variants.QUANTIZED["int8-dynamic"]

    def record(source: Path, target: Path, leave_out: list[str], batches: Any) -> None:
        tried.append(list(leave_out))
        dynamic(source, target, leave_out, batches)

    monkeypatch.setitem(variants.QUANTIZED, "int8-dynamic", record)
    monkeypatch.setattr("linnet.export.gate.Gate.allowed_disagreement", lambda self: -1.0)
    settings = load_config(overrides={**WIDE, "export.variants": ["int8-dynamic"]})
    made = export(settings, checkpoint, splits, tmp_path / "bundle")
    assert [len(names) for names in tried] == [0, 1, 2, 3]  # of the one layer's six products
    entry = table(made.path)["int8-dynamic", "onnxruntime"]
    assert entry["left_in_float32"] == tried[-1]
    graph = onnx.load(made.path / "model.int8-dynamic.onnx").graph
    assert set(tried[-1]) <= {node.name for node in graph.node if node.op_type == "MatMul"}


def test_the_product_with_an_outlier_is_hurt_most(bundle, tmp_path):
    graph = onnx.load(bundle / "model.onnx")
    weights = {item.name: item for item in graph.graph.initializer}
    last = [
        node for node in graph.graph.node if node.op_type == "MatMul" and node.input[1] in weights
    ][-1]
    weight = weights[last.input[1]]
    values = numpy_helper.to_array(weight).copy()
    values[0] *= 1000.0
    weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    onnx.save(graph, tmp_path / "m.onnx")
    draw = np.random.default_rng(0)
    batches = [pad([draw.integers(100, size=9).tolist() for _ in range(8)], 0)]
    assert by_sensitivity(tmp_path / "m.onnx", batches)[0] == last.name

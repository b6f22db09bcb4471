"""An ONNX file is run, or refused in a sentence: damaged, foreign, or reaching out of itself."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from linnet.bundle import Bundle
from linnet.errors import BundleError
from linnet.predict.engine import OnnxEngine

INPUTS = ("input_ids", "attention_mask")


@pytest.fixture(scope="module")
def model(bundle: Path) -> Path:
    return Bundle.read(bundle).model_path()


def write_model(
    path: Path, nodes: list[onnx.NodeProto], weights: list[TensorProto] | None = None, **names: str
) -> None:
    inputs = [
        helper.make_tensor_value_info(names.get(name, name), TensorProto.INT64, ["batch", "sequence"])
        for name in INPUTS
    ]
    output = helper.make_tensor_value_info(names.get("logits", "logits"), TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "g", inputs, [output], weights or [])
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.example", 1)]
    path.write_bytes(helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString())


def cast(output: str = "logits") -> onnx.NodeProto:
    return helper.make_node("Cast", ["input_ids"], [output], to=TensorProto.FLOAT)


def test_any_batch_and_length(model: Path) -> None:
    engine = OnnxEngine(model)
    for shape in [(1, 1), (1, 64), (7, 3), (33, 64)]:
        ids = np.ones(shape, np.int64)
        logits = engine.run(ids, ids)
        assert logits.shape == (shape[0], 2)
        assert logits.dtype == np.float32
        assert np.isfinite(logits).all()


def test_padding_changes_nothing(model: Path) -> None:
    engine = OnnxEngine(model)
    ids = np.array([[2, 7, 8, 3]])
    alone = engine.run(ids, np.ones_like(ids))
    wide = np.pad(ids, ((0, 0), (0, 20)))
    padded = engine.run(wide, (np.arange(24) < 4).astype(np.int64)[None])
    np.testing.assert_allclose(alone, padded, atol=1e-5)


@pytest.mark.parametrize(("token", "length"), [(10_000, 4), (-10_000, 4), (1, 65)])
def test_ids_that_the_graph_cannot_take(model: Path, token: int, length: int) -> None:
    ids = np.full((1, length), token)
    with pytest.raises(BundleError, match=rf"model\.onnx refuses token ids up to .* in rows of {length}: "):
        OnnxEngine(model).run(ids, np.ones_like(ids))


def test_num_threads(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert OnnxEngine(model, num_threads=3).num_threads == 3
    monkeypatch.setattr("linnet.predict.engine.available_cores", lambda: 5)
    assert OnnxEngine(model).num_threads == 5


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_truncated_file(model: Path, tmp_path: Path, share: float) -> None:
    content = model.read_bytes()
    (tmp_path / "m.onnx").write_bytes(content[: int(share * len(content))])
    with pytest.raises(BundleError, match=r"m\.onnx"):
        OnnxEngine(tmp_path / "m.onnx")


@pytest.mark.parametrize("content", [b"not a model", b"\0" * 1000, b"\xff" * 1000, json.dumps({}).encode()])
def test_not_onnx(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(BundleError, match=r"Expected an ONNX model in .*m\.onnx"):
        OnnxEngine(tmp_path / "m.onnx")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="No such file"):
        OnnxEngine(tmp_path / "m.onnx")
    with pytest.raises(BundleError, match="directory"):
        OnnxEngine(tmp_path)


def test_other_inputs_or_outputs(tmp_path: Path) -> None:
    write_model(tmp_path / "a.onnx", [cast("scores")], logits="scores")
    with pytest.raises(BundleError, match=r"to logits in .*a\.onnx; got one of input_ids, attention_mask to scores"):
        OnnxEngine(tmp_path / "a.onnx")
    write_model(tmp_path / "b.onnx", [cast()], attention_mask="token_type_ids")
    with pytest.raises(BundleError, match="got one of input_ids, token_type_ids"):
        OnnxEngine(tmp_path / "b.onnx")


def test_custom_operator_is_refused(tmp_path: Path) -> None:
    write_model(tmp_path / "m.onnx", [helper.make_node("Evil", ["input_ids"], ["logits"], domain="com.example")])
    with pytest.raises(BundleError, match="Evil"):
        OnnxEngine(tmp_path / "m.onnx")


@pytest.mark.parametrize("as_constant", [False, True], ids=["initializer", "constant"])
@pytest.mark.parametrize(
    "where", ["beside the model", "in the current folder", "above", "absolute", "through the model"]
)
def test_weights_outside_of_the_file_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, as_constant: bool
) -> None:
    folder, current = tmp_path / "bundle", tmp_path / "current"
    folder.mkdir()
    current.mkdir()
    monkeypatch.chdir(current)
    for place in (folder, current, tmp_path):
        np.ones((64, 64), np.float32).tofile(place / "secret.bin")
    location = {
        "above": "../secret.bin",
        "absolute": str(tmp_path / "secret.bin"),
        "through the model": "../m.onnx/../secret.bin",
    }.get(where, "secret.bin")
    if where == "beside the model":
        (current / "secret.bin").unlink()
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[64, 64], data_location=TensorProto.EXTERNAL)
    weight.external_data.add(key="location", value=location)
    nodes = [cast("x"), helper.make_node("MatMul", ["x", "w"], ["logits"])]
    if as_constant:
        nodes.insert(0, helper.make_node("Constant", [], ["w"], value=weight))
    write_model(folder / "m.onnx", nodes, [] if as_constant else [weight])
    with pytest.raises(BundleError, match=r"m\.onnx"):
        OnnxEngine(folder / "m.onnx")

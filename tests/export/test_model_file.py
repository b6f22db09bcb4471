"""A graph and its weights beside it: what an engine maps, what is refused, and what others may read."""

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from linnet.bundle import Bundle
from linnet.errors import BundleError
from linnet.export import model_file
from linnet.export.model_file import remove_model, write_model
from linnet.predict.engine import ENGINES, open_engine
from linnet.predict.plan import Plan

ROWS = 200
TABLE = (
    np.random.default_rng(0)
    .normal(size=(ROWS, model_file.LARGE // 4 // ROWS + 1))
    .astype(np.float32)
)
IDS = np.array([[3, 4, ROWS - 1]])


def model(table: np.ndarray = TABLE) -> onnx.ModelProto:
    """Adds up a table's row for each token."""
    shape = ["batch", "sequence"]
    inputs = [
        helper.make_tensor_value_info(name, onnx.TensorProto.INT64, shape)
        for name in ("input_ids", "attention_mask")
    ]
    output = helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["batch", "labels"])
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
        helper.make_node("ReduceSum", ["rows", "axes"], ["logits"], keepdims=0),
    ]
    weights = [
        numpy_helper.from_array(table, "table"),
        numpy_helper.from_array(np.array([1]), "axes"),
    ]
    graph = helper.make_graph(nodes, "sum", inputs, [output], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    write_model(model(), tmp_path / "m.onnx")
    return tmp_path / "m.onnx"


def test_large_weights_lie_beside_the_graph(written):
    weights = written.with_name("m.onnx.data")
    assert weights.stat().st_size >= TABLE.nbytes > written.stat().st_size
    assert (
        weights.stat().st_mode == written.stat().st_mode
    )  # whoever may read one may read the other
    onnx.checker.check_model(written, full_check=True)


@pytest.mark.parametrize("name", ENGINES)
def test_engines_answer_as_if_they_lay_in_it(written, tmp_path, name):
    (tmp_path / "whole").mkdir()
    (tmp_path / "whole" / "m.onnx").write_bytes(model().SerializeToString())
    parts, whole = (
        open_engine(path, Plan(name)) for path in (written, tmp_path / "whole" / "m.onnx")
    )
    expected = TABLE[IDS].sum(axis=1)
    np.testing.assert_allclose(parts.run(IDS, np.ones_like(IDS)), expected, rtol=1e-5)
    np.testing.assert_array_equal(
        parts.run(IDS, np.ones_like(IDS)), whole.run(IDS, np.ones_like(IDS))
    )


def test_a_file_of_that_name_in_the_current_folder_is_not_theirs(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    Path("m.onnx.data").write_bytes(b"another's")
    write_model(model(), tmp_path / "m.onnx")
    assert Path("m.onnx.data").read_bytes() == b"another's"
    engine = open_engine(tmp_path / "m.onnx", Plan())
    np.testing.assert_allclose(
        engine.run(IDS, np.ones_like(IDS)), TABLE[IDS].sum(axis=1), rtol=1e-5
    )


def test_tables_are_mapped(written):
    engine = open_engine(written, Plan())
    assert str(written.with_name("m.onnx.data")) in Path("/proc/self/maps").read_text()
    assert engine.run(IDS, np.ones_like(IDS)).shape == (1, TABLE.shape[1])


def test_writing_again_gives_the_same_bytes(written):
    files = [written, written.with_name("m.onnx.data")]
    before = [file.read_bytes() for file in files]
    write_model(model(), written)
    assert [file.read_bytes() for file in files] == before


def test_a_small_model_is_one_file_and_leaves_no_older_weights(written):
    write_model(model(TABLE[:, :1]), written)
    assert [file.name for file in written.parent.iterdir()] == ["m.onnx"]


def test_removed_with_its_weights(written):
    remove_model(written)
    assert not list(written.parent.iterdir())
    remove_model(written)


@pytest.mark.parametrize("share", [None, 0.0, 0.5, 0.999])
@pytest.mark.parametrize("name", ENGINES)
def test_weights_that_are_missing_or_cut_short(written, name, share):
    weights = written.with_name("m.onnx.data")
    content = weights.read_bytes()
    weights.unlink()
    if share is not None:
        weights.write_bytes(content[: int(share * len(content))])
    with pytest.raises(BundleError, match=r"Expected an ONNX model in .*m\.onnx"):
        open_engine(written, Plan(name))


def test_a_bundle_vouches_for_them(bundle, tmp_path):
    manifest = Bundle.read(bundle).manifest
    assert "model.onnx.data" in manifest.files
    size = sum((bundle / name).stat().st_size for name in ("model.onnx", "model.onnx.data"))
    assert Bundle.read(bundle).model_bytes() == size
    shutil.copytree(bundle, tmp_path / "b")
    content = bytearray((bundle / "model.onnx.data").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "b" / "model.onnx.data").write_bytes(content)
    with pytest.raises(BundleError, match=r"model\.onnx\.data was changed since it was written"):
        Bundle.read(tmp_path / "b").verify()
    (tmp_path / "b" / "model.onnx.data").unlink()
    with pytest.raises(BundleError, match=r"incomplete: model\.onnx\.data missing"):
        Bundle.read(tmp_path / "b").verify()

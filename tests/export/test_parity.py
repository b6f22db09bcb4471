"""The comparison with torch sees what is broken, and only that."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from linnet.data import read_split
from linnet.export import proof
from linnet.export.checkpoint import Checkpoint, load_checkpoint
from linnet.export.parity import Parity, compare
from linnet.predict import SingleLabel
from linnet.predict.onnx_engine import OnnxEngine

TOLERANCE = 1e-3


@pytest.fixture(scope="module")
def trained(checkpoint: Path) -> Checkpoint:
    return load_checkpoint(checkpoint, 64)


@pytest.fixture(scope="module")
def rows(trained: Checkpoint, splits: Path) -> list[list[int]]:
    return [
        encoding.ids
        for encoding in trained.tokenizer.encode(read_split(splits, "validation").texts)
    ]


def head_bias(graph: onnx.ModelProto) -> onnx.TensorProto:
    """The bias of the classification head: what is added to the logits last."""
    return next(
        weight for weight in graph.graph.initializer if weight.name.endswith(".classifier.bias")
    )


def with_bias(bundle: Path, target: Path, change: list[float]) -> Path:
    """The bundle's graph with something added to its logits."""
    graph = onnx.load(bundle / "model.onnx")
    bias = head_bias(graph)
    changed = numpy_helper.to_array(bias) + np.array(change, np.float32)
    bias.CopyFrom(numpy_helper.from_array(changed, bias.name))
    onnx.save(graph, target)
    return target


def compared(trained: Checkpoint, rows: list[list[int]], path: Path) -> Parity:
    return compare(
        trained.model, OnnxEngine(path), rows, trained.tokenizer.pad_id, 64, SingleLabel()
    )


def test_the_exported_graph_agrees(trained, rows, bundle):
    parity = compared(trained, rows, bundle / "model.onnx")
    assert 0 <= parity.max_logit_difference < 1e-4
    assert parity.label_agreement == 1.0
    assert parity.rows == len(rows)
    assert proof.parity_check(parity, TOLERANCE)["passed"] is True


def test_a_graph_broken_by_little_is_seen_in_the_logits(trained, rows, bundle, tmp_path):
    parity = compared(trained, rows, with_bias(bundle, tmp_path / "off.onnx", [0.01, 0.0]))
    assert parity.max_logit_difference == pytest.approx(0.01, abs=1e-4)
    check = proof.parity_check(parity, TOLERANCE)
    assert check["passed"] is False
    assert "largest logit difference to torch 0.01 (allowed: 0.001)" in check["detail"]


def test_a_graph_broken_by_much_is_seen_in_the_labels(trained, rows, bundle, tmp_path):
    parity = compared(trained, rows, with_bias(bundle, tmp_path / "off.onnx", [1000.0, 0.0]))
    assert 0.2 < parity.label_agreement < 0.8  # every answer is now "negative"


def test_a_graph_that_answers_no_numbers_never_passes(trained, rows, bundle, tmp_path):
    parity = compared(trained, rows, with_bias(bundle, tmp_path / "off.onnx", [np.nan, 0.0]))
    assert np.isnan(parity.max_logit_difference)
    assert proof.parity_check(parity, 1e9)["passed"] is False


def test_a_graph_that_forgets_the_mask_is_seen(trained, rows, bundle, tmp_path):
    graph = onnx.load(bundle / "model.onnx")
    for node in graph.graph.node:
        for index, name in enumerate(node.input):
            if name == "attention_mask":
                node.input[index] = "all_ones"
    ones = onnx.helper.make_node(
        "ConstantOfShape",
        ["mask_shape"],
        ["all_ones"],
        value=numpy_helper.from_array(np.array([1], np.int64)),
    )
    shape = onnx.helper.make_node("Shape", ["attention_mask"], ["mask_shape"])
    graph.graph.node.insert(0, ones)
    graph.graph.node.insert(0, shape)
    onnx.save(graph, tmp_path / "maskless.onnx")
    parity = compared(trained, rows, tmp_path / "maskless.onnx")
    assert parity.max_logit_difference > TOLERANCE


@pytest.mark.parametrize("count", [1, 2, 17])
def test_few_rows_are_enough_to_compare(trained, rows, bundle, count):
    assert compared(trained, rows[:count], bundle / "model.onnx").rows == count


def test_the_longest_text_is_tried(trained, rows, bundle):
    """An engine that fails at the full length alone would be found."""
    lengths = []

    class Listening(OnnxEngine):
        def run(self, input_ids, attention_mask):
            lengths.append((input_ids.shape, int(attention_mask.sum(axis=1).min())))
            return super().run(input_ids, attention_mask)

    compare(
        trained.model,
        Listening(bundle / "model.onnx"),
        rows,
        trained.tokenizer.pad_id,
        64,
        SingleLabel(),
    )
    assert max(shape[1] for shape, _ in lengths) == 64
    assert min(shape[0] for shape, _ in lengths) == 1
    assert any(shortest < shape[1] for shape, shortest in lengths if shape[0] == 16)

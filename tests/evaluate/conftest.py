"""A small real bundle, its graph laid out by hand, and the splits it is judged on."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer

from linnet.bundle import Bundle, write_manifest
from linnet.config import Config, load_config
from linnet.data import prepare

WEIGHTS = {"good": 1.6, "love": 1.6, "sun": 1.6, "bad": -1.6, "hate": -1.6, "rain": -1.6}


def write_word_model(path: Path, weights: np.ndarray) -> None:
    """A graph that adds up a logit of each token: weights float32 (vocabulary, classes)."""
    nodes = [
        helper.make_node("Gather", ["weights", "input_ids"], ["rows"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["column"]),
        helper.make_node("Mul", ["rows", "column"], ["masked"]),
        helper.make_node("ReduceSum", ["masked", "middle"], ["logits"], keepdims=0),
    ]
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["n", "length"])
        for name in ("input_ids", "attention_mask")
    ]
    output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", weights.shape[1]])
    constants = [
        numpy_helper.from_array(weights.astype(np.float32), "weights"),
        numpy_helper.from_array(np.array([2]), "last"),
        numpy_helper.from_array(np.array([1]), "middle"),
    ]
    graph = helper.make_graph(nodes, "words", inputs, [output], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def write_bundle(
    directory: Path,
    tokenizer: Path,
    labels=("negative", "positive"),
    strength: float = 1.0,
    lineage=None,
    bias: tuple[float, ...] = (),
    **changes,
) -> Bundle:
    directory.mkdir()
    (directory / "tokenizer.json").write_bytes(tokenizer.read_bytes())
    vocabulary = Tokenizer.from_file(str(tokenizer))
    weights = np.zeros((vocabulary.get_vocab_size(), len(labels)))
    for word, weight in WEIGHTS.items():
        weights[vocabulary.token_to_id(word), :2] = [-strength * weight / 2, strength * weight / 2]
    # Every text has one first and one last token.
    for k, value in enumerate(bias):
        weights[vocabulary.token_to_id("[CLS]"), k] = value
    write_word_model(directory / "model.onnx", weights)
    checks = {
        name: {"passed": True, "detail": "laid out by hand"} for name in ("parity", "accuracy")
    }
    (directory / "proof.json").write_text(json.dumps({"checks": checks}))
    (directory / "reference.json").write_text("{}")
    (directory / "README.md").write_text("Words with weights.")
    return write_manifest(
        directory,
        name="words",
        created="2026-01-01T00:00:00+00:00",
        labels=labels,
        max_length=12,
        models={"fp32": "model.onnx"},
        lineage=lineage or {},
        **{"temperature": 1.0, "problem_type": "single_label_classification"} | changes,
    )


@pytest.fixture(scope="session")
def splits(tmp_path_factory, labelled_csv) -> Path:
    """240 train, 120 validation and 240 test rows of `labelled_csv`."""
    directory = tmp_path_factory.mktemp("prepared") / "splits"
    sizes = {"data.validation_size": 120, "data.test_size": 240}
    prepare(load_config(overrides={"data.source": str(labelled_csv), **sizes}), directory)
    return directory


@pytest.fixture(scope="session")
def bundle(tmp_path_factory, tokenizer_path) -> Path:
    return write_bundle(tmp_path_factory.mktemp("made") / "bundle", tokenizer_path).path


@pytest.fixture
def make_bundle(tmp_path, tokenizer_path):
    """Makes another bundle of the test's own."""

    def make(**options) -> Path:
        return write_bundle(tmp_path / "other_bundle", tokenizer_path, **options).path

    return make


@pytest.fixture(scope="session")
def config() -> Config:
    return load_config(overrides={"evaluate.bootstrap_resamples": 200, "predict.num_threads": 1})

"""The ONNX file: what torch computes, for any batch and any length, in one file that tells nothing of this machine."""

import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    PreTrainedModel,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from linnet.errors import ModelError
from linnet.export import graph
from linnet.predict.onnx_engine import OnnxEngine

OPSET = 18
VOCABULARY, LENGTH = 50, 40
SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "pad_token_id": 0,
    "num_labels": 3,
}


def make_model(name: str) -> PreTrainedModel:
    torch.manual_seed(0)
    if name == "distilbert":
        config = DistilBertConfig(
            vocab_size=VOCABULARY,
            dim=16,
            n_layers=1,
            n_heads=2,
            hidden_dim=32,
            max_position_embeddings=LENGTH,
        )
        return DistilBertForSequenceClassification(config).eval()
    if name == "bert":
        return BertForSequenceClassification(
            BertConfig(**SIZES, max_position_embeddings=LENGTH)
        ).eval()
    return RobertaForSequenceClassification(
        RobertaConfig(**SIZES, max_position_embeddings=LENGTH + 1)
    ).eval()


@pytest.fixture(scope="module", params=["distilbert", "bert", "roberta"])
def exported(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[PreTrainedModel, Path]:
    """A tiny model with random weights, and its graph."""
    model = make_model(request.param)
    path = tmp_path_factory.mktemp("graph") / "model.onnx"
    graph.write_graph(model, path, OPSET)
    return model, path


@pytest.mark.parametrize(
    ("batch", "length"), [(1, 1), (1, LENGTH), (2, 8), (3, 2), (17, 23), (5, LENGTH)]
)
def test_it_answers_what_torch_does(exported, batch, length):
    model, path = exported
    draw = np.random.default_rng(batch * 100 + length)
    input_ids = draw.integers(1, VOCABULARY, (batch, length))
    mask = (np.arange(length) < draw.integers(1, length + 1, (batch, 1))).astype(np.int64)
    input_ids *= mask  # 0 is the padding token
    with torch.inference_mode():
        expected = model(
            input_ids=torch.from_numpy(input_ids), attention_mask=torch.from_numpy(mask)
        ).logits.numpy()
    answered = OnnxEngine(path).run(input_ids, mask)
    assert answered.dtype == np.float32
    np.testing.assert_allclose(answered, expected, atol=1e-5)


def test_its_inputs_and_output(exported):
    _, path = exported
    described = onnx.load(path)
    onnx.checker.check_model(described, full_check=True)

    def shape(value: onnx.ValueInfoProto) -> list[str | int]:
        return [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]

    inputs = {value.name: shape(value) for value in described.graph.input}
    assert inputs == {"input_ids": ["batch", "sequence"], "attention_mask": ["batch", "sequence"]}
    assert {value.type.tensor_type.elem_type for value in described.graph.input} == {
        onnx.TensorProto.INT64
    }
    assert [(value.name, shape(value)[0]) for value in described.graph.output] == [
        ("logits", "batch")
    ]
    assert [(item.domain, item.version) for item in described.opset_import] == [("", OPSET)]


def test_it_is_one_file_without_paths(exported):
    _, path = exported
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert all(
        weight.data_location == onnx.TensorProto.DEFAULT
        for weight in onnx.load(path).graph.initializer
    )
    content = path.read_bytes()
    assert b"site-packages" not in content
    assert str(Path(graph.__file__).parents[3]).encode() not in content


@pytest.mark.parametrize(
    "exported",
    ["distilbert", *(pytest.param(name, marks=pytest.mark.slow) for name in ("bert", "roberta"))],
    indirect=True,
)
def test_the_same_weights_give_the_same_bytes_in_silence(exported, tmp_path, capfd):
    model, path = exported
    filters = list(warnings.filters)
    graph.write_graph(model, tmp_path / "again.onnx", OPSET)
    assert (tmp_path / "again.onnx").read_bytes() == path.read_bytes()
    assert capfd.readouterr() == ("", "")
    assert warnings.filters == filters


def test_an_older_opset_is_converted_to_in_silence(tmp_path, capfd):
    graph.write_graph(make_model("distilbert"), tmp_path / "model.onnx", 17)
    assert [item.version for item in onnx.load(tmp_path / "model.onnx").opset_import] == [17]
    assert capfd.readouterr() == ("", "")


class Undecided(torch.nn.Module):
    """Asks what its numbers are, which no graph can."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(2))

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> SimpleNamespace:
        logits = input_ids[:, :1] * self.weight
        return SimpleNamespace(logits=logits if input_ids.sum() > 10 else -logits)


def test_a_model_that_torch_cannot_export(tmp_path, capfd):
    with pytest.raises(
        ModelError, match=r"torch can't export this Undecided to ONNX opset 18: .+"
    ) as caught:
        graph.write_graph(Undecided(), tmp_path / "model.onnx", OPSET)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_an_opset_that_onnx_does_not_know(tmp_path):
    with pytest.raises(
        ModelError, match=r"no ONNX opset 999: the onnx that is installed knows up to \d\d\."
    ):
        graph.write_graph(make_model("distilbert"), tmp_path / "model.onnx", 999)
    assert list(tmp_path.iterdir()) == []


def test_a_model_too_large_for_one_file(tmp_path, monkeypatch):
    monkeypatch.setattr(graph, "LARGEST", 100)
    with pytest.raises(ModelError, match="one ONNX file holds 2"):
        graph.write_graph(make_model("distilbert"), tmp_path / "model.onnx", OPSET)

"""What no head reads is not computed, and no answer changes for it."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
)

from linnet.export.first_token import only_first_token
from linnet.export.graph import write_graph
from linnet.predict.batching import pad
from linnet.predict.engine import open_engine
from linnet.predict.plan import Plan

SIZE = {"vocab_size": 50, "max_position_embeddings": 32, "pad_token_id": 0}
MODELS = {
    "DistilBERT": lambda: DistilBertForSequenceClassification(
        DistilBertConfig(dim=16, n_layers=2, n_heads=2, hidden_dim=32, **SIZE)
    ),
    "BERT": lambda: BertForSequenceClassification(
        BertConfig(
            hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, **SIZE
        )
    ),
}


class Mean(torch.nn.Module):
    """A head that reads all tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.model = MODELS["DistilBERT"]()
        self.config = self.model.config

    def forward(self, input_ids, attention_mask):
        hidden = self.model.distilbert(
            input_ids=input_ids, attention_mask=attention_mask
        ).last_hidden_state
        self.model.config.return_dict = True
        return type("Output", (), {"logits": self.model.classifier(hidden.mean(dim=1))})()


def sliced(path: Path) -> list[str]:
    return [node.name for node in onnx.load(path).graph.node if node.name.endswith("_first_token")]


@pytest.fixture(scope="module", params=MODELS)
def graphs(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[torch.nn.Module, Path]:
    """A model, and a folder of its graph, short.onnx, and of the one it was made of, long.onnx."""
    folder = tmp_path_factory.mktemp("graphs")

    def both(long: onnx.ModelProto) -> None:
        onnx.save(long, folder / "long.onnx")
        only_first_token(long)

    torch.manual_seed(0)
    model = MODELS[request.param]().eval()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("linnet.export.graph.only_first_token", both)
        write_graph(model, folder / "short.onnx", 20)
    return model, folder


def test_the_answers_stay_and_the_last_layer_shrinks(graphs):
    model, folder = graphs
    assert len(sliced(folder / "short.onnx")) == 2  # what attention gives, and what goes past it
    assert sliced(folder / "long.onnx") == []
    draw = np.random.default_rng(0)
    batch = pad([draw.integers(50, size=length).tolist() for length in (1, 2, 9, 32)], 0)
    for engine in ("onnxruntime", "openvino"):
        short, long = (
            open_engine(folder / f"{kind}.onnx", Plan(engine)).run(*batch)
            for kind in ("short", "long")
        )
        np.testing.assert_allclose(short, long, atol=1e-6)
    with torch.inference_mode():
        expected = model(*map(torch.from_numpy, batch)).logits.numpy()
    np.testing.assert_allclose(short, expected, atol=1e-4)


def test_a_head_that_reads_all_tokens_gets_them(tmp_path):
    torch.manual_seed(0)
    write_graph(Mean().eval(), tmp_path / "mean.onnx", 20)
    assert sliced(tmp_path / "mean.onnx") == []


def test_a_hidden_state_that_is_an_output_too_stays_whole(graphs):
    _, folder = graphs
    graph = onnx.load(folder / "long.onnx").graph
    selection = next(
        node for node in graph.node if node.op_type == "Gather" and "layer_norm" in node.input[0]
    )
    graph.output.add().name = selection.input[0]
    before = [node.name for node in graph.node]
    model = onnx.helper.make_model(graph)
    only_first_token(model)
    assert [node.name for node in model.graph.node] == before

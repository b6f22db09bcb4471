"""A torch model as an ONNX model: input_ids, attention_mask -> logits, any batch, any length."""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path

import onnx
import torch
from transformers import PreTrainedModel

from linnet.errors import ModelError
from linnet.export.first_token import only_first_token
from linnet.export.model_file import write_model

# bytes; protobuf ends at 2 GB, and the graph needs some besides its weights
LARGEST = 2**31 - 2**20
# What the exporter says of its own doings; each is torch's to fix and changes nothing in the
# graph.
CHATTER = (
    (FutureWarning, r"`isinstance\(treespec, LeafSpec\)` is deprecated"),
    (
        UserWarning,
        r"# The axis name: \w+ will not be used, since it shares the same shape constraints",
    ),
)
CHATTY_LOGGERS = (
    "torch",
    "onnxscript",
)  # warn that torchvision is not installed, that opset 17 is converted to


class _Logits(torch.nn.Module):
    def __init__(self, model: PreTrainedModel):
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.model(input_ids=input_ids, attention_mask=attention_mask).logits
        return logits


def write_graph(model: PreTrainedModel, path: Path, opset: int) -> None:
    """Write a sequence classifier as ONNX.

    Args:
        model: In evaluation mode; takes int64 `input_ids` and `attention_mask` of shape (batch,
            sequence).
        path: The file to write; the large weights go next to it (`linnet.export.model_file`).
            Neither holds a path of this machine.
        opset: Version of ONNX's operators.

    Raises:
        ModelError: There is no such opset, torch can't export the model, the graph is invalid, or
            it is too large for one file.
    """
    if opset > (newest := onnx.defs.onnx_opset_version()):
        raise ModelError(
            f"There is no ONNX opset {opset}: the onnx that is installed knows up to {newest}."
        )
    size = sum(weight.numel() * weight.element_size() for weight in model.parameters())
    if size > LARGEST:
        raise ModelError(
            f"The model's weights take {size / 2**30:.1f} GiB; one ONNX file holds 2. Train a "
            f"smaller encoder."
        )
    input_ids = torch.ones((2, 8), dtype=torch.int64)
    attention_mask = input_ids.clone()
    attention_mask[1, 5:] = 0
    shape = {0: torch.export.Dim("batch"), 1: torch.export.Dim("sequence")}
    try:
        with _quiet(), torch.no_grad():
            program = torch.onnx.export(
                _Logits(model).eval(),
                (input_ids, attention_mask),
                input_names=["input_ids", "attention_mask"],
                output_names=["logits"],
                dynamic_shapes=(shape, shape),
                opset_version=opset,
                dynamo=True,
                verbose=False,
            )
        assert program is not None  # so it is with dynamo=True
        graph = program.model_proto
        for node in graph.graph.node:
            node.ClearField("metadata_props")  # stack traces, with the paths of this machine
        only_first_token(graph)
        onnx.checker.check_model(graph, full_check=True)
    except (
        torch.onnx.OnnxExporterError,
        onnx.checker.ValidationError,
        onnx.shape_inference.InferenceError,
    ) as error:
        reason = (
            str(error.__cause__ or error).strip().partition("\n")[0]
        )  # pages of advice to torch's authors follow
        raise ModelError(
            f"torch can't export this {type(model).__name__} to ONNX opset {opset}: {reason}"
        ) from error
    write_model(graph, path)


@contextmanager
def _quiet() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in CHATTY_LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with (
            warnings.catch_warnings(),
            redirect_stderr(io.StringIO()),
        ):  # where torch prints the code it can't trace
            for category, message in CHATTER:
                warnings.filterwarnings("ignore", message, category)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)

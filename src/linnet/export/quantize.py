"""A float32 graph to one whose products are of 8-bit integers, and which products that hurts most.

Only products with a weight are made integer, the weights column by column; embeddings and the head
stay as they are. On processors without VNNI such products may overflow 16 bits (therefore
onnxruntime's `reduce_range`, which costs accuracy everywhere); `linnet optimize` finds out whether
they do.
"""

import io
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from linnet.errors import MissingExtraError
from linnet.export.model_file import write_model
from linnet.predict.onnx_engine import INPUTS

Batch = tuple[
    NDArray[np.int64], NDArray[np.int64]
]  # input_ids and attention_mask, both (rows, length)

MOST_TOKENS = 2048  # that the hurt is measured on
LOGGERS = ("root", "nncf")  # advise to do what has been done, and tell of their progress


def dynamic(source: Path, target: Path, leave_out: Sequence[str], _: Sequence[Batch]) -> None:
    """Integers whose range is found in every batch.

    Args:
        source: The float32 graph.
        target: The file to write.
        leave_out: Names of products that stay in float32.
    """
    with _quiet():
        quantize_dynamic(
            source,
            target,
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=list(leave_out),
        )
    write_model(onnx.load(target), target)


def static(source: Path, target: Path, leave_out: Sequence[str], batches: Sequence[Batch]) -> None:
    """Integers whose range is fixed beforehand, from real rows, by NNCF.

    It balances activations against weights (Xiao et al. 2023, SmoothQuant) and corrects the
    products' biases; with onnxruntime's own tool twice as many labels changed on tweets. The file
    runs in either engine.

    Args:
        source: The float32 graph.
        target: The file to write.
        leave_out: Names of products that stay in float32.
        batches: What to find the ranges on.

    Raises:
        MissingExtraError: NNCF is not installed.
    """
    try:
        import nncf  # noqa: PLC0415 - an extra, and it takes seconds
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "nncf", "train") from error
    with _quiet():
        quantized = nncf.quantize(
            onnx.load(source),
            nncf.Dataset(batches, lambda batch: dict(zip(INPUTS, batch, strict=True))),
            model_type=nncf.ModelType.TRANSFORMER,
            subset_size=len(batches),
            ignored_scope=nncf.IgnoredScope(names=list(leave_out)) if leave_out else None,
        )
    write_model(quantized, target)


def by_sensitivity(source: Path, batches: Sequence[Batch]) -> list[str]:
    """Names of all products with a weight, by the share that 8-bit integers would lose.

    Args:
        source: The float32 graph.
        batches: What to measure that on.
    """
    model = onnx.load(source)
    weights = {weight.name: weight for weight in model.graph.initializer}
    products = [
        node for node in model.graph.node if node.op_type == "MatMul" and node.input[1] in weights
    ]
    names = sorted({node.input[0] for node in products})
    model.graph.output.extend(
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names
    )
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    seen: dict[str, list[NDArray[np.float32]]] = {name: [] for name in names}
    tokens = 0
    for input_ids, attention_mask in batches:
        outputs = session.run(names, dict(zip(INPUTS, (input_ids, attention_mask), strict=True)))
        for name, output in zip(names, outputs, strict=True):
            seen[name].append(
                output[attention_mask[:, : output.shape[1]].astype(bool)]
            )  # of the last layer, one token
        tokens += int(attention_mask.sum())
        if tokens >= MOST_TOKENS:
            break
    lost = {
        node.name: _lost(
            np.concatenate(seen[node.input[0]]), numpy_helper.to_array(weights[node.input[1]])
        )
        for node in products
    }
    return sorted(lost, key=lambda name: -lost[name])


def _lost(inputs: NDArray[np.float32], weight: NDArray[np.float32]) -> float:
    exact = inputs @ weight
    low = min(float(inputs.min()), 0.0)
    high = max(float(inputs.max()), 0.0)
    step = max(high - low, 1e-12) / 255
    columns = np.maximum(np.abs(weight).max(axis=0), 1e-12) / 127
    rounded = (np.round(inputs / step) * step) @ (np.round(weight / columns) * columns)
    return float(((rounded - exact) ** 2).sum() / max(float((exact**2).sum()), 1e-12))


@contextmanager
def _quiet() -> Iterator[Any]:
    loggers = [logging.getLogger(name if name != "root" else None) for name in LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)

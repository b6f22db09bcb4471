"""An ONNX model on the disk: the graph in one file, and its large weights in another next to it.

ONNX Runtime maps that other file into memory instead of reading and copying it, so that a model
starts sooner and in less memory. It packs the weights of products for the processor, a copy in each
process; tables of embeddings stay mapped, and are shared by the processes that run the same model.
"""

from pathlib import Path

import onnx
from onnx.external_data_helper import set_external_data, write_external_data_tensors

from linnet.bundle import WEIGHTS

LARGE = 2**12  # bytes of one tensor: a page of memory


def write_model(model: onnx.ModelProto, path: Path) -> None:
    """Write a model. Weights of `LARGE` bytes or more go to a second file named `.data`.

    Args:
        model: The model, with all its weights; it is left without the large ones.
        path: The file of the graph. It names the other, which has to stay next to it under its
            name.
    """
    weights = path.with_name(path.name + WEIGHTS)
    weights.unlink(missing_ok=True)  # onnx would append to it
    for tensor in model.graph.initializer:
        if tensor.HasField("raw_data") and len(tensor.raw_data) >= LARGE:
            set_external_data(tensor, weights.name)
    write_external_data_tensors(model, str(path.parent))
    path.write_bytes(model.SerializeToString(deterministic=True))
    if weights.exists():
        weights.chmod(path.stat().st_mode)  # onnx lets nobody else read them


def remove_model(path: Path) -> None:
    """Remove what `write_model` wrote, or what there is of it."""
    path.with_name(path.name + WEIGHTS).unlink(missing_ok=True)
    path.unlink(missing_ok=True)

"""An ONNX model on the disk: the graph in one file, and its large weights in another beside it.

ONNX Runtime maps that other file into memory instead of copying it twice, so that a model starts in a third of the time
and memory, and processes that run the same one share what they read of it.
"""

from pathlib import Path

import onnx
from onnx.external_data_helper import convert_model_to_external_data, write_external_data_tensors

from linnet.bundle import WEIGHTS

LARGE = 2**12  # bytes of one tensor: a page of memory


def write_model(model: onnx.ModelProto, path: Path) -> None:
    """Write a model; weights of `LARGE` bytes and more go to a file of the same name and `.data`, if there are any.

    Args:
        model: The model, with all its weights; it is left without the large ones.
        path: The file of the graph. It names the other, which has to stay beside it under its name.
    """
    weights = path.with_name(path.name + WEIGHTS)
    weights.unlink(missing_ok=True)  # onnx would append to it
    convert_model_to_external_data(model, location=weights.name, size_threshold=LARGE)
    write_external_data_tensors(model, str(path.parent))
    path.write_bytes(model.SerializeToString(deterministic=True))
    if weights.exists():
        weights.chmod(path.stat().st_mode)  # onnx lets nobody else read them


def remove_model(path: Path) -> None:
    """Remove what `write_model` wrote, or what there is of it."""
    path.with_name(path.name + WEIGHTS).unlink(missing_ok=True)
    path.unlink(missing_ok=True)

"""Checkpoint to bundle: the ONNX graph, its parity with torch, its proof, reference and model card.

Knows nothing of training, nor of how a bundle is served; a bundle whose checks fail is never
written.
"""

from linnet.errors import MissingExtraError

try:
    import onnx  # noqa: F401
    import onnxscript  # noqa: F401
    import torch  # noqa: F401
    import transformers  # noqa: F401
except ModuleNotFoundError as error:
    raise MissingExtraError(error.name or "torch", "train") from error

from linnet.export.stage import export

__all__ = ["export"]

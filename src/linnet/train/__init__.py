"""Splits to checkpoint: fine-tune an encoder, keep the best epoch, record how.

Writes a folder in Hugging Face layout that `transformers` loads as it is. Knows nothing of raw
files or bundles.
"""

from linnet.errors import MissingExtraError

try:
    import torch  # noqa: F401
    import transformers  # noqa: F401
except ModuleNotFoundError as error:
    raise MissingExtraError(error.name or "torch", "train") from error

from linnet.train.distil.stage import distil
from linnet.train.distributed import is_main_process
from linnet.train.train import check_encoder, train

__all__ = ["check_encoder", "distil", "is_main_process", "train"]

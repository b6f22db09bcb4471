"""Memory that an engine, or torch, runs out of: C++ says so in words alone."""

import numpy as np
from numpy.typing import NDArray

from linnet.errors import OutOfMemoryError

EXHAUSTED = (
    *("bad_alloc", "failed to allocate", "cannot allocate memory"),  # ONNX Runtime, OpenVINO
    *("can't allocate memory", "not enough memory", "out of memory"),  # torch
)


def is_out_of_memory(error: Exception) -> bool:
    """Whether something failed for want of memory."""
    kinds = (MemoryError, OutOfMemoryError)
    return isinstance(error, kinds) or any(words in str(error).lower() for words in EXHAUSTED)


def computing(input_ids: NDArray[np.int64]) -> str:
    """What an engine was at, for `memory_error`."""
    return f"computed {input_ids.shape[0]:,} rows of {input_ids.shape[1]:,} tokens"


def memory_error(engine: str, work: str) -> OutOfMemoryError:
    """The error to raise, of an engine and what it was at."""
    return OutOfMemoryError(
        f"Memory ran out while {engine} {work}. Lower predict.max_batch_tokens or the number of "
        "sessions, end what else runs here, or take a machine with more memory."
    )

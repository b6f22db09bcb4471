"""Memory that an engine runs out of, which C++ says in words alone."""

import numpy as np
from numpy.typing import NDArray

from linnet.errors import OutOfMemoryError

EXHAUSTED = "bad_alloc", "Failed to allocate", "Cannot allocate memory"


def exhausted(error: Exception) -> bool:
    """Whether it is for memory that an engine failed."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in EXHAUSTED)


def computing(input_ids: NDArray[np.int64]) -> str:
    """What an engine was at, for `memory_error`."""
    return f"computed {input_ids.shape[0]:,} rows of {input_ids.shape[1]:,} tokens"


def memory_error(engine: str, work: str) -> OutOfMemoryError:
    """The error to raise, of an engine and what it was at."""
    return OutOfMemoryError(
        f"Memory ran out while {engine} {work}. Lower predict.max_batch_tokens or the number of sessions, end what "
        "else runs here, or take a machine with more memory."
    )

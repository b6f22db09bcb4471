"""Checks the replies of a worker, and turns its failures into errors for clients."""

from typing import Any

import numpy as np

from linnet.errors import OutOfMemoryError
from linnet.predict.stages import ModelOutput
from linnet.serve.errors import APIError
from linnet.serve.models.workers.worker_client import WorkerDied, WorkerOutOfMemory
from linnet.serve.models.workers.worker_main import MODEL_FAILED


def read_logits(
    reply: dict[str, Any], texts: int, labels: int
) -> tuple[ModelOutput, dict[str, str], float]:
    """Read the answers of a batch.

    Args:
        reply: The worker's message.
        texts: How many texts were in the batch.
        labels: How many labels the model has.

    Returns:
        The answers, the failure's code by index for texts without one, and seconds of computing.

    Raises:
        WorkerDied: The reply has another form, or a number is not finite.
    """
    try:
        logits = np.array(reply["logits"], np.float32)
        truncated, fast = (np.array(reply[name], np.bool_) for name in ("truncated", "fast"))
        unknown_share = np.array(reply["unknown_share"], np.float64)
        answered = ModelOutput(logits, truncated, fast, unknown_share)
        failed = dict(reply["failed"])
        seconds = float(reply["seconds"])
    except (KeyError, TypeError, ValueError) as error:
        raise WorkerDied(f"a reply that is no answer: {type(error).__name__} {error}") from None
    arrays = logits, answered.truncated, answered.fast, answered.unknown_share
    shapes = tuple(array.shape for array in arrays)
    if shapes != ((texts, labels), *3 * [(texts,)]):
        raise WorkerDied(f"{texts} texts were answered with arrays of the shapes {shapes}")
    if any(str(index) not in failed for index in np.flatnonzero(~np.isfinite(logits).all(axis=1))):
        raise WorkerDied("an answer that is no number")
    return answered, failed, seconds


def failed_text(code: str) -> APIError:
    """The error for a text that the model failed at, by the worker's reason."""
    if code == OutOfMemoryError.code:
        return APIError(503, code, "Memory ran out at this text. Send a shorter one.")
    return APIError(503, MODEL_FAILED, "The model failed at this text. Send another.")


def dead_worker(error: BaseException) -> APIError:
    """The error for requests whose worker ended with the given one."""
    code = "worker_died"
    reason = "The worker that computed the answer died"
    if isinstance(error, WorkerOutOfMemory):
        code = OutOfMemoryError.code
        reason = "Memory ran out in the worker that computed the answer"
    message = f"{reason}; another is started. Send the request again."
    return APIError(503, code, message, headers={"Retry-After": "1"})

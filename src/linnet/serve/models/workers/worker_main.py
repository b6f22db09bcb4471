"""A worker: a process with one model that answers lines of JSON over a socket.

    {"bundle", "digest", "plan", "memory_bytes"} -> {"ready": true} or {"error"}
    {"texts": [[[ids, truncated, unknown_share], ...]]}
                                        -> {"logits", "truncated", "fast", "unknown_share",
                                            "failed": {index: code}, "seconds"}
    {"explain": text, "label"}          -> {"explanation"} or {"error"}

{"ended": reason} comes in place of a reply if memory ran out for good, and then it ends.

It ends with the service, also while it computes or is stopped, see `linnet.child`. It ignores the
signals that a terminal or a supervisor sends to all processes at once: those are for the service,
which drains first.
"""

import json
import logging
import math
import os
import signal
import socket
import sys
import time
from dataclasses import asdict
from typing import Any

import numpy as np

from linnet.child import end_with_connection
from linnet.errors import BundleError, LinnetError, OutOfMemoryError
from linnet.predict import Classifier, load
from linnet.predict.memory import is_out_of_memory, memory_error
from linnet.predict.peak import limit_memory
from linnet.predict.stages import Encodings, ModelOutput
from linnet.text import Encoding

WARM_UP_TEXTS = ["a", "a text of a few words to warm up with", "a long one " * 200]

MODEL_FAILED = "model_failed"
NICENESS = 5  # the service that feeds the workers, and refuses what they can't do, goes before them

logger = logging.getLogger("linnet.serve.worker")


def main() -> None:
    """Serve the socket of the first argument, a file descriptor; the second is the parent's id."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.nice(NICENESS)
    with socket.socket(fileno=int(sys.argv[1])) as connection, connection.makefile("rwb") as stream:
        end_with_connection(connection)

        def reply(content: dict[str, Any]) -> None:
            stream.write(json.dumps(content).encode() + b"\n")
            stream.flush()

        try:
            classifier = _load(json.loads(stream.readline()))
        except LinnetError as error:
            reply({"error": {"code": error.code, "message": str(error)}})
            return
        except MemoryError:
            message = str(memory_error("the worker", "loaded the model"))
            reply({"error": {"code": OutOfMemoryError.code, "message": message}})
            return
        reply({"ready": True})
        for line in stream:
            try:
                reply(respond(classifier, json.loads(line)))
            except (OutOfMemoryError, MemoryError):
                reply({"ended": OutOfMemoryError.code})
                sys.exit(OutOfMemoryError.exit_code)


def respond(classifier: Classifier, message: dict[str, Any]) -> dict[str, Any]:
    """The reply to a message.

    Raises:
        BundleError: The model can't answer even a plain text any more.
        OutOfMemoryError: So it is, for want of memory.
    """
    if "explain" in message:
        try:
            return {"explanation": asdict(classifier.explain(message["explain"], message["label"]))}
        except Exception as error:  # whatever the engine raises
            if isinstance(error, LinnetError) and not isinstance(error, OutOfMemoryError):
                return {"error": {"code": error.code, "message": str(error)}}
            _log(error, "the model failed at explaining a text")
            warm_up(classifier)
            reason = "The model failed at this text. Send another."
            return {"error": {"code": _code(error), "message": reason}}
    started = time.perf_counter()
    texts = [tuple(Encoding(*encoding) for encoding in encodings) for encodings in message["texts"]]
    answered, failed = answer(classifier, texts)
    return {
        "logits": answered.logits.tolist(),
        "truncated": answered.truncated.tolist(),
        "fast": answered.fast.tolist(),
        "unknown_share": answered.unknown_share.tolist(),
        "failed": failed,
        "seconds": time.perf_counter() - started,
    }


def answer(classifier: Classifier, texts: list[Encodings]) -> tuple[ModelOutput, dict[int, str]]:
    """Answer texts, one by one if the model fails, so that a bad text fails alone.

    Returns:
        The answers, zeros where there is none, and why there is none.

    Raises:
        BundleError: The model can't answer even a plain text any more.
        OutOfMemoryError: So it is, for want of memory.
    """
    try:
        answered = classifier.model(texts)
    except Exception as error:  # whatever the engine raises
        if len(texts) > 1:
            parts = [answer(classifier, [text]) for text in texts]
            failed = {index: reasons[0] for index, (_, reasons) in enumerate(parts) if reasons}
            return ModelOutput.join([part for part, _ in parts]), failed
        _log(error, f"the model failed at a text of {len(texts[0][0].ids)} tokens")
        warm_up(classifier)
        nothing = np.zeros((1, len(classifier.labels)), np.float32)
        no = np.zeros(1, np.bool_)
        return ModelOutput(nothing, no, no, np.zeros(1)), {0: _code(error)}
    broken = np.flatnonzero(~np.isfinite(answered.logits).all(axis=1)).tolist()
    if broken:
        warm_up(classifier)
    return answered, dict.fromkeys(broken, MODEL_FAILED)


def warm_up(classifier: Classifier) -> None:
    """Answer short and long texts, so that no user waits for memory and code to be laid out.

    Raises:
        BundleError: The model answers with something that is no probability.
        OutOfMemoryError: Memory ran out.
    """
    try:
        works = all(
            math.isfinite(answer.probability) for answer in classifier.predict(WARM_UP_TEXTS)
        )
    except LinnetError:
        raise
    except Exception as error:  # whatever the engine raises
        raise BundleError(f"{classifier.bundle.path} fails at a plain text: {error}.") from error
    if not works:
        raise BundleError(
            f"{classifier.bundle.path} answers a plain text with no probability. Export it again."
        )


def _code(error: Exception) -> str:
    """What a text is refused with that the model failed at."""
    return OutOfMemoryError.code if is_out_of_memory(error) else MODEL_FAILED


def _log(error: Exception, message: str) -> None:
    if is_out_of_memory(error):  # whose traceback says nothing
        logger.error("%s: memory ran out", message)
    else:
        logger.error("%s", message, exc_info=error)


def _load(order: dict[str, Any]) -> Classifier:
    if (limit := order.get("memory_bytes")) is not None:
        limit_memory(limit)
    classifier = load(order["bundle"], **order["plan"])
    if classifier.digest != order["digest"]:
        raise BundleError(
            f"{order['bundle']} was replaced: expected the bundle {order['digest'][:12]}, got "
            f"{classifier.digest[:12]}."
        )
    warm_up(classifier)
    return classifier

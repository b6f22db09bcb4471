"""A graph of token ids to logits, run by OpenVINO. Knows nothing of texts, labels or bundles."""

from functools import cache
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linnet.errors import BundleError, MissingExtraError, OutOfMemoryError
from linnet.predict.host import available_cores
from linnet.predict.memory import computing, is_out_of_memory, memory_error
from linnet.predict.onnx_engine import INPUTS, OUTPUT

PRECISIONS = {
    "f32": "FP32",
    "bf16": "BF16",
}  # what is computed in, and what OpenVINO calls a CPU's being able to
UNANSWERED = np.uint32(0x7FC0_11E7)  # as a float32 no number, and none that a computation ends in


class OpenVinoEngine:
    """A model compiled by OpenVINO. It is thread-safe; beyond `num_sessions` calls wait.

    Args:
        path: An ONNX file whose weights are in the file or in its folder.
        num_threads: Threads of one `run`; 0: one for each core this process may use.
        num_sessions: How many runs are computed at once.
        precision: What is computed in that the graph has in float32: "f32" or "bf16".

    Raises:
        MissingExtraError: OpenVINO is not installed.
        BundleError: The file can't be loaded, its inputs and output are not those expected, or this
            processor can't compute in the precision.
        OutOfMemoryError: Memory ran out.
    """

    def __init__(
        self, path: Path, num_threads: int = 0, num_sessions: int = 1, precision: str = "f32"
    ):
        core = _core()
        try:
            able, name = (
                core.get_property("CPU", key)
                for key in ("OPTIMIZATION_CAPABILITIES", "FULL_DEVICE_NAME")
            )
        except RuntimeError as error:
            raise _unusable(error) from error
        if PRECISIONS[precision] not in able:
            raise BundleError(
                f"This processor ({name}) doesn't compute in {precision}, so {path} is not run in "
                "it. Choose another variant."
            )
        self.num_threads = num_threads or available_cores()
        settings = {
            # OpenVINO's own choice is bfloat16 wherever the processor has it
            "INFERENCE_PRECISION_HINT": precision,
            "INFERENCE_NUM_THREADS": self.num_threads * num_sessions,
            "NUM_STREAMS": num_sessions,
            "ENABLE_CPU_PINNING": False,  # the cores are shared with the rest of the service
        }
        try:
            model = core.read_model(path)  # by its path, because weights may be next to it
            _check_names(path, model)
            compiled = core.compile_model(model, "CPU", settings)
        except (RuntimeError, MemoryError) as error:
            if is_out_of_memory(error):
                raise memory_error("OpenVINO", f"loaded {path}") from error
            reason = " ".join(str(error).split())
            raise BundleError(
                f"Expected an ONNX model in {path}, but OpenVINO refuses it: {reason}"
            ) from error
        self._path = path
        self._vocabulary = _vocabulary(model)
        self._exhausted = False
        self._requests: SimpleQueue[Any] = SimpleQueue()
        for _ in range(num_sessions):
            self._requests.put(compiled.create_infer_request())

    def run(
        self, input_ids: NDArray[np.int64], attention_mask: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Logits of shape (n, classes) of token ids and mask of shape (n, length).

        Raises:
            BundleError: The graph can't take them: an id that it has no embedding for, or more
                tokens than it reads.
            OutOfMemoryError: Memory ran out; the model has to be loaded again before it answers
                again.
        """
        # OpenVINO reads on past the end of its tables, and answers with whatever lies there.
        if max(input_ids.max(initial=0), -1 - input_ids.min(initial=0)) >= self._vocabulary:
            raise self._refusal(input_ids, f"it knows {self._vocabulary:,} tokens")
        if self._exhausted:
            raise OutOfMemoryError(
                "Memory ran out before, which OpenVINO does not get over. Load the model again."
            )
        request = self._requests.get()
        try:
            # Where memory runs out OpenVINO raises nothing, then and ever after, and leaves the
            # former answer there.
            request.get_tensor(OUTPUT).data.view(np.uint32)[...] = UNANSWERED
            request.infer(dict(zip(INPUTS, (input_ids, attention_mask), strict=True)))
            logits: NDArray[np.float32] = request.get_tensor(OUTPUT).data.copy()
        except (RuntimeError, MemoryError) as error:
            if is_out_of_memory(error):
                raise memory_error("OpenVINO", computing(input_ids)) from error
            raise self._refusal(input_ids, " ".join(str(error).split())) from error
        finally:
            self._requests.put(request)
        if logits.size < len(input_ids) or (logits.view(np.uint32) == UNANSWERED).any():
            self._exhausted = True
            raise memory_error("OpenVINO", computing(input_ids))
        return logits

    def _refusal(self, input_ids: NDArray[np.int64], reason: str) -> BundleError:
        rows = f"token ids up to {input_ids.max(initial=0):,} in rows of {input_ids.shape[1]:,}"
        return BundleError(f"{self._path} refuses {rows}: {reason}")


@cache
def _core() -> Any:
    """OpenVINO, once for the whole process.

    Loaded, it gives the thread another stack for signals, and puts the former one back when it
    goes; of two that go in the order they came in, the second puts back that of the first, which is
    no more: the next signal ends the process.
    """
    try:
        import openvino  # noqa: PLC0415 - takes a third of a second, so only where it is used
    except ModuleNotFoundError as error:
        raise MissingExtraError("openvino", "openvino") from error
    except ImportError as error:
        raise _unusable(error) from error
    try:
        return openvino.Core()
    except RuntimeError as error:
        raise _unusable(error) from error


def _unusable(error: Exception) -> BundleError:
    reason = " ".join(str(error).split()).rstrip(".")
    return BundleError(
        f"OpenVINO is installed, but can't be used here: {reason}. Choose another engine."
    )


def _check_names(path: Path, model: Any) -> None:
    inputs, outputs = (
        [port.get_any_name() for port in ports] for ports in (model.inputs, model.outputs)
    )
    if set(inputs) != set(INPUTS) or OUTPUT not in outputs:
        raise BundleError(
            f"Expected a graph of {' and '.join(INPUTS)} to {OUTPUT} in {path}; got one of "
            f"{', '.join(inputs)} to {', '.join(outputs)}."
        )
    if (kind := model.output(OUTPUT).get_element_type().to_string()) != "f32":
        raise BundleError(f"Expected {OUTPUT} in float32 of {path}; got {kind}.")


def _vocabulary(model: Any) -> int:
    """Rows of the embedding table; if there is none, as many as there are numbers."""
    ports = list(model.input(INPUTS[0]).get_target_inputs())
    rows = [np.iinfo(np.int64).max]
    while ports:
        port = ports.pop()
        node = port.get_node()
        if node.get_type_name() == "Gather" and port.get_index() == 1:
            rows.append(node.input(0).get_partial_shape()[0].get_length())
        elif node.get_type_name() == "Convert":
            ports += node.output(0).get_target_inputs()
    return int(min(rows))

"""A graph of token ids to logits, run by ONNX Runtime.

Knows nothing of texts, labels or bundles.
"""

from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from linnet.errors import BundleError
from linnet.predict.host import available_cores
from linnet.predict.memory import computing, is_out_of_memory, memory_error

INPUTS = ["input_ids", "attention_mask"]
OUTPUT = "logits"
FATAL = (
    4  # onnxruntime's log severity; what goes wrong is raised, so its own lines would say it twice
)
# On the CPU its fused kernel is slower than the Add and the LayerNormalization that it replaces.
SLOWER = ["SkipLayerNormFusion"]


class OnnxEngine:
    """An ONNX Runtime session. It is thread-safe; each call computes with its own threads.

    Args:
        path: An ONNX file whose weights are in the file or in its folder.
        num_threads: Threads of one `run`; 0: one for each core this process may use.

    Raises:
        BundleError: The file can't be loaded, weights lie outside of its folder, or its inputs and
            output are not those expected.
        OutOfMemoryError: Memory ran out.
    """

    def __init__(self, path: Path, num_threads: int = 0):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = num_threads or available_cores()
        options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        # Threads that spin while they wait take the cores from the rest of the service.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = FATAL
        try:
            self._session = onnxruntime.InferenceSession(
                path,  # not its bytes: weights next to it are mapped into memory
                sess_options=options,
                providers=["CPUExecutionProvider"],
                disabled_optimizers=SLOWER,
            )
        except Exception as error:  # the classes of onnxruntime have no common base but Exception
            if is_out_of_memory(error):
                raise memory_error("ONNX Runtime", f"loaded {path}") from error
            raise BundleError(
                f"Expected an ONNX model in {path}, but ONNX Runtime refuses it: {error}"
            ) from error
        inputs = self._session.get_inputs()
        outputs = self._session.get_outputs()
        if {item.name for item in inputs} != set(INPUTS) or OUTPUT not in {
            item.name for item in outputs
        }:
            raise BundleError(
                f"Expected a graph of {' and '.join(INPUTS)} to {OUTPUT} in {path}; got one of "
                f"{', '.join(item.name for item in inputs)} to "
                f"{', '.join(item.name for item in outputs)}."
            )
        self._path = path
        self.num_threads: int = options.intra_op_num_threads

    def run(
        self, input_ids: NDArray[np.int64], attention_mask: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Logits of shape (n, classes) of token ids and mask of shape (n, length).

        Raises:
            BundleError: The graph can't take them: an id that it has no embedding for, or more
                tokens than it reads.
            OutOfMemoryError: Memory ran out.
        """
        feed = dict(zip(INPUTS, (input_ids, attention_mask), strict=True))
        try:
            logits: NDArray[np.float32] = self._session.run([OUTPUT], feed)[0]
        except Exception as error:  # as above
            if is_out_of_memory(error):
                raise memory_error("ONNX Runtime", computing(input_ids)) from error
            raise BundleError(
                f"{self._path} refuses token ids up to {input_ids.max(initial=0):,} in rows of "
                f"{input_ids.shape[1]:,}: {error}"
            ) from error
        return logits

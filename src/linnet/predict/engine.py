"""What runs a graph: the engines there are, and how each runs each variant of a bundle."""

from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from linnet.errors import BundleError
from linnet.predict.host import available_cores
from linnet.predict.onnx_engine import OnnxEngine
from linnet.predict.openvino_engine import OpenVinoEngine
from linnet.predict.plan import Plan

# Variants that a graph doesn't make by itself: the engine computes in another precision than the
# file says.
PRECISION = {"bf16": "bf16"}
ENGINES = ("onnxruntime", "openvino")


class Engine(Protocol):
    """Runs a graph of token ids to logits. Several threads may call `run` at once.

    Attributes:
        num_threads: Threads of one `run`.
    """

    num_threads: int

    def run(
        self, input_ids: NDArray[np.int64], attention_mask: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Logits of shape (n, classes) of token ids and mask of shape (n, length).

        Raises:
            BundleError: The graph can't take them.
            OutOfMemoryError: Memory ran out.
        """
        ...


def open_engine(path: Path, plan: Plan) -> Engine:
    """Load a graph as a plan says.

    Raises:
        MissingExtraError: The engine is not installed.
        BundleError: There is no such engine, or no such file, or it can't load the graph.
        OutOfMemoryError: Memory ran out.
    """
    if not path.is_file():
        raise BundleError(f"{path} can't be read: no such file.")
    num_threads = plan.num_threads or max(1, available_cores() // plan.num_sessions)
    if plan.engine == "openvino":
        return OpenVinoEngine(
            path, num_threads, plan.num_sessions, PRECISION.get(plan.variant, "f32")
        )
    if plan.engine == "onnxruntime":
        return OnnxEngine(path, num_threads)
    raise BundleError(f"Expected one of the engines {', '.join(ENGINES)}; got {plan.engine!r}.")


def installed(engine: str) -> bool:
    """Whether an engine is installed."""
    return find_spec(engine) is not None

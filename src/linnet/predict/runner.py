"""Token ids in, logits out: batches of like lengths through an engine, in the order they came."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from linnet.errors import BundleError
from linnet.predict.batching import pad, token_budget_batches
from linnet.predict.engine import open_engine
from linnet.predict.plan import Plan


class Runner:
    """A loaded graph and how its batches are made. Several threads may call it at once.

    Args:
        path: An ONNX file.
        plan: How to run it.
        pad_id: The padding token.
        largest_id: The largest id that a text may have; it is tried at once.

    Attributes:
        plan: The plan given.
        classes: How many logits a text gets.

    Raises:
        MissingExtraError: The engine is not installed.
        BundleError: The graph can't be loaded, or can't take the largest id.
        OutOfMemoryError: Memory ran out.
    """

    def __init__(self, path: Path, plan: Plan, pad_id: int, largest_id: int):
        self.plan = plan
        self._pad_id = pad_id
        self._engine = open_engine(path, plan)
        self._pool = ThreadPoolExecutor(plan.num_sessions, "linnet-session")
        shape = self._engine.run(*pad([[largest_id]], pad_id)).shape
        if len(shape) != 2 or shape[0] != 1:
            raise BundleError(
                f"{path} answers one text with numbers of the shape {shape}; expected (1, labels). "
                "It is no model that classifies texts."
            )
        self.classes: int = shape[1]

    def logits(self, rows: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Logits of shape (n, classes) of the token ids of n texts; none of nothing.

        Raises:
            BundleError: The graph can't take them.
            OutOfMemoryError: Memory ran out.
        """
        logits = np.empty((len(rows), self.classes), np.float32)

        def run(batch: list[int]) -> None:
            logits[batch] = self._engine.run(*pad([rows[i] for i in batch], self._pad_id))

        batches = token_budget_batches([len(row) for row in rows], self.plan.max_batch_tokens)
        if self.plan.num_sessions == 1 or len(batches) == 1:
            for batch in batches:
                run(batch)
        else:
            list(self._pool.map(run, batches))
        return logits

"""Several processes that train one model, each on its share of every batch: what `torchrun` starts.

Outside of it there is one process, and everything here does nothing.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import distributed


@dataclass(frozen=True)
class Group:
    """The processes of a run.

    Attributes:
        rank: This one's number, from 0; the first alone writes files.
        size: How many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process speaks and writes for all."""
        return self.rank == 0

    def share(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The part of a batch that this process takes; it may be empty."""
        return np.array_split(rows, self.size)[self.rank]

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """Add up a tensor over all processes, in place."""
        if self.size > 1:
            distributed.all_reduce(values)
        return values

    def gather(self, value: Any) -> list[Any]:
        """A picklable value of every process, in their order, to all of them."""
        if self.size == 1:
            return [value]
        values = [None] * self.size
        distributed.all_gather_object(values, value)
        return values

    def wait(self) -> None:
        """Wait until all processes have come here."""
        if self.size > 1:
            distributed.barrier()


def is_main_process() -> bool:
    """Whether this process is the one that prints:

    the first of those that `torchrun` started, or the only one.
    """
    return os.environ.get("RANK", "0") == "0"


def world_size() -> int:
    """How many processes `torchrun` started; 1 outside of it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


@contextmanager
def process_group() -> Iterator[Group]:
    """Join the processes that `torchrun` started, if it did."""
    size = world_size()
    if size == 1:
        yield Group()
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(
            device()
        )  # what is gathered and waited for goes through the current one
    distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield Group(distributed.get_rank(), size)
    finally:
        distributed.destroy_process_group()


def device() -> torch.device:
    """Where this process trains: its own GPU where there are some, else the CPU."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))

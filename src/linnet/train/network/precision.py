"""Which number format training computes in: measured, not believed."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch

ROWS = 384
ROUNDS = 7
WORTH = 1.2  # times faster, below which bfloat16 isn't worth its coarser numbers
NARROW = 128  # of a model no wider the products take too little of a step


@dataclass(frozen=True)
class Precision:
    """A number format and why it was chosen.

    Attributes:
        dtype: Of the encoder's products.
        reason: In words, for the record.
    """

    dtype: torch.dtype
    reason: str

    @property
    def name(self) -> str:
        """What it is called, "bf16" or "fp32"."""
        return "bf16" if self.dtype == torch.bfloat16 else "fp32"


def choose_precision(asked: bool | Literal["auto"], width: int, device: torch.device) -> Precision:
    """Choose between float32 and bfloat16.

    Args:
        asked: `train.bf16`: a choice, or "auto" to measure a product of the model's shape in both.
        width: Of the model.
        device: Where it is trained.
    """
    if asked != "auto":
        return Precision(
            torch.bfloat16 if asked else torch.float32,
            f"train.bf16 = {str(asked).lower()}",
        )
    if width <= NARROW:
        return Precision(torch.float32, f"a model {width} wide gains nothing from bf16")
    single, half = (_seconds(width, dtype, device) for dtype in (torch.float32, torch.bfloat16))
    faster = single / half
    reason = f"products of this model are {faster:.1f} times as fast in bf16 as in fp32 here"
    return Precision(torch.bfloat16 if faster >= WORTH else torch.float32, reason)


def _seconds(width: int, dtype: torch.dtype, device: torch.device) -> float:
    """The fastest of some products of activations and a feed-forward matrix."""
    rows = torch.ones(ROWS, width, dtype=dtype, device=device)
    matrix = torch.ones(width, 4 * width, dtype=dtype, device=device)
    return min(_timed(lambda: rows @ matrix, device) for _ in range(ROUNDS))


def _timed(work: Callable[[], object], device: torch.device) -> float:
    started = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started

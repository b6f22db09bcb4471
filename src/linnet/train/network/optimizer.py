"""The optimiser and the schedule of `transformers.Trainer`:

AdamW, linear warm-up, linear decay to 0.
"""

import math

import torch

from linnet.config import TrainConfig
from linnet.train.network.weights import Weights

BETAS = (0.9, 0.999)
EPSILON = 1e-8


class AdamW:
    """AdamW on the buffers of `Weights`.

    Source: Loshchilov and Hutter 2019, arXiv:1711.05101, algorithm 2.

    What `torch.optim.AdamW` does, in one pass over memory: from gradients in bfloat16, and the
    copies the model computes with renewed while their masters are at hand.

    Args:
        weights: What to train.
        weight_decay: Of the weights that decay.

    Attributes:
        moments: First and second moment of each buffer, float32.
        steps: Steps done.
    """

    def __init__(self, weights: Weights, weight_decay: float):
        self.weights = weights
        self.weight_decay = weight_decay
        self.moments = [
            (torch.zeros_like(buffer.master), torch.zeros_like(buffer.master))
            for buffer in weights.buffers
        ]
        self.steps = 0

    @torch.no_grad()
    def step(self, learning_rate: float, divisor: torch.Tensor) -> None:
        """Update the weights.

        Args:
            learning_rate: Of this step.
            divisor: What gradients are divided by, to clip them; float32 ().
        """
        for buffer, moments in zip(self.weights.buffers, self.moments, strict=True):
            for place, gradient in buffer.chunks():
                torch._fused_adamw_(
                    [buffer.master[place]],
                    [gradient],
                    [moments[0][place]],
                    [moments[1][place]],
                    [],
                    [torch.tensor(self.steps + 1.0, device=buffer.master.device)],
                    lr=learning_rate,
                    beta1=BETAS[0],
                    beta2=BETAS[1],
                    weight_decay=self.weight_decay if buffer.decays else 0.0,
                    eps=EPSILON,
                    amsgrad=False,
                    maximize=False,
                    grad_scale=divisor,
                )
                if buffer.copy is not buffer.master:
                    buffer.copy[place].copy_(buffer.master[place])
        self.weights.untouched *= 1 - learning_rate * self.weight_decay
        self.steps += 1


def learning_rate(settings: TrainConfig, step: int, steps: int) -> float:
    """The learning rate of a step, counted from 0:

    up from 0 in `warmup_ratio` of all, then linearly down to 0.
    """
    highest = settings.learning_rate
    assert isinstance(highest, float), "a run begins with a number"
    warmup = math.ceil(steps * settings.warmup_ratio)
    if step < warmup:
        return highest * step / warmup
    return highest * (steps - step) / max(steps - warmup, 1)

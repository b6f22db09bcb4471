"""The optimiser and the schedule of `transformers.Trainer`: AdamW, linear warm-up, linear decay to 0."""

import math
from functools import partial

from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from linnet.config import TrainConfig


def make_optimizer(model: nn.Module, settings: TrainConfig) -> AdamW:
    """AdamW, with weight decay on everything but biases and the weights of layer norms."""
    free = {
        f"{prefix}.{name}".lstrip(".")
        for prefix, module in model.named_modules()
        for name, _ in module.named_parameters(recurse=False)
        if name == "bias" or isinstance(module, nn.LayerNorm)
    }
    parameters = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    groups = [
        {
            "params": [parameter for name, parameter in parameters.items() if name not in free],
            "weight_decay": settings.weight_decay,
        },
        {"params": [parameter for name, parameter in parameters.items() if name in free], "weight_decay": 0.0},
    ]
    return AdamW(groups, lr=settings.learning_rate, fused=True)


def make_scheduler(optimizer: AdamW, settings: TrainConfig, steps: int) -> LambdaLR:
    """The learning rate over `steps` steps: up from 0 in `warmup_ratio` of them, then linearly down to 0."""
    return LambdaLR(optimizer, partial(_factor, warmup=math.ceil(steps * settings.warmup_ratio), steps=steps))


def _factor(step: int, warmup: int, steps: int) -> float:
    if step < warmup:
        return step / warmup
    return (steps - step) / max(steps - warmup, 1)

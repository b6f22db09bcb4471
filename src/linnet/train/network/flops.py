"""How much arithmetic a training step is, from the model's shape."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from linnet.train.encoder.find import POOLER

BACKWARD = 2  # products by weights and by inputs, each as large as the one of the forward pass


@dataclass(frozen=True)
class Flops:
    """Floating-point operations of a forward and a backward pass.

    A matrix product of n multiply-adds is 2n operations. Each token meets every weight of the
    encoder's linear layers once, and each text those of the head; in the attention of a layer each
    token of a text meets each of its tokens in two products of the layer's width: 2 x 2 x width
    operations a pair. Element-wise work is left out, and so is padding. This is the count of Kaplan
    et al. 2020 (arXiv:2001.08361), table 1, with the attention of Chowdhery et al. 2022
    (arXiv:2204.02311), appendix B.

    Attributes:
        weights: Weights of the linear layers of the encoder.
        head_weights: Weights of the linear layers that see one token a text.
        attention: Layers times width.
    """

    weights: int
    head_weights: int
    attention: int

    @classmethod
    def of(cls, model: Any) -> "Flops":
        """The counts of a `transformers` model for sequence classification."""
        linear = {
            name: module.weight.numel()
            for name, module in model.named_modules()
            if isinstance(module, nn.Linear)
        }
        encoder = sum(
            size
            for name, size in linear.items()
            if name.startswith(f"{model.base_model_prefix}.") and POOLER not in name
        )
        config = model.config
        return cls(
            encoder, sum(linear.values()) - encoder, config.num_hidden_layers * config.hidden_size
        )

    def step(self, lengths: NDArray[np.int64]) -> int:
        """Operations of one batch, forward and backward:

        its texts' tokens, int64 (texts,), without padding.
        """
        tokens = int(lengths.sum())
        pairs = int((lengths * lengths).sum())
        forward = (
            2 * self.weights * tokens
            + 2 * self.head_weights * len(lengths)
            + 4 * self.attention * pairs
        )
        return (1 + BACKWARD) * forward

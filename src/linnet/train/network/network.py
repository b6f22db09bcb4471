"""A classifier as the loop sees it:

a batch in, logits out, and the weights that make the difference.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from linnet.train.network.batches import Batch
from linnet.train.network.packed import Packed, fits
from linnet.train.network.weights import Weights


class Padded:
    """A model of any architecture, computed by `transformers` on padded texts.

    Args:
        model: A `transformers` classifier in float32.
        dtype: What its products are computed in.
        pad_id: What shorter texts of a batch are filled with.
        example: Some texts. Weights that their loss does not reach, such as a pooler that no head
            reads, are not trained: not decayed either, as in torch, whose optimisers pass over
            weights without a gradient.
    """

    def __init__(self, model: Any, dtype: torch.dtype, pad_id: int, example: Batch | None = None):
        self.model = model
        self.dtype = dtype
        self.pad_id = pad_id
        if example is not None:
            self._freeze_unreached(example)
        self.weights = Weights(model)

    def _freeze_unreached(self, example: Batch) -> None:
        trained = [value for value in self.model.parameters() if value.requires_grad]
        gradients = torch.autograd.grad(self(example, False).sum(), trained, allow_unused=True)
        for value, gradient in zip(trained, gradients, strict=True):
            value.requires_grad_(gradient is not None)

    def __call__(self, batch: Batch, training: bool) -> torch.Tensor:
        """Logits, float32 (texts, labels)."""
        self.model.train(training)
        input_ids, attention_mask = batch.padded(self.pad_id)
        mixed = self.dtype != torch.float32
        with torch.autocast(
            batch.ids.device.type, self.dtype, enabled=mixed, cache_enabled=training
        ):
            logits: torch.Tensor = self.model(
                input_ids=input_ids, attention_mask=attention_mask
            ).logits
        return logits.float()


Network = Packed | Padded


def make_network(
    model: Any,
    dtype: torch.dtype,
    vocabulary: NDArray[np.int64],
    pad_id: int,
    seed: int,
    example: Batch | None = None,
) -> tuple[Network, NDArray[np.int64] | None]:
    """The fastest network that a model can be trained as.

    Args:
        model: A `transformers` classifier in float32, on its device.
        dtype: What its products are computed in.
        vocabulary: Ids of all tokens that texts will have, sorted.
        pad_id: What shorter texts are filled with, where they have to be.
        seed: Of dropout, where torch's own random state is not used.
        example: Some texts, to see which weights are of use; None: all are taken to be.

    Returns:
        The network, and the vocabulary in which batches have to be: None where token ids are taken
            as they are.
    """
    if fits(model):
        return Packed(model, dtype, vocabulary, seed), vocabulary
    return Padded(model, dtype, pad_id, example), None

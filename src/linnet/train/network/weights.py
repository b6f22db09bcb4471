"""A model's weights in a few long buffers, for the optimizer, clipping and checkpoints.

Where training is in bfloat16, the large matrices have a copy in it that the model computes with,
while the optimiser goes on in float32 (Micikevicius et al. 2018, arXiv:1710.03740, section 3.1).
Embeddings of tokens that no text has are left out of the buffers: all that would happen to them is
weight decay, which is one product at the end.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

CHUNK = 1 << 20


@dataclass
class Buffer:
    """Weights of one kind, end to end.

    Attributes:
        master: What the optimiser updates, float32 (n,).
        copy: What the model computes with, (n,); the master itself unless it is in bfloat16.
        grad: Gradients, of the type of `copy`, (n,).
        decays: Whether weight decay applies: not to biases and layer norms.
        joined: Whether the gradients are written over by each batch, not added to.
        total: Sum of the gradients of several batches, float32 (n,); None where a step is one
            batch.
    """

    master: torch.Tensor
    copy: torch.Tensor
    grad: torch.Tensor
    decays: bool
    joined: bool
    total: torch.Tensor | None = None

    def chunks(self) -> Iterator[tuple[slice, torch.Tensor]]:
        """Its places and their float32 gradients, in parts that stay in a CPU's cache.

        The gradients are only there until the next chunk.
        """
        size = CHUNK if self.master.device.type == "cpu" else self.master.numel()
        source = self.grad if self.total is None else self.total
        held = (
            torch.empty(size, device=self.master.device) if source.dtype != torch.float32 else None
        )
        for start in range(0, self.master.numel(), size):
            gradient = source[start : start + size]
            if held is not None:
                gradient = held[: len(gradient)].copy_(gradient)
            yield slice(start, start + size), gradient


class Weights:
    """The trainable weights of a model, moved into buffers.

    The model's own parameters become views of them.

    Args:
        model: A `transformers` model in float32.
        joined: Names of weights that are used as one matrix and are computed with in `dtype`.
        dtype: Of those.
        vocabulary: Ids of the tokens whose embeddings are trained, sorted; None: all.

    Attributes:
        parameters: How many numbers the whole model's weights are.
        frozen: Names of the weights that are not trained.
    """

    def __init__(
        self,
        model: Any,
        joined: Sequence[tuple[str, ...]] = (),
        dtype: torch.dtype = torch.float32,
        vocabulary: NDArray[np.int64] | None = None,
    ):
        self.model = model
        self.parameters = sum(value.numel() for value in model.parameters())
        self.frozen = [name for name, value in model.named_parameters() if not value.requires_grad]
        self.untouched = 1.0  # what weight decay has left of the embeddings that are not trained
        self._whole: torch.Tensor | None = None
        if vocabulary is not None:
            self._narrow(vocabulary)
        parameters = {
            name: value for name, value in model.named_parameters() if value.requires_grad
        }
        free = exempt(model)
        kinds: dict[tuple[bool, bool], list[tuple[str, ...]]] = {}
        together = {name for names in joined for name in names}
        for names in [*joined, *((name,) for name in parameters if name not in together)]:
            kinds.setdefault((names[0] not in free, names[0] in together), []).append(names)
        self.buffers: list[Buffer] = []
        self._places: dict[tuple[str, ...], tuple[Buffer, int, torch.Size]] = {}
        for (decays, narrow), groups in kinds.items():
            self._lay(parameters, groups, decays, dtype if narrow else torch.float32, narrow)

    def _lay(
        self,
        parameters: dict[str, Any],
        groups: list[tuple[str, ...]],
        decays: bool,
        dtype: torch.dtype,
        joined: bool,
    ) -> None:
        values = [parameters[name] for names in groups for name in names]
        master = torch.cat([value.detach().reshape(-1) for value in values])
        copy = master if dtype == torch.float32 else master.to(dtype)
        buffer = Buffer(master, copy, torch.zeros_like(copy), decays, joined)
        self.buffers.append(buffer)
        start = 0
        for names in groups:
            first = start
            for name in names:
                value = parameters[name]
                value.data = master[start : start + value.numel()].view_as(value)
                if copy is master:
                    value.grad = buffer.grad[start : start + value.numel()].view_as(value)
                start += value.numel()
            shape = parameters[names[0]].shape
            self._places[names] = buffer, first, torch.Size([len(names) * shape[0], *shape[1:]])

    def value(self, *names: str) -> torch.Tensor:
        """What to compute with in place of these weights, one below the other."""
        buffer, start, shape = self._places[names]
        return buffer.copy[start : start + shape.numel()].view(shape)

    def grad(self, *names: str) -> torch.Tensor:
        """Where the gradient of these weights goes."""
        buffer, start, shape = self._places[names]
        return buffer.grad[start : start + shape.numel()].view(shape)

    def zero_grad(self, unused: bool = False) -> None:
        """Begin a batch. It overwrites gradients of joined weights and adds to the others.

        Args:
            unused: Whether there will be no batch, so that all gradients have to be 0.
        """
        for buffer in self.buffers:
            if unused or not buffer.joined:
                buffer.grad.zero_()

    def collect(self, begin: bool) -> None:
        """Add the gradients of a batch to those of the step's other batches.

        Args:
            begin: Whether it is the first of them.
        """
        for buffer in self.buffers:
            if buffer.total is None:
                buffer.total = torch.zeros_like(buffer.master)
            elif begin:
                buffer.total.zero_()
            buffer.total += buffer.grad

    def norm(self) -> torch.Tensor:
        """Euclidean norm of all gradients, float32 ()."""
        # A dot product, as the norm of a vector is an order of magnitude slower on some processors.
        squares = [
            torch.dot(gradient, gradient)
            for buffer in self.buffers
            for _, gradient in buffer.chunks()
        ]
        return torch.stack(squares).sum().sqrt()

    @property
    def embeddings(self) -> nn.Embedding:
        """The model's token embeddings."""
        embeddings: nn.Embedding = self.model.get_input_embeddings()
        return embeddings

    def _narrow(self, vocabulary: NDArray[np.int64]) -> None:
        weight = self.embeddings.weight
        self._whole = weight.detach().clone()
        self._vocabulary = torch.from_numpy(vocabulary).to(weight.device)
        weight.data = self._whole[self._vocabulary]

    def state_dict(self) -> dict[str, torch.Tensor]:
        """The model's state, of tensors of their own and with all embeddings."""
        state = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
        if self._whole is not None:
            whole = self._whole * self.untouched
            whole[self._vocabulary] = self.embeddings.weight.detach()
            for name, value in self.model.state_dict().items():
                if value.data_ptr() == self.embeddings.weight.data_ptr():
                    state[name] = whole
        return state


def exempt(model: nn.Module) -> set[str]:
    """Names of the weights without weight decay, as in `transformers.Trainer`:

    biases and those of layer norms.
    """
    return {
        f"{prefix}.{name}".lstrip(".")
        for prefix, module in model.named_modules()
        for name, _ in module.named_parameters(recurse=False)
        if name == "bias" or isinstance(module, nn.LayerNorm)
    }

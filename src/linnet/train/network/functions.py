"""Operations of a packed encoder with backward passes that waste less than torch's own.

On a CPU every large tensor that torch allocates costs page faults, random numbers are drawn
one by one, and attention with dropout takes twenty small kernels. Here gradients of weights go
straight into buffers that stay, masks come sixteen bits at a time, and attention is four products.
Knows nothing of models.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.autograd import Function
from torch.nn.functional import linear as plain_linear

BITS = 16  # of a random number; a rate of 0.1 is then 0.100006


@dataclass(frozen=True)
class Layout:
    """Positions of texts in one sequence, and in a padded rectangle.

    Attributes:
        lengths: Rows of each text, int64 (texts,).
        device: Where the tensors are put.
    """

    lengths: NDArray[np.int64]
    device: torch.device

    @cached_property
    def starts(self) -> torch.Tensor:
        """First row of each text, int64 (texts,)."""
        return torch.from_numpy(np.cumsum(self.lengths) - self.lengths).to(self.device)

    @cached_property
    def shape(self) -> tuple[int, int]:
        """Texts, and places for the rows of the longest:

        a multiple of 8, for kernels are made for each number.
        """
        return len(self.lengths), -(-int(self.lengths.max()) // 8) * 8

    @cached_property
    def _inside(self) -> NDArray[np.bool_]:
        return np.arange(self.shape[1]) < self.lengths[:, None]

    @cached_property
    def rows(self) -> torch.Tensor:
        """The row of each place of the rectangle, int64 (texts x longest,); 0 where there is
        none.
        """
        places = (np.cumsum(self.lengths) - self.lengths)[:, None] + np.arange(self.shape[1])
        return torch.from_numpy(np.where(self._inside, places, 0).ravel()).to(self.device)

    @cached_property
    def places(self) -> torch.Tensor:
        """Position of each row in the rectangle, int64 (rows,)."""
        return torch.from_numpy(np.flatnonzero(self._inside)).to(self.device)

    @cached_property
    def penalty(self) -> torch.Tensor:
        """The penalty of each place, 0 or minus infinity, float32 (texts, 1, 1, longest)."""
        outside = torch.from_numpy(~self._inside).to(self.device)
        return torch.zeros(outside.shape, device=self.device).masked_fill_(outside, -torch.inf)[
            :, None, None
        ]


class DropoutMasks:
    """Dropout masks; on a CPU from numpy's SFC64, ten times as fast as torch's generator.

    Args:
        seed: Where the sequence begins.
    """

    def __init__(self, seed: int):
        self._bits = np.random.SFC64(seed)

    @property
    def state(self) -> list[int]:
        """State of the random sequence, ready for JSON."""
        return [int(word) for word in self._bits.state["state"]["state"]]

    @state.setter
    def state(self, words: list[int]) -> None:
        self._bits.state = self._bits.state | {"state": {"state": np.array(words, np.uint64)}}

    def draw(self, shape: tuple[int, ...], rate: float, like: torch.Tensor) -> torch.Tensor:
        """A mask that is 0 at a share `rate` of its places and 1 elsewhere.

        Args:
            shape: Its shape.
            rate: Share of zeros.
            like: A tensor of the type and on the device that it is to have.
        """
        if like.device.type != "cpu":
            return torch.empty(shape, dtype=like.dtype, device=like.device).bernoulli_(1 - rate)
        count = math.prod(shape)
        drawn = self._bits.random_raw(-(-count * BITS // 64)).view(np.uint16)[:count]
        return torch.from_numpy(drawn >= round(rate * (1 << BITS))).view(shape).to(like.dtype)


class Dropout(Function):
    """Some of x as 0, the rest larger by as much (Srivastava et al. 2014, section 10)."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, mask: torch.Tensor, rate: float) -> torch.Tensor:
        """X times mask / (1 - rate)."""
        ctx.save_for_backward(mask)
        ctx.rate = rate
        return (x * mask).mul_(1 / (1 - rate))

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        """Gradient of x."""
        return (gradients[0] * ctx.saved_tensors[0]).mul_(1 / (1 - ctx.rate)), None, None


class Embedding(Function):
    """Rows of a table, whose gradient is added to a buffer that is as large as the table."""

    @staticmethod
    def forward(
        ctx: Any, table: torch.Tensor, ids: torch.Tensor, buffer: torch.Tensor
    ) -> torch.Tensor:
        """Rows `ids` of `table`."""
        ctx.save_for_backward(ids)
        ctx.buffer = buffer
        return table.index_select(0, ids)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        """Nothing but the buffer."""
        ctx.buffer.index_add_(0, ctx.saved_tensors[0], gradients[0])
        return None, None, None


class Linear(Function):
    """x W^T + b, which writes the gradients of W and b over the content of their buffers."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, *buffers: torch.Tensor
    ) -> Any:
        """X (rows, in), weight (out, in), bias (out,), and buffers for the gradients of both."""
        ctx.save_for_backward(x, weight)
        ctx.buffers = buffers
        return plain_linear(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        """Gradient of x; those of the weights are in their buffers afterwards."""
        (gradient,) = gradients
        (x, weight) = ctx.saved_tensors
        torch.mm(gradient.t(), x, out=ctx.buffers[0])
        torch.sum(gradient, 0, out=ctx.buffers[1])
        return gradient.mm(weight), None, None, None, None


class Attention(Function):
    """Multi-head attention within each text of packed rows (Vaswani et al.

    2017, arXiv:1706.03762, section 3.2).
    """

    @staticmethod
    def forward(
        ctx: Any,
        queries: torch.Tensor,
        others: torch.Tensor | None,
        query_layout: Layout,
        key_layout: Layout,
        heads: int,
        masks: DropoutMasks | None,
        rate: float,
    ) -> torch.Tensor:
        """Gives the values attended to, (asking rows, width).

        Args:
            ctx: Of autograd.
            queries: Queries (asking rows, width); or queries, keys and values side by side (rows, 3
                x width).
            others: Keys and values side by side (asked rows, 2 x width); None where `queries` holds
                all.
            query_layout: Layout of the rows that ask.
            key_layout: Layout of the rows that are asked.
            heads: Number of heads, which divides the width.
            masks: Where dropout draws from; None: no dropout.
            rate: Share of attention that is dropped.
        """
        if others is None:
            query, key, value = _pad(queries, query_layout, 3, heads)
        else:
            (query,) = _pad(queries, query_layout, 1, heads)
            (key, value) = _pad(others, key_layout, 2, heads)
        scale = query.shape[-1] ** -0.5
        scores = query.bmm(key.transpose(1, 2)).float().mul_(scale)  # softmax is faster in float32
        scores.view(len(key_layout.lengths), heads, *scores.shape[1:]).add_(key_layout.penalty)
        attention_probs = scores.softmax(-1).to(query.dtype)
        mask = (
            masks.draw(tuple(attention_probs.shape), rate, attention_probs)
            if masks and rate
            else None
        )
        kept = attention_probs if mask is None else attention_probs * mask
        grow = 1.0 if mask is None else 1 / (1 - rate)
        ctx.save_for_backward(
            query, key, value, attention_probs, kept, *([] if mask is None else [mask])
        )
        ctx.rest = query_layout, key_layout, heads, scale, grow, others is None
        return _unpad(kept.bmm(value)[None].mul_(grow), query_layout, heads)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        """Gradients of `queries` and `others`."""
        query, key, value, attention_probs, kept, *mask = ctx.saved_tensors
        query_layout, key_layout, heads, scale, grow, together = ctx.rest
        gradient = _pad(gradients[0], query_layout, 1, heads, blank=True)[0].mul_(grow)
        of_query = torch.empty_like(query)[None]
        of_others = query.new_empty(2, *key.shape)
        if together:
            of_all = query.new_empty(3, *query.shape)
            of_query = of_all[:1]
            of_others = of_all[1:]
        torch.bmm(kept.transpose(1, 2), gradient, out=of_others[1])
        of_chances = gradient.bmm(value.transpose(1, 2))
        if mask:
            of_chances *= mask[0]
        of_scores = torch._softmax_backward_data(
            of_chances, attention_probs, -1, attention_probs.dtype
        ).mul_(scale)
        torch.bmm(of_scores, key, out=of_query[0])
        torch.bmm(of_scores.transpose(1, 2), query, out=of_others[0])
        if together:
            return _unpad(of_all, query_layout, heads), *[None] * 6
        return (
            _unpad(of_query, query_layout, heads),
            _unpad(of_others, key_layout, heads),
            *[None] * 5,
        )


def _pad(
    x: torch.Tensor, layout: Layout, parts: int, heads: int, blank: bool = False
) -> torch.Tensor:
    """Rows (rows, parts x width) to rectangles (parts, texts x heads, longest, head width).

    Places outside are 0 if `blank`.
    """
    texts, longest = layout.shape
    if blank:
        padded = x.new_zeros(texts * longest, x.shape[1]).index_copy_(0, layout.places, x)
    else:
        padded = x.index_select(0, layout.rows)
    grid = padded.view(texts, longest, parts, heads, -1).permute(2, 0, 3, 1, 4)
    return grid.reshape(parts, texts * heads, longest, -1)


def _unpad(grids: torch.Tensor, layout: Layout, heads: int) -> torch.Tensor:
    """What `_pad` made of rows, back to rows."""
    texts, longest = layout.shape
    grid = grids.view(len(grids), texts, heads, longest, -1).permute(1, 3, 0, 2, 4)
    return grid.reshape(texts * longest, -1).index_select(0, layout.places)

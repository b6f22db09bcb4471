"""A classifier on texts laid end to end, without padding, in float32 or bfloat16.

It has the weights of a `transformers` model of a known architecture and gives its answers. Two
things make it fast besides a number format: no token is padding, and of the last layer only the
rows that the head reads are computed.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import gelu, layer_norm, relu

from linnet.train.network.batches import Batch
from linnet.train.network.functions import (
    Attention,
    Dropout,
    DropoutMasks,
    Embedding,
    Layout,
    Linear,
)
from linnet.train.network.weights import Weights

# oneDNN compiles a kernel for every number of rows it meets, which takes longer than the product,
# and keeps it. So the rows are filled up to a multiple of this with a text that nobody asks for.
STEP = 32


@dataclass(frozen=True)
class Names:
    """An architecture's names for the parts of its encoder; `{}` is a layer's number."""

    layer: str
    query: str
    key: str
    value: str
    output: str
    output_norm: str
    up: str
    down: str
    down_norm: str
    heads: str
    dropout: str
    attention_dropout: str
    activation: str
    drops_output: bool  # whether there is dropout between attention and its layer norm


_BERT = Names(
    "encoder.layer.{}",
    *("attention.self.query", "attention.self.key", "attention.self.value"),
    *("attention.output.dense", "attention.output.LayerNorm"),
    *("intermediate.dense", "output.dense", "output.LayerNorm"),
    *("num_attention_heads", "hidden_dropout_prob", "attention_probs_dropout_prob", "hidden_act"),
    drops_output=True,
)
_DISTILBERT = Names(
    "transformer.layer.{}",
    *("attention.q_lin", "attention.k_lin", "attention.v_lin"),
    *("attention.out_lin", "sa_layer_norm"),
    *("ffn.lin1", "ffn.lin2", "output_layer_norm"),
    *("n_heads", "dropout", "attention_dropout", "activation"),
    drops_output=False,
)
ARCHITECTURES = {"distilbert": _DISTILBERT, "bert": _BERT}


def fits(model: Any) -> bool:
    """Whether a model's architecture is known here, and all of its options too."""
    names = ARCHITECTURES.get(model.config.model_type)
    plain = names is not None and getattr(model.config, names.activation) == "gelu"
    return plain and all(
        parameter.requires_grad for parameter in model.parameters()
    )  # sinusoidal positions are fixed


class Packed:
    """A model that computes on packed texts.

    Args:
        model: A `transformers` classifier that `fits`.
        dtype: What the encoder's products are computed in, float32 or bfloat16.
        vocabulary: Ids of all tokens that texts will have, sorted.
        seed: Of dropout.
    """

    def __init__(self, model: Any, dtype: torch.dtype, vocabulary: np.ndarray, seed: int):
        self.model = model
        self.dtype = dtype
        self.names = ARCHITECTURES[model.config.model_type]
        self.masks = DropoutMasks(seed)
        self.encoder = getattr(model, model.base_model_prefix)
        self.layers = [
            self.encoder.get_submodule(self.names.layer.format(number))
            for number in range(model.config.num_hidden_layers)
        ]
        self.heads = getattr(model.config, self.names.heads)
        self.rate = getattr(model.config, self.names.dropout)
        self.attention_rate = getattr(model.config, self.names.attention_dropout)
        self.weights = Weights(model, list(self._joined()), dtype, vocabulary)
        self._views: dict[tuple[int, tuple[str, ...]], list[torch.Tensor]] = {}

    def _joined(self) -> Any:
        names = self.names
        for number in range(len(self.layers)):
            for parts in (
                (names.query, names.key, names.value),
                (names.output,),
                (names.up,),
                (names.down,),
            ):
                for kind in ("weight", "bias"):
                    yield tuple(self._name(number, part, kind) for part in parts)

    def _name(self, number: int, part: str, kind: str) -> str:
        return f"{self.model.base_model_prefix}.{self.names.layer.format(number)}.{part}.{kind}"

    def __call__(self, batch: Batch, training: bool) -> torch.Tensor:
        """Logits, float32 (texts, labels).

        Args:
            batch: Texts, with places in the vocabulary for token ids.
            training: Whether there is dropout.
        """
        layout = batch.layout
        one_each = Layout(np.ones(len(batch), np.int64), layout.device)
        return self._head(
            self.encode(batch.ids, layout, layout.starts, one_each, training).float(), training
        )

    def encode(
        self,
        ids: torch.Tensor,
        layout: Layout,
        wanted: torch.Tensor,
        query_layout: Layout,
        training: bool,
    ) -> torch.Tensor:
        """What the encoder makes of some of the tokens, (wanted, width).

        Args:
            ids: Places of the tokens in the vocabulary, int64 (tokens,).
            layout: Which of them are which text's.
            wanted: Which tokens are asked for, ascending int64 (wanted,).
            query_layout: Which of those are which text's.
            training: Whether there is dropout.
        """
        tokens = len(ids)
        rows = len(wanted)
        positions = np.arange(tokens) - np.repeat(
            np.cumsum(layout.lengths) - layout.lengths, layout.lengths
        )
        places = torch.from_numpy(positions).to(layout.device)
        ids, places = (torch.cat([part, part.new_zeros(_filler(tokens))]) for part in (ids, places))
        wanted = torch.cat([wanted, wanted.new_full((_filler(rows),), tokens)])
        layout = _filled(layout)
        query_layout = _filled(query_layout)
        x = self._embed(ids, places, training)
        for number in range(len(self.layers) - 1):
            x = self._layer(number, x, layout, None, layout, training)
        return self._layer(len(self.layers) - 1, x, layout, wanted, query_layout, training)[:rows]

    def _embed(self, ids: torch.Tensor, places: torch.Tensor, training: bool) -> torch.Tensor:
        parts = self.encoder.embeddings
        x = _rows(parts.word_embeddings, ids) + _rows(parts.position_embeddings, places)
        if hasattr(parts, "token_type_embeddings"):
            x = x + parts.token_type_embeddings.weight[0]
        return self._drop(_norm(x, parts.LayerNorm), training).to(self.dtype)

    def _layer(
        self,
        number: int,
        x: torch.Tensor,
        layout: Layout,
        wanted: torch.Tensor | None,
        query_layout: Layout,
        training: bool,
    ) -> torch.Tensor:
        names = self.names
        layer = self.layers[number]
        masks = self.masks if training else None
        rest = query_layout, layout, self.heads, masks, self.attention_rate
        key_layout: torch.Tensor | None = None
        if wanted is None:
            asks = self._linear(number, x, names.query, names.key, names.value)
        else:
            # The matrices lie as one: its first third are the queries', and both parts are written.
            asks, key_layout, x = self._split(number, x, wanted)
        attended = Attention.apply(asks, key_layout, *rest)  # type: ignore[no-untyped-call]
        y = self._linear(number, attended, names.output)
        if names.drops_output:
            y = self._drop(y, training)
        x = _norm(y + x, layer.get_submodule(names.output_norm))
        y = self._linear(number, gelu(self._linear(number, x, names.up)), names.down)
        return _norm(self._drop(y, training) + x, layer.get_submodule(names.down_norm))

    def _tensors(self, number: int, parts: tuple[str, ...]) -> list[torch.Tensor]:
        """Weight and bias of a layer's parts, one below the other, and where their gradients go."""
        if (number, parts) not in self._views:
            keys = [
                tuple(self._name(number, part, kind) for part in parts)
                for kind in ("weight", "bias")
            ]
            views = [self.weights.value(*key) for key in keys] + [
                self.weights.grad(*key) for key in keys
            ]
            self._views[number, parts] = views
        return self._views[number, parts]

    def _linear(self, number: int, x: torch.Tensor, *parts: str) -> torch.Tensor:
        return Linear.apply(x, *self._tensors(number, parts))  # type: ignore[no-any-return, no-untyped-call]

    def _split(
        self, number: int, x: torch.Tensor, wanted: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        tensors = self._tensors(number, (self.names.query, self.names.key, self.names.value))
        width = len(tensors[0]) // 3
        chosen = x.index_select(0, wanted)
        asks = Linear.apply(chosen, *(tensor[:width] for tensor in tensors))  # type: ignore[no-untyped-call]
        key_layout = Linear.apply(x, *(tensor[width:] for tensor in tensors))  # type: ignore[no-untyped-call]
        return asks, key_layout, chosen

    def _drop(self, x: torch.Tensor, training: bool, rate: float | None = None) -> torch.Tensor:
        rate = self.rate if rate is None else rate
        if not training or not rate:
            return x
        return Dropout.apply(x, self.masks.draw(tuple(x.shape), rate, x), rate)  # type: ignore[no-any-return, no-untyped-call]

    def _head(self, x: torch.Tensor, training: bool) -> torch.Tensor:
        model = self.model
        config = self.model.config
        if config.model_type == "distilbert":
            x = relu(model.pre_classifier(x))
            rate = config.seq_classif_dropout
        else:
            rate = (
                config.hidden_dropout_prob
                if config.classifier_dropout is None
                else config.classifier_dropout
            )
            x = self.encoder.pooler.dense(x).tanh()
        logits: torch.Tensor = model.classifier(self._drop(x, training, rate))
        return logits


def _filler(rows: int) -> int:
    """How many rows of a text of no consequence follow these, at least one."""
    return STEP - rows % STEP


def _filled(layout: Layout) -> Layout:
    return Layout(np.append(layout.lengths, _filler(int(layout.lengths.sum()))), layout.device)


def _rows(table: nn.Embedding, ids: torch.Tensor) -> torch.Tensor:
    return Embedding.apply(table.weight, ids, table.weight.grad)  # type: ignore[no-any-return, no-untyped-call]


def _norm(x: torch.Tensor, norm: nn.LayerNorm) -> torch.Tensor:
    if x.device.type == "cpu" or x.dtype == torch.float32:
        return layer_norm(x, norm.normalized_shape, norm.weight, norm.bias, norm.eps)
    return layer_norm(x.float(), norm.normalized_shape, norm.weight, norm.bias, norm.eps).to(
        x.dtype
    )

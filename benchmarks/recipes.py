"""What may be done otherwise than the plain recipe of fine-tuning: the techniques that techniques.py compares."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy, kl_div

from linnet.train.batches import Batch, batches
from linnet.train.classify import Classify, Scores
from linnet.train.functions import Layout
from linnet.train.loop import Loop
from linnet.train.optimizer import AdamW
from linnet.train.packed import Packed
from linnet.train.weights import Weights

RECIPE = {
    "train.num_train_epochs": 2,
    "train.learning_rate": 5e-5,
    "train.early_stopping_patience": 9,
    "train.class_weight": "none",
}
LAYER_DECAY, WEIGHT, DELETED, HIDDEN = 0.9, 1.0, 0.1, 0.15
MOVING, EVERY = 0.95, 10


class MeanPooled(Packed):
    """The head reads the mean of all tokens' states, not the first token's."""

    def __call__(self, batch: Batch, training: bool) -> torch.Tensor:
        """Logits, float32 (texts, labels)."""
        layout = batch.layout
        states = self.encode(
            batch.ids, layout, torch.arange(len(batch.ids)), layout, training
        ).float()
        lengths = torch.from_numpy(layout.lengths)
        texts = torch.repeat_interleave(torch.arange(len(batch)), lengths)
        sums = states.new_zeros(len(batch), states.shape[1]).index_add(0, texts, states)
        return self._head(sums / lengths[:, None], training)


class RDrop(Classify):
    """Two readings of each text, with other dropout, are drawn together (Liang et al. 2021, arXiv:2106.14448)."""

    def loss(self, batch: Batch) -> torch.Tensor:
        """Sum over the texts of both readings' mean loss and of how far they are apart."""
        logits = self.network(_one_after_the_other(batch, self.again(batch)), True)
        ones, others = logits.log_softmax(1).split(len(batch))
        apart = _divergence(ones, others) + _divergence(others, ones)
        told = self._loss(
            logits, batch.labels.repeat(2), self.class_weights, self.settings.label_smoothing_factor
        )
        return told / 2 + WEIGHT * apart / 4

    def again(self, batch: Batch) -> Batch:
        """What is read the second time."""
        return batch


class Consistent(RDrop):
    """The second reading lacks some tokens, as words in the random deletion of Wei and Zou 2019, arXiv:1901.11196."""

    def again(self, batch: Batch) -> Batch:
        """The batch without some tokens; every text keeps its first and its last, which are no words."""
        lengths = batch.layout.lengths
        kept = torch.rand(len(batch.ids)) >= DELETED
        kept[torch.from_numpy(_ends(lengths))] = True
        left = np.add.reduceat(kept.numpy().astype(np.int64), np.cumsum(lengths) - lengths)
        return Batch(batch.rows, batch.ids[kept], Layout(left, batch.layout.device), batch.labels)


class LayerWise(AdamW):
    """The learning rate falls from layer to layer down (Sun et al. 2019, arXiv:1905.05583)."""

    @torch.no_grad()
    def step(self, learning_rate: float, divisor: torch.Tensor) -> None:
        """Update the weights: a step of Adam at a share of the rate is that share of the step."""
        before = [buffer.master.clone() for buffer in self.weights.buffers]
        super().step(learning_rate, divisor)
        for buffer, old, share in zip(self.weights.buffers, before, self._shares, strict=True):
            buffer.master.sub_(old).mul_(share).add_(old)
            if buffer.copy is not buffer.master:
                buffer.copy.copy_(buffer.master)

    @cached_property
    def _shares(self) -> list[torch.Tensor]:
        """The share of the learning rate that each weight of each buffer has."""
        shares = {
            buffer.master.data_ptr(): torch.ones_like(buffer.master)
            for buffer in self.weights.buffers
        }
        layers = self.weights.model.config.num_hidden_layers
        for name, value in self.weights.model.named_parameters():
            share = shares[value.untyped_storage().data_ptr()]
            start = value.storage_offset()
            share[start : start + value.numel()] = LAYER_DECAY ** (layers - _depth(name, layers))
        return list(shares.values())


class Cosine(AdamW):
    """The learning rate falls along half a cosine, not a line (Loshchilov and Hutter 2017, arXiv:1608.03983)."""

    def step(self, learning_rate: float, divisor: torch.Tensor) -> None:
        """Update the weights."""
        peak = RECIPE["train.learning_rate"]
        super().step(peak * (1 - math.cos(math.pi * learning_rate / peak)) / 2, divisor)


class Hidden(Classify):
    """Which words are hidden, of a share of them (Devlin et al. 2019, arXiv:1810.04805, section 3.1, task 1).

    The network has a head for it, `WordsHead`, and `mask` is the place of [MASK] in its vocabulary.
    """

    mask: int

    def loss(self, batch: Batch) -> torch.Tensor:
        """Mean loss of the hidden words, times the texts."""
        logits, words = self._guess(batch, True)
        return cross_entropy(logits, words, reduction="sum") * (len(batch) / max(1, len(words)))

    @torch.no_grad()
    def evaluate(self) -> Scores:
        """How well the hidden words of the validation texts are guessed; accuracy stands for F1 too."""
        size, told, right, count = self.settings.per_device_eval_batch_size, 0.0, 0, 0
        for part in batches(self.validation, np.arange(len(self.validation)), size, self.device):
            logits, words = self._guess(part, False)
            told += cross_entropy(logits, words, reduction="sum").item()
            right += int((logits.argmax(1) == words).sum())
            count += len(words)
        right_share = right / max(1, count)
        return Scores(told / max(1, count), right_share, right_share)

    def _guess(self, batch: Batch, training: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits of the hidden words, (hidden, vocabulary), and which they are, (hidden,)."""
        network, layout = self.network, batch.layout
        hidden = self.hide(batch)
        read = torch.where(hidden, self.disguise(batch.ids), batch.ids)
        states = network.encode(read, layout, torch.arange(len(read)), layout, training)[
            hidden
        ].float()
        head = network.model.words_head
        return head.bias + head(states) @ network.weights.embeddings.weight.T, batch.ids[hidden]

    def hide(self, batch: Batch) -> torch.Tensor:
        """Which tokens are hidden, (tokens,); never a text's first and last, which are no words."""
        hidden = torch.rand(len(batch.ids)) < HIDDEN
        hidden[torch.from_numpy(_ends(batch.layout.lengths))] = False
        return hidden

    def disguise(self, ids: torch.Tensor) -> torch.Tensor:
        """What is read in the place of words: in 8 of 10 [MASK], in 1 another word, in 1 the word itself."""
        lot = torch.rand(len(ids))
        others = torch.randint(len(self.network.weights.embeddings.weight), (len(ids),))
        return torch.where(lot < 0.8, self.mask, torch.where(lot < 0.9, others, ids))


class WordsHead(nn.Sequential):
    """What BERT lays between the encoder's states and the words' embeddings."""

    def __init__(self, width: int, words: int):
        super().__init__(nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width))
        self.bias = nn.Parameter(torch.zeros(words))


@dataclass(frozen=True)
class Technique:
    """One thing that is done otherwise than in the plain run.

    Attributes:
        words: What it is, for the table.
        settings: Of `[train]`.
        network: What computes.
        task: What is learnt.
        optimizer: What updates the weights.
        before: What the encoder learns first, from the same texts by the same settings.
    """

    words: str
    settings: dict[str, Any] = field(default_factory=dict)
    network: type[Packed] = Packed
    task: type[Classify] = Classify
    optimizer: type[AdamW] = AdamW
    before: type[Hidden] | None = None


PLAIN = "plain"
TECHNIQUES = {
    PLAIN: Technique("the recipe as it is"),
    "smoothing": Technique("label smoothing of 0.1", {"train.label_smoothing_factor": 0.1}),
    "layer-wise": Technique(f"learning rate times {LAYER_DECAY} a layer down", optimizer=LayerWise),
    "mean-pooling": Technique("the head reads the mean of all tokens", network=MeanPooled),
    "r-drop": Technique(f"R-Drop, weight {WEIGHT:g}", task=RDrop),
    "consistency": Technique(
        f"R-Drop, weight {WEIGHT:g}, a second reading without {DELETED:.0%} of the tokens",
        task=Consistent,
    ),
    "adapt": Technique(
        f"before it the same texts with {HIDDEN:.0%} of the words hidden", before=Hidden
    ),
    "warm-up": Technique("a warm-up of 0.1 of the steps", {"train.warmup_ratio": 0.1}),
    "cosine": Technique("the learning rate falls along a cosine", optimizer=Cosine),
    "dropout": Technique("dropout of 0.2", {"train.dropout": 0.2, "train.attention_dropout": 0.2}),
    "longer": Technique(
        "3 epochs at 2e-5", {"train.num_train_epochs": 3, "train.learning_rate": 2e-5}
    ),
}


class Mean:
    """A mean of the weights after steps.

    Args:
        weights: Of what is trained.
        share: What of the mean is that of a step's weights, the others' going on in the rest, by its number from 1.
    """

    def __init__(self, weights: Weights, share: Callable[[int], float]):
        self.weights, self.share = weights, share
        self.means = [torch.zeros_like(buffer.master) for buffer in weights.buffers]

    @torch.no_grad()
    def add(self, step: int) -> None:
        """Add the weights as they are after a step."""
        share = self.share(step)
        for mean, buffer in zip(self.means, self.weights.buffers, strict=True):
            if share:
                mean.lerp_(buffer.master, share)

    @torch.no_grad()
    def apply(self) -> None:
        """Put the mean in the place of the weights."""
        for mean, buffer in zip(self.means, self.weights.buffers, strict=True):
            buffer.master.copy_(mean)
            buffer.copy.copy_(mean)


def of_last_epoch(loop: Loop) -> Mean:
    """Of all steps of the last epoch alike.

    What stochastic weight averaging does (Izmailov et al. 2018, arXiv:1803.05407), but at the recipe's falling rate.
    """
    before = loop.steps - loop.steps_per_epoch
    return Mean(loop.weights, lambda step: 1 / (step - before) if step > before else 0.0)


def moving(loop: Loop) -> Mean:
    """Exponential, of each `EVERY`th step; corrected for its start as in Kingma and Ba 2015, arXiv:1412.6980."""
    return Mean(
        loop.weights,
        lambda step: 0.0 if step % EVERY else (1 - MOVING) / (1 - MOVING ** (step // EVERY)),
    )


# They cost no run of their own: they are taken from the plain one's.
MEANS = {"averaged": of_last_epoch, "moving": moving}
WORDS = {name: technique.words for name, technique in TECHNIQUES.items()} | {
    "averaged": "the mean of the weights of the last epoch",
    "moving": f"the moving mean of the weights, {MOVING} over {EVERY} steps",
}


def _ends(lengths: np.ndarray) -> np.ndarray:
    """Places of the first and the last token of each text."""
    starts = np.cumsum(lengths) - lengths
    return np.concatenate([starts, starts + lengths - 1])


def _one_after_the_other(one: Batch, other: Batch) -> Batch:
    lengths = np.concatenate([one.layout.lengths, other.layout.lengths])
    rows, labels = np.concatenate([one.rows, other.rows]), torch.cat([one.labels, other.labels])
    return Batch(rows, torch.cat([one.ids, other.ids]), Layout(lengths, one.layout.device), labels)


def _divergence(expected: torch.Tensor, found: torch.Tensor) -> torch.Tensor:
    return kl_div(found, expected, reduction="sum", log_target=True)


def _depth(name: str, layers: int) -> int:
    """The number of a weight's layer, from 1; 0 of embeddings, and the head's is that of the last."""
    parts = name.split(".")
    if "embeddings" in parts:
        return 0
    numbers = [int(part) for part in parts if part.isdigit()]
    return numbers[0] + 1 if numbers else layers

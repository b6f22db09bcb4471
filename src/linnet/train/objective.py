"""The loss and the scores of a classifier."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from linnet.config import TrainConfig
from linnet.evaluate import metrics, thresholds
from linnet.predict import sigmoid
from linnet.train.network.batches import Batch, Encoded, batches
from linnet.train.network.network import Network


@dataclass(frozen=True)
class Scores:
    """How a model does on texts it does not learn from.

    Attributes:
        loss: Mean loss.
        accuracy: Share of right answers.
        f1: Macro F1; of several labels per text micro F1.
    """

    loss: float
    accuracy: float
    f1: float


class ClassificationObjective:
    """Cross-entropy against the labels; for multi-label the mean binary cross-entropy.

    Args:
        network: What learns it.
        settings: The recipe.
        validation: The texts to evaluate on, as the network takes them.
        class_weights: What an error on each class counts, 1 on average; None: the same.
    """

    def __init__(
        self,
        network: Network,
        settings: TrainConfig,
        validation: Encoded,
        class_weights: Sequence[float] | None = None,
    ):
        self.network = network
        self.settings = settings
        self.validation = validation
        self.multi_label = validation.labels.ndim == 2
        self.device = network.weights.buffers[0].master.device
        self.class_weights = (
            None if class_weights is None else torch.tensor(class_weights, device=self.device)
        )

    def loss(self, batch: Batch) -> torch.Tensor:
        """Sum of the losses of a batch's texts, with dropout."""
        logits = self.network(batch, True)
        return self._loss(
            logits, batch.labels, self.class_weights, self.settings.label_smoothing_factor
        )

    def _loss(
        self,
        logits: torch.Tensor,
        labels: torch.Tensor,
        weights: torch.Tensor | None = None,
        smoothing: float = 0.0,
    ) -> torch.Tensor:
        if self.multi_label:
            target = labels.to(logits.dtype)
            return (
                binary_cross_entropy_with_logits(logits, target, weights, reduction="sum")
                / labels.shape[1]
            )
        return cross_entropy(logits, labels, weights, reduction="sum", label_smoothing=smoothing)

    @torch.no_grad()
    def logits(self, split: Encoded) -> NDArray[np.float32]:
        """Logits of all texts of a split, without dropout, float32 (n, labels)."""
        order = split.lengths.argsort(
            kind="stable"
        )  # for networks that pad: batches of like length hold little of it
        answers = np.empty((len(split), self.network.model.config.num_labels), np.float32)
        for part in batches(split, order, self.settings.per_device_eval_batch_size, self.device):
            answers[part.rows] = self.network(part, False).cpu().numpy()
        return answers

    def evaluate(self) -> Scores:
        """How the model does on the validation texts."""
        return self.score(self.logits(self.validation))

    def score(self, logits: NDArray[np.float32]) -> Scores:
        """How good logits of the validation texts are, float32 (n, labels)."""
        labels = self.validation.labels
        loss = self._loss(torch.from_numpy(logits).double(), torch.tensor(labels)).item() / len(
            labels
        )
        predicted: NDArray[Any] = (
            _decide(logits, labels) if self.multi_label else logits.argmax(axis=1)
        )
        f1 = metrics.micro_f1 if self.multi_label else metrics.macro_f1
        return Scores(loss, metrics.accuracy(labels, predicted), f1(labels, predicted))


def _decide(logits: NDArray[np.float32], labels: NDArray[np.bool_]) -> NDArray[np.bool_]:
    # At 0.5 a model of many rare labels says nothing for epochs, and the first of these would seem
    # the best.
    probabilities = sigmoid(logits)
    return np.asarray(
        probabilities >= thresholds.best_threshold(probabilities.ravel(), labels.ravel())
    )

"""The training loop: epochs of steps, a look at the validation split after each, and when to stop.

All that a run's next step depends on is in `Loop`'s attributes and torch's random state. Knows nothing of files.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from torch.nn.utils import clip_grad_norm_

from linnet.config import TrainConfig
from linnet.errors import TrainingError
from linnet.evaluate import metrics, thresholds
from linnet.predict import sigmoid
from linnet.train.batches import Batch, Encoded, batches
from linnet.train.flops import Flops
from linnet.train.optimizer import make_optimizer, make_scheduler


@dataclass(frozen=True)
class Epoch:
    """What one epoch came to.

    Attributes:
        epoch: Its number, from 1.
        train_loss: Mean cross-entropy of the texts trained on, each as it was met, dropout included; of several
            labels a text the mean binary cross-entropy of each.
        eval_loss: The same of the validation texts.
        eval_accuracy: Share of the validation texts whose likeliest label is theirs; of several labels a text the
            share whose labels are all right, by the one threshold for all labels that is best for micro F1.
        eval_f1: Macro F1 on the validation texts; of several labels a text micro F1 by that threshold.
        learning_rate: Of the epoch's last step.
    """

    epoch: int
    train_loss: float
    eval_loss: float
    eval_accuracy: float
    eval_f1: float
    learning_rate: float


@dataclass
class State:
    """How far a run has come.

    Attributes:
        step: Optimiser steps done.
        texts: Texts trained on, counted each time.
        tokens: Tokens trained on, padding included.
        flops: Floating-point operations of training, see `Flops`.
        history: The epochs done.
    """

    step: int = 0
    texts: int = 0
    tokens: int = 0
    flops: int = 0
    history: list[Epoch] = field(default_factory=list)


class Loop:
    """A training run of a model on a split.

    Args:
        model: A `transformers` model for sequence classification, on the device it is trained on.
        settings: The recipe.
        train: The split to learn from.
        validation: The split that says which epoch is best.
    """

    def __init__(self, model: Any, settings: TrainConfig, train: Encoded, validation: Encoded):
        self.model, self.settings, self.train, self.validation = model, settings, train, validation
        self.steps_per_epoch = math.ceil(len(train) / settings.per_device_train_batch_size)
        self.optimizer = make_optimizer(model, settings)
        self.scheduler = make_scheduler(self.optimizer, settings, self.steps_per_epoch * settings.num_train_epochs)
        self.generator = torch.Generator().manual_seed(settings.seed)
        self.state = State()
        self._flops = Flops.of(model)
        self._multi_label = train.labels.ndim == 2

    @property
    def best(self) -> Epoch:
        """The best epoch so far, the earliest where several are equal; there must have been one."""
        return max(self.state.history, key=self._score)

    @property
    def stop_reason(self) -> str | None:
        """Why there is no further epoch, in words; None while there is one."""
        epochs, patience = self.settings.num_train_epochs, self.settings.early_stopping_patience
        if len(self.state.history) == epochs:
            return f"all {epochs} epochs done" if epochs > 1 else "the one epoch done"
        if self.state.history and len(self.state.history) - self.best.epoch >= patience:
            return f"no better {self.settings.metric_for_best_model} for {patience} epoch(s)"
        return None

    def run_epoch(self, on_step: Callable[[int, float], None]) -> Epoch:
        """Train on every text once, in a new order, then evaluate.

        Args:
            on_step: Called after each step with the number of its texts and the mean loss of the epoch so far.

        Returns:
            The epoch, which is also the last of the history.

        Raises:
            TrainingError: The loss or a gradient is no finite number; the weights are those before that step.
        """
        order = torch.randperm(len(self.train), generator=self.generator).numpy()
        self.model.train()
        total, texts, rate = 0.0, 0, 0.0
        for batch in batches(self.train, order, self.settings.per_device_train_batch_size, self.model.device):
            rate = float(self.scheduler.get_last_lr()[0])
            total += self._step(batch) * len(batch)
            texts += len(batch)
            on_step(len(batch), total / texts)
        epoch = Epoch(len(self.state.history) + 1, total / texts, *self.evaluate(), rate)
        self.state.history.append(epoch)
        return epoch

    def _step(self, batch: Batch) -> float:
        loss = self._loss(batch)[0]
        loss.backward()  # type: ignore[no-untyped-call]
        norm = clip_grad_norm_(self.model.parameters(), self.settings.max_grad_norm)
        if not math.isfinite(value := loss.item()) or not math.isfinite(norm.item()):
            raise TrainingError(
                f"At step {self.state.step + 1} (epoch {len(self.state.history) + 1}) the loss is {value} and its "
                f"gradient's norm {norm.item()}, so training can't go on. Lower train.learning_rate (now "
                f"{self.settings.learning_rate}) or raise train.warmup_ratio (now {self.settings.warmup_ratio}); if it "
                "happens at the first step, the encoder's weights are broken."
            )
        self.optimizer.step()
        self.scheduler.step()
        self.optimizer.zero_grad()
        rows, length = batch.input_ids.shape
        self.state.step += 1
        self.state.texts += rows
        self.state.tokens += rows * length
        self.state.flops += self._flops.step(rows, length)
        return value

    def _loss(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        logits = self.model(input_ids=batch.input_ids, attention_mask=batch.attention_mask).logits
        if self._multi_label:
            return binary_cross_entropy_with_logits(logits, batch.labels.to(logits.dtype)), logits
        return cross_entropy(logits, batch.labels), logits

    @torch.no_grad()
    def evaluate(self) -> tuple[float, float, float]:
        """Mean loss, accuracy and F1 on the validation split."""
        self.model.eval()
        order = self.validation.lengths.argsort(kind="stable")  # batches of like length hold little padding
        loss, answers = 0.0, []
        for batch in batches(self.validation, order, self.settings.per_device_eval_batch_size, self.model.device):
            mean, logits = self._loss(batch)
            loss += mean.item() * len(batch)
            answers.append(logits.float().cpu().numpy())
        labels, found = self.validation.labels[order], np.concatenate(answers)
        predicted: NDArray[Any] = _decide(found, labels) if self._multi_label else found.argmax(axis=1)
        f1 = metrics.micro_f1(labels, predicted) if self._multi_label else metrics.macro_f1(labels, predicted)
        return loss / len(labels), metrics.accuracy(labels, predicted), f1

    def _score(self, epoch: Epoch) -> float:
        scores = {"eval_accuracy": epoch.eval_accuracy, "eval_f1": epoch.eval_f1, "eval_loss": -epoch.eval_loss}
        return scores[self.settings.metric_for_best_model]


def _decide(logits: NDArray[np.float32], labels: NDArray[np.bool_]) -> NDArray[np.bool_]:
    # At 0.5 a model of many rare labels says nothing for epochs, and the first of these would seem the best.
    probabilities = sigmoid(logits)
    return np.asarray(probabilities >= thresholds.best_threshold(probabilities.ravel(), labels.ravel()))

"""The training loop: epochs of steps, a look at the validation split after each, and when to stop.

All that a run's next step depends on is in `Loop.state`, in the weights and moments, and in the
random states that `unfinished.random_states` gives. Knows nothing of files.
"""

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from linnet.config import TrainConfig
from linnet.errors import TrainingError
from linnet.train.curve import Curve, Point
from linnet.train.distributed import Group
from linnet.train.network.batches import Encoded, batch
from linnet.train.network.flops import Flops
from linnet.train.network.optimizer import AdamW, learning_rate
from linnet.train.objective import ClassificationObjective, Scores


@dataclass(frozen=True)
class Epoch:
    """What one epoch came to.

    Attributes:
        epoch: Its number, from 1.
        train_loss: Mean loss of the texts trained on, each as it was met, dropout included.
        eval_loss: The same of the validation texts, without dropout.
        eval_accuracy: Share of the validation texts with the right label, or for multi-label with
            all labels right, by one threshold for all labels
            that is best for micro F1.
        eval_f1: Macro F1 on the validation texts; of several labels per text micro F1 by that
            threshold.
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
        epoch_step: Those of the epoch under way.
        epoch_loss: Sum of the losses of the epoch under way.
        epoch_texts: Its texts so far.
        texts: Texts trained on, counted each time.
        tokens: Tokens trained on.
        flops: Floating-point operations of training, see `Flops`.
        seconds: Time that earlier processes spent on this run.
        history: The epochs done.
        curve: The steps done, or means of several.
    """

    step: int = 0
    epoch_step: int = 0
    epoch_loss: float = 0.0
    epoch_texts: int = 0
    texts: int = 0
    tokens: int = 0
    flops: int = 0
    seconds: float = 0.0
    history: list[Epoch] = field(default_factory=list)
    curve: Curve = field(default_factory=Curve)

    @classmethod
    def of(cls, record: dict[str, Any]) -> "State":
        """The state that `dataclasses.asdict` gave."""
        history = [Epoch(**epoch) for epoch in record["history"]]
        return cls(**record | {"history": history, "curve": Curve.of(record["curve"])})


class Loop:
    """A training run.

    Args:
        task: What is learnt, with the network that learns it.
        settings: The recipe.
        train: The texts to learn from, as the network takes them.
        group: The processes that take part.

    Attributes:
        steps: Optimiser steps of all epochs.
        latest: What the last step came to; None before this process has made one.
        stopped: Set when this process is asked to stop.
        stopping: Whether any process was, before it made the last step; all of them know.
    """

    def __init__(
        self,
        task: ClassificationObjective,
        settings: TrainConfig,
        train: Encoded,
        group: Group | None = None,
    ):
        self.task = task
        self.settings = settings
        self.train = train
        self.group = group or Group()
        self.weights = task.network.weights
        self.texts_per_step = (
            settings.per_device_train_batch_size
            * settings.gradient_accumulation_steps
            * self.group.size
        )
        self.steps_per_epoch = math.ceil(len(train) / self.texts_per_step)
        self.steps = self.steps_per_epoch * settings.num_train_epochs
        self.latest: Point | None = None
        self.stopped = threading.Event()
        self.stopping = False
        self.optimizer = AdamW(self.weights, settings.weight_decay)
        self.generator = torch.Generator().manual_seed(settings.seed)
        self.state = State()
        self._flops = Flops.of(task.network.model)

    @property
    def best(self) -> Epoch:
        """The best epoch so far, the earliest where several are equal; there must have been one."""
        return best_of(self.state.history, self.settings)

    @property
    def stop_reason(self) -> str | None:
        """Why there is no further epoch, in words; None while there is one."""
        epochs = self.settings.num_train_epochs
        patience = self.settings.early_stopping_patience
        if len(self.state.history) == epochs:
            return f"all {epochs} epochs done" if epochs > 1 else "the one epoch done"
        if self.state.history and len(self.state.history) - self.best.epoch >= patience:
            waited = "1 epoch" if patience == 1 else f"{patience} epochs"
            return f"no better {self.settings.metric_for_best_model} for {waited}"
        return None

    def run_epoch(self, on_step: Callable[[int, float], None]) -> Epoch:
        """Train on every text once, in a new order, then evaluate; resumes an epoch under way.

        Args:
            on_step: Called after each step with the number of its texts and the mean loss of the
                epoch so far. What it raises leaves the epoch between two steps.

        Returns:
            The epoch, which is also the last of the history.

        Raises:
            TrainingError: The loss or a gradient is no finite number; the weights are those before
                that step.
        """
        state = self.state
        before = self.generator.get_state()
        order = torch.randperm(len(self.train), generator=self.generator).numpy()
        after = self.generator.get_state()
        size = self.texts_per_step
        self.generator.set_state(
            before
        )  # until the epoch is done, so that its order can be drawn again
        while state.epoch_step < self.steps_per_epoch:
            rows = order[state.epoch_step * size : (state.epoch_step + 1) * size]
            state.epoch_loss += self._step(rows)
            state.epoch_texts += len(rows)
            state.epoch_step += 1
            on_step(len(rows), state.epoch_loss / state.epoch_texts)
        scores = self._evaluate()
        self.generator.set_state(after)
        rate = learning_rate(self.settings, state.step - 1, self.steps)
        mean = state.epoch_loss / state.epoch_texts
        epoch = Epoch(len(state.history) + 1, mean, scores.loss, scores.accuracy, scores.f1, rate)
        state.history.append(epoch)
        state.epoch_step = 0
        state.epoch_loss = 0.0
        state.epoch_texts = 0
        return epoch

    def _evaluate(self) -> Scores:
        scores = self.task.evaluate()
        if not math.isfinite(scores.loss):
            raise TrainingError(
                f"After epoch {len(self.state.history) + 1} the validation loss is {scores.loss}, "
                "so training can't go on. Lower train.learning_rate (now "
                f"{self.settings.learning_rate}) or raise train.warmup_ratio (now "
                f"{self.settings.warmup_ratio})."
            )
        return scores

    def _step(self, rows: Any) -> float:
        """One update from these texts; gives the sum of their losses."""
        total, norm = self._gradients(rows)
        length = norm.item()
        if not math.isfinite(total) or not math.isfinite(length):
            few = ", ".join(map(str, sorted(rows.tolist())[:16])) + (
                ", ..." if len(rows) > 16 else ""
            )
            raise TrainingError(
                f"At step {self.state.step + 1} (epoch {len(self.state.history) + 1}) the loss is "
                f"{total / len(rows)} and its gradient's norm {length}, so training can't go on. "
                f"The batch was rows {few} of the train split. Lower train.learning_rate (now "
                f"{self.settings.learning_rate}) or raise train.warmup_ratio (now "
                f"{self.settings.warmup_ratio}); if it happens at the first step, the encoder's "
                "weights are broken."
            )
        divisor = torch.clamp(norm / self.settings.max_grad_norm, min=1.0)
        rate = learning_rate(self.settings, self.state.step, self.steps)
        self.optimizer.step(rate, divisor)
        self.state.step += 1
        self.latest = Point(self.state.step, total / len(rows), rate, length)
        self.state.curve.add(self.latest)
        self.state.texts += len(rows)
        self.state.tokens += int(self.train.lengths[rows].sum())
        self.state.flops += self._flops.step(self.train.lengths[rows])
        return total

    def _gradients(self, rows: Any) -> tuple[float, torch.Tensor]:
        """Leave the gradients of the mean loss in the weights; give the sum and their norm."""
        weights = self.weights
        device = self.weights.buffers[0].master.device
        told = torch.zeros(2, dtype=torch.float64, device=device)
        parts = _parts(self.group.share(rows), self.settings.per_device_train_batch_size)
        alone = self.group.size == 1 and self.settings.gradient_accumulation_steps == 1
        for number, part in enumerate(parts):
            weights.zero_grad(unused=not len(part))
            if len(part):
                loss = self.task.loss(batch(self.train, part, device))
                (loss / len(rows)).backward()  # type: ignore[no-untyped-call]
                told[0] += loss.detach()
            if not alone:
                weights.collect(begin=number == 0)
        for buffer in weights.buffers:
            if buffer.total is not None:
                self.group.sum(buffer.total)
        # In the same message they agree on stopping: one that went on alone would wait for the
        # others for ever.
        told[1] = self.stopped.is_set()
        total, stopping = self.group.sum(told).tolist()
        self.stopping = stopping > 0
        return total, weights.norm()


def best_of(history: list[Epoch], settings: TrainConfig) -> Epoch:
    """The best epoch by the metric of the settings; of equal ones the earliest."""

    def score(epoch: Epoch) -> float:
        if settings.metric_for_best_model == "eval_loss":
            return -epoch.eval_loss
        value: float = getattr(epoch, settings.metric_for_best_model)
        return value

    return max(history, key=score)


def _parts(rows: Any, size: int) -> list[Any]:
    return [rows[start : start + size] for start in range(0, max(len(rows), 1), size)]

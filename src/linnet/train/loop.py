"""The training loop: epochs of steps, evaluation after each epoch, early stopping.

The next step of a run depends on `Loop.state`, the weights and moments, and the random states
that `resume.random_states` returns. Knows nothing of files.
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
    """The figures of one epoch.

    Attributes:
        epoch: Its number, from 1.
        train_loss: Mean loss of the training texts during the epoch, with dropout.
        eval_loss: Mean loss of the validation texts, without dropout.
        eval_accuracy: Share of validation texts with the right label. Multi-label: with all labels
            right, at the one threshold that maximises micro F1.
        eval_f1: Macro F1 on the validation texts. Multi-label: micro F1 at that threshold.
        learning_rate: Learning rate of the epoch's last step.
    """

    epoch: int
    train_loss: float
    eval_loss: float
    eval_accuracy: float
    eval_f1: float
    learning_rate: float


@dataclass
class State:
    """The progress of a run.

    Attributes:
        step: Optimiser steps done.
        epoch_step: Steps done in the current epoch.
        epoch_loss: Sum of the losses in the current epoch.
        epoch_texts: Texts trained on in the current epoch.
        texts: Texts trained on, counted each time.
        tokens: Tokens trained on.
        flops: Floating-point operations of training, see `Flops`.
        seconds: Time that earlier processes spent on this run.
        history: The finished epochs.
        curve: The loss by step, averaged for long runs.
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
        """The state from the output of `dataclasses.asdict`."""
        history = [Epoch(**epoch) for epoch in record["history"]]
        return cls(**record | {"history": history, "curve": Curve.of(record["curve"])})


class Loop:
    """A training run.

    Args:
        task: The objective, with its network.
        settings: The recipe.
        train: The encoded training texts.
        group: The processes that take part.

    Attributes:
        steps: Optimiser steps of all epochs.
        latest: The last step of this process; None before its first step.
        stopped: Set when this process is asked to stop.
        stopping: Whether any process was asked to stop before the last step. All processes agree.
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
        """The best epoch so far; the earliest of equal ones. At least one must be finished."""
        return best_of(self.state.history, self.settings)

    @property
    def stop_reason(self) -> str | None:
        """The reason why training ends; None if another epoch follows."""
        epochs = self.settings.num_train_epochs
        patience = self.settings.early_stopping_patience
        if len(self.state.history) == epochs:
            return f"all {epochs} epochs done" if epochs > 1 else "the one epoch done"
        if self.state.history and len(self.state.history) - self.best.epoch >= patience:
            waited = "1 epoch" if patience == 1 else f"{patience} epochs"
            return f"no better {self.settings.metric_for_best_model} for {waited}"
        return None

    def run_epoch(self, on_step: Callable[[int, float], None]) -> Epoch:
        """Train on every text once, in a new order, then evaluate. Resumes an unfinished epoch.

        Args:
            on_step: Called after each step with the number of its texts and the mean loss of the
                epoch so far. If it raises, the epoch stops between two steps.

        Returns:
            The epoch, which is also the last of the history.

        Raises:
            TrainingError: The loss or a gradient is not finite. The weights are unchanged by
                that step.
        """
        state = self.state
        before = self.generator.get_state()
        order = torch.randperm(len(self.train), generator=self.generator).numpy()
        after = self.generator.get_state()
        size = self.texts_per_step
        # A resumed epoch draws the same order again, so the state must not advance before its end.
        self.generator.set_state(before)
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
        """Update the weights from these texts; return the sum of their losses."""
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
        """Compute the gradients of the mean loss; return the loss's sum and the gradients' norm."""
        weights = self.weights
        device = self.weights.buffers[0].master.device
        totals = torch.zeros(2, dtype=torch.float64, device=device)
        parts = _parts(self.group.share(rows), self.settings.per_device_train_batch_size)
        alone = self.group.size == 1 and self.settings.gradient_accumulation_steps == 1
        for number, part in enumerate(parts):
            weights.zero_grad(unused=not len(part))
            if len(part):
                loss = self.task.loss(batch(self.train, part, device))
                (loss / len(rows)).backward()  # type: ignore[no-untyped-call]
                totals[0] += loss.detach()
            if not alone:
                weights.collect(begin=number == 0)
        for buffer in weights.buffers:
            if buffer.total is not None:
                self.group.sum(buffer.total)
        # The same message tells whether to stop. A process that continued alone would wait for
        # the others forever.
        totals[1] = self.stopped.is_set()
        total, stopping = self.group.sum(totals).tolist()
        self.stopping = stopping > 0
        return total, weights.norm()


def best_of(history: list[Epoch], settings: TrainConfig) -> Epoch:
    """The best epoch by the metric of the settings; the earliest of equal ones."""

    def score(epoch: Epoch) -> float:
        if settings.metric_for_best_model == "eval_loss":
            return -epoch.eval_loss
        value: float = getattr(epoch, settings.metric_for_best_model)
        return value

    return max(history, key=score)


def _parts(rows: Any, size: int) -> list[Any]:
    return [rows[start : start + size] for start in range(0, max(len(rows), 1), size)]

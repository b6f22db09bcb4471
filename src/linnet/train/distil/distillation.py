"""The distillation objective: learn from teachers' answers together with known labels."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from linnet.config import DistilConfig, TrainConfig
from linnet.data import Split
from linnet.evaluate.intervals import proportion
from linnet.train.distil.teachers import Teachers
from linnet.train.network.batches import Batch, Encoded
from linnet.train.network.network import Network
from linnet.train.objective import ClassificationObjective


class DistillationObjective(ClassificationObjective):
    """Cross-entropy against a teacher's probabilities.

    Source: Hinton et al. 2015, arXiv:1503.02531, section 2.

    The temperature divides the logits of student and teacher. Its square multiplies the loss, so
    that the size of the gradients does not depend on it. For texts with known labels, the loss
    against the labels has a share. That loss uses a temperature of 1.

    Args:
        network: The student's network.
        settings: The recipe.
        validation: The encoded validation split, with its labels.
        class_weights: Weight of each class in the loss; see `ClassificationObjective`.
        distil: Temperature and share of the labels.
        labels: Labels of the first k training texts: int64 (k,), or bool (k, C).
    """

    def __init__(
        self,
        network: Network,
        settings: TrainConfig,
        validation: Encoded,
        class_weights: Sequence[float] | None,
        distil: DistilConfig,
        labels: NDArray[Any],
    ):
        super().__init__(network, settings, validation, class_weights)
        self.distil = distil
        self.labels = labels

    def loss(self, batch: Batch) -> torch.Tensor:
        """Sum of the losses of a batch's texts, with dropout."""
        logits = self.network(batch, True)
        alpha = self.distil.alpha
        if not alpha:
            return self._soft_loss(logits, batch.labels)
        known = np.flatnonzero(batch.rows < len(self.labels))
        labels = torch.from_numpy(self.labels[batch.rows[known]]).to(self.device)
        places = torch.from_numpy(known).to(self.device)
        hard_loss = self._loss(
            logits[places], labels, self.class_weights, self.settings.label_smoothing_factor
        )
        instead = self._soft_loss(logits[places], batch.labels[places])
        return self._soft_loss(logits, batch.labels) + alpha * (hard_loss - instead)

    def _soft_loss(self, logits: torch.Tensor, probabilities: torch.Tensor) -> torch.Tensor:
        temperature = self.distil.temperature
        return self._loss(logits / temperature, probabilities) * temperature**2


@dataclass(frozen=True)
class DistillationSet:
    """The texts that a student learns from, with its teachers and their answers.

    Attributes:
        teachers: The teachers.
        settings: Temperature and share of the labels.
        known: The train split.
        texts: All texts that the teachers answered. The train split comes first.
        read: The same texts as the student reads them.
        answers: Each teacher's logits of `texts`, float32 (n, C).
        validation: Each teacher's logits of the validation texts, float32 (m, C).
        facts: Facts about the teachers and the other texts, for the record.
    """

    teachers: Teachers
    settings: DistilConfig
    known: Split
    texts: list[str]
    read: list[str]
    answers: Sequence[NDArray[np.float32]]
    validation: Sequence[NDArray[np.float32]]
    facts: dict[str, Any]

    @cached_property
    def split(self) -> Split:
        """The student's texts, labelled with the teachers' probabilities, float32 (n, C)."""
        logits = self.teachers.logits(self.answers, self.settings.temperature)
        softened = self.teachers.task.probabilities(logits)
        return replace(self.known, texts=self.read, labels=softened.astype(np.float32))

    def objective(
        self,
        network: Network,
        settings: TrainConfig,
        validation: Encoded,
        class_weights: Sequence[float] | None,
    ) -> DistillationObjective:
        """The loss of the student."""
        return DistillationObjective(
            network, settings, validation, class_weights, self.settings, self.known.labels
        )

    @property
    def identity(self) -> dict[str, Any]:
        """Everything that the student depends on besides its recipe, under `distil`."""
        return {"distil": self._identity()}

    def _identity(self) -> dict[str, Any]:
        texts = hashlib.sha256("\n".join(self.read).encode()).hexdigest()
        answers = hashlib.sha256(b"".join(part.tobytes() for part in self.answers)).hexdigest()
        settings = self.settings.model_dump(
            mode="json", include={"temperature", "alpha", "leave_out"}
        )
        digests = {
            "teacher_digests": self.teachers.digests,
            "texts_sha256": texts,
            "answers_sha256": answers,
        }
        return settings | digests

    def record(
        self, judge: Callable[[], ClassificationObjective], confidence_level: float
    ) -> dict[str, Any]:
        """The record of the distillation, with the agreement on the validation texts.

        Args:
            judge: Returns the student's best epoch.
            confidence_level: Level of the interval of the agreement. Single-label agreement is the
                share of texts with the same likeliest label. Multi-label agreement is the share of
                equal label decisions, by the teachers' thresholds.
        """
        best = judge()
        own = self.teachers.task.probabilities(best.logits(best.validation))
        same = self.teachers.agree(self.validation, own)
        scores = best.score(self.teachers.logits(self.validation).astype(np.float32))
        outcome = {
            "agreement": asdict(proportion(int(same.sum()), same.size, confidence_level)),
            "teacher_scores": {f"eval_{name}": value for name, value in asdict(scores).items()},
        }
        return {"distil": self.facts | self._identity() | outcome}

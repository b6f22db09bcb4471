"""The teachers of a student: one bundle, or several with averaged probabilities.

One model can learn the answers of an ensemble (Bucila et al. 2006; Hinton et al. 2015,
arXiv:1503.02531, section 1). It is nearly as good as the ensemble, at the cost of one model.
Knows nothing of the student.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linnet.config import PredictConfig
from linnet.data import Split
from linnet.errors import DataError, LabelError, UsageError
from linnet.evaluate.rows import trained_elsewhere
from linnet.predict import Classifier, Task, load, sigmoid, task_of
from linnet.train.distil.teacher_logits import ask
from linnet.train.distributed import Group


@dataclass(frozen=True)
class Teachers:
    """One or several loaded bundles with equal labels of the same kind.

    Attributes:
        classifiers: The bundles.
    """

    classifiers: Sequence[Classifier]

    @property
    def task(self) -> Task:
        """Single-label or multi-label, as all of them are."""
        return self.classifiers[0].task

    @property
    def digests(self) -> list[str]:
        """The SHA-256 of each bundle."""
        return [teacher.digest for teacher in self.classifiers]

    def ask(
        self, texts: Sequence[str], folder: Path, stopped: threading.Event, group: Group
    ) -> list[NDArray[np.float32]]:
        """Each teacher's logits of texts, float32 (n, labels); see `teacher_logits.ask`."""
        return [ask(teacher, texts, folder, stopped, group) for teacher in self.classifiers]

    def logits(
        self, answers: Sequence[NDArray[np.float32]], temperature: float = 1.0
    ) -> NDArray[np.float64]:
        """Logits of the mean of the probabilities that the teachers serve, float64 (n, labels).

        Args:
            answers: Each teacher's logits, float32 (n, labels).
            temperature: Divides the logits, in addition to each teacher's own temperature.
        """
        own = self._temperatures()
        scaled = [
            part.astype(np.float64) / (own[i] * temperature) for i, part in enumerate(answers)
        ]
        if self.task.multi_label:
            yes, no = (
                np.logaddexp.reduce([-np.logaddexp(0, sign * part) for part in scaled])
                for sign in (-1, 1)
            )
            return np.asarray(yes - no)
        # Softmax ignores the constant by which this differs from the mean's logarithm.
        return np.asarray(np.logaddexp.reduce([_log_softmax(part) for part in scaled]))

    def agree(
        self, answers: Sequence[NDArray[np.float32]], own: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        """Compare the student's answers with the mean of the teachers' probabilities.

        Args:
            answers: Each teacher's logits, float32 (n, labels).
            own: The student's probabilities, float64 (n, labels).

        Returns:
            Single-label: whether the likeliest label is the same, bool (n,). Multi-label: whether
            both or neither assign each label, bool (n, labels). A label is assigned if its
            probability reaches the thresholds of at least half of the teachers.
        """
        taught = self.logits(answers)
        if not self.task.multi_label:
            return np.asarray(taught.argmax(axis=1) == own.argmax(axis=1))
        return np.asarray(self._given(sigmoid(taught)) == self._given(own))

    def _given(self, probabilities: NDArray[np.float64]) -> NDArray[np.bool_]:
        by_each = [teacher.decide(probabilities) for teacher in self.classifiers]
        return np.asarray(2 * np.sum(by_each, axis=0) >= len(by_each))

    def facts(self, splits: Path) -> list[dict[str, Any]]:
        """Each teacher's `name`, `bytes`, `engine`, `variant` and `trained_elsewhere`.

        The last is true if the teacher was trained on other splits than these.
        """
        return [
            {
                "name": teacher.name,
                "bytes": teacher.bundle.model_bytes(),
                "engine": teacher.plan.engine,
                "variant": teacher.plan.variant,
                "trained_elsewhere": trained_elsewhere(splits, teacher.bundle.manifest),
            }
            for teacher in self.classifiers
        ]

    def _temperatures(self) -> list[float]:
        return [teacher.bundle.manifest.temperature for teacher in self.classifiers]


def load_teachers(
    paths: Sequence[Path], settings: PredictConfig, learn: Split, splits: Path
) -> Teachers:
    """Load the teachers.

    Args:
        paths: Folders of the bundles.
        settings: Engine settings for the bundles.
        learn: The train split.
        splits: The folder of the train split.

    Raises:
        UsageError: No bundle is named, or one is named twice.
        BundleError: A bundle can't be used.
        ProofError: A bundle's proof is missing or failed.
        LabelError: The split's labels differ from a bundle's.
        DataError: The split masks other personal data than a bundle.
    """
    if not paths:
        raise UsageError("No teacher is named. Name one or more bundles.")
    classifiers = [load(path, **settings.model_dump()) for path in paths]
    seen: dict[str, Path] = {}
    for teacher in classifiers:
        _check_kind(teacher, learn, splits)
        path = teacher.bundle.path
        if teacher.digest in seen:
            raise UsageError(
                f"The teachers {seen[teacher.digest]} and {path} are one bundle. Name each once."
            )
        seen[teacher.digest] = path
    return Teachers(classifiers)


def _check_kind(teacher: Classifier, learn: Split, splits: Path) -> None:
    path = teacher.bundle.path
    manifest = teacher.bundle.manifest
    if learn.label_names != manifest.labels:
        raise LabelError(
            f"The labels of {splits} are {', '.join(learn.label_names)}; those of the teacher "
            f"{path} are {', '.join(manifest.labels)}. Expected the same in the same order: distil "
            "with splits of the teacher's labels."
        )
    if learn.multi_label != manifest.multi_label:
        split_kind = task_of(learn.multi_label).labels_per_text
        raise LabelError(
            f"{splits} has {split_kind}, but the teacher {path} gives "
            f"{teacher.task.labels_per_text}. Distil with splits of the teacher's kind."
        )
    if set(learn.mask) != set(manifest.mask):
        raise DataError(
            f"In the texts of {splits} {', '.join(learn.mask) or 'nothing'} is masked, but the "
            f"teacher {path} masks {', '.join(manifest.mask) or 'nothing'}. Prepare the splits "
            "again with the teacher's data.mask."
        )


def _log_softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(logits - np.logaddexp.reduce(logits, axis=1)[:, None])

"""What a bundle will say of its model, before its folder is sealed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from linnet.bundle import DEFAULT_ENGINE, FLOAT32, Bundle, Cascade, write_manifest
from linnet.export.checkpoint import MULTI_LABEL
from linnet.export.validation import Calibration
from linnet.export.variants import MODEL


@dataclass(frozen=True)
class BundleDraft:
    """The fields of `Manifest` that the export chooses; each step replaces some of them.

    Attributes:
        name: The model's name.
        labels: Label names by id.
        problem_type: As in `transformers`.
        max_length: Tokens a text may have.
        lineage: Where the model came from.
        mask: Which personal data are masked.
        temperature: What logits are divided by.
        min_precision: The precision that each label's answers were asked to reach, if any.
        thresholds: The probability from which on each label is given.
        models: The file of each variant.
        engines: The engines of each variant.
        cascade: The smaller model that is asked first, if any.
    """

    name: str
    labels: Sequence[str]
    problem_type: str
    max_length: int
    lineage: Mapping[str, Any]
    mask: Sequence[str] = ()
    temperature: float = 1.0
    min_precision: float | None = None
    thresholds: Sequence[float | None] | None = None
    models: Mapping[str, str] = field(default_factory=lambda: {FLOAT32: MODEL})
    engines: Mapping[str, Sequence[str]] = field(
        default_factory=lambda: {FLOAT32: [DEFAULT_ENGINE]}
    )
    cascade: Cascade | None = None

    @property
    def multi_label(self) -> bool:
        """Whether the model is multi-label."""
        return bool(self.problem_type == MULTI_LABEL)

    def calibrated(self, calibration: Calibration) -> Self:
        """The draft with the temperature and the thresholds that the validation rows gave."""
        return replace(
            self,
            temperature=calibration.temperature,
            min_precision=calibration.min_precision,
            thresholds=calibration.thresholds,
        )

    def seal(self, folder: Path) -> Bundle:
        """Write the manifest of a folder that holds all other files.

        Args:
            folder: The bundle's folder.
        """
        return write_manifest(folder, **vars(self), created=self.lineage["export"]["created"])

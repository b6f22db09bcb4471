"""The variants of a bundle: made from float32, run by each engine, kept if the gate passes.

Each is compared with the float32 graph in ONNX Runtime, as it is served and as parity proved it
equal to torch, on all validation rows. What INT8 is set up by are training rows, so that the
validation rows are looked at once for each.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linnet.bundle import DEFAULT_ENGINE, FLOAT32
from linnet.errors import (
    BundleError,
    LinnetError,
    MissingExtraError,
    ModelError,
    OutOfMemoryError,
    StorageError,
)
from linnet.export.gate import Answers, Gate
from linnet.export.model_file import remove_model
from linnet.export.quantize import Batch, by_sensitivity, dynamic, static
from linnet.files import disk_errors
from linnet.predict.batching import pad, token_budget_batches
from linnet.predict.engine import installed
from linnet.predict.plan import MAX_BATCH_TOKENS, Plan
from linnet.predict.runner import Runner
from linnet.progress import progress
from linnet.text import Tokenizer

TokenIds = Sequence[Sequence[int]]

TEXTS_A_STEP = 1024
MODEL = "model.onnx"
ENGINES = {
    FLOAT32: ("openvino",),  # in addition to onnxruntime, which parity is about
    "bf16": ("openvino",),
    "int8-dynamic": ("onnxruntime",),  # OpenVINO runs it more slowly than float32
    "int8-static": ("onnxruntime", "openvino"),
}
QUANTIZED = {"int8-dynamic": dynamic, "int8-static": static}
LEFT_OUT = (
    0.0,
    1 / 6,
    1 / 3,
    1 / 2,
)  # of the products, those that INT8 hurts most, until the gate can be passed


@dataclass(frozen=True)
class VariantSet:
    """What goes into the bundle.

    Attributes:
        models: As in manifest.json.
        engines: As in manifest.json.
        table: As `variants` in proof.json: an entry for each variant and engine that was tried,
            accepted or not, as `linnet.export.gate.Gate.judge` tells it, with `variant`, `engine`,
            and `left_in_float32` (products).
    """

    models: dict[str, str]
    engines: dict[str, list[str]]
    table: list[dict[str, Any]]


@dataclass(frozen=True)
class VariantTrial:
    """All that variants are made from and measured with.

    Attributes:
        folder: Holds the float32 graph; the files of accepted variants are written next to it.
        tokenizer: The model's.
        gate: What they must pass.
        validation: Token ids of the rows that the gate knows.
        calibration: Token ids of training rows.
        witnesses: Token ids of rows by whose logits `linnet optimize` knows a variant again.
        answers: Logits to answers.
        num_threads: Threads of the engines; 0: one a core.
    """

    folder: Path
    tokenizer: Tokenizer
    gate: Gate
    validation: TokenIds
    calibration: TokenIds
    witnesses: TokenIds
    answers: Callable[[NDArray[np.float32]], Answers]
    num_threads: int

    def make(self, asked: Sequence[str]) -> VariantSet:
        """Make the variants asked for, and keep those that pass.

        If none is asked for, there is only float32.
        """
        variants = VariantSet({FLOAT32: MODEL}, {FLOAT32: [DEFAULT_ENGINE]}, [self._itself()])
        for variant in [FLOAT32, *asked] if asked else []:
            file = self.folder / (f"model.{variant}.onnx" if variant in QUANTIZED else MODEL)
            entries = list(self._try_engines(variant, file))
            variants.table.extend(entries)
            if accepted := [entry["engine"] for entry in entries if entry["accepted"]]:
                variants.models[variant] = file.name
                variants.engines[variant] = variants.engines.get(variant, []) + accepted
            elif variant in QUANTIZED:
                remove_model(file)
        return variants

    def _try_engines(self, variant: str, file: Path) -> Iterator[dict[str, Any]]:
        ready = [engine for engine in ENGINES[variant] if installed(engine)]
        for engine in ENGINES[variant]:
            if engine not in ready:
                yield self._refused(variant, engine, MissingExtraError(engine, engine))
        left: list[str] = []
        try:
            if ready and variant in QUANTIZED:
                self.gate.check_rows()
                left = self._quantize(variant, file)
        except StorageError:  # tells nothing of the variant
            raise
        except LinnetError as error:
            yield from (self._refused(variant, engine, error) for engine in ready)
            return
        for engine in ready:
            yield self._try(file, Plan(engine, variant, self.num_threads)) | {
                "left_in_float32": left
            }

    def _quantize(self, variant: str, file: Path) -> list[str]:
        """Write an INT8 graph; give the products that stay in float32."""
        source = self.folder / MODEL
        batches = list(self._batches())
        order = by_sensitivity(source, batches)
        expected = self._predictions(source, Plan(num_threads=self.num_threads))
        left: list[str] = []
        for share in LEFT_OUT:
            left = order[: ceil(share * len(order))]
            try:
                with disk_errors(file):
                    QUANTIZED[variant](source, file, left, batches)
            except LinnetError:
                raise
            except Exception as error:  # whatever these tools make of a graph that they don't know
                raise ModelError(
                    f"can't be made of this model: {type(error).__name__}: {error}"
                ) from error
            answered = self._predictions(file, Plan(DEFAULT_ENGINE, variant, self.num_threads))
            if (answered != expected).any(axis=1).mean() <= self.gate.allowed_disagreement():
                break
        return left

    def _batches(self) -> Iterator[Batch]:
        for batch in token_budget_batches([len(row) for row in self.calibration], MAX_BATCH_TOKENS):
            yield pad([self.calibration[i] for i in batch], self.tokenizer.pad_id)

    def _open(self, file: Path, plan: Plan) -> Runner:
        return Runner(file, plan, self.tokenizer.pad_id, self.tokenizer.vocab_size - 1)

    def _predictions(self, file: Path, plan: Plan) -> NDArray[np.bool_]:
        logits = _logits(self._open(file, plan), self.calibration, f"try {plan.variant}")
        return self.answers(np.nan_to_num(logits)).predictions

    def _itself(self) -> dict[str, Any]:
        """The entry of what all others are compared with."""
        plan = Plan(num_threads=self.num_threads)
        entry = {
            "variant": plan.variant,
            "engine": plan.engine,
            "accepted": True,
            "reason": "what others are held against",
        }
        return entry | self._witness(self._open(self.folder / MODEL, plan), 0.0)

    def _try(self, file: Path, plan: Plan) -> dict[str, Any]:
        try:
            runner = self._open(file, plan)
            logits = _logits(runner, self.validation, f"judge {plan.variant} in {plan.engine}")
            if not np.isfinite(logits).all():
                raise BundleError("answers something that is no number")
        except (BundleError, OutOfMemoryError) as error:
            return self._refused(plan.variant, plan.engine, error)
        entry = {
            "variant": plan.variant,
            "engine": plan.engine,
            **self.gate.judge(self.answers(logits)),
        }
        return (
            entry | self._witness(runner, entry["max_logit_difference"])
            if entry["accepted"]
            else entry
        )

    def _refused(self, variant: str, engine: str, error: LinnetError) -> dict[str, Any]:
        """The entry of a variant that is left out, without the temporary folder's name."""
        reason = str(error).replace(f"{self.folder}/", "").rstrip(".")
        return {"variant": variant, "engine": engine, "accepted": False, "reason": reason}

    def _witness(self, runner: Runner, shift: float) -> dict[str, Any]:
        """What it answers to the witnesses, and how far off that may be elsewhere:

        half of what the gate has seen.
        """
        tolerance = max(self.gate.tolerance, shift / 2)
        return {"witness": runner.logits(self.witnesses).tolist(), "witness_tolerance": tolerance}


def _logits(runner: Runner, rows: TokenIds, description: str) -> NDArray[np.float32]:
    parts = []
    with progress(description, len(rows), "texts") as task:
        for start in range(0, len(rows), TEXTS_A_STEP):
            parts.append(runner.logits(rows[start : start + TEXTS_A_STEP]))
            task.advance(len(parts[-1]))
    return np.concatenate(parts)

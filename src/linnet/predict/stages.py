"""Token ids in, logits out: by one model, or by a cascade that asks the smaller one first."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from linnet import bundle
from linnet.errors import BundleError
from linnet.predict.decision import softmax
from linnet.predict.plan import MAX_BATCH_TOKENS, Plan
from linnet.predict.runner import Runner
from linnet.text import Encoding, Span, Tokenizer

# Of one text: by the model's tokenizer, and of a cascade by the smaller model's after it.
Encodings = tuple[Encoding, ...]


@dataclass(frozen=True)
class ModelOutput:
    """What was answered to n texts.

    Attributes:
        logits: float32 (n, labels).
        truncated: Whether the model that answered read the text in part only, bool (n,).
        fast: Whether it was the smaller one of two, bool (n,).
        unknown_share: Share of the tokens that the model that answered does not know, float64 (n,).
    """

    logits: NDArray[np.float32]
    truncated: NDArray[np.bool_]
    fast: NDArray[np.bool_]
    unknown_share: NDArray[np.float64]

    @classmethod
    def nothing(cls, labels: int) -> "ModelOutput":
        """The answers to no text."""
        return cls(
            np.empty((0, labels), np.float32),
            np.empty(0, np.bool_),
            np.empty(0, np.bool_),
            np.empty(0, np.float64),
        )

    @classmethod
    def join(cls, parts: Sequence["ModelOutput"]) -> "ModelOutput":
        """The answers to several lists of texts, one after the other."""
        return cls(
            *(
                np.concatenate([getattr(part, name) for part in parts])
                for name in cls.__dataclass_fields__
            )
        )


class Stage:
    """One model. Several threads may call it at once.

    Args:
        graph: An ONNX file.
        tokenizer: Its tokenizer.
        temperature: What its logits are divided by to be what is answered.
        plan: How to run it.
        labels: Names of the logits.

    Raises:
        MissingExtraError: The engine is not installed.
        BundleError: The graph can't be loaded, or it doesn't belong to the tokenizer or the labels.
        OutOfMemoryError: Memory ran out.
    """

    def __init__(
        self,
        graph: Path,
        tokenizer: Tokenizer,
        temperature: float,
        plan: Plan,
        labels: Sequence[str],
    ):
        self.temperature = temperature
        self._tokenizer = tokenizer
        # A tokenizer that has more tokens than the graph is another model's, and shows here.
        self._runner = Runner(graph, plan, self._tokenizer.pad_id, self._tokenizer.vocab_size - 1)
        if self._runner.classes != len(labels):
            raise BundleError(
                f"{graph} answers {self._runner.classes} classes, but the manifest names "
                f"{len(labels)} labels. Export the checkpoint again."
            )

    def __call__(self, texts: Sequence[Encodings]) -> ModelOutput:
        """Answer encoded texts, by the first of each one's encodings."""
        logits = self.logits([encodings[0].ids for encodings in texts])
        truncated = np.array([encodings[0].truncated for encodings in texts], np.bool_)
        unknown = np.array([encodings[0].unknown_share for encodings in texts], np.float64)
        return ModelOutput(logits, truncated, np.zeros(len(texts), np.bool_), unknown)

    def logits(self, rows: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Logits (n, labels) of token ids."""
        return self._runner.logits(rows)

    def trace(self, text: str) -> tuple[Encoding, list[Span | None]]:
        """The tokens of a clean text, and the place of each in it."""
        return self._tokenizer.trace(text)

    def answering(self, encodings: Encodings) -> "tuple[Stage, NDArray[np.float32]]":
        """The model that answers an encoded text, this one, and its logits (1, labels)."""
        return self, self.logits([encodings[0].ids])


class Cascade:
    """A smaller model that answers what it is sure of, and a full one that answers the rest.

    Args:
        folder: The bundle's.
        settings: The manifest's.
        full: The full model.
        tokenizer: The smaller model's.
        plan: How that is run; the smaller one has as many threads, and its own batches.
        labels: Names of the logits, of both.

    Raises:
        BundleError: The smaller model can't be loaded.
        OutOfMemoryError: Memory ran out.
    """

    def __init__(
        self,
        folder: Path,
        settings: bundle.Cascade,
        full: Stage,
        tokenizer: Tokenizer,
        plan: Plan,
        labels: Sequence[str],
    ):
        # The cost of a call is large compared with a small model's few operations.
        tokens = max(plan.max_batch_tokens, MAX_BATCH_TOKENS)
        plan = replace(
            plan, engine=bundle.DEFAULT_ENGINE, variant=bundle.FLOAT32, max_batch_tokens=tokens
        )
        # As `scale` does it, for what is answered is divided by the full model's temperature.
        temperature = full.temperature / settings.scale
        self._fast = Stage(folder / settings.model, tokenizer, temperature, plan, labels)
        self._settings = settings
        self._full = full

    def __call__(self, texts: Sequence[Encodings]) -> ModelOutput:
        """Answer encoded texts."""
        return self.ask(
            [encodings[1] for encodings in texts], lambda rest: [texts[i][0] for i in rest]
        )

    def ask(
        self, fast: Sequence[Encoding], full: Callable[[list[int]], Sequence[Encoding]]
    ) -> ModelOutput:
        """Answer texts by the smaller model, and by the full one where that is not confident.

        Args:
            fast: Of n texts, by the smaller model's tokenizer.
            full: Gives those of some of them, by the full model's.
        """
        output = self._fast([(encoding,) for encoding in fast])
        logits = output.logits * np.float32(self._settings.scale)
        truncated = output.truncated
        unknown = output.unknown_share
        sure = confidence(output.logits, self._settings.temperature) >= self._settings.threshold
        rest = np.flatnonzero(~sure).tolist()
        if rest:
            others = self._full([(encoding,) for encoding in full(rest)])
            logits[rest] = others.logits
            truncated[rest] = others.truncated
            unknown[rest] = others.unknown_share
        return ModelOutput(logits, truncated, sure, unknown)

    def answering(self, encodings: Encodings) -> tuple[Stage, NDArray[np.float32]]:
        """The model that answers an encoded text, and its own logits (1, labels)."""
        stage, logits = self._fast.answering(encodings[1:])
        sure = confidence(logits, self._settings.temperature) >= self._settings.threshold
        return (stage, logits) if sure[0] else self._full.answering(encodings)


Model = Stage | Cascade


def confidence(logits: NDArray[np.float32], temperature: float) -> NDArray[np.float64]:
    """The probability of the most probable label, float64 (n,), of logits (n, labels)."""
    return np.asarray(softmax(logits / temperature).max(axis=1))

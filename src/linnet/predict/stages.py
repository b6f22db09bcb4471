"""Clean texts in, logits out: by one model, or by two of which the smaller is asked first."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from linnet import bundle
from linnet.errors import BundleError
from linnet.predict.answers import softmax
from linnet.predict.plan import Plan
from linnet.predict.runner import Runner
from linnet.text import Encoding, Place, Tokenizer


@dataclass(frozen=True)
class Answered:
    """What was answered to n texts.

    Attributes:
        logits: float32 (n, labels).
        truncated: Whether the model that answered read the text in part only, bool (n,).
        fast: Whether it was the smaller one of two, bool (n,).
    """

    logits: NDArray[np.float32]
    truncated: NDArray[np.bool_]
    fast: NDArray[np.bool_]

    @classmethod
    def nothing(cls, labels: int) -> "Answered":
        """The answers to no text."""
        return cls(np.empty((0, labels), np.float32), np.empty(0, np.bool_), np.empty(0, np.bool_))

    @classmethod
    def join(cls, parts: Sequence["Answered"]) -> "Answered":
        """The answers to several lists of texts, one after the other."""
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in cls.__dataclass_fields__))


class Stage:
    """One model. Several threads may call it at once.

    Args:
        graph: An ONNX file.
        tokenizer: The tokenizer.json of its model.
        max_length: Tokens that it reads of a text.
        temperature: What its logits are divided by to be what is answered.
        plan: How to run it.
        labels: Names of the logits.

    Raises:
        MissingExtraError: The engine is not installed.
        BundleError: The graph or the tokenizer can't be loaded, or they don't belong together or to the labels.
    """

    def __init__(
        self, graph: Path, tokenizer: Path, max_length: int, temperature: float, plan: Plan, labels: Sequence[str]
    ):
        self.temperature = temperature
        self._tokenizer = Tokenizer(tokenizer, max_length)
        # A tokenizer that has more tokens than the graph is another model's, and shows here.
        self._runner = Runner(graph, plan, self._tokenizer.pad_id, self._tokenizer.vocab_size - 1)
        if self._runner.classes != len(labels):
            raise BundleError(
                f"{graph} answers {self._runner.classes} classes, but the manifest names {len(labels)} labels. "
                "Export the checkpoint again."
            )

    def __call__(self, texts: Sequence[str]) -> Answered:
        """Answer clean texts."""
        encodings = self._tokenizer.encode(texts)
        logits = self.logits([encoding.ids for encoding in encodings])
        truncated = np.array([encoding.truncated for encoding in encodings], np.bool_)
        return Answered(logits, truncated, np.zeros(len(texts), np.bool_))

    def logits(self, rows: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Logits (n, labels) of token ids."""
        return self._runner.logits(rows)

    def trace(self, text: str) -> tuple[Encoding, list[Place | None]]:
        """The tokens of a clean text, and where each stands in it."""
        return self._tokenizer.trace(text)

    def answering(self, text: str) -> "Stage":
        """The model that answers a text: this one."""
        return self


class Cascade:
    """A smaller model that answers what it is sure of, and a full one that answers the rest.

    Args:
        folder: The bundle's.
        settings: The manifest's.
        full: The full model.
        plan: How that is run; the smaller one has as many threads.
        labels: Names of the logits, of both.

    Raises:
        BundleError: The smaller model can't be loaded.
    """

    def __init__(self, folder: Path, settings: bundle.Cascade, full: Stage, plan: Plan, labels: Sequence[str]):
        graph, tokenizer = folder / settings.model, folder / settings.tokenizer
        plan = replace(plan, engine=bundle.DEFAULT_ENGINE, variant=bundle.FLOAT32)
        # As `scale` does it, for what is answered is divided by the full model's temperature.
        self._fast = Stage(graph, tokenizer, settings.max_length, full.temperature / settings.scale, plan, labels)
        self._settings, self._full = settings, full

    def __call__(self, texts: Sequence[str]) -> Answered:
        """Answer clean texts."""
        found = self._fast(texts)
        logits, truncated = found.logits * np.float32(self._settings.scale), found.truncated
        sure = sureness(found.logits, self._settings.temperature) >= self._settings.threshold
        rest = np.flatnonzero(~sure).tolist()
        if rest:
            full = self._full([texts[i] for i in rest])
            logits[rest], truncated[rest] = full.logits, full.truncated
        return Answered(logits, truncated, sure)

    def answering(self, text: str) -> Stage:
        """The model that answers a clean text."""
        return self._fast if self([text]).fast[0] else self._full


Model = Stage | Cascade


def sureness(logits: NDArray[np.float32], temperature: float) -> NDArray[np.float64]:
    """The probability of the most probable label, float64 (n,), of logits (n, labels)."""
    return np.asarray(softmax(logits / temperature).max(axis=1))

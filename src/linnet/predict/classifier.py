"""Texts in, labels and probabilities out:

clean, encode, batch, run, decide, in the order they came.
"""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from linnet.bundle import Bundle
from linnet.errors import LabelError, TextError
from linnet.labels import find_label
from linnet.predict.codec import Codec, Prediction, each
from linnet.predict.decision import Task
from linnet.predict.explain import Explanation, Group, named, weigh, without, words_of
from linnet.predict.plan import Choice, Plan, choose_plan
from linnet.predict.stages import Cascade, Model, ModelOutput, Stage
from linnet.text import Encoding

TEXTS_AT_ONCE = (
    8192  # bounds the memory that token ids take, while batches of like lengths still fill
)

DEFAULT = Choice(Plan(), "the default")

logger = logging.getLogger("linnet.predict")


class Classifier:
    """A loaded bundle. Several threads may call it at once.

    Args:
        bundle: The bundle to answer with; see `load`, which verifies it too.
        choice: How to run it, and why; float32 in ONNX Runtime by default.

    Attributes:
        bundle: The bundle.
        plan: How it is run.
        reason: Why so, in words.
        codec: Texts to token ids, and logits to predictions.
        model: Token ids to logits.

    Raises:
        MissingExtraError: The engine is not installed.
        BundleError: The graph or the tokenizer can't be loaded, or the bundle has no proof of the
            plan's variant and engine.
    """

    def __init__(self, bundle: Bundle, choice: Choice = DEFAULT):
        self.bundle = bundle
        self.plan = choice.plan
        self.reason = choice.reason
        self.codec = Codec(bundle)
        path = bundle.model_path(self.plan.variant, self.plan.engine)
        temperature = bundle.manifest.temperature
        full = Stage(path, self.codec.tokenizers[0], temperature, self.plan, self.labels)
        self.model: Model = full
        if bundle.manifest.cascade:
            tokenizer = self.codec.tokenizers[1]
            self.model = Cascade(
                bundle.path, bundle.manifest.cascade, full, tokenizer, self.plan, self.labels
            )

    @property
    def labels(self) -> tuple[str, ...]:
        """Label names in the order of the probabilities."""
        return self.bundle.manifest.labels

    @property
    def task(self) -> Task:
        """Single-label or multi-label."""
        return self.codec.task

    @property
    def name(self) -> str:
        """The model's name."""
        return self.bundle.manifest.name

    @property
    def digest(self) -> str:
        """The SHA-256 that names the bundle."""
        return self.bundle.digest

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """Classify texts.

        Args:
            texts: Raw texts, each at least one visible character. Order and number are kept.

        Raises:
            TextError: A text can't be used; the message names its index.
        """
        return self.codec.decode(self._answer(texts))

    def predict_each(self, texts: Sequence[object]) -> list[Prediction | TextError]:
        """Classify the texts that can be used; the error is in place of the others' predictions.

        Args:
            texts: As in `predict`, but texts that can't be used don't stop the others.
        """
        outcomes: list[Prediction | TextError] = []
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            cleaned = self.codec.clean_each(texts[start : start + TEXTS_AT_ONCE])
            part = each(lambda usable: self.codec.decode(self._ask(usable)), cleaned)
            outcomes += [
                one.at(start + i) if isinstance(one, TextError) else one
                for i, one in enumerate(part)
            ]
        return outcomes

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Probabilities of shape (texts, labels); see `predict`."""
        return self.codec.probabilities(self.logits(texts))

    def logits(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Logits of shape (texts, labels), before temperature and softmax; see `predict`."""
        return self._answer(texts).logits

    def explain(self, text: str, label: str | None = None) -> Explanation:
        """Say which words moved the answer to a text: by how much it is less without each.

        The model is asked for at most 20 answers (`explain.ASKED`), each of at most as many tokens
        as the text has. Up to 19 words are removed one by one; of a longer text those that weigh
        most, the others in groups.

        Args:
            text: A raw text.
            label: The label to explain; None for the most probable.

        Raises:
            TextError: The text can't be used.
            LabelError: The model has no such label.
        """
        known_label = None if label is None else find_label(label, self.labels)
        if label is not None and known_label is None:
            raise LabelError(
                f"There is no label {label!r:.60}. The model knows {', '.join(self.labels):.300}."
            )
        cleaned = self.codec.clean(text)
        (encoded,) = self.codec.encode([cleaned])
        stage, logits = self.model.answering(encoded)
        encoding, places = stage.trace(cleaned)
        chosen = int(logits[0].argmax()) if known_label is None else self.labels.index(known_label)
        words = words_of(cleaned, places)

        def odds(logits: NDArray[np.float32]) -> NDArray[np.float64]:
            return self.task.log_odds(logits.astype(np.float64) / stage.temperature, chosen)

        def ask(groups: Sequence[Group]) -> NDArray[np.float64]:
            return odds(logits) - odds(stage.logits(list(without(encoding.ids, words, groups))))

        weighed = [named(cleaned, places, words, group) for group in weigh(len(words), ask)]
        probability = float(self.task.probabilities(logits, stage.temperature)[0, chosen])
        return Explanation(
            cleaned, self.labels[chosen], probability, tuple(weighed), encoding.truncated
        )

    def decide(self, probabilities: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which labels apply, bool (texts, labels); none where the model abstains."""
        return self.codec.decide(probabilities)

    def _answer(self, texts: Sequence[str]) -> ModelOutput:
        if isinstance(texts, str | bytes) or not isinstance(texts, Iterable):
            raise TextError(
                "not_a_list",
                f"Expected a list of texts, got {type(texts).__name__}. Pass it as [text].",
            )
        texts = list(texts)
        parts = [ModelOutput.nothing(len(self.labels))]
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            cleaned = self.codec.clean_each(texts[start : start + TEXTS_AT_ONCE])
            try:
                parts.append(self._ask(_all_usable(cleaned)))
            except TextError as error:
                raise error.at(start + (error.index or 0)) from error
        return ModelOutput.join(parts)

    def _ask(self, cleaned: Sequence[str]) -> ModelOutput:
        if not isinstance(self.model, Cascade):
            return self.model(self.codec.encode(cleaned))
        full, fast = self.codec.tokenizers  # the full model's reads only what is left to it

        def rest(places: list[int]) -> list[Encoding]:
            try:
                return full.encode([cleaned[i] for i in places])
            except TextError as error:
                raise error.at(places[error.index or 0]) from error

        return self.model.ask(fast.encode(cleaned), rest)


def _all_usable(cleaned: Sequence[str | TextError]) -> list[str]:
    """The texts; the first error among them is raised."""
    usable = []
    for text in cleaned:
        if isinstance(text, TextError):
            raise text
        usable.append(text)
    return usable


def load(
    path: str | Path,
    *,
    verify: bool = True,
    engine: str = "auto",
    variant: str = "auto",
    num_threads: int = 0,
    num_sessions: int = 0,
    max_batch_tokens: int = 0,
) -> Classifier:
    """Load a bundle to classify with.

    What is not asked for is as `linnet optimize` chose it for this host; if it didn't, float32 in
    ONNX Runtime with 512 tokens a batch. The log (`linnet.predict`) and `Classifier.reason` say
    which it is.

    Args:
        path: A folder that `linnet export` wrote.
        verify: Check every file's digest and the proof first. Leave it on, but where the folder was
            just verified.
        engine: "onnxruntime", "openvino" or "auto".
        variant: A variant that the bundle has proof of, such as "int8-dynamic", or "auto".
        num_threads: Threads of one batch; 0: as chosen, or one for each core this process may use.
        num_sessions: Batches of a list that are computed at once; 0: as chosen, or 1.
        max_batch_tokens: Tokens in one batch, padding included; 0: as chosen, or 512.

    Raises:
        BundleError: The folder is no bundle, is incomplete, or was changed; or it has no proof of
            what is asked for.
        ProofError: The bundle's proof is missing a check, or a check failed.
        MissingExtraError: The engine is not installed.
    """
    bundle = Bundle.read(path)
    if verify:
        bundle.verify()
    choice = choose_plan(bundle, engine, variant, num_threads, num_sessions, max_batch_tokens)
    logger.info("%s runs as %s: %s", bundle.path, choice.plan, choice.reason)
    return Classifier(bundle, choice)

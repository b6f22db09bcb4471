"""Texts in, labels and probabilities out: clean, encode, batch, run, decide, in the order they came."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from linnet.bundle import Bundle
from linnet.errors import BundleError, LabelError, TextError
from linnet.predict.answers import decide, to_probabilities
from linnet.predict.batching import pad, token_budget_batches
from linnet.predict.engine import OnnxEngine
from linnet.predict.explain import Explanation, Group, log_odds, named, weigh, without, words_of
from linnet.text import Encoding, Tokenizer, clean

MAX_BATCH_TOKENS = 512  # as in defaults.toml
TEXTS_AT_ONCE = 8192  # bounds the memory that token ids take, while batches of like lengths still fill


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer to one text, which has exactly one label or, where the model is multi-label, any number.

    Attributes:
        label: The most probable of `labels`; None where no label applies, or where the model abstains.
        probability: Its probability; where there is no label, the largest of all.
        probabilities: Every label's probability, in the model's order. They sum to 1; those of a multi-label
            model don't, as each label applies or not by itself.
        truncated: Whether the text was longer than the model reads, so that its end was cut off.
        labels: The labels that apply, the most probable first: the one label, or those whose probability
            reaches their threshold, which may be none.
        abstained: Whether the model is not sure enough of the most probable label to give it. Only a model that was
            exported with `export.min_precision` abstains, and a multi-label one just gives fewer labels.
    """

    label: str | None
    probability: float
    probabilities: dict[str, float]
    truncated: bool
    labels: tuple[str, ...]
    abstained: bool = False


class Classifier:
    """A loaded bundle. Several threads may call it at once.

    Args:
        bundle: The bundle to answer with; see `load`, which verifies it too.
        num_threads: Threads of the engine; 0: one for each core this process may use.
        max_batch_tokens: Tokens in one batch, padding included.

    Attributes:
        bundle: The bundle.

    Raises:
        BundleError: The graph or the tokenizer can't be loaded.
    """

    def __init__(self, bundle: Bundle, *, num_threads: int = 0, max_batch_tokens: int = MAX_BATCH_TOKENS):
        self.bundle = bundle
        self._max_batch_tokens = max_batch_tokens
        self._tokenizer = Tokenizer(bundle.tokenizer_path, bundle.manifest.max_length)
        self._engine = OnnxEngine(bundle.model_path(), num_threads)
        # The largest id: a tokenizer that has more tokens than the graph is another model's, and shows here.
        classes = self._engine.run(*pad([[self._tokenizer.vocab_size - 1]], self._tokenizer.pad_id)).shape[-1]
        if classes != len(self.labels):
            raise BundleError(
                f"{bundle.model_path()} answers {classes} classes, but the manifest names {len(self.labels)} labels. "
                "Export the checkpoint again."
            )

    @property
    def labels(self) -> tuple[str, ...]:
        """Label names in the order of the probabilities."""
        return self.bundle.manifest.labels

    @property
    def multi_label(self) -> bool:
        """Whether a text has any number of labels."""
        return self.bundle.manifest.multi_label

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
        logits, truncated = self._answer(texts)
        answers = self._probabilities(logits)
        rows = zip(answers.tolist(), self.decide(answers), truncated, strict=True)
        return [self._prediction(row, applies, cut) for row, applies, cut in rows]

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Probabilities of shape (texts, labels); see `predict`."""
        return self._probabilities(self.logits(texts))

    def logits(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """What the graph answers, before temperature and softmax, of shape (texts, labels); see `predict`."""
        return self._answer(texts)[0]

    def explain(self, text: str, label: str | None = None) -> Explanation:
        """Say which words moved the answer to a text: by how much it is less without each.

        The model is asked for at most 20 answers (`explain.ASKED`), each of at most as many tokens as the text has. Up
        to 19 words are told one by one; of a longer text those that weigh most, the others in groups.

        Args:
            text: A raw text.
            label: The label to explain; None for the most probable.

        Raises:
            TextError: The text can't be used.
            LabelError: The model has no such label.
        """
        if label is not None and label not in self.labels:
            raise LabelError(f"There is no label {label!r:.60}. The model knows {', '.join(self.labels):.300}.")
        cleaned = clean(text, self.bundle.manifest.mask)
        encoding, places = self._tokenizer.trace(cleaned)
        logits = self._run([encoding])
        chosen = int(logits[0].argmax()) if label is None else self.labels.index(label)
        words = words_of(cleaned, places)

        def odds(logits: NDArray[np.float32]) -> NDArray[np.float64]:
            return log_odds(logits.astype(np.float64) / self.bundle.manifest.temperature, chosen, self.multi_label)

        def ask(groups: Sequence[Group]) -> NDArray[np.float64]:
            rest = [Encoding(ids, False) for ids in without(encoding.ids, words, groups)]
            return odds(logits) - odds(self._run(rest))

        weighed = [named(cleaned, places, words, group) for group in weigh(len(words), ask)]
        probability = float(self._probabilities(logits)[0, chosen])
        return Explanation(cleaned, self.labels[chosen], probability, tuple(weighed), encoding.truncated)

    def decide(self, probabilities: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which labels apply, bool (texts, labels), by probabilities of that shape; none where the model abstains."""
        return decide(probabilities, self.bundle.manifest.thresholds, self.multi_label)

    def _probabilities(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        return to_probabilities(logits, self.bundle.manifest.temperature, self.multi_label)

    def _prediction(self, row: list[float], applies: NDArray[np.bool_], truncated: bool) -> Prediction:
        chosen = sorted(np.flatnonzero(applies).tolist(), key=lambda k: -row[k])
        names = tuple(self.labels[k] for k in chosen)
        probability = row[chosen[0]] if chosen else max(row)
        by_name = dict(zip(self.labels, row, strict=True))
        abstained = not chosen and not self.multi_label
        return Prediction(names[0] if names else None, probability, by_name, truncated, names, abstained)

    def _answer(self, texts: Sequence[str]) -> tuple[NDArray[np.float32], list[bool]]:
        if isinstance(texts, str | bytes) or not isinstance(texts, Iterable):
            raise TextError("not_a_list", f"Expected a list of texts, got {type(texts).__name__}. Pass it as [text].")
        texts = list(texts)
        logits = np.empty((len(texts), len(self.labels)), np.float32)
        truncated: list[bool] = []
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            part = self._encode(texts[start : start + TEXTS_AT_ONCE], start)
            logits[start : start + len(part)] = self._run(part)
            truncated += [encoding.truncated for encoding in part]
        return logits, truncated

    def _encode(self, texts: Sequence[str], first: int) -> list[Encoding]:
        cleaned = []
        for index, text in enumerate(texts, first):
            try:
                cleaned.append(clean(text, self.bundle.manifest.mask))
            except TextError as error:
                raise TextError(error.reason, f"Text {index}: {error}", index) from None
        return self._tokenizer.encode(cleaned)

    def _run(self, encodings: Sequence[Encoding]) -> NDArray[np.float32]:
        logits = np.empty((len(encodings), len(self.labels)), np.float32)
        for batch in token_budget_batches([len(encoding.ids) for encoding in encodings], self._max_batch_tokens):
            logits[batch] = self._engine.run(*pad([encodings[i].ids for i in batch], self._tokenizer.pad_id))
        return logits


def load(
    path: str | Path, *, verify: bool = True, num_threads: int = 0, max_batch_tokens: int = MAX_BATCH_TOKENS
) -> Classifier:
    """Load a bundle to classify with.

    Args:
        path: A folder that `linnet export` wrote.
        verify: Check every file's digest and the proof first. Leave it on, but where the folder was just verified.
        num_threads: Threads of the engine; 0: one for each core this process may use.
        max_batch_tokens: Tokens in one batch, padding included.

    Raises:
        BundleError: The folder is no bundle, is incomplete, or was changed.
        ProofError: The bundle's proof is missing a check, or a check failed.
    """
    bundle = Bundle.read(path)
    if verify:
        bundle.verify()
    return Classifier(bundle, num_threads=num_threads, max_batch_tokens=max_batch_tokens)

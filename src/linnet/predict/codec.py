"""All of a bundle except its graphs:

a text becomes token ids, logits become a prediction.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from linnet.bundle import Bundle
from linnet.errors import TextError
from linnet.predict.decision import task_of
from linnet.predict.stages import Encodings, ModelOutput
from linnet.surprise import SurpriseTable
from linnet.text import Tokenizer, clean

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer to one text: one label, or several of a multi-label model.

    Attributes:
        label: The most probable of `labels`; None where no label applies, or where the model
            abstains.
        probability: Its probability; where there is no label, the largest of all.
        probabilities: Every label's probability, in the model's order. They sum to 1; those of a
            multi-label model don't, as each label applies or not by itself.
        truncated: Whether the text was longer than the model reads, so that its end was cut off.
        labels: The labels that apply, the most probable first: the one label, or those whose
            probability reaches their threshold, which may be none.
        abstained: Whether the model is not sure enough of the most probable label to give it. Only
            a model that was exported with `export.min_precision` abstains, and a multi-label one
            just gives fewer labels.
        fast: Whether the smaller model of a cascade answered, which was sure.
        unknown_share: Share of the text's tokens that the model does not know, 0 to 1. An answer to
            a text of unknown tokens alone says nothing of it.
    """

    label: str | None
    probability: float
    probabilities: dict[str, float]
    truncated: bool
    labels: tuple[str, ...]
    abstained: bool = False
    fast: bool = False
    unknown_share: float = 0.0


class Codec:
    """A bundle's tokenizers, labels, temperature and thresholds. It is thread-safe.

    Args:
        bundle: The bundle; its graphs are not looked at. Verified, if there are others.
        others: A tokenizer of theirs is used again if its file and length are the same. Reading a
            large one holds up all threads of the process, as the library keeps Python's lock.

    Attributes:
        bundle: The bundle given.
        task: Single-label or multi-label.
        tokenizers: The model's, and of a cascade the smaller model's after it.
        surprise: How unusual a text is, by the ids of the model's tokenizer; None if the bundle
            has no table.

    Raises:
        BundleError: A tokenizer or the table can't be read.
    """

    def __init__(self, bundle: Bundle, others: Iterable["Codec"] = ()):
        manifest = bundle.manifest
        cascade = bundle.manifest.cascade
        self.bundle = bundle
        self.task = task_of(manifest.multi_label)
        lengths = {bundle.tokenizer_path: manifest.max_length}
        if cascade:
            lengths[bundle.path / cascade.tokenizer] = cascade.max_length
        self._sources = [(manifest.files.get(path.name), n) for path, n in lengths.items()]
        # A former one's tokenizers may be let go meanwhile.
        pairs = [pair for one in others for pair in zip(one._sources, one.tokenizers, strict=False)]
        self.tokenizers: list[Tokenizer] = [
            next((known for other, known in pairs if other == source), None)
            or Tokenizer(path, length)
            for source, (path, length) in zip(self._sources, lengths.items(), strict=True)
        ]
        self.surprise: SurpriseTable | None = None
        if bundle.surprise_path:
            own = self.tokenizers[0]
            self.surprise = SurpriseTable.read(
                bundle.surprise_path, own.vocab_size, own.special_ids
            )

    def clean(self, text: object) -> str:
        """A raw text as the model was trained on such.

        Raises:
            TextError: The text can't be used.
        """
        return clean(text, self.bundle.manifest.mask)

    def clean_each(self, texts: Sequence[object]) -> list[str | TextError]:
        """Each raw text cleaned, or why it can't be used."""
        cleaned: list[str | TextError] = []
        for index, text in enumerate(texts):
            try:
                cleaned.append(self.clean(text))
            except TextError as error:
                cleaned.append(error.at(index))
        return cleaned

    def read(self, texts: Sequence[object]) -> list[Encodings | TextError]:
        """The token ids of each raw text, or why it can't be used."""
        return each(self.encode, self.clean_each(texts))

    def encode(self, texts: Sequence[str]) -> list[Encodings]:
        """The token ids of clean texts, in their order: by each of `tokenizers`.

        Raises:
            TextError: A tokenizer fails at a text. The index says which.
        """
        return list(zip(*(tokenizer.encode(texts) for tokenizer in self.tokenizers), strict=True))

    def probabilities(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        """What is answered to logits, both of shape (texts, labels)."""
        return self.task.probabilities(logits, self.bundle.manifest.temperature)

    def decide(self, probabilities: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which labels apply, bool (texts, labels); none where the model abstains."""
        return self.task.decide(probabilities, self.bundle.manifest.thresholds)

    def decode(self, answered: ModelOutput) -> list[Prediction]:
        """The predictions of n texts, by what was answered to them."""
        rows = self.probabilities(answered.logits)
        columns = (
            rows.tolist(),
            self.decide(rows),
            answered.truncated.tolist(),
            answered.fast.tolist(),
            answered.unknown_share.tolist(),
        )
        return [self._prediction(*row) for row in zip(*columns, strict=True)]

    def _prediction(
        self,
        row: list[float],
        applies: NDArray[np.bool_],
        truncated: bool,
        fast: bool,
        unknown_share: float,
    ) -> Prediction:
        manifest = self.bundle.manifest
        chosen = sorted(np.flatnonzero(applies).tolist(), key=lambda k: -row[k])
        names = tuple(manifest.labels[k] for k in chosen)
        probability = row[chosen[0]] if chosen else max(row)
        by_name = dict(zip(manifest.labels, row, strict=True))
        abstained = not chosen and not manifest.multi_label
        return Prediction(
            label=names[0] if names else None,
            probability=probability,
            probabilities=by_name,
            truncated=truncated,
            labels=names,
            abstained=abstained,
            fast=fast,
            unknown_share=unknown_share,
        )


def each(
    function: Callable[[list[str]], Sequence[T]], cleaned: Sequence[str | TextError]
) -> list[T | TextError]:
    """What a function gives for each text, or why the text can't be used.

    All texts are given to the function at once. If it fails at one of them, each is given alone.

    Args:
        function: Gives one result per clean text, in their order. It raises a `TextError` if it
            fails at a text.
        cleaned: Clean texts. The errors among them keep their places.
    """
    usable = {place: text for place, text in enumerate(cleaned) if isinstance(text, str)}
    try:
        results: Iterable[T | TextError] = function([*usable.values()])
    except TextError:
        results = [_alone(function, place, text) for place, text in usable.items()]
    outcomes = dict(zip(usable, results, strict=True))
    return [
        one if isinstance(one, TextError) else outcomes[place] for place, one in enumerate(cleaned)
    ]


def _alone(function: Callable[[list[str]], Sequence[T]], place: int, text: str) -> T | TextError:
    try:
        (result,) = function([text])
    except TextError as error:
        return error.at(place)
    return result

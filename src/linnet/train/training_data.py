"""What a training run learns from: the splits, the encoder to start from, and the targets."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from linnet.config import ModelConfig, TrainConfig
from linnet.data import Split, read_split
from linnet.errors import DataError, LabelError
from linnet.files import digest
from linnet.train.encoder import scratch
from linnet.train.encoder.find import Encoder, find_encoder
from linnet.train.network.batches import Encoded
from linnet.train.network.network import Network
from linnet.train.objective import ClassificationObjective


class Targets(Protocol):
    """What the texts of a run should be answered: their own labels, or what teachers answered."""

    @property
    def texts(self) -> list[str]:
        """The given texts; an encoder from scratch learns its vocabulary of them."""

    @property
    def split(self) -> Split:
        """The texts, with the targets in place of labels."""

    @property
    def identity(self) -> dict[str, Any]:
        """Everything of the targets that the weights depend on, by name; empty for labels."""

    def objective(
        self,
        network: Network,
        settings: TrainConfig,
        validation: Encoded,
        class_weights: Sequence[float] | None,
    ) -> ClassificationObjective:
        """The loss of a network."""

    def record(
        self, judge: Callable[[], ClassificationObjective], confidence_level: float
    ) -> dict[str, Any]:
        """What training.json says of the targets, by name.

        Args:
            judge: Gives the best epoch, with the validation texts.
            confidence_level: Of intervals.
        """


@dataclass(frozen=True)
class Labels:
    """The labels of the training split as targets."""

    split: Split

    @property
    def texts(self) -> list[str]:
        """The texts of the split."""
        return self.split.texts

    @property
    def identity(self) -> dict[str, Any]:
        """Empty: the digests of the splits say it."""
        return {}

    def objective(
        self,
        network: Network,
        settings: TrainConfig,
        validation: Encoded,
        class_weights: Sequence[float] | None,
    ) -> ClassificationObjective:
        """Cross-entropy against the labels."""
        return ClassificationObjective(network, settings, validation, class_weights)

    def record(
        self, judge: Callable[[], ClassificationObjective], confidence_level: float
    ) -> dict[str, Any]:
        """Empty: the rest of the record says it."""
        return {}


@dataclass(frozen=True)
class TrainingData:
    """What runs learn from, whatever their recipe.

    Attributes:
        splits: The folder.
        train: Its training split.
        validation: Its validation split.
        encoder: The one to start from; None where each run makes it of the training texts.
        targets: What is learnt.
    """

    splits: Path
    train: Split
    validation: Split
    encoder: Encoder | None
    targets: Targets

    @contextmanager
    def start(self, settings: ModelConfig) -> Iterator[Encoder]:
        """The encoder to start from; one that is made lies on disk while the block runs."""
        with TemporaryDirectory() as own:
            yield self.encoder or scratch.make_encoder(self.targets.texts, settings, Path(own))


def read_training_data(settings: ModelConfig, splits: Path) -> TrainingData:
    """Read what runs learn from; raises what `train` does."""
    learn, validate = _read(Path(splits))
    encoder = find_named_encoder(settings)
    return TrainingData(Path(splits), learn, validate, encoder, Labels(learn))


def find_named_encoder(settings: ModelConfig) -> Encoder | None:
    """The encoder that is named; None if it is to be made of the training texts."""
    return None if settings.name_or_path == scratch.NAME else find_encoder(settings.name_or_path)


def _read(splits: Path) -> tuple[Split, Split]:
    learn = read_split(splits, "train")
    validate = read_split(splits, "validation")
    for other in (validate, read_split(splits, "test")):
        if other.label_names != learn.label_names:
            raise LabelError(
                f"The splits in {splits} don't have the same labels: train has "
                f"{', '.join(learn.label_names)}; {other.name} has {', '.join(other.label_names)}. "
                "They are from different runs: prepare them again."
            )
        if (other.multi_label, other.mask) != (learn.multi_label, learn.mask):
            raise DataError(
                f"The splits in {splits} are of different kinds: {_kind(learn)}; {_kind(other)}. "
                "They are from different runs: prepare them again."
            )
    return learn, validate


def _kind(split: Split) -> str:
    labels = "several labels" if split.multi_label else "one label"
    return f"{split.name} has {labels} per text and masks {', '.join(split.mask) or 'nothing'}"


def source_name(splits: Path) -> str:
    """The name of the data, as the data card has it."""
    card = splits / "data_card.json"
    if not card.is_file():
        return "not recorded"
    try:
        content = json.loads(card.read_text(encoding="utf-8"))
        return str(content["source"]["name"])
    except (ValueError, KeyError, TypeError):
        return "not recorded"


def split_digests(splits: Path) -> dict[str, str]:
    """SHA-256 of the splits that a run depends on."""
    return {name: digest(splits / f"{name}.parquet") for name in ("train", "validation")}

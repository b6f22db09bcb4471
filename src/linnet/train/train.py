"""The stage itself: splits become a checkpoint, with the record of how."""

import dataclasses
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from linnet.config import Config, ModelConfig
from linnet.data import Split, read_split
from linnet.errors import DataError, LabelError
from linnet.files import digest, whole_directory
from linnet.lineage import lineage
from linnet.progress import progress
from linnet.train import scratch
from linnet.train.batches import encode
from linnet.train.checkpoint import RECORD, Checkpoints
from linnet.train.encoder import Encoder, find_encoder, load_classifier
from linnet.train.loop import Loop

FORMAT = 1


def train(config: Config, splits: Path, directory: Path) -> dict[str, Any]:
    """Fine-tune an encoder and keep its best epoch.

    Equal settings, splits and encoder give equal weights, byte for byte, on a CPU with as many threads.

    Args:
        config: Its `model` section names the encoder, its `train` section is the recipe.
        splits: A folder that `linnet prepare` wrote.
        directory: The checkpoint folder; appears whole, or stays as it was.

    Returns:
        The training record, as in training.json.

    Raises:
        DataError: A split can't be used.
        LabelError: The splits don't have the same labels.
        ModelError: The encoder can't be had or used.
        TrainingError: The loss is no finite number.
        StorageError: The disk refused a write.
    """
    splits = Path(splits)
    learn, validate = _read(splits)
    with (
        _seeded(config.train.seed),
        whole_directory(directory, holds=RECORD) as folder,
        _encoder(config.model, learn.texts, folder) as encoder,
    ):
        tokenizer = encoder.tokenizer(config.model.max_length)
        model = load_classifier(encoder, learn.label_names, tokenizer, learn.multi_label).to(_device())
        loop = Loop(model, config.train, encode(learn, tokenizer), encode(validate, tokenizer))
        checkpoints = Checkpoints(folder, encoder, config.model.max_length)
        seconds = _run(loop, checkpoints)
        record = _record(config, splits, learn, encoder, loop, seconds)
        checkpoints.finish(record["best_epoch"], record)
    return record


def _read(splits: Path) -> tuple[Split, Split]:
    learn, validate = read_split(splits, "train"), read_split(splits, "validation")
    for other in (validate, read_split(splits, "test")):
        if other.label_names != learn.label_names:
            raise LabelError(
                f"The splits in {splits} don't have the same labels: train has {', '.join(learn.label_names)}; "
                f"{other.name} has {', '.join(other.label_names)}. They are from different runs: prepare them again."
            )
        if (other.multi_label, other.mask) != (learn.multi_label, learn.mask):
            raise DataError(
                f"The splits in {splits} are of different kinds: {_kind(learn)}; {_kind(other)}. They are from "
                "different runs: prepare them again."
            )
    return learn, validate


def _kind(split: Split) -> str:
    labels = "any number of labels" if split.multi_label else "one label"
    return f"{split.name} has {labels} a text and masks {', '.join(split.mask) or 'nothing'}"


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Torch's random state from a seed; the caller's own comes back afterwards."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def check_encoder(settings: ModelConfig) -> None:
    """See that the encoder can be had, before other work is done that would need it.

    Raises:
        ModelError: There is no such encoder, or it can't be reached.
    """
    if settings.name_or_path != scratch.NAME:
        find_encoder(settings.name_or_path)


@contextmanager
def _encoder(settings: ModelConfig, texts: Sequence[str], folder: Path) -> Iterator[Encoder]:
    if settings.name_or_path != scratch.NAME:
        yield find_encoder(settings.name_or_path)
        return
    with TemporaryDirectory(dir=folder) as own:
        yield scratch.make_encoder(texts, settings.max_length, Path(own))


def _run(loop: Loop, checkpoints: Checkpoints) -> float:
    """Run all epochs; gives the seconds they took, evaluation and saving included."""
    epochs = loop.settings.num_train_epochs
    started = time.perf_counter()
    with progress("train", len(loop.train) * epochs, "texts") as task:

        def on_step(texts: int, loss: float) -> None:
            speed = loop.state.texts / (time.perf_counter() - started)
            task.note(f"epoch {len(loop.state.history) + 1}/{epochs}, loss {loss:.4f}, {speed:,.0f} texts/s")
            task.advance(texts)

        while loop.stop_reason is None:
            epoch = loop.run_epoch(on_step)
            checkpoints.save(loop.model, epoch.epoch, loop.best.epoch)
    return time.perf_counter() - started


def _record(config: Config, splits: Path, learn: Split, encoder: Encoder, loop: Loop, seconds: float) -> dict[str, Any]:
    state, card = loop.state, splits / "data_card.json"
    encoded = {"train": loop.train, "validation": loop.validation}
    return {
        "format": FORMAT,
        "history": [dataclasses.asdict(epoch) for epoch in state.history],
        "best_epoch": loop.best.epoch,
        "stop_reason": loop.stop_reason,
        "global_step": state.step,
        "train_runtime": seconds,
        "train_samples_per_second": state.texts / seconds,
        "train_steps_per_second": state.step / seconds,
        "total_flos": state.flops,
        "num_input_tokens_seen": state.tokens,
        "rows": {name: len(split) for name, split in encoded.items()},
        "tokens": {name: len(split.ids) for name, split in encoded.items()},
        "truncated": {name: split.truncated for name, split in encoded.items()},
        "labels": list(learn.label_names),
        "problem_type": loop.model.config.problem_type,
        "mask": list(learn.mask),
        "encoder": encoder.identity(),
        "parameters": sum(parameter.numel() for parameter in loop.model.parameters()),
        "device": str(loop.model.device),
        "num_threads": torch.get_num_threads(),
        "precision": "fp32",
        "seed": config.train.seed,
        "settings": config.model_dump(mode="json"),
        "data_card_sha256": digest(card) if card.is_file() else None,
        "lineage": lineage(),
    }

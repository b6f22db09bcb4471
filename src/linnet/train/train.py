"""The stage itself: splits become a checkpoint, with the record of how."""

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from linnet.config import Config, ModelConfig, TrainConfig
from linnet.data import Split, read_split
from linnet.errors import DataError, LabelError
from linnet.files import check_replaceable, digest, whole_directory
from linnet.lineage import lineage
from linnet.train import scratch
from linnet.train.batches import encode
from linnet.train.checkpoint import RECORD, write_checkpoint
from linnet.train.classify import Classify
from linnet.train.encoder import Encoder, find_encoder, load_classifier
from linnet.train.loop import Loop
from linnet.train.network import make_network
from linnet.train.precision import Precision, choose_precision
from linnet.train.processes import Group, device, process_group
from linnet.train.runner import memory_errors, run, stop_signals
from linnet.train.unfinished import Unfinished

FORMAT = 2
# Settings that the weights do not depend on; of bf16 they do, on what it came to.
NOT_IN_RESULT = {"save_steps", "save_total_limit", "bf16"}


def train(
    config: Config,
    splits: Path,
    directory: Path,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Fine-tune an encoder and keep its best epoch.

    A run that was stopped is gone on with where its last state was. Equal settings, splits and encoder give equal
    weights, byte for byte, on a CPU with as many threads, however often the run was stopped.

    Args:
        config: Its `model` section names the encoder, its `train` section is the recipe.
        splits: A folder that `linnet prepare` wrote.
        directory: The checkpoint folder; appears whole, or stays as it was. While the run is under way its state lies
            beside it, in a folder of the same name and `.unfinished`.
        overwrite: Begin anew, though an unfinished run lies there.

    Returns:
        The training record, as in training.json.

    Raises:
        DataError: A split can't be used.
        LabelError: The splits don't have the same labels.
        ModelError: The encoder can't be had or used.
        TrainingError: The loss is no finite number, or memory ran out.
        StoppedError: The process was asked to stop; the state is on disk.
        UsageError: An unfinished run of other settings lies there.
        StorageError: The disk refused a write.
    """
    splits, directory = Path(splits), Path(directory)
    check_replaceable(directory, RECORD)
    learn, validate = _read(splits)
    with (
        process_group() as group,
        _seeded(config.train.seed),
        TemporaryDirectory() as own,
        memory_errors(config.train),
        stop_signals() as stopped,
    ):
        encoder = _encoder(config.model, learn.texts, Path(own))
        loop, precision = make_loop(config, learn, validate, encoder, group)
        identity = _identity(config, splits, encoder, group, precision)
        limit = config.train.save_total_limit
        with Unfinished(directory, identity, limit, overwrite, group.first) as unfinished:
            group.wait()
            run(loop, unfinished, stopped)
            record = _record(config, splits, learn, encoder, loop, precision)
            if group.first:
                with whole_directory(directory, holds=RECORD) as folder:
                    write_checkpoint(folder, unfinished.best(loop), encoder, config.model.max_length, record)
                unfinished.remove()
        group.wait()
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


def check_encoder(settings: ModelConfig) -> str:
    """See that the encoder can be had, before other work is done that would need it.

    Returns:
        Why it is not the first choice, as sentences; empty where it is.

    Raises:
        ModelError: There is no such encoder, or it can't be reached.
    """
    return "" if settings.name_or_path == scratch.NAME else find_encoder(settings.name_or_path).note


def _encoder(settings: ModelConfig, texts: Sequence[str], own: Path) -> Encoder:
    if settings.name_or_path != scratch.NAME:
        return find_encoder(settings.name_or_path)
    return scratch.make_encoder(texts, settings.max_length, own)


def make_loop(config: Config, learn: Split, validate: Split, encoder: Encoder, group: Group) -> tuple[Loop, Precision]:
    """A fresh loop over a split, and the precision it computes in."""
    settings = config.train
    tokenizer = encoder.tokenizer(config.model.max_length)
    model = load_classifier(encoder, learn.label_names, tokenizer, learn.multi_label, _dropouts(settings)).to(device())
    precision = choose_precision(settings.bf16, model.config.hidden_size, device())
    encoded = [encode(split, tokenizer) for split in (learn, validate)]
    known = np.unique(np.concatenate([split.ids for split in encoded])).astype(np.int64)
    seed = settings.seed + group.rank  # the processes of a run drop different things
    network, vocabulary = make_network(model, precision.dtype, known, tokenizer.pad_id, seed)
    if vocabulary is not None:
        encoded = [split.within(vocabulary) for split in encoded]
    task = Classify(network, settings, encoded[1], _class_weights(settings, learn))
    return Loop(task, settings, encoded[0], group), precision


def _dropouts(settings: TrainConfig) -> dict[str, float]:
    """The rates of dropout that are set, under the names that `load_classifier` takes; others are the encoder's own."""
    rates = {"dropout": settings.dropout, "attention_dropout": settings.attention_dropout}
    return {name: rate for name, rate in rates.items() if rate != "encoder"}


def _class_weights(settings: TrainConfig, learn: Split) -> list[float] | None:
    """As scikit-learn's "balanced": rows / (classes x rows of the class); of several labels a text, of each label."""
    if settings.class_weight == "none":
        return None
    labels = learn.labels
    counts = labels.sum(axis=0) if learn.multi_label else np.bincount(labels, minlength=len(learn.label_names))
    weights = counts.sum() / (len(counts) * np.maximum(counts, 1))
    return [float(weight) for weight in weights]


def _identity(config: Config, splits: Path, encoder: Encoder, group: Group, precision: Precision) -> dict[str, Any]:
    """Everything that the weights depend on."""
    return {
        "train": config.train.model_dump(mode="json", exclude=NOT_IN_RESULT),
        "model": config.model.model_dump(mode="json", exclude={"name_or_path"}),  # the encoder itself stands below
        "splits": {name: digest(splits / f"{name}.parquet") for name in ("train", "validation")},
        "encoder": encoder.identity(),
        "processes": group.size,
        "precision": precision.name,
    }


def _record(
    config: Config, splits: Path, learn: Split, encoder: Encoder, loop: Loop, precision: Precision
) -> dict[str, Any]:
    state, card = loop.state, splits / "data_card.json"
    encoded = {"train": loop.train, "validation": loop.task.validation}
    return {
        "format": FORMAT,
        "history": [dataclasses.asdict(epoch) for epoch in state.history],
        "best_epoch": loop.best.epoch,
        "stop_reason": loop.stop_reason,
        "global_step": state.step,
        "train_runtime": state.seconds,
        "train_samples_per_second": state.texts / state.seconds,
        "train_steps_per_second": state.step / state.seconds,
        "total_flos": state.flops,
        "num_input_tokens_seen": state.tokens,
        "rows": {name: len(split) for name, split in encoded.items()},
        "tokens": {name: len(split.ids) for name, split in encoded.items()},
        "truncated": {name: split.truncated for name, split in encoded.items()},
        "labels": list(learn.label_names),
        "problem_type": loop.task.network.model.config.problem_type,
        "mask": list(learn.mask),
        "encoder": encoder.identity(),
        "encoder_note": encoder.note,
        "parameters": loop.task.network.weights.parameters,
        "device": str(device()),
        "num_threads": torch.get_num_threads(),
        "processes": loop.group.size,
        "precision": precision.name,
        "precision_reason": precision.reason,
        "network": type(loop.task.network).__name__.lower(),
        "seed": config.train.seed,
        "settings": config.model_dump(mode="json"),
        "data_card_sha256": digest(card) if card.is_file() else None,
        "lineage": lineage(),
    }

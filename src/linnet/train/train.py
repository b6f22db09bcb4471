"""The stage itself: splits become a checkpoint, with the record of how."""

import dataclasses
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from linnet.config import Config, TrainConfig
from linnet.data import Split
from linnet.errors import StoppedError, TrainingError
from linnet.files import check_replaceable, digest, whole_directory
from linnet.lineage import lineage
from linnet.train.checkpoint import RECORD, WRITTEN, write_checkpoint
from linnet.train.distributed import Group, device, process_group
from linnet.train.encoder.find import Encoder, load_classifier
from linnet.train.encoder.rate import learning_rate_note, with_learning_rate
from linnet.train.loop import Loop
from linnet.train.network.batches import batch, encode
from linnet.train.network.network import Padded, make_network
from linnet.train.network.precision import Precision, choose_precision
from linnet.train.objective import ClassificationObjective
from linnet.train.resume import EVENTS, ResumableRun
from linnet.train.runner import memory_errors, run, stop_signals
from linnet.train.tensorboard import writer_class
from linnet.train.training_data import (
    TrainingData,
    find_named_encoder,
    read_training_data,
    source_name,
    split_digests,
)

FORMAT = 2
# Settings that the weights do not depend on; of bf16 they do, on what it came to.
NOT_IN_RESULT = {"save_steps", "save_total_limit", "bf16", "report_to"}


@dataclass(frozen=True)
class FinishedRun:
    """A run that came to its end, while its state is still on disk.

    Attributes:
        loop: What was run.
        encoder: What it began with.
        precision: What it computed in.
        unfinished: Its state.
    """

    loop: Loop
    encoder: Encoder
    precision: Precision
    unfinished: ResumableRun


def train(
    config: Config,
    splits: Path,
    directory: Path,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Fine-tune an encoder and keep its best epoch.

    A stopped run resumes from its last state. Equal settings, splits and
    encoder give equal weights, byte for byte, on a CPU with as many threads, however often the run
    was stopped.

    Args:
        config: Its `model` section names the encoder, its `train` section is the recipe.
        splits: A folder that `linnet prepare` wrote.
        directory: The checkpoint folder; appears whole, or stays as it was. While the run is under
            way its state is next to it, in a folder of the same name and `.unfinished`.
        overwrite: Start over if there is an unfinished run.

    Returns:
        The training record, as in training.json.

    Raises:
        DataError: A split can't be used.
        LabelError: The splits don't have the same labels.
        ModelError: The encoder can't be had or used.
        TrainingError: The loss is no finite number, or memory ran out.
        StoppedError: The process was asked to stop; the state is on disk.
        UsageError: An unfinished run of other settings lies there, or what `report_to` names is not
            installed.
        StorageError: The disk refused a write.
    """
    directory = Path(directory)
    check_first(config, directory)
    data = read_training_data(config.model, splits)
    with process_group() as group, stop_signals() as stopped:
        return fit(config, data, directory, stopped, group, overwrite)


def check_first(config: Config, directory: Path) -> None:
    """Refuse before the work, not after it, what could not be written.

    Raises:
        UsageError: The folder must not be replaced, or what `report_to` names is
            not installed.
        StorageError: This user may not look there.
    """
    check_replaceable(directory, RECORD, WRITTEN)
    if config.train.report_to == "tensorboard":
        writer_class()


def fit(
    config: Config,
    data: TrainingData,
    directory: Path,
    stopped: threading.Event,
    group: Group,
    overwrite: bool,
) -> dict[str, Any]:
    """Train and write the checkpoint, as `train` does; give the record."""
    note = learning_rate_note(config, data.encoder)
    config = with_learning_rate(config, data.encoder)
    with (
        _another_run_advised(),
        training_run(config, data, directory, stopped, _keep_best, group, overwrite) as done,
    ):
        record = _record(config, data, done) | {"learning_rate_note": note}
        if group.first:
            best = done.unfinished.best(done.loop)
            record |= data.targets.record(
                lambda: _classifier_of(best, config, done.encoder, data.validation),
                config.evaluate.confidence_level,
            )
            with whole_directory(directory, holds=RECORD, only=WRITTEN) as folder:
                length = config.model.max_length
                source = source_name(data.splits)
                write_checkpoint(folder, best, done.encoder, length, record, source)
                if done.unfinished.events.is_dir():
                    shutil.copytree(done.unfinished.events, folder / EVENTS)
            done.unfinished.remove()
    group.wait()
    return record


@contextmanager
def _another_run_advised() -> Iterator[None]:
    """Say how to start over, if the settings have to change. Trials of a study can't."""
    try:
        yield
    except StoppedError:
        raise
    except TrainingError as error:
        raise TrainingError(
            f"{error} With other settings it is another run: begin it with --overwrite."
        ) from error


@contextmanager
def training_run(
    config: Config,
    data: TrainingData,
    directory: Path,
    stopped: threading.Event,
    on_epoch: Callable[[Loop, ResumableRun], None],
    group: Group | None = None,
    overwrite: bool = False,
) -> Iterator[FinishedRun]:
    """Run a recipe to its end, from where it was stopped if it was.

    Args:
        config: Its `model` and `train` sections are the recipe.
        data: What is learnt from.
        directory: The state of the run is next to it until the caller removes it.
        stopped: Set when the process is asked to stop.
        on_epoch: Called after each epoch, before its state is saved; what it raises ends the run
            there.
        group: The processes that take part.
        overwrite: Start over if there is an unfinished run.

    Raises:
        ModelError: The encoder can't be used.
        TrainingError: The loss is no finite number, or memory ran out.
        StoppedError: `stopped` was set; the state is on disk.
        UsageError: An unfinished run of other settings lies there.
    """
    group = group or Group()
    with (
        memory_errors(config.train),
        seeded(config.train.seed),
        data.start(config.model) as encoder,
    ):
        loop, precision = make_loop(config, data, encoder, group)
        identity = _identity(config, data, encoder, group, precision)
        limit = config.train.save_total_limit
        with ResumableRun(directory, identity, limit, overwrite, group.first) as unfinished:
            group.wait()
            run(loop, unfinished, stopped, on_epoch)
            yield FinishedRun(loop, encoder, precision, unfinished)


def _keep_best(loop: Loop, unfinished: ResumableRun) -> None:
    if loop.group.first and loop.best is loop.state.history[-1]:
        unfinished.save_best(loop)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Torch's random state from a seed; the caller's own comes back afterwards."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def check_encoder(config: Config) -> str:
    """See that the encoder can be had, before other work is done that would need it.

    Returns:
        Sentences about the encoder: why it is not the first choice, how its tokenizer was made, and
        which learning rate it brings. Empty if there is nothing to say.

    Raises:
        ModelError: There is no such encoder, or it can't be reached.
    """
    encoder = find_named_encoder(config.model)
    notes = (encoder.note if encoder else "", learning_rate_note(config, encoder))
    return " ".join(filter(None, notes))


def make_loop(
    config: Config, data: TrainingData, encoder: Encoder, group: Group
) -> tuple[Loop, Precision]:
    """A fresh loop over the texts of the targets, and the precision it computes in."""
    learn = data.train
    settings = config.train
    tokenizer = encoder.tokenizer(config.model.max_length)
    model = load_classifier(
        encoder, learn.label_names, tokenizer, learn.multi_label, dropouts(settings)
    ).to(device())
    # Each measures while the others run, so they might differ.
    precision = group.gather(choose_precision(settings.bf16, model.config.hidden_size, device()))[0]
    splits = data.targets.split, data.validation
    encoded = [encode(split, tokenizer, group.first) for split in splits]
    known = np.unique(np.concatenate([split.ids for split in encoded])).astype(np.int64)
    seed = (
        settings.seed + group.rank
    )  # the processes of a run drop different things, though they began with one head
    if not group.first:
        torch.manual_seed(seed)
    example = batch(
        encoded[0], np.arange(min(settings.per_device_train_batch_size, len(encoded[0]))), device()
    )
    network, vocabulary = make_network(
        model, precision.dtype, known, tokenizer.pad_id, seed, example
    )
    if vocabulary is not None:
        encoded = [split.within(vocabulary) for split in encoded]
    class_weights = _class_weights(settings, learn)
    task = data.targets.objective(network, settings, encoded[1], class_weights)
    return Loop(task, settings, encoded[0], group), precision


def _classifier_of(
    folder: Path, config: Config, encoder: Encoder, validate: Split
) -> ClassificationObjective:
    """A saved model, with the validation texts to judge it on."""
    tokenizer = encoder.tokenizer(config.model.max_length)
    saved = Encoder(folder.name, folder, "folder")
    model = load_classifier(saved, validate.label_names, tokenizer, validate.multi_label).to(
        device()
    )
    return ClassificationObjective(
        Padded(model, torch.float32, tokenizer.pad_id), config.train, encode(validate, tokenizer)
    )


def dropouts(settings: TrainConfig) -> dict[str, float]:
    """The rates of dropout that are set, under the names of `load_classifier`.

    Others are the encoder's own.
    """
    rates = {"dropout": settings.dropout, "attention_dropout": settings.attention_dropout}
    return {name: rate for name, rate in rates.items() if rate != "encoder"}


def _class_weights(settings: TrainConfig, learn: Split) -> list[float] | None:
    """As scikit-learn's "balanced":

    rows / (classes x rows of the class); of several labels per text, of each label.
    """
    if settings.class_weight == "none":
        return None
    labels = learn.labels
    counts = (
        labels.sum(axis=0)
        if learn.multi_label
        else np.bincount(labels, minlength=len(learn.label_names))
    )
    weights = counts.sum() / (len(counts) * np.maximum(counts, 1))
    return [float(weight) for weight in weights]


def _identity(
    config: Config, data: TrainingData, encoder: Encoder, group: Group, precision: Precision
) -> dict[str, Any]:
    """Everything that the weights depend on."""
    identity = {
        "train": config.train.model_dump(mode="json", exclude=NOT_IN_RESULT),
        "model": config.model.model_dump(
            mode="json", exclude={"name_or_path"}
        ),  # the encoder itself is below
        "splits": split_digests(data.splits),
        "encoder": encoder.identity(),
        "processes": group.size,
        "precision": precision.name,
    }
    return identity | data.targets.identity


def _record(config: Config, data: TrainingData, done: FinishedRun) -> dict[str, Any]:
    loop = done.loop
    precision = done.precision
    card = data.splits / "data_card.json"
    state = loop.state
    learn = data.train
    encoded = {"train": loop.train, "validation": loop.task.validation}
    return {
        "format": FORMAT,
        "history": [dataclasses.asdict(epoch) for epoch in state.history],
        "log_history": [dataclasses.asdict(point) for point in state.curve],
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
        "encoder": done.encoder.identity(),
        "encoder_note": done.encoder.note,
        "parameters": loop.weights.parameters,
        "frozen": loop.weights.frozen,
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

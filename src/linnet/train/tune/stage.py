"""The stage itself:

trials, one after the other, until the study has as many as it was asked for.
"""

import functools
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from linnet.config import Config
from linnet.errors import StoppedError, TrainingError, UsageError
from linnet.train.distributed import device, world_size
from linnet.train.encoder.find import own_dropouts, read_config
from linnet.train.encoder.rate import with_learning_rate
from linnet.train.loop import Loop
from linnet.train.network.precision import choose_precision
from linnet.train.resume import ResumableRun, reached
from linnet.train.runner import stop_signals
from linnet.train.train import NOT_IN_RESULT, seeded, training_run
from linnet.train.training_data import TrainingData, read_training_data, split_digests
from linnet.train.tune.results import Results
from linnet.train.tune.space import recipe, search_space, with_parameters
from linnet.train.tune.study import Direction, Study

# Settings of a study that may change while it lasts.
NOT_IN_STUDY = {"n_trials", "timeout"}
# So often a trial may be begun from one state. What is killed at the same place each time will be
# killed there again.
ATTEMPTS = 10


def tune(
    config: Config,
    splits: Path,
    directory: Path,
    on_trial: Callable[[dict[str, Any]], None] = lambda results: None,
) -> dict[str, Any]:
    """Search for a better recipe than `[train]`, judged on the validation split.

    A stopped or killed study resumes, and processes of the same call share one.
    One process gives an equal study each time, on a CPU with as many threads, however often it was
    killed.

    Args:
        config: Its `tune` section says what is searched, its `train` section where from.
        splits: A folder that `linnet prepare` wrote.
        directory: The study's folder: Optuna's storage, best.toml, study.json and study.html.
        on_trial: Called with the results so far when a trial is finished.

    Returns:
        The state of the study, as in study.json.

    Raises:
        ConfigError: The search space is empty or doesn't hold the recipe.
        DataError: A split can't be used.
        LabelError: The splits don't have the same labels.
        ModelError: The encoder can't be had or used.
        StoppedError: The process was asked to stop; the state is on disk.
        UsageError: Another study, or something else, lies there; or this is one of several
            processes of `torchrun`.
        StorageError: The disk refused a write.
    """
    if world_size() > 1:
        raise UsageError(
            "A trial is trained by one process, but torchrun started several. Start `linnet tune` "
            "several times with the same flags instead: the processes share the study."
        )
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    began = time.monotonic()
    directory = Path(directory)
    data = read_training_data(config.model, splits)
    config = with_learning_rate(config, data.encoder)
    with closing(_open(config, data, directory)) as study, stop_signals() as stopped:
        # A damaged state costs a trial time and no more, so one of them on disk is enough. Event
        # files would go with each trial's state.
        trained = config.train.model_copy(
            update={"bf16": study.bf16, "save_total_limit": 1, "report_to": "none"}
        )
        trials = config.model_copy(update={"train": trained})
        with closing(Results(study, config, data)) as results:
            record = results.write()
            while not config.tune.timeout or time.monotonic() - began < config.tune.timeout:
                with study.claim() as trial:
                    if trial is None:
                        break
                    _run(study, trial, with_parameters(trials, trial.params), data, stopped)
                record = results.write()
                on_trial(record["trials"][trial.number])
                if stopped.is_set():
                    raise StoppedError(
                        f"Stopped after trial {trial.number}. The same command resumes it."
                    )
    return record


def _open(config: Config, data: TrainingData, directory: Path) -> Study:
    encoder = (
        {"name": config.model.name_or_path} if data.encoder is None else data.encoder.identity()
    )
    identity = {
        "train": config.train.model_dump(mode="json", exclude=NOT_IN_RESULT - {"bf16"}),
        "model": config.model.model_dump(mode="json"),
        "tune": config.tune.model_dump(mode="json", exclude=NOT_IN_STUDY),
        "splits": split_digests(data.splits),
        "encoder": encoder,
    }
    direction: Direction = (
        "minimize" if config.train.metric_for_best_model == "eval_loss" else "maximize"
    )
    space = search_space(config.tune)
    return Study(
        directory,
        config.tune,
        space,
        direction,
        identity,
        functools.partial(_begin, config, data),
    )


def _begin(config: Config, data: TrainingData) -> tuple[dict[str, Any], bool]:
    """The first trial's parameters, and whether trials compute in bfloat16:

    measured once, so that all do the same.
    """
    with seeded(config.train.seed), data.start(config.model) as encoder:
        left = [
            name
            for name in ("dropout", "attention_dropout")
            if getattr(config.train, name) == "encoder"
        ]
        searched = [name for name in left if getattr(config.tune, name)]
        width = read_config(encoder).hidden_size
        precision = choose_precision(config.train.bf16, width, device())
        return recipe(config, own_dropouts(encoder, searched)), precision.name == "bf16"


def _run(
    study: Study, trial: FrozenTrial, config: Config, data: TrainingData, stopped: threading.Event
) -> None:
    """Train a trial to its end; if it is asked to stop, leave it so that it can be resumed."""
    step = reached(study.place(trial))
    with study.begun(trial, step) as times:
        if times <= ATTEMPTS:
            _train(study, trial, config, data, stopped)
            return
        reason = (
            f"Its process ended {ATTEMPTS} times after step {step} and left no word, as one does "
            "that the system kills when memory runs out. It had "
            f"{config.train.per_device_train_batch_size} texts to a batch: search fewer."
        )
        study.finish(trial, TrialState.FAIL, reason=reason)


def _train(
    study: Study, trial: FrozenTrial, config: Config, data: TrainingData, stopped: threading.Event
) -> None:
    metric = config.train.metric_for_best_model

    def on_epoch(loop: Loop, unfinished: ResumableRun) -> None:
        epoch = loop.state.history[-1]
        value = getattr(epoch, metric)
        if study.report(trial, epoch.epoch, value) and loop.stop_reason is None:
            study.finish(trial, TrialState.PRUNED, seconds=loop.state.seconds)
            raise optuna.TrialPruned

    try:
        with (
            suppress(optuna.TrialPruned),
            training_run(config, data, study.place(trial), stopped, on_epoch) as done,
        ):
            value = getattr(done.loop.best, metric)
            study.finish(trial, TrialState.COMPLETE, value, seconds=done.loop.state.seconds)
    except StoppedError:
        raise
    except TrainingError as error:
        study.finish(trial, TrialState.FAIL, reason=str(error))

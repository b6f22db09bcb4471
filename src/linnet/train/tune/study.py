"""A study on disk, shared by processes: Optuna's SQLite storage, and who runs which trial.

Optuna's storage marks a trial as running and does not learn that its process was killed: its
heartbeat notices after a grace period, and its retry makes another trial of it. Here a process that
runs a trial holds a lock on a file, which the kernel takes from it however it ends: a running trial
whose lock is free was left, and is resumed. SQLite and not Optuna's
journal: a kill may cut the journal's last line, which spoils what is written after it, and leaves
the journal's lock behind.

A trial's parameters depend on the seed, its number and the trials before alone: they are drawn by a
sampler made for each trial, and the trial appears in the storage with all of them or not at
all. So one process, killed however often, makes the study that it would have made undisturbed. With
several it also matters who was first.

Pruning is by the median stopping rule (Golovin et al. 2017, Google Vizier, section 3.2.2) as Optuna
has it. Optuna's documentation prefers successive halving and Hyperband, but these want many steps
to a trial and, with TPE, more than ten trials in each of Hyperband's brackets; a fine-tuning has
two to five epochs, and a study some twenty trials.
"""

import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import StorageInternalError
from optuna.pruners import BasePruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from linnet.config import TuneConfig
from linnet.errors import StorageError, UsageError
from linnet.files import disk_errors, install, locked, temporary_file
from linnet.resume import differences

Direction = Literal["minimize", "maximize"]
DATABASE = "study.db"
LOCK = ".lock"
NAME = "linnet"
BUSY_SECONDS = 60.0  # how long SQLite waits for another process to be done with the file
ENOUGH = 10  # complete trials, for a word on which parameter matters
# user attributes
IDENTITY = "identity"
BF16 = "bf16"
SECONDS = "seconds"
REASON = "reason"
BEGUN = "begun"


class Study:
    """The study of a folder, begun if it isn't.

    Args:
        directory: Its folder.
        settings: How trials are drawn and pruned.
        space: What is searched.
        direction: "maximize" or "minimize".
        identity: What study it is, JSON-able: all that its trials depend on.
        begin: Gives the parameters of the first trial and whether trials compute in bfloat16; asked
            once a study.

    Raises:
        UsageError: Another study lies there, or something else.
        StorageError: The disk refused.
    """

    def __init__(
        self,
        directory: Path,
        settings: TuneConfig,
        space: Mapping[str, BaseDistribution],
        direction: Direction,
        identity: dict[str, Any],
        begin: Callable[[], tuple[dict[str, Any], bool]],
    ):
        self.directory = directory
        self.direction = direction
        self._settings = settings
        self._space = dict(space)
        _make_folder(directory)
        with self.alone():
            database = directory / DATABASE
            if not database.exists():
                self._begin(identity, *begin())
            self._storage = _open(database)
            self._study = optuna.load_study(
                study_name=NAME, storage=self._storage, pruner=_pruner(settings)
            )
        stored_identity = self._study.user_attrs[IDENTITY]
        if differ := differences(stored_identity, identity):
            raise UsageError(
                f"{directory} holds a study, and it is another one:\n{differ}\n"
                "Resume it with its settings, or choose another --out."
            )
        self.bf16: bool = self._study.user_attrs[BF16]

    def _begin(self, identity: dict[str, Any], first: dict[str, Any], bf16: bool) -> None:
        # Of a process that was killed: this one has the lock.
        for leftover in self.directory.glob(f".{DATABASE}.*tmp*"):
            leftover.unlink()
        temporary = temporary_file(self.directory / DATABASE)
        storage = _storage(temporary)
        study = optuna.create_study(study_name=NAME, storage=storage, direction=self.direction)
        study.set_user_attr(IDENTITY, identity)
        study.set_user_attr(BF16, bf16)
        study.add_trial(self._running(first))
        storage.engine.dispose()
        install(temporary, self.directory / DATABASE)

    def _running(self, parameters: dict[str, Any]) -> FrozenTrial:
        return optuna.trial.create_trial(
            state=TrialState.RUNNING, params=parameters, distributions=self._space
        )

    @contextmanager
    def alone(self) -> Iterator[None]:
        """While the block runs, no other process changes the study. Not to be entered twice."""
        with locked(self.directory / LOCK):
            try:
                yield
            except (StorageInternalError, SQLAlchemyError) as error:
                reason = getattr(
                    error.__cause__ or error, "orig", error
                )  # what SQLite said, without the statement
                raise StorageError(
                    f"The study {self.directory / DATABASE} can't be read or written: {reason}"
                ) from error

    def close(self) -> None:
        """Let go of the file."""
        self._storage.engine.dispose()

    @property
    def trials(self) -> list[FrozenTrial]:
        """All trials, by number."""
        return self._study.get_trials()

    @property
    def importance(self) -> dict[str, float] | None:
        """The share of the variance that each parameter explains, the largest first; else None.

        It is None for too few trials.

        By functional ANOVA of a random forest (Hutter, Hoos and Leyton-Brown 2014).
        """
        values = [trial.value for trial in self.trials if trial.state == TrialState.COMPLETE]
        if len(values) < ENOUGH or len(set(values)) == 1:
            return None
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=self._settings.seed % 2**32)
        return optuna.importance.get_param_importances(self._study, evaluator=evaluator)

    @contextmanager
    def claim(self) -> Iterator[FrozenTrial | None]:
        """A trial for this process to run: one that was left, or else a new one.

        It belongs to the process during the block.

        Gives None where all trials of the study are done or run elsewhere.
        """
        with ExitStack() as held:
            with self.alone():
                trials = self._study.get_trials()
                trial = self._left(trials, held)
                if trial is None and len(trials) < self._settings.n_trials:
                    self._study.add_trial(self._running(self._draw(trials)))
                    trial = self._left(self._study.get_trials()[len(trials) :], held)
            yield trial

    def _left(self, trials: list[FrozenTrial], held: ExitStack) -> FrozenTrial | None:
        """The first running trial that no process holds; now this one does."""
        for trial in trials:
            if trial.state == TrialState.RUNNING:
                lock = held.enter_context(ExitStack())
                if lock.enter_context(locked(self.place(trial).with_suffix(".lock"), wait=False)):
                    return trial
                lock.close()
        return None

    def place(self, trial: FrozenTrial) -> Path:
        """The place of a trial's run; its state is next to it."""
        return self.directory / f"trial-{trial.number}"

    def _draw(self, trials: list[FrozenTrial]) -> dict[str, Any]:
        """The parameters of the next trial."""
        seed = np.random.SeedSequence([self._settings.seed, len(trials)]).generate_state(1).item()
        draft = optuna.create_study(
            direction=self.direction, sampler=_sampler(self._settings, seed)
        )
        draft.add_trials(trials)
        return draft.ask(self._space).params

    @contextmanager
    def begun(self, trial: FrozenTrial, step: int) -> Iterator[int]:
        """Record that a trial began or resumed after a step, unless the block fails.

        Gives how often that was kept of this very step: so often, and one less, the process ended
            in the block.
        """
        times = self._count(trial, step, 1)
        try:
            yield times
        except Exception:
            self._count(trial, step, -1)
            raise

    def _count(self, trial: FrozenTrial, step: int, more: int) -> int:
        with self.alone():
            former, times = self._storage.get_trial(trial._trial_id).user_attrs.get(
                BEGUN, (step, 0)
            )
            times = more + (times if former == step else 0)
            self._storage.set_trial_user_attr(trial._trial_id, BEGUN, (step, times))
            return times

    def report(self, trial: FrozenTrial, epoch: int, value: float) -> bool:
        """Keep what an epoch came to; gives whether the trial should be pruned.

        The first trial always is.
        """
        with self.alone():
            self._storage.set_trial_intermediate_value(trial._trial_id, epoch, value)
            now = self._storage.get_trial(trial._trial_id)
            return trial.number > 0 and self._study.pruner.prune(self._study, now)

    def finish(
        self, trial: FrozenTrial, state: TrialState, value: float | None = None, **attributes: Any
    ) -> None:
        """Keep how a trial ended, with its `seconds` or the `reason` it failed for."""
        with self.alone():
            for name, attribute in attributes.items():
                self._storage.set_trial_user_attr(trial._trial_id, name, attribute)
            self._study.tell(trial.number, value, state)

    def tidy(self) -> None:
        """Remove what finished trials left on disk; the caller has the study `alone`."""
        for trial in self.trials:
            if trial.state.is_finished():
                place = self.place(trial)
                place.with_suffix(".lock").unlink(missing_ok=True)
                shutil.rmtree(place.with_suffix(".unfinished"), ignore_errors=True)


def _make_folder(directory: Path) -> None:
    with disk_errors(directory):
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise UsageError(
                f"No folder can be made at {directory}: {error.strerror}. Choose another --out."
            ) from None
        others = [path.name for path in directory.iterdir() if not path.name.startswith(".")]
    if others and DATABASE not in others:
        raise UsageError(
            f"{directory} exists and is no study of Linnet's (it holds no {DATABASE}). Choose "
            f"another --out."
        )


def _storage(path: Path) -> RDBStorage:
    # Not by URL, because a path may hold special characters.
    connect = partial(sqlite3.connect, path, timeout=BUSY_SECONDS, check_same_thread=False)
    return RDBStorage("sqlite:///study.db", engine_kwargs={"creator": connect})


def _open(path: Path) -> RDBStorage:
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
            names = connection.execute("SELECT study_name FROM studies").fetchall()
    except sqlite3.DatabaseError as error:
        raise UsageError(
            f"{path} is no study: {error}. Remove it to start over, or choose another --out."
        ) from None
    if (NAME,) not in names:
        raise UsageError(f"{path} holds no study of Linnet's. Choose another --out.")
    return _storage(path)


def _sampler(settings: TuneConfig, seed: int) -> BaseSampler:
    if settings.sampler == "random":
        return RandomSampler(seed)
    return TPESampler(
        seed=seed, n_startup_trials=settings.n_startup_trials, multivariate=True, constant_liar=True
    )


def _pruner(settings: TuneConfig) -> BasePruner:
    if settings.pruner == "none":
        return NopPruner()
    return MedianPruner(settings.n_startup_trials, n_min_trials=settings.n_startup_trials)

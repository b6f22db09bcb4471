"""The distillation stage: train a student on the answers of bundles, into a checkpoint."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linnet.config import Config
from linnet.data import Split, Unlabelled, read_split, read_unlabelled
from linnet.errors import UsageError
from linnet.resume import locked, unfinished_path
from linnet.train.distil.distillation import DistillationSet
from linnet.train.distil.salient_words import leave_out, telling_words
from linnet.train.distil.teachers import Teachers, load_teachers
from linnet.train.distributed import Group, process_group
from linnet.train.network.batches import check_rows
from linnet.train.runner import stop_signals
from linnet.train.train import check_first, fit
from linnet.train.training_data import read_training_data

ANSWERS = "teacher"


def distil(
    config: Config, teachers: Sequence[Path], splits: Path, directory: Path, overwrite: bool = False
) -> dict[str, Any]:
    """Train a student on the answers of teachers (Hinton et al. 2015, arXiv:1503.02531).

    A teacher is a bundle, because bundles are served. It has a proof and calibrated probabilities,
    and is faster than a checkpoint in torch. The student learns the mean of the teachers'
    probabilities. The teachers answer the train split and the texts of a file. Texts of the file
    that resemble validation or test texts are left out. The answers stay on disk until the student
    is done.

    Args:
        config: `distil` names the texts and the loss, `model` the student, and `train` is the
            recipe. `data` gives the text column, the encoding and the repair of mojibake.
            `predict` gives the engine settings of the teachers.
        teachers: Folders that `linnet export` wrote.
        splits: A folder that `linnet prepare` wrote, with the teachers' labels.
        directory: The checkpoint folder; as in `train`.
        overwrite: Start over if there is an unfinished run. The teachers' answers are kept.

    Returns:
        The training record, as in training.json. Its `distil` describes the teachers, the texts
        and the agreement.

    Raises:
        BundleError: A teacher can't be used.
        ProofError: A teacher's proof is missing or failed.
        DataError: The splits or the texts can't be used.
        LabelError: The splits' labels differ from the teachers'.
        ModelError: The student's encoder can't be found or used.
        TrainingError: The loss is not finite, or memory ran out.
        StoppedError: The process was asked to stop. The state is on disk.
        UsageError: The folder holds an unfinished run of other settings, or files that Linnet must
            not replace. Or no teacher is named, or one is named twice. Or `distil.leave_out` is
            set without a file of texts. Or the tool in `report_to` is not installed.
        StorageError: The disk refused a write.
    """
    splits = Path(splits)
    directory = Path(directory)
    check_first(config, directory)
    own = unfinished_path(directory) / ANSWERS
    kept = Path(config.distil.answers) if config.distil.answers else own
    if kept.resolve().is_relative_to(directory.resolve()):
        raise UsageError(
            f"distil.answers is {kept}, but training replaces all of {directory}. The answers "
            "would be lost. Choose another folder for them."
        )
    data = read_training_data(config.model, splits)
    learn = data.train
    validate = data.validation
    masters = load_teachers([Path(teacher) for teacher in teachers], config.predict, learn, splits)
    for split in (learn, validate):
        check_rows(split)
    others = _texts(config, learn, [validate, read_split(splits, "test")])
    texts = learn.texts + others.texts
    with process_group() as group, stop_signals() as stopped, _alone(own, group):
        answers = masters.ask(texts + validate.texts, kept, stopped, group)
        facts = {
            "teachers": masters.facts(splits),
            "rows": {"train": len(learn), "texts": len(others.texts)},
            "source": others.facts,
        }
        learnt = [part[: len(texts)] for part in answers]
        judged = [part[len(texts) :] for part in answers]
        read, left_out = _read(config, masters, texts, len(learn), learnt)
        facts |= {"left_out": left_out}
        distillation = DistillationSet(
            masters, config.distil, learn, texts, read, learnt, judged, facts
        )
        return fit(
            config, replace(data, targets=distillation), directory, stopped, group, overwrite
        )


def _alone(answers: Path, group: Group) -> AbstractContextManager[None]:
    """Lock the folder against other students, because its answers are deleted at the end."""
    return locked(answers, "lets teachers answer into") if group.first else nullcontext()


def _read(
    config: Config,
    teachers: Teachers,
    texts: list[str],
    known: int,
    answers: Sequence[NDArray[np.float32]],
) -> tuple[list[str], dict[str, Any]]:
    """The student's texts, with salient words removed, and counts of the removal.

    The first `known` texts are the train split's. They stay unchanged.
    """
    share = config.distil.leave_out
    if not share:
        return texts, {}
    served = teachers.task.probabilities(teachers.logits(answers))
    words = telling_words(texts, served, teachers.task.multi_label)
    others, facts = leave_out(texts[known:], words, share, np.random.default_rng(config.train.seed))
    return texts[:known] + others, facts


def _texts(config: Config, learn: Split, held_out: list[Split]) -> Unlabelled:
    source = config.distil.texts
    if not source and config.distil.leave_out:
        raise UsageError(
            f"distil.leave_out is {config.distil.leave_out}, but no file of texts is named. Linnet "
            "removes no words from the train split. Name a file as distil.texts."
        )
    if not source:
        return Unlabelled([], {})
    settings = config.data.model_copy(update={"source": source})
    return read_unlabelled(settings, learn, held_out, config.distil.sample, config.train.seed)

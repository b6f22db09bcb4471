"""The stage itself: bundles and texts become the checkpoint of a model that answers like them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from linnet.config import Config
from linnet.data import Split, Unlabelled, read_split, read_unlabelled
from linnet.files import check_replaceable
from linnet.train.batches import check_rows
from linnet.train.checkpoint import RECORD
from linnet.train.lesson import Lesson
from linnet.train.processes import process_group
from linnet.train.runner import stop_signals
from linnet.train.teachers import load_teachers
from linnet.train.telling import leave_out, telling_words
from linnet.train.train import fit, read_material

ANSWERS = "teacher"


def distil(
    config: Config, teachers: Sequence[Path], splits: Path, directory: Path, overwrite: bool = False
) -> dict[str, Any]:
    """Train a student on what a teacher answers, or on what several answer together (Hinton et al. 2015,
    arXiv:1503.02531).

    A teacher is a bundle, for that is what would be served: its proof stands, its probabilities are calibrated, and it
    answers faster than a checkpoint in torch. Of several the mean of the probabilities is learnt. They answer the texts
    of the train split, and those of a file that are like none of the validation and test texts. What they have answered
    is kept until the student is done.

    Args:
        config: Its `distil` section says what is learnt from, its `model` section names the student, its `train`
            section is the recipe; from `data` the column of the text, the encoding and the mending of mojibake are
            used, and from `predict` how the teachers are run.
        teachers: Folders that `linnet export` wrote.
        splits: A folder that `linnet prepare` wrote, of the teachers' labels.
        directory: The checkpoint folder; as in `train`.
        overwrite: Begin anew, though an unfinished run lies there; what was answered still counts.

    Returns:
        The training record, as in training.json; its `distil` tells of the teacher, the texts and the agreement.

    Raises:
        BundleError: A teacher can't be used.
        ProofError: A teacher's proof is missing or failed.
        DataError: The splits or the texts can't be used.
        LabelError: The splits' labels are not the teachers'.
        ModelError: The student can't be had or used.
        TrainingError: The loss is no finite number, or memory ran out.
        StoppedError: The process was asked to stop; what was done is on disk.
        UsageError: An unfinished run of other settings lies there, or no teacher is named, or one twice.
        StorageError: The disk refused a write.
    """
    splits, directory = Path(splits), Path(directory)
    check_replaceable(directory, RECORD)
    material = read_material(config.model, splits)
    learn, validate = material.train, material.validation
    masters = load_teachers([Path(teacher) for teacher in teachers], config.predict, learn, splits)
    for split in (learn, validate):
        check_rows(split)
    others = _texts(config, learn, [validate, read_split(splits, "test")])
    texts = learn.texts + others.texts
    with process_group() as group, stop_signals() as stopped:
        beside = directory.with_name(f"{directory.name}.unfinished") / ANSWERS
        kept = Path(config.distil.answers) if config.distil.answers else beside
        answers = masters.ask(texts + validate.texts, kept, stopped, group)
        facts = {
            "teachers": masters.facts(splits),
            "rows": {"train": len(learn), "texts": len(others.texts)},
            "source": others.facts,
        }
        learnt, judged = [part[: len(texts)] for part in answers], [part[len(texts) :] for part in answers]
        lesson = _with_less(Lesson(masters, config.distil, learn, texts, learnt, judged, facts), config)
        return fit(config, replace(material, lesson=lesson), directory, stopped, group, overwrite)


def _with_less(lesson: Lesson, config: Config) -> Lesson:
    """The lesson, in which the texts of the file may lack words that the teachers read."""
    share, known = config.distil.leave_out, len(lesson.known)
    if not share:
        return lesson
    words = telling_words(lesson.texts, lesson.split.labels, lesson.teachers.multi_label)
    generator = np.random.default_rng(config.train.seed)
    others, facts = leave_out(lesson.texts[known:], words, share, generator)
    texts = lesson.texts[:known] + others
    return replace(lesson, texts=texts, facts=lesson.facts | {"left_out": facts})


def _texts(config: Config, learn: Split, held_out: list[Split]) -> Unlabelled:
    source = config.distil.texts
    if not source:
        return Unlabelled([], {})
    settings = config.data.model_copy(update={"source": source})
    return read_unlabelled(settings, learn, held_out, config.distil.sample, config.train.seed)

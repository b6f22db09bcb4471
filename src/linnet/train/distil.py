"""The stage itself: a bundle and texts become the checkpoint of a smaller model that answers like it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from linnet.config import Config
from linnet.data import Split, Unlabelled, read_split, read_unlabelled
from linnet.errors import DataError, LabelError
from linnet.evaluate.rows import trained_elsewhere
from linnet.files import check_replaceable
from linnet.predict import Classifier, load
from linnet.train.answers import ask
from linnet.train.batches import check_rows
from linnet.train.checkpoint import RECORD
from linnet.train.lesson import Lesson
from linnet.train.processes import process_group
from linnet.train.runner import stop_signals
from linnet.train.train import fit, read_material

ANSWERS = "teacher"


def distil(config: Config, teacher: Path, splits: Path, directory: Path, overwrite: bool = False) -> dict[str, Any]:
    """Train a student on what a teacher answers (Hinton et al. 2015, arXiv:1503.02531).

    The teacher is a bundle, for that is what would be served: its proof stands, its probabilities are calibrated, and
    it answers faster than a checkpoint in torch. It answers the texts of the train split, and those of a file that are
    like none of the validation and test texts. What it has answered is kept until the student is done.

    Args:
        config: Its `distil` section says what is learnt from, its `model` section names the student, its `train`
            section is the recipe; from `data` the column of the text, the encoding and the mending of mojibake are
            used, and from `predict` how the teacher is run.
        teacher: A folder that `linnet export` wrote.
        splits: A folder that `linnet prepare` wrote, of the teacher's labels.
        directory: The checkpoint folder; as in `train`.
        overwrite: Begin anew, though an unfinished run lies there; what the teacher has answered still counts.

    Returns:
        The training record, as in training.json; its `distil` tells of the teacher, the texts and the agreement.

    Raises:
        BundleError: The teacher can't be used.
        ProofError: The teacher's proof is missing or failed.
        DataError: The splits or the texts can't be used.
        LabelError: The splits' labels are not the teacher's.
        ModelError: The student can't be had or used.
        TrainingError: The loss is no finite number, or memory ran out.
        StoppedError: The process was asked to stop; what was done is on disk.
        UsageError: An unfinished run of other settings lies there.
        StorageError: The disk refused a write.
    """
    teacher, splits, directory = Path(teacher), Path(splits), Path(directory)
    check_replaceable(directory, RECORD)
    material = read_material(config.model, splits)
    learn, validate = material.train, material.validation
    master = load(teacher, **config.predict.model_dump())
    for split in (learn, validate):
        check_rows(split)
    _check_kind(master, learn, splits)
    others = _texts(config, learn, [validate, read_split(splits, "test")])
    texts = learn.texts + others.texts
    with process_group() as group, stop_signals() as stopped:
        beside = directory.with_name(f"{directory.name}.unfinished") / ANSWERS
        kept = Path(config.distil.answers) if config.distil.answers else beside
        answers = ask(master, texts + validate.texts, kept, stopped, group)
        facts = {
            "teacher_name": master.name,
            "teacher_bytes": master.bundle.model_bytes(),
            "teacher_trained_elsewhere": trained_elsewhere(splits, master.bundle.manifest),
            "rows": {"train": len(learn), "texts": len(others.texts)},
            "source": others.facts,
        }
        lesson = Lesson(master, config.distil, learn, texts, answers[: len(texts)], answers[len(texts) :], facts)
        return fit(config, replace(material, lesson=lesson), directory, stopped, group, overwrite)


def _check_kind(teacher: Classifier, learn: Split, splits: Path) -> None:
    path, manifest = teacher.bundle.path, teacher.bundle.manifest
    if learn.label_names != manifest.labels:
        raise LabelError(
            f"The labels of {splits} are {', '.join(learn.label_names)}; those of the teacher {path} are "
            f"{', '.join(manifest.labels)}. Expected the same in the same order: distil with splits of the "
            "teacher's labels."
        )
    if learn.multi_label != manifest.multi_label:
        kinds = ["one label a text", "any number of labels a text"]
        raise LabelError(
            f"{splits} has {kinds[learn.multi_label]}, but the teacher {path} gives {kinds[manifest.multi_label]}. "
            "Distil with splits of the teacher's kind."
        )
    if set(learn.mask) != set(manifest.mask):
        raise DataError(
            f"In the texts of {splits} {', '.join(learn.mask) or 'nothing'} is masked, but the teacher {path} masks "
            f"{', '.join(manifest.mask) or 'nothing'}. Prepare the splits again with data.mask as the teacher has it."
        )


def _texts(config: Config, learn: Split, held_out: list[Split]) -> Unlabelled:
    source = config.distil.texts
    if not source:
        return Unlabelled([], {})
    settings = config.data.model_copy(update={"source": source})
    return read_unlabelled(settings, learn, held_out, config.distil.sample, config.train.seed)

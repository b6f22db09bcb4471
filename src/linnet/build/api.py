"""The stages as functions: keyword arguments are settings, and small objects come back.

An argument that is left out keeps its setting: that of `settings`, else of the settings file, else
the default. Every setting can be named in `settings`, as `section.key`.
"""

from collections.abc import Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from linnet import data as data_stage
from linnet import evaluate as evaluate_stage
from linnet import export as export_stage
from linnet import train as train_stage
from linnet.build.results import Bundle, Checkpoint, Report, Run, Splits
from linnet.build.stages import check_single_process, stages
from linnet.config import Config, load_config
from linnet.progress import show_progress
from linnet.run_folder import check_same_settings, run_folder

FilePath = str | PathLike[str]


def prepare(
    data: FilePath | Sequence[FilePath] | None = None,
    out: FilePath = "splits",
    *,
    text_column: str | None = None,
    label_column: str | None = None,
    label_separator: str | None = None,
    sample: int | None = None,
    validation_size: float | None = None,
    test_size: float | None = None,
    config: FilePath | None = None,
    settings: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> Splits:
    """Read a file, clean and audit it, and write splits. The command is `linnet prepare`.

        splits = build.prepare("reviews.csv", text_column="review", label_column="stars")
        print(splits.rows, splits.dropped)

    Args:
        data: A file, several, a folder, a pattern, or the name of a known data set (`data.source`).
        out: The splits folder; appears whole, or stays as it was.
        text_column: `data.text_column`.
        label_column: `data.label_column`.
        label_separator: `data.label_separator`.
        sample: `data.sample`, in rows.
        validation_size: `data.validation_size`: a share below 1, or a number of rows.
        test_size: `data.test_size`: a share below 1, or a number of rows.
        config: A settings file. None: `linnet.toml` of the current folder, if there is one.
        settings: More settings: `section.key` to value.
        progress: Show progress on standard error.

    Raises:
        ConfigError: A setting is unknown or out of range.
        DataError: The file, or too much of it, can't be used.
        UsageError: Something else is at `out`.
        StorageError: The disk refused a write.
    """
    resolved = _resolve(
        config,
        settings,
        {
            "data.source": _source(data),
            "data.text_column": text_column,
            "data.label_column": label_column,
            "data.label_separator": label_separator,
            "data.sample": sample,
            "data.validation_size": validation_size,
            "data.test_size": test_size,
        },
    )
    with show_progress(progress):
        data_stage.prepare(resolved, Path(out))
    return Splits.read(Path(out))


def train(
    splits: FilePath = "splits",
    out: FilePath = "checkpoint",
    *,
    model: FilePath | None = None,
    max_length: int | None = None,
    num_train_epochs: int | None = None,
    learning_rate: float | None = None,
    per_device_train_batch_size: int | None = None,
    seed: int | None = None,
    overwrite: bool = False,
    config: FilePath | None = None,
    settings: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> Checkpoint:
    """Fine-tune an encoder and keep its best epoch. The command is `linnet train`.

        checkpoint = build.train("splits", model="linnet-mini", num_train_epochs=2)
        print(checkpoint.accuracy)

    Args:
        splits: A folder that `prepare` has written.
        out: The checkpoint folder; appears whole, or stays as it was.
        model: `model.name_or_path`: an id on the model hub, a folder, or "linnet-mini".
        max_length: `model.max_length`, in tokens.
        num_train_epochs: `train.num_train_epochs`.
        learning_rate: `train.learning_rate`.
        per_device_train_batch_size: `train.per_device_train_batch_size`.
        seed: `train.seed`.
        overwrite: Start over and delete the unfinished run.
        config: As for `prepare`.
        settings: As for `prepare`.
        progress: As for `prepare`.

    Raises:
        ConfigError: A setting is unknown or out of range.
        DataError: A split can't be used.
        ModelError: The encoder can't be found, reached or used.
        TrainingError: The loss is no finite number, or memory ran out.
        StoppedError: Ctrl-C or SIGTERM stopped it. The same call resumes it.
        UsageError: An unfinished run with other settings is there.
        StorageError: The disk refused a write.
    """
    resolved = _resolve(
        config,
        settings,
        {
            "model.name_or_path": _text(model),
            "model.max_length": max_length,
            "train.num_train_epochs": num_train_epochs,
            "train.learning_rate": learning_rate,
            "train.per_device_train_batch_size": per_device_train_batch_size,
            "train.seed": seed,
        },
    )
    with show_progress(progress):
        train_stage.train(resolved, Path(splits), Path(out), overwrite=overwrite)
    return Checkpoint.read(Path(out))


def export(
    checkpoint: FilePath = "checkpoint",
    splits: FilePath = "splits",
    out: FilePath = "bundle",
    *,
    name: str | None = None,
    max_length: int | None = None,
    max_accuracy_drop: float | None = None,
    min_precision: float | None = None,
    config: FilePath | None = None,
    settings: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> Bundle:
    """Turn a checkpoint into a proven bundle. The command is `linnet export`.

        bundle = build.export("checkpoint", "splits", name="reviews")
        classifier = linnet.load(bundle.path)

    Args:
        checkpoint: A folder in Hugging Face layout.
        splits: The splits that it was trained on; the validation rows are what is checked on.
        out: The bundle's folder; appears whole, or not at all if a check fails.
        name: `run.name`, by which the bundle calls itself.
        max_length: `model.max_length`, in tokens; the same as in training.
        max_accuracy_drop: `export.max_accuracy_drop`, in points of accuracy.
        min_precision: `export.min_precision`, a share.
        config: As for `prepare`.
        settings: As for `prepare`.
        progress: As for `prepare`.

    Raises:
        ConfigError: A setting is unknown or out of range.
        ModelError: The checkpoint can't be used.
        DataError: The validation split is missing or empty.
        ProofError: A check failed.
        UsageError: Something else is at `out`.
        StorageError: The disk refused a write.
    """
    resolved = _resolve(
        config,
        settings,
        {
            "run.name": name,
            "model.max_length": max_length,
            "export.max_accuracy_drop": max_accuracy_drop,
            "export.min_precision": min_precision,
        },
    )
    with show_progress(progress):
        export_stage.export(resolved, Path(checkpoint), Path(splits), Path(out))
    return Bundle.read(Path(out))


def evaluate(
    bundle: FilePath = "bundle",
    splits: FilePath = "splits",
    out: FilePath = "report",
    *,
    split: str | None = None,
    sample: int | None = None,
    config: FilePath | None = None,
    settings: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> Report:
    """Judge a bundle on a split, next to two baselines. The command is `linnet evaluate`.

        report = build.evaluate("bundle", "splits")
        print(report.score.value, report.verdict)

    Args:
        bundle: The bundle's folder.
        splits: A folder that `prepare` has written.
        out: The report's folder; appears whole, or stays as it was.
        split: `evaluate.split`: "train", "validation" or "test".
        sample: `evaluate.sample`, in rows.
        config: As for `prepare`.
        settings: As for `prepare`.
        progress: As for `prepare`.

    Raises:
        ConfigError: A setting is unknown or out of range.
        BundleError: The bundle is broken.
        DataError: The split is missing, or has too few rows.
        LabelError: The split's labels are not the bundle's.
        UsageError: Something else is at `out`.
        StorageError: The disk refused a write.
    """
    resolved = _resolve(config, settings, {"evaluate.split": split, "evaluate.sample": sample})
    with show_progress(progress):
        evaluate_stage.evaluate(resolved, Path(bundle), Path(splits), Path(out))
    return Report.read(Path(out))


def run(
    data: FilePath | Sequence[FilePath] | None = None,
    *,
    name: str | None = None,
    directory: FilePath | None = None,
    model: FilePath | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    label_separator: str | None = None,
    sample: int | None = None,
    max_length: int | None = None,
    num_train_epochs: int | None = None,
    learning_rate: float | None = None,
    overwrite: bool = False,
    config: FilePath | None = None,
    settings: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> Run:
    """Prepare, train, export and evaluate, into DIRECTORY/NAME. The command is `linnet run`.

    Finished stages are skipped. Read `report.beats_baseline` before you serve the bundle.

        run = build.run("reviews.csv", name="reviews", model="linnet-mini")
        print(run.report.verdict)

    Args:
        data: As for `prepare`.
        name: `run.name`.
        directory: `run.directory`.
        model: As for `train`.
        text_column: `data.text_column`.
        label_column: `data.label_column`.
        label_separator: `data.label_separator`.
        sample: `data.sample`, in rows.
        max_length: `model.max_length`, in tokens.
        num_train_epochs: `train.num_train_epochs`.
        learning_rate: `train.learning_rate`.
        overwrite: Do every stage again.
        config: As for `prepare`.
        settings: As for `prepare`.
        progress: As for `prepare`.

    Raises:
        LinnetError: As for each stage.
        UsageError: A setting changed that a finished stage has read.
    """
    resolved = _resolve(
        config,
        settings,
        {
            "data.source": _source(data),
            "data.text_column": text_column,
            "data.label_column": label_column,
            "data.label_separator": label_separator,
            "data.sample": sample,
            "model.name_or_path": _text(model),
            "model.max_length": max_length,
            "train.num_train_epochs": num_train_epochs,
            "train.learning_rate": learning_rate,
            "run.name": name,
            "run.directory": _text(directory),
        },
    )
    if not overwrite:
        check_same_settings(resolved)
    check_single_process()
    folder = run_folder(resolved)
    with show_progress(progress):
        if overwrite or not (folder / "checkpoint").is_dir():
            train_stage.check_encoder(resolved)  # a mistyped name fails before the data are read
        for stage in stages(resolved, overwrite):
            if not stage.finished:
                stage.start()
    return Run.read(folder)


def _resolve(
    config: FilePath | None, settings: Mapping[str, Any] | None, given: Mapping[str, Any]
) -> Config:
    named = {name: value for name, value in given.items() if value is not None}
    return load_config(Path(config) if config is not None else None, {**(settings or {}), **named})


def _text(path: FilePath | None) -> str | None:
    return None if path is None else fspath(path)


def _source(data: FilePath | Sequence[FilePath] | None) -> str | list[str] | None:
    if data is None or isinstance(data, str | PathLike):
        return _text(data)
    return [fspath(file) for file in data]

"""A run's folder: its name, its settings file, and the settings that each finished stage has read.

Knows nothing of what the stages do.
"""

from pathlib import Path

from linnet.config import Config, load_config
from linnet.errors import UsageError

SETTINGS = "linnet.toml"
# The settings that each stage reads: a section, or one key of it.
READS = {
    "splits": ("data", "model.name_or_path", "model.max_length"),
    "checkpoint": ("model", "train"),
    "bundle": (
        "model.max_length",
        "export",
        "evaluate.confidence_level",
        "evaluate.calibration_bins",
        "evaluate.bootstrap_resamples",
        "evaluate.seed",
        "predict.num_threads",
    ),
    "report": ("evaluate", "predict", "model.max_length"),
}
OF_SCRATCH = ("model.num_hidden_layers", "model.hidden_size", "model.vocab_size")


def run_folder(config: Config) -> Path:
    """The folder of the run that the settings name."""
    return Path(config.run.directory) / config.run.name


def check_same_settings(config: Config) -> None:
    """Refuse to continue a run with other settings than its finished stages have read.

    Raises:
        UsageError: A setting changed, or the folder is not a run's.
    """
    directory = run_folder(config)
    settings = directory / SETTINGS
    if not settings.exists():
        if directory.exists() and any(directory.iterdir()):
            raise UsageError(
                f"{directory} exists and is not a run of Linnet's (it holds no {SETTINGS}). "
                "Choose another --name, or --overwrite its stages."
            )
        return
    before = load_config(settings).model_dump()
    now = config.model_dump()
    changed = [
        f"{section}.{key} was {before[section][key]!r}, is {value!r}"
        for section, values in now.items()
        for key, value in values.items()
        if before[section][key] != value and _is_read(f"{section}.{key}", directory, config)
    ]
    if changed:
        raise UsageError(
            f"{directory} was made with other settings: {'; '.join(changed)}. Choose another "
            f"--name, or --overwrite it."
        )


def _is_read(name: str, directory: Path, config: Config) -> bool:
    """Whether a finished stage of the run reads a setting."""
    if name in OF_SCRATCH and config.model.name_or_path != "scratch":
        return False
    section = name.partition(".")[0]
    return any(
        (directory / folder).is_dir() and not {section, name}.isdisjoint(reads)
        for folder, reads in READS.items()
    )

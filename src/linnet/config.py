"""Settings: defaults.toml, then the user's linnet.toml, then overrides.

The result is validated and frozen.

The schema below holds types and ranges and no default: defaults.toml is the only place for those.
"""

import ipaddress
import itertools
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator

from linnet.errors import ConfigError
from linnet.files import write_text
from linnet.pii import Personal
from linnet.printable import escape_surrogates, file_name


def _given(name: str) -> str:
    if not name:
        raise ValueError("expected a name, not an empty text")
    return name


Count = Annotated[int, Field(ge=0)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]  # what every library takes
Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(gt=0, lt=1)]
Rate = Annotated[float, Field(ge=0, le=1)]
AboveZero = Annotated[float, Field(gt=0)]
Size = Share | Positive
# Settings that were renamed, each with its name today. A section stands for all of its keys.
RENAMED = {"log": "prediction_log", "score.part_rows": "score.chunk_size"}
MAX_ARMS = 32  # each has processes of its own
HEAD_SIZE = 32  # of the attention of an encoder made from nothing
# What `model.name_or_path` says where no encoder is named, and the one that is then asked of the
# model hub. Also a learning rate that the encoder decides.
AUTO = "auto"
FIRST_CHOICE = "distilbert-base-uncased"
Variant = Literal["bf16", "int8-dynamic", "int8-static"]
# Of a file that may not be UTF-8. No constraint of pydantic's own: those refuse surrogates.
FileName = Annotated[str, AfterValidator(file_name)]
GivenName = Annotated[FileName, AfterValidator(_given), Field(json_schema_extra={"minLength": 1})]
Files = FileName | tuple[FileName, ...]
Dropout = Annotated[float, Field(ge=0, lt=1)] | Literal["encoder"]
ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://([^/?#@*\s\x7f-\U0010ffff]+?)(:\d+)?")
HOST = re.compile(r"[a-z0-9_.-]+|[0-9a-f:.]*:[0-9a-f.]*:[0-9a-f:.]*")
DEFAULT_PORTS = {"http": ":80", "https": ":443"}  # browsers leave them out of an origin


def _files(value: Any) -> Any:
    """A list of one file as that file, and a longer list as a tuple."""
    files = tuple(value) if isinstance(value, list | tuple) else (value,)
    if not files or not all(isinstance(file, str) for file in files):
        raise ValueError("expected the name of a file, or a list of names")
    return files[0] if len(files) == 1 else files


def named(files: Files) -> str:
    """What a setting of files names, in a few words for people."""
    if isinstance(files, str):
        return files
    more = f" and {len(files) - 2:,} more" if len(files) > 2 else ""
    return ", ".join(files[:2]) + more


class Section(BaseModel):
    """What every section has in common: no unknown key, no conversion, no change afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class DataConfig(Section):
    """`[data]`: raw file to splits."""

    source: Files
    encoding: str
    text_column: str
    label_column: str
    label_separator: str
    labels: tuple[str, ...] = Field(strict=False)
    repair: bool
    sample: Count
    validation_size: Size
    test_size: Size
    split_by: str
    group_column: str
    validation_file: Files
    test_file: Files
    added_file: Files
    previous_splits: FileName
    keep_splits: bool
    duplicates: Literal["drop", "keep"]
    conflicts: Literal["majority", "drop", "keep"]
    corrections: FileName
    min_class_rows: Count
    noise_sample: Count
    mask: tuple[Personal, ...] = Field(strict=False)
    seed: Seed

    @field_validator("source", "validation_file", "test_file", "added_file", mode="before")
    @classmethod
    def _is_files(cls, value: Any) -> Any:
        return _files(value)


class ModelConfig(Section):
    """`[model]`: the encoder."""

    name_or_path: GivenName
    max_length: int = Field(ge=4, le=8192)
    num_hidden_layers: Positive
    hidden_size: int = Field(ge=HEAD_SIZE, multiple_of=HEAD_SIZE)
    vocab_size: int = Field(ge=4096)


class TrainConfig(Section):
    """`[train]`: splits to checkpoint; the keys are those of `transformers.TrainingArguments`."""

    num_train_epochs: Positive
    learning_rate: AboveZero | Literal["auto"]
    weight_decay: float = Field(ge=0)
    per_device_train_batch_size: Positive
    per_device_eval_batch_size: Positive
    gradient_accumulation_steps: Positive
    warmup_ratio: Rate
    max_grad_norm: float = Field(gt=0)
    bf16: bool | Literal["auto"]
    dropout: Dropout
    attention_dropout: Dropout
    label_smoothing_factor: float = Field(ge=0, lt=1)
    class_weight: Literal["none", "balanced"]
    metric_for_best_model: Literal["eval_accuracy", "eval_f1", "eval_loss"]
    early_stopping_patience: Positive
    save_steps: Positive
    save_total_limit: Positive
    report_to: Literal["none", "tensorboard"]
    seed: Seed


class TuneConfig(Section):
    """`[tune]`: the search for a recipe; the ranges and choices are of keys of `[train]`."""

    n_trials: Positive
    timeout: Count
    seed: Seed
    sampler: Literal["tpe", "random"]
    pruner: Literal["median", "none"]
    n_startup_trials: Positive
    learning_rate: Annotated[tuple[AboveZero, ...], Field(strict=False)] | Literal["auto"]
    per_device_train_batch_size: tuple[Positive, ...] = Field(strict=False)
    num_train_epochs: tuple[Positive, ...] = Field(strict=False)
    weight_decay: tuple[Annotated[float, Field(ge=0)], ...] = Field(strict=False)
    dropout: tuple[Annotated[float, Field(ge=0, lt=1)], ...] = Field(strict=False)
    attention_dropout: tuple[Annotated[float, Field(ge=0, lt=1)], ...] = Field(strict=False)
    warmup_ratio: tuple[Rate, ...] = Field(strict=False)
    label_smoothing_factor: tuple[Annotated[float, Field(ge=0, lt=1)], ...] = Field(strict=False)

    @field_validator(
        "learning_rate",
        "num_train_epochs",
        "weight_decay",
        "dropout",
        "attention_dropout",
        "warmup_ratio",
        "label_smoothing_factor",
    )
    @classmethod
    def _is_range(cls, values: tuple[float, ...] | str) -> tuple[float, ...] | str:
        if isinstance(values, str):  # "auto"
            return values
        if values and (len(values) != 2 or values[0] > values[1]):
            raise ValueError("expected [low, high], or [] to leave it out of the search")
        return values

    @field_validator("per_device_train_batch_size")
    @classmethod
    def _are_choices(cls, values: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(values)) < len(values):
            raise ValueError(
                "expected a list of different choices, or [] to leave it out of the search"
            )
        return values


class DistilConfig(Section):
    """`[distil]`: bundle and texts to the checkpoint of a smaller model."""

    texts: Files
    sample: Count
    answers: str
    temperature: float = Field(gt=0)
    alpha: Rate
    leave_out: Rate

    @field_validator("texts", mode="before")
    @classmethod
    def _is_files(cls, value: Any) -> Any:
        return _files(value)


class ExportConfig(Section):
    """`[export]`: checkpoint to bundle."""

    opset: int = Field(ge=17)
    parity_rows: Positive
    parity_tolerance: float = Field(gt=0)
    calibrate: bool
    variants: tuple[Variant, ...] = Field(strict=False)
    max_accuracy_drop: float = Field(gt=0, lt=100)
    calibration_rows: Positive
    min_precision: float = Field(ge=0, lt=1)
    cascade: FileName


class EvaluateConfig(Section):
    """`[evaluate]`: bundle and split to report."""

    split: Literal["train", "validation", "test"]
    sample: Count
    confidence_level: Share
    bootstrap_resamples: int = Field(ge=100)
    calibration_bins: int = Field(ge=2)
    seed: Seed


class PredictConfig(Section):
    """`[predict]`: how a bundle is run."""

    engine: Literal["auto", "onnxruntime", "openvino"]
    variant: str = Field(min_length=1)
    num_threads: Count
    num_sessions: Count
    max_batch_tokens: Count


class ScoreConfig(Section):
    """`[score]`: a file to the same rows with predictions."""

    text_column: str
    format: Literal["", "csv", "tsv", "jsonl", "json", "lines", "parquet"]
    encoding: str
    probabilities: bool
    prefix: str
    label_separator: str = Field(min_length=1)
    chunk_size: Positive


class ArmConfig(Section):
    """One of `serve.arms`: a model that answers besides the champion, or a shadow.

    Attributes:
        bundle: Its bundle's folder.
        share: Of the texts that it answers; for a shadow, of the texts that it gets too.
        shadow: Whether its answers go into the log alone.
    """

    bundle: GivenName
    share: float = Field(default=1.0, ge=0, le=1)
    shadow: bool = False


class ServeConfig(Section):
    """`[serve]`: the HTTP service."""

    host: str
    port: int = Field(ge=0, le=65535)
    uds: str
    workers: Count
    max_texts: Positive
    max_body_bytes: Positive
    max_queue_tokens: Positive
    max_wait_seconds: float = Field(gt=0, allow_inf_nan=False)
    timeout_seconds: float = Field(gt=0, le=3600)
    max_connections: Positive
    max_connections_per_address: Count
    probe_port: int = Field(ge=0, le=65535)
    client_timeout_seconds: float = Field(gt=0, le=3600)
    worker_timeout_seconds: float = Field(gt=0, le=3600)
    swap_timeout_seconds: float = Field(gt=0, le=86_400)
    worker_memory_mb: int = Field(ge=-1)
    arms: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$")], ArmConfig] = (
        Field(max_length=MAX_ARMS)
    )
    keys: GivenName
    no_auth: bool
    admin_without_keys: bool
    hosts: tuple[str, ...] = Field(strict=False)
    trusted_keys: list[Annotated[str, Field(min_length=1)]]
    cors_origins: tuple[str, ...] = Field(strict=False)
    log_format: Literal["text", "json"]
    follow: FileName

    @field_validator("uds")
    @classmethod
    def _names_a_file(cls, value: str) -> str:
        if "\0" in value:
            raise ValueError("expected the path of a file")
        return value

    @field_validator("hosts")
    @classmethod
    def _are_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(_host, value))

    @field_validator("cors_origins")
    @classmethod
    def _as_browsers_write_them(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(_origin, value))


class PredictionLogConfig(Section):
    """`[prediction_log]`: the prediction log of the service."""

    url: str
    texts: bool | Literal["audit"]
    audit_rate: Rate
    hash_key_file: str
    max_pending: Positive
    retention_days: Count


class MonitorConfig(Section):
    """`[monitor]`: what the commands find in the prediction log."""

    directory: GivenName
    block_seconds: int = Field(ge=1, le=86_400)
    horizon_days: int = Field(ge=1, le=3650)
    false_alarms: Share
    tolerance_rank: Rate
    tolerance_share: Rate


class ExperimentConfig(Section):
    """`[experiment]`: champion against challengers, in the service and in `linnet experiment`."""

    name: str = Field(max_length=100)
    rollback: bool
    evidence: float = Field(gt=1)
    servers: Positive
    slow_ms: float = Field(ge=0)
    state_file: FileName
    ramp: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field(strict=False, min_length=1)
    min_hours: float = Field(ge=0)
    min_units: Count
    margin: Rate
    guardrail_margin: float = Field(ge=1)

    @field_validator("ramp")
    @classmethod
    def _grows(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if any(after <= before for before, after in itertools.pairwise(value)):
            raise ValueError("expected shares that grow from step to step")
        return value


def webhook_url(value: str) -> str:
    """The address of a webhook; empty: none.

    Raises:
        ValueError: An alarm would go over a network that others read, or to no host.
    """
    if not value:
        return value
    expected = "expected https://HOST/PATH, or http:// to a loopback address, without a password"
    try:
        parts = urlsplit(value)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        raise ValueError(expected) from None
    if not host or parts.username is not None or not re.fullmatch(r"[\x21-\x7e]+", value):
        raise ValueError(expected)
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)):
        return value
    raise ValueError(expected)


def is_loopback(host: str) -> bool:
    """Whether a host means this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class AlarmsConfig(Section):
    """`[alarms]`: who is alarmed of what monitoring finds."""

    webhook: Annotated[str, AfterValidator(webhook_url)]
    secret_file: FileName
    runbook: str = Field(pattern=r"^https?://[!-~]+$")
    timeout_seconds: float = Field(gt=0, le=300)
    max_attempts: int = Field(ge=1, le=20)
    textfile: FileName


class TrackConfig(Section):
    """`[track]`: the MLflow store that keeps finished runs."""

    uri: str
    model: str
    artifacts: str
    timeout: Positive


class PromoteConfig(Section):
    """`[promote]`: what a bundle has to show before the alias moves to it."""

    rule: Literal["non-inferior", "better"]
    max_accuracy_drop: float = Field(ge=0, le=100)
    max_recall_drop: float = Field(gt=0, le=100)
    max_slowdown: float = Field(gt=0)
    max_judgements: Positive
    allow_dirty: bool


class RunConfig(Section):
    """`[run]`: where a run's folders go."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    directory: FileName


class Config(Section):
    """All settings, one attribute a section of defaults.toml."""

    data: DataConfig
    model: ModelConfig
    train: TrainConfig
    tune: TuneConfig
    distil: DistilConfig
    export: ExportConfig
    evaluate: EvaluateConfig
    predict: PredictConfig
    score: ScoreConfig
    serve: ServeConfig
    prediction_log: PredictionLogConfig

    monitor: MonitorConfig
    experiment: ExperimentConfig
    alarms: AlarmsConfig

    track: TrackConfig
    promote: PromoteConfig

    run: RunConfig

    def dumps(self) -> str:
        """The whole as TOML text, which `load_config` reads back to an equal config."""
        lines = ["# The resolved settings of this run, written by Linnet.\n"]
        for name, section in self.model_dump(mode="json").items():
            lines += [
                f"[{name}]",
                *(f"{key} = {_toml(value)}" for key, value in section.items()),
                "",
            ]
        return "\n".join(lines)

    def save(self, path: Path) -> None:
        """Write the whole as TOML."""
        write_text(path, self.dumps())


def _host(value: str) -> str:
    """A host as a request names it, without a port, or "*"."""
    name = value.lower().removeprefix("[").removesuffix("]").removesuffix(".")
    if value != "*" and not HOST.fullmatch(name):
        raise ValueError(
            'expected "*", or names or addresses without a port such as "linnet.example"; '
            f"got {value!r}"
        )
    return name


def _origin(value: str) -> str:
    """An origin as browsers write it (RFC 6454, section 6.1), or "*"."""
    if value == "*":
        return value
    match = ORIGIN.fullmatch(value.lower())
    if match is None:
        raise ValueError(
            'expected "*", or origins without a path such as "https://app.example" '
            f'or "http://localhost:3000"; got {value!r}'
        )
    scheme, host, port = match.groups(default="")
    return f"{scheme}://{host}{'' if port == DEFAULT_PORTS.get(scheme) else port}"


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml(key)} = {_toml(item)}" for key, item in value.items()) + "}"
    # JSON and TOML write these values alike, but for the delete character and pairs of surrogates.
    text = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return escape_surrogates(text, r"\\")


@cache
def defaults() -> dict[str, dict[str, Any]]:
    """The tables of defaults.toml."""
    return tomllib.loads(files("linnet").joinpath("defaults.toml").read_text(encoding="utf-8"))


def load_config(
    path: Path | None = None,
    overrides: Mapping[str, Any] | Sequence[str] = (),
    base: Mapping[str, Mapping[str, Any]] | None = None,
) -> Config:
    """Resolve the settings.

    Args:
        path: A TOML file. None: `linnet.toml` of the current folder where there is one.
        overrides: `section.key` to value, or strings `section.key=value` with a TOML value (a bare
            word is taken as a string).
        base: Sections of settings in place of the defaults; the file goes over them.

    Raises:
        ConfigError: All mistakes at once, a line each: `section.key  what is wrong`.
    """
    tables = {name: dict(table) for name, table in defaults().items()}
    _merge(tables, base or {})
    chosen = path or Path("linnet.toml")
    if path is not None or chosen.exists():
        _merge(tables, _read(chosen))
    pairs = overrides.items() if isinstance(overrides, Mapping) else map(_parse_override, overrides)
    for name, value in pairs:
        section, _, key = name.partition(".")
        if not key:
            raise ConfigError(
                f"Expected section.key=value, such as train.learning_rate=3e-5; got {name!r}."
            )
        _merge(tables, {section: {key: value}})
    return _validate(tables)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"No such settings file: {path}.") from None
    except OSError as error:
        raise ConfigError(f"The settings file {path} can't be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}.") from None


def _parse_override(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(
            f"Expected section.key=value, such as train.learning_rate=3e-5; got {text!r}."
        )
    try:
        return name.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return name.strip(), value.strip()


def _merge(tables: dict[str, Any], new: Mapping[str, Any]) -> None:
    for name, value in new.items():
        if isinstance(value, Mapping) and isinstance(tables.get(name), dict):
            tables[name].update(value)
        else:
            tables[name] = value


def _validate(tables: dict[str, Any]) -> Config:
    try:
        return Config.model_validate(tables)
    except ValidationError as error:
        mistakes: dict[str, str] = {}
        for item in error.errors():
            name = ".".join(str(part) for part in item["loc"][:2])
            if item["type"] != "extra_forbidden":
                # An address may hold a secret, and this message reaches logs.
                got = "" if name == "alarms.webhook" else f" (got {item['input']!r:.60})"
                message = f"{item['msg']}{got}"
            elif name in RENAMED:
                message = f"was renamed to {RENAMED[name]}"
            else:
                message = "is not a setting"
            mistakes.setdefault(name, message)
        count = f"{len(mistakes)} invalid setting{'s' if len(mistakes) > 1 else ''}"
        lines = "\n".join(f"  {name}  {message}" for name, message in mistakes.items())
        raise ConfigError(f"{count}:\n{lines}") from None

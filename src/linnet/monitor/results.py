"""The results in the monitor's folder: drift.json, experiment.json and decision.json.

The page, the metrics and the alarms read them here. A file that is missing or broken becomes a
sentence, so that the others still count. Extra keys are kept, because commands may write more.
"""

import json
import math
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from linnet.printable import printable_cell

LARGEST = 32 << 20  # bytes of a file
SHOWN = 200  # characters of what is wrong with one

Count = Annotated[int, Field(ge=0)]
Interval = tuple[float, float]
Verdict = Literal["keep", "retrain", "promote", "roll_back", "invalid"]


class Part(BaseModel):
    """What all parts have in common: unknown keys are kept, and no number is infinite."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False)


class Stream(Part):
    """One stream of an arm; see `linnet.monitor.drift`."""

    mean: float | None = None
    reference_mean: float | None = None
    zone: Interval | None = None
    rows: Count = 0
    evidence_log10: float | None = None
    direction: str | None = None
    alarm_since: float | None = None
    acknowledged: float | None = None


class Measured(Part):
    """Accuracy on audited texts."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    one_look: Interval | None = None
    labels: Count = 0


class Estimated(Part):
    """Accuracy from confidence alone."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    label_shift: float | None = None
    rows: Count = 0


class Accuracy(Part):
    """How often an arm is right, and how that is known."""

    state: Literal["measured", "estimated", "unknown"]
    value: float | None = None
    low: float | None = None
    high: float | None = None
    reason: str | None = None
    measured: Measured | None = None
    estimated: Estimated | None = None
    labels_needed: int | None = None


class ArmDrift(Part):
    """One arm in drift.json."""

    digest: str = ""
    rows: Count = 0
    state: str = "ok"
    streams: dict[str, Stream] = {}
    accuracy: Accuracy | None = None


class Alarm(Part):
    """A stream that left its zone, until a person acknowledges it."""

    arm: str
    stream: str
    since: float
    evidence_log10: float | None = None
    direction: str | None = None
    incident: int | None = None


class BlockAccuracy(Part):
    """Accuracy after a block."""

    measured: Interval | None = None
    estimated: Interval | None = None


class Block(Part):
    """A stretch of the log, such as an hour."""

    start: float
    arm: str
    rows: Count = 0
    streams: dict[str, tuple[float | None, float | None]] = {}
    labels: dict[str, float] = {}
    accuracy: BlockAccuracy | None = None


class Promise(Part):
    """What the alarms promise."""

    horizon_days: float | None = None
    block_seconds: float | None = None
    false_alarms: float | None = None
    evidence_limit_log10: float | None = None


class Drift(Part):
    """drift.json, of `linnet monitor`."""

    format: Literal[1]
    log: dict[str, Any] = {}
    promise: Promise = Promise()
    reference: dict[str, Any] | None = None
    arms: dict[str, ArmDrift] = {}
    alarms: list[Alarm] = []
    timeline: list[Block] = []


class Challenger(Part):
    """One challenger or shadow in experiment.json."""

    digest: str = ""
    role: str = "challenger"
    share: float | None = None
    units: Count = 0
    texts: Count = 0
    hours: float | None = None
    ratio: dict[str, Any] | None = None
    guardrails: dict[str, dict[str, Any]] = {}
    harm_evidence_log10: float | None = None
    harm_limit_log10: float | None = None
    paired: dict[str, Any] | None = None
    split_accuracy: dict[str, Any] | None = None
    user_feedback_note: str | None = None
    ramp: dict[str, Any] | None = None


class Experiment(Part):
    """experiment.json, of `linnet experiment`."""

    format: Literal[1]
    experiment: str = ""
    champion: str | None = None
    challengers: dict[str, Challenger] = {}
    losses: dict[str, Any] = {}
    notes: list[str] = []


class Decision(Part):
    """decision.json, of `linnet decide`."""

    format: Literal[1]
    verdict: Verdict
    arm: str | None = None
    digest: str | None = None
    next_share: float | None = None
    horizon: float | None = None
    reasons: list[dict[str, Any]] = []
    missing: list[str] = []


P = TypeVar("P", bound=Part)
COMMANDS = {
    "drift.json": "linnet monitor",
    "experiment.json": "linnet experiment",
    "decision.json": "linnet decide",
}


@dataclass(frozen=True)
class Results:
    """What the commands found.

    Attributes:
        drift: None: there is no such file, or it is broken; so for the others.
        experiment: The experiment.
        decision: The decision.
        missing: Files that there are not, each with the command that writes it.
        broken: Files that can't be used, each with a sentence.
        age_seconds: Since drift.json was written; None without one.
        written_at: When that was, in seconds since 1970.
    """

    drift: Drift | None = None
    experiment: Experiment | None = None
    decision: Decision | None = None
    missing: Mapping[str, str] = field(default_factory=dict)
    broken: Mapping[str, str] = field(default_factory=dict)
    age_seconds: float | None = None
    written_at: float | None = None

    def content(self) -> dict[str, Any]:
        """All of it as JSON has it, for the page."""
        parts = {
            "drift": self.drift,
            "experiment": self.experiment,
            "decision": self.decision,
        }
        return {
            **{
                name: part.model_dump(mode="json") if part else None for name, part in parts.items()
            },
            "missing": dict(self.missing),
            "broken": dict(self.broken),
            "age_seconds": self.age_seconds,
        }


def written_at(folder: Path) -> float | None:
    """When `linnet monitor` last ran there, in seconds since 1970; None: it never did."""
    try:
        return (folder / "drift.json").stat().st_mtime
    except OSError:
        return None


def age(folder: Path) -> float | None:
    """Seconds since then. A clock that was set back gives 0."""
    moment = written_at(folder)
    return None if moment is None else max(0.0, time.time() - moment)


def versions(folder: Path) -> tuple[tuple[int, int, int] | None, ...]:
    """What differs once a file of the folder was written again."""
    return tuple(_version(folder / name) for name in COMMANDS)


def read_results(folder: Path) -> Results:
    """Read the files of a folder. It never fails: what is wrong with a file is in `broken`."""
    missing: dict[str, str] = {}
    broken: dict[str, str] = {}

    def read(name: str, schema: type[P]) -> P | None:
        try:
            content = _content(folder / name)
            return schema.model_validate(content, strict=False)
        except FileNotFoundError:
            missing[name] = COMMANDS[name]
        except (OSError, ValueError, RecursionError) as error:
            broken[name] = f"{name} can't be used: {_reason(error)}. Run `{COMMANDS[name]}` again."
        return None

    return Results(
        drift=read("drift.json", Drift),
        experiment=read("experiment.json", Experiment),
        decision=read("decision.json", Decision),
        missing=missing,
        broken=broken,
        age_seconds=age(folder),
        written_at=written_at(folder),
    )


def parse_decision(data: bytes) -> Decision:
    """The decision in the bytes of a decision.json.

    Raises:
        ValueError: They hold something else; the message says what.
    """
    try:
        return Decision.model_validate(_parsed(data), strict=False)
    except (ValueError, RecursionError) as error:
        raise ValueError(_reason(error)) from None


def _content(path: Path) -> Any:
    facts = path.stat()
    if not stat.S_ISREG(facts.st_mode):
        raise ValueError("it is no plain file")
    if facts.st_size > LARGEST:
        raise ValueError(f"it has {facts.st_size:,} bytes, and {LARGEST:,} are the most")
    return _parsed(path.read_bytes())


def _parsed(data: bytes) -> Any:
    content = json.loads(data, parse_constant=_no_number, parse_float=_finite)
    known = content.get("format") if isinstance(content, dict) else None
    if known != 1:
        raise ValueError(f"expected format 1, found {known!r:.40}")
    return content


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"the number {digits:.40} is too large")
    return value


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        reason = f"{place}: {first['msg']}"
    elif isinstance(error, RecursionError):
        reason = "it is nested too deeply"
    elif isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
        reason = "it is no JSON in UTF-8"
    elif isinstance(error, OSError):
        reason = error.strerror or "it can't be read"
    else:
        reason = str(error)
    return printable_cell(reason)[:SHOWN]


def _version(path: Path) -> tuple[int, int, int] | None:
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_ino, facts.st_mtime_ns, facts.st_size

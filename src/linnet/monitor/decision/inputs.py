"""What a decision rests on: counts and figures from files, small enough to keep in its record."""

import json
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from linnet.bundle import Bundle
from linnet.config import ExperimentConfig
from linnet.errors import UsageError
from linnet.monitor.experiment.statistics import Count, Part, Statistics

DRIFT = "drift.json"
EXPERIMENT = "experiment.json"
LARGEST = 64 << 20  # bytes of a file


class Alarm(Part):
    """A stream of the champion that left its zone."""

    stream: str
    since: float
    evidence_log10: float | None = None


class Drift(Part):
    """What drift.json says of the champion.

    Attributes:
        digest: Of the champion's bundle.
        settled_until: Until when the log was judged, seconds since 1970.
        block_seconds: Length of a block.
        limit_log10: Evidence that raises an alarm.
        alarms: Those that nobody acknowledged.
        accuracy: Low end, high end and labels of the measured accuracy, at any look.
    """

    digest: str | None = None
    settled_until: float | None = None
    block_seconds: float | None = None
    limit_log10: float | None = None
    alarms: list[Alarm] = Field(default_factory=list)
    accuracy: tuple[float, float, Count] | None = None


class Proof(Part):
    """What proof.json of a bundle says.

    Attributes:
        file: The SHA-256 of proof.json.
        failed: Checks of the gate that failed.
        accuracy: On the validation rows.
    """

    file: str
    failed: list[str]
    accuracy: float | None


class Inputs(Part):
    """All that a decision rests on.

    Attributes:
        experiment: The counts of the experiment; None: there is no experiment.json.
        drift: None: there is no drift.json.
        proofs: By the digest of their bundle.
        files: The SHA-256 of each file.
    """

    experiment: Statistics | None = None
    drift: Drift | None = None
    proofs: dict[str, Proof] = Field(default_factory=dict)
    files: dict[str, str] = Field(default_factory=dict)


class Settings(Part):
    """What a decision was asked with.

    Attributes:
        experiment: `[experiment]`.
        reason: Why the challenger may replace the champion although it is not shown to be better.
        fresh_labels: Labels since an alarm that are enough to retrain.
        cost_of_error: Of one wrong answer, in any currency; None: not known.
    """

    experiment: ExperimentConfig
    reason: str = ""
    fresh_labels: Count = 500
    cost_of_error: float | None = None


def read_inputs(folder: Path, experiment: Path | None, bundles: Sequence[Path]) -> Inputs:
    """Read the files.

    Args:
        folder: Of drift.json and, if not named, of experiment.json.
        experiment: experiment.json.
        bundles: Bundles whose proof counts.

    Raises:
        UsageError: A file can't be used, or there is neither of the two.
        BundleError: A bundle can't be used.
    """
    files: dict[str, str] = {}
    drift = _content(folder / DRIFT, files)
    compared = _content(experiment or folder / EXPERIMENT, files)
    if experiment and compared is None:
        raise UsageError(f"{experiment} is not there. Run `linnet experiment LOG` first.")
    if drift is None and compared is None:
        raise UsageError(
            f"{folder} holds neither {DRIFT} nor {EXPERIMENT}. Run `linnet monitor` and `linnet "
            "experiment` first."
        )
    proofs = {bundle.digest: _proof(bundle) for bundle in map(Bundle.read, bundles)}
    try:
        return Inputs(
            experiment=Statistics.model_validate(compared["statistics"]) if compared else None,
            drift=_drift(drift) if drift else None,
            proofs=proofs,
            files=files,
        )
    except (ValidationError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(
            f"The figures in {folder} can't be used: {_first(error)}. Run `linnet monitor` and "
            "`linnet experiment` again."
        ) from None


def load(path: Path) -> tuple[bytes, Any]:
    """A file's bytes, and what they say as JSON.

    Raises:
        FileNotFoundError: There is none.
        UsageError: It is no JSON of format 1.
    """
    try:
        raw = path.read_bytes() if path.stat().st_size <= LARGEST else b""
        content = json.loads(raw)
        if content["format"] != 1:
            raise ValueError(f"it is of format {content['format']!r:.20}, and 1 was expected")
    except FileNotFoundError:
        raise
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(
            f"{path} can't be used: {_first(error)}. Write it again with the command that made it."
        ) from None
    return raw, content


def _content(path: Path, files: dict[str, str]) -> Any:
    try:
        raw, content = load(path)
    except FileNotFoundError:
        return None
    files[DRIFT if path.name == DRIFT else EXPERIMENT] = sha256(raw).hexdigest()
    return content


def _drift(content: Any) -> Drift:
    champion = content["arms"].get("champion", {})
    measured = (champion.get("accuracy") or {}).get("measured")
    accuracy = None
    if measured and measured.get("low") is not None and measured.get("high") is not None:
        accuracy = measured["low"], measured["high"], measured.get("labels", 0)
    return Drift(
        digest=champion.get("digest"),
        settled_until=content["log"].get("settled_until"),
        block_seconds=content["promise"].get("block_seconds"),
        limit_log10=content["promise"].get("evidence_limit_log10"),
        alarms=[
            Alarm(
                stream=one["stream"],
                since=one["since"],
                evidence_log10=one.get("evidence_log10"),
            )
            for one in content["alarms"]
            if one["arm"] == "champion"
        ],
        accuracy=accuracy,
    )


def _proof(bundle: Bundle) -> Proof:
    checks = bundle.verify().proof["checks"]
    value = checks.get("accuracy", {}).get("value")
    return Proof(
        file=bundle.manifest.files["proof.json"].sha256,
        failed=sorted(name for name, one in checks.items() if one.get("passed") is not True),
        accuracy=value if isinstance(value, int | float) else None,
    )


def _first(error: Exception) -> str:
    if isinstance(error, ValidationError):
        one = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, one['loc']))}: {one['msg']}"
    if isinstance(error, KeyError):
        return f"{error.args[0]!r:.40} is missing"
    if isinstance(error, OSError):
        return error.strerror or "it can't be read"
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError | RecursionError):
        return "it is no JSON"
    return str(error)[:200] or "it is not as the command writes it"

"""decision.json: a verdict with all that it rests on, so that anybody can compute it again.

Each record holds the digest of the one before. Those are kept in the folder `decisions` next to it,
so the chain can be followed. The record names no time of its own: equal files give equal bytes, and
a second run on the same files writes nothing new.
"""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from linnet.errors import DataError, UsageError
from linnet.files import canonical_json, write_bytes, write_text
from linnet.monitor.decision.cost import cost_view
from linnet.monitor.decision.inputs import Inputs, Settings, load
from linnet.monitor.decision.rules import decide

FILE = "decision.json"
FOLDER = "decisions"
FORMAT = 1


def decision_json(
    inputs: Inputs, settings: Settings, versions: dict[str, str], previous: str | None
) -> dict[str, Any]:
    """The content of decision.json.

    Args:
        inputs: What is known.
        settings: What was asked with.
        versions: Of the programs that decided.
        previous: The SHA-256 of the decision before; None: it is the first.
    """
    decision = decide(inputs, settings)
    statistics = inputs.experiment
    drift = inputs.drift
    horizon = statistics.horizon if statistics else drift.settled_until if drift else None
    content = {
        "format": FORMAT,
        "verdict": decision.verdict,
        "arm": decision.arm,
        "next_share": decision.next_share,
        "horizon": horizon,
        "reasons": decision.reasons,
        "missing": decision.missing,
        "cost": cost_view(inputs, settings),
        "statistics": inputs.model_dump(mode="json"),
        "settings": settings.model_dump(mode="json"),
        "versions": versions,
        "previous": previous,
    }
    return {**content, "digest": sha256(canonical_json(content).encode()).hexdigest()}


def write_decision(
    out: Path, inputs: Inputs, settings: Settings, versions: dict[str, str]
) -> dict[str, Any]:
    """Write decision.json, and keep the one before.

    Killed at any moment, the next run leaves the same files.

    Raises:
        UsageError: What is at `out` is no decision, so nothing is replaced.
        StorageError: The disk refused.
    """
    try:
        raw, former = load(out)
    except FileNotFoundError:
        raw = b""
        former = None
    if former is not None:
        if "verdict" not in former:
            raise UsageError(f"{out} is no decision. Name another file with --out.")
        same = decision_json(inputs, settings, versions, former.get("previous"))
        if canonical_json(same).encode() == raw:
            return same
        digest = sha256(raw).hexdigest()
        write_bytes(out.parent / FOLDER / f"{digest}.json", raw)
    content = decision_json(inputs, settings, versions, sha256(raw).hexdigest() if raw else None)
    write_text(out, canonical_json(content))
    return content


def check(path: Path) -> Sequence[str]:
    """Compute a decision again from its own statistics, and follow its chain.

    Returns:
        Sentences about what was found to be right.

    Raises:
        UsageError: It is no decision.
        DataError: It was changed: its statistics give another file, or an earlier decision that is
            kept is not the one that it names.
    """
    try:
        raw, content = load(path)
    except FileNotFoundError:
        raise UsageError(f"{path} is not there.") from None
    again = _again(path, content)
    if again != raw:
        raise DataError(
            f"{path} was changed: its statistics give another decision. Compare it with a copy, or "
            "decide again."
        )
    said = [f"{path}: the verdict {content['verdict']} follows from its statistics, byte for byte."]
    earlier = 0
    folder = path.parent if path.parent.name == FOLDER else path.parent / FOLDER
    previous = content["previous"]
    while previous is not None:
        kept = folder / f"{previous}.json"
        try:
            raw, content = load(kept)
        except FileNotFoundError:
            said.append(
                f"The decision {previous[:12]} before is not kept, so the chain ends there."
            )
            break
        if sha256(raw).hexdigest() != previous or _again(kept, content) != raw:
            raise DataError(f"{kept} was changed: it is not the decision that a later one names.")
        earlier += 1
        previous = content["previous"]
    if earlier:
        said.append(f"{earlier:,} earlier decisions are as they were.")
    return said


def _again(path: Path, content: Any) -> bytes:
    try:
        inputs = Inputs.model_validate(content["statistics"])
        settings = Settings.model_validate(content["settings"])
        versions = content["versions"]
        previous = content["previous"]
        return canonical_json(decision_json(inputs, settings, versions, previous)).encode()
    except (ValidationError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f"{path} was changed: its statistics can't be read ({type(error).__name__})."
        ) from None

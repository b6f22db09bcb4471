"""What is usual for each arm: its adopted reference, else the validation rows of its bundle.

Production is never a sample of the training file. So a difference from validation is reported, and
only a difference from traffic that a person adopted raises an alarm.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

from linnet.bundle import Bundle
from linnet.errors import UsageError
from linnet.files import canonical_json
from linnet.monitor.drift.arm import Kind
from linnet.monitor.drift.streams import LABEL, OTHER, StreamReference, top_labels
from linnet.monitor.reference import read_reference

FILE = "reference.json"
FORMAT = 1


def training_references(bundle: Bundle) -> dict[str, StreamReference]:
    """The streams of a bundle's validation rows.

    A bundle of an older Linnet has fewer: labels, truncated and tokens.

    Raises:
        BundleError: Its reference.json can't be used.
    """
    reference = read_reference(bundle)
    n = reference.rows
    if not n:
        return {}
    found = label_references(reference.labels, n, bundle.manifest.labels)
    for name in share_streams(bundle):
        if name in reference.rates:
            found[name] = StreamReference.of_share(reference.rates[name], n)
    for name, one in reference.streams.items():
        found[name] = StreamReference(one.mean, one.sd, one.n, np.array(one.grid))
    return found


def share_streams(bundle: Bundle) -> list[str]:
    """The indicators that a bundle's answers can have, besides labels."""
    names = ["truncated"]
    if bundle.manifest.min_precision:
        names.append("abstained")
    if bundle.manifest.cascade:
        names.append("fast")
    return names


def label_references(
    shares: Mapping[str, float], n: int, labels: Sequence[str]
) -> dict[str, StreamReference]:
    """The streams of the labels given: the most frequent ones, and the rest together.

    Args:
        shares: Label to the share of texts that it is given to.
        n: The number of texts.
        labels: All labels of the model.
    """
    complete = {label: shares.get(label, 0.0) for label in [*labels, *shares]}
    top = top_labels(complete)
    found = {LABEL + label: StreamReference.of_share(complete[label], n) for label in top}
    rest = [share for label, share in complete.items() if label not in top]
    if rest:
        # With several labels per text this may count one twice; the zone ends at 1 all the same.
        found[OTHER] = StreamReference.of_share(min(1.0, sum(rest)), n)
    return found


def ranked_reference(raw: Any) -> StreamReference:
    """The reference of a ranked stream from its raw values."""
    grid = np.quantile(np.asarray(raw, float), np.linspace(0, 1, 101))
    ranks = StreamReference(0.5, 0.0, 1, grid).ranks(np.asarray(raw, float))
    return StreamReference(float(ranks.mean()), float(ranks.std()), len(ranks), grid)


@dataclass(frozen=True, slots=True)
class AdoptedArm:
    """What was usual for one arm.

    Attributes:
        digest: The bundle that it answered with.
        rows: Distinct texts that were counted.
        streams: By name.
        unlike_training: Streams that differ from the bundle's validation rows.
    """

    digest: str
    rows: int
    streams: Mapping[str, StreamReference]
    unlike_training: Sequence[str] = ()

    def to_json(self) -> dict[str, Any]:
        """All of it, to be read with `from_json`."""
        return {
            "digest": self.digest,
            "rows": self.rows,
            "streams": {name: one.to_json() for name, one in self.streams.items()},
            "unlike_training": list(self.unlike_training),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        streams = {
            name: StreamReference.from_json(one) for name, one in sorted(content["streams"].items())
        }
        return cls(content["digest"], content["rows"], streams, content["unlike_training"])


@dataclass(frozen=True, slots=True)
class Adopted:
    """Traffic that a person accepted as usual.

    Attributes:
        since: Its beginning, in seconds since 1970.
        until: Its end.
        arms: By the arm's name.
    """

    since: float
    until: float
    arms: Mapping[str, AdoptedArm]

    @property
    def digest(self) -> str:
        """The SHA-256 that names this reference."""
        return hashlib.sha256(self.dumps().encode("utf-8", "surrogatepass")).hexdigest()

    def dumps(self) -> str:
        """The content of its file."""
        arms = {name: arm.to_json() for name, arm in self.arms.items()}
        content = {"format": FORMAT, "kind": "adopted", "since": self.since, "until": self.until}
        return canonical_json(content | {"arms": arms})


def read_adopted(folder: Path) -> Adopted | None:
    """The adopted reference in the monitor's folder; None: nobody adopted one.

    Raises:
        UsageError: The file can't be used.
    """
    path = folder / FILE
    try:
        content = json.loads(path.read_bytes())
        if content["format"] != FORMAT:
            raise ValueError(f"it is of format {content['format']!r}, and {FORMAT} was expected")
        arms = {name: AdoptedArm.from_json(one) for name, one in sorted(content["arms"].items())}
        return Adopted(content["since"], content["until"], arms)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(
            f"{path} can't be used: {reason}. Restore it, or adopt again with --adopt SINCE..UNTIL."
        ) from None


@dataclass(frozen=True, slots=True)
class References:
    """All references that a run of the monitor has.

    Attributes:
        adopted: The adopted one, if any.
        training: For each known bundle's digest the streams of its validation rows.
    """

    adopted: Adopted | None
    training: Mapping[str, Mapping[str, StreamReference]] = field(default_factory=dict)

    def of(self, arm: str, digest: str) -> tuple[Kind | None, Mapping[str, StreamReference]]:
        """The reference of an arm that answers with a bundle; None: there is none."""
        adopted = self.adopted_arm(arm, digest)
        if adopted is not None:
            return "adopted", adopted.streams
        if digest in self.training:
            return "training", self.training[digest]
        return None, {}

    def adopted_arm(self, arm: str, digest: str) -> AdoptedArm | None:
        """The adopted reference of a bundle, that of the arm's own traffic if there is one.

        A shadow that becomes the champion keeps what was adopted for it.
        """
        arms = self.adopted.arms if self.adopted else {}
        of_bundle = {name: one for name, one in arms.items() if one.digest == digest}
        return of_bundle.get(arm) or next(iter(of_bundle.values()), None)

    def adopted_streams(self) -> int:
        """How many streams may raise an alarm."""
        return sum(len(arm.streams) for arm in self.adopted.arms.values()) if self.adopted else 0

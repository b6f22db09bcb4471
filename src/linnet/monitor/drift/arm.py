"""One arm under watch: its detectors, block after block, and the alarms they raised."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import numpy as np

from linnet.monitor.drift.streams import (
    RANKED,
    LabelIndex,
    StreamReference,
    Texts,
    joined,
    stream_values,
)
from linnet.monitor.evidence import DriftDetector, Zone

LEAST_TEXTS = 20  # distinct ones of a block; a smaller block is joined with the next
HALF_LIFE = 24  # blocks after which a block counts half in a stream's mean
FORGET = 0.5 ** (1 / HALF_LIFE)

Kind = Literal["adopted", "training"]


@dataclass(frozen=True, slots=True)
class Tolerances:
    """Changes of a mean that do not matter: of a rank, and of a share."""

    rank: float
    share: float

    def of(self, stream: str) -> float:
        """That of one stream."""
        return self.rank if stream in RANKED else self.share


@dataclass(slots=True)
class Stream:
    """A stream's detector, its recent mean, and its alarm.

    Attributes:
        detector: The evidence.
        rows: Values so far.
        weight: Values of recent blocks, those of a block counting half after `HALF_LIFE` blocks.
        total: Their weighted sum.
        rising_since: Beginning of the block from which on the evidence was above half of the limit,
            in seconds since 1970; None: it is below.
        alarm_since: When the alarm was raised, in seconds since 1970; None: there is none.
        acknowledged: When the last alarm was acknowledged.
        incident: Number of the alarm's incident; 0: no alarm.
    """

    detector: DriftDetector
    rows: int = 0
    weight: float = 0.0
    total: float = 0.0
    rising_since: float | None = None
    alarm_since: float | None = None
    acknowledged: float | None = None
    incident: int = 0

    @property
    def mean(self) -> float | None:
        """The mean of recent blocks."""
        return self.total / self.weight if self.weight else None

    def update(self, values: Any) -> None:
        """Bet on a block."""
        self.detector.update(values)
        self.rows += len(values)
        self.weight = FORGET * self.weight + len(values)
        self.total = FORGET * self.total + float(values.sum())

    def acknowledge(self, time: float) -> None:
        """End the alarm, and forget the evidence for it."""
        self.detector.restart()
        self.rising_since = None
        self.alarm_since = None
        self.incident = 0
        self.acknowledged = time

    def to_json(self) -> dict[str, Any]:
        """All of it, to be read with `from_json`."""
        return {
            "detector": self.detector.to_json(),
            "rows": self.rows,
            "recent": [self.weight, self.total],
            "times": [self.rising_since, self.alarm_since, self.acknowledged],
            "incident": self.incident,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        weight, total = content["recent"]
        rising_since, alarm_since, acknowledged = content["times"]
        return cls(
            DriftDetector.from_json(content["detector"]),
            content["rows"],
            weight,
            total,
            rising_since,
            alarm_since,
            acknowledged,
            content["incident"],
        )


@dataclass(frozen=True, slots=True)
class Block:
    """What one block of an arm showed.

    Attributes:
        start: Its beginning, in seconds since 1970.
        texts: Distinct texts.
        means: The mean of each stream that had values.
    """

    start: float
    texts: int
    means: dict[str, float]


@dataclass(slots=True)
class Arm:
    """An arm that answers with one bundle.

    Attributes:
        name: The arm's name.
        digest: The bundle's digest.
        kind: Which reference it is compared with; None: there is none for this bundle.
        references: By stream.
        streams: By name.
        rows: Answers in the log.
        distinct_texts: Distinct texts of all blocks together.
        began: Number of the first block.
        seen: Number of the last block with an answer.
        open_since: Beginning of a block that is joined with the next; None: there is none.
        open_texts: Its texts.
        audited: For each day, by its number since 1970, the rows drawn for the audit.
    """

    name: str
    digest: str
    kind: Kind | None
    references: Mapping[str, StreamReference]
    streams: dict[str, Stream]
    began: int
    seen: int
    rows: int = 0
    distinct_texts: int = 0
    open_since: float | None = None
    open_texts: list[Texts] = field(default_factory=list)
    audited: dict[int, int] = field(default_factory=dict)

    @classmethod
    def new(
        cls,
        name: str,
        digest: str,
        kind: Kind | None,
        references: Mapping[str, StreamReference],
        tolerances: Tolerances,
        block: int,
    ) -> Self:
        """An arm without evidence, from a block on."""
        streams = {
            stream: Stream(
                DriftDetector(
                    Zone.around(one.mean, one.sd, one.n, tolerances.of(stream)),
                )
            )
            for stream, one in sorted(references.items())
        }
        return cls(name, digest, kind, references, streams, block, block)

    def add(self, start: float, block: int, texts: Texts, index: LabelIndex) -> Block | None:
        """Take a stretch's texts; give the block that they end, if there are enough.

        Args:
            start: The stretch's beginning, in seconds since 1970.
            block: Its number.
            texts: The arm's distinct texts.
            index: The labels of this run.
        """
        self.seen = block
        if self.open_since is None:
            self.open_since = start
        distinct = joined([*self.open_texts, texts]).distinct()
        if len(distinct) < LEAST_TEXTS:
            self.open_texts = [distinct]
            return None
        began = self.open_since
        self.open_since = None
        self.open_texts = []
        self.distinct_texts += len(distinct)
        means = {}
        for name, values in sorted(stream_values(distinct, self.references, index).items()):
            if len(values):
                self.streams[name].update(values)
                means[name] = float(np.mean(values))
        return Block(began, len(distinct), means)

    def to_json(self) -> dict[str, Any]:
        """All but the references, to be read with `from_json`."""
        return {
            "name": self.name,
            "digest": self.digest,
            "kind": self.kind,
            "streams": {name: stream.to_json() for name, stream in self.streams.items()},
            "rows": self.rows,
            "distinct_texts": self.distinct_texts,
            "began": self.began,
            "seen": self.seen,
            "open_since": self.open_since,
            "open_texts": [texts.to_json() for texts in self.open_texts],
            "audited": [[day, self.audited[day]] for day in sorted(self.audited)],
        }

    @classmethod
    def from_json(
        cls, content: Mapping[str, Any], references: Mapping[str, StreamReference]
    ) -> Self:
        """Read what `to_json` wrote."""
        return cls(
            content["name"],
            content["digest"],
            content["kind"],
            references,
            {name: Stream.from_json(one) for name, one in sorted(content["streams"].items())},
            content["began"],
            content["seen"],
            content["rows"],
            content["distinct_texts"],
            content["open_since"],
            [Texts.from_json(one) for one in content["open_texts"]],
            dict(content["audited"]),
        )

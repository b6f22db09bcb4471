"""The streams that are watched: what each row of the log gives, as values in [0, 1].

A stream is an indicator, such as "the label is given", or a rank among the reference's values.
Knows nothing of the log's tables and of time.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RANKED = ("confidence", "tokens", "surprise", "pieces")
SHARES = ("truncated", "abstained", "fast")
LABEL = "label:"  # before the name of a label
OTHER = "other labels"
TOP_LABELS = 8  # labels with a stream of their own
QUANTILES = 101  # of a reference: 0, 0.01 and so on to 1


@dataclass(frozen=True, slots=True, eq=False)
class Texts:
    """Answers to texts, one element per text in each array.

    Attributes:
        hashes: Int64 (n,). Equal texts have equal hashes.
        labels: For each text the labels given, as the log writes them: a list in JSON.
        values: For each stream of `RANKED` and `SHARES` its raw values, float (n,): NaN is unknown.
    """

    hashes: NDArray[np.int64]
    labels: Sequence[str]
    values: Mapping[str, Floats]

    def __len__(self) -> int:
        return len(self.hashes)

    def take(self, rows: NDArray[np.intp]) -> "Texts":
        """Some of the texts, in the order of their numbers."""
        return Texts(
            self.hashes[rows],
            [self.labels[row] for row in rows],
            {name: values[rows] for name, values in self.values.items()},
        )

    def distinct(self) -> "Texts":
        """Each text once, where it came first."""
        _, first = np.unique(self.hashes, return_index=True)
        if len(first) == len(self):
            return self
        first.sort()
        return self.take(first)

    def to_json(self) -> dict[str, Any]:
        """Lists, to be read with `from_json`."""
        return {
            "hashes": self.hashes.tolist(),
            "labels": list(self.labels),
            "values": {
                name: [None if np.isnan(value) else value for value in values.tolist()]
                for name, values in self.values.items()
            },
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        return cls(
            np.array(content["hashes"], np.int64),
            list(content["labels"]),
            {name: np.array(values, float) for name, values in content["values"].items()},
        )


def joined(parts: Sequence[Texts]) -> Texts:
    """Several texts in a row; at least one part."""
    if len(parts) == 1:
        return parts[0]
    return Texts(
        np.concatenate([part.hashes for part in parts]),
        [labels for part in parts for labels in part.labels],
        {name: np.concatenate([part.values[name] for part in parts]) for name in parts[0].values},
    )


@dataclass(frozen=True, slots=True, eq=False)
class StreamReference:
    """The values of one stream that count as usual.

    Attributes:
        mean: Of the stream's values in [0, 1].
        sd: Their standard deviation; larger where values of one block resemble each other.
        n: How many there were.
        grid: Of a ranked stream, `QUANTILES` quantiles of its raw values, ascending; else None.
    """

    mean: float
    sd: float
    n: int
    grid: Floats | None = None

    def ranks(self, raw: Floats) -> Floats:
        """Where raw values are among the reference's, 0 to 1: the mean of share below and up to."""
        if self.grid is None:
            return raw
        knots, first, counts = np.unique(self.grid, return_index=True, return_counts=True)
        middle = (first + (counts - 1) / 2) / (len(self.grid) - 1)
        ranks: Floats = np.interp(raw, knots, middle, left=0.0, right=1.0)
        return ranks

    def to_json(self) -> dict[str, Any]:
        """Mean, sd, n and grid, to be read with `from_json`."""
        grid = {} if self.grid is None else {"grid": self.grid.tolist()}
        return {"mean": self.mean, "sd": self.sd, "n": self.n, **grid}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote, and what a bundle's reference.json has of a ranked stream."""
        grid = content.get("grid")
        return cls(
            float(content["mean"]),
            float(content["sd"]),
            int(content["n"]),
            None if grid is None else np.array(grid, float),
        )

    @classmethod
    def of_share(cls, share: float, n: int) -> Self:
        """The reference of an indicator."""
        return cls(share, (share * (1 - share)) ** 0.5, n)


class LabelIndex:
    """The labels given, as numbers: each list of labels that occurs has a code.

    It grows with the number of different lists, so it is one for each run, and not kept.
    """

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}
        self._labels: list[frozenset[str]] = []

    def codes(self, lists: Iterable[str]) -> NDArray[np.int64]:
        """The codes of lists of labels in JSON; int64 (n,)."""
        known = self._codes
        return np.array(
            [known[text] if text in known else self._add(text) for text in lists], np.int64
        )

    def given(self, codes: NDArray[np.int64], labels: Iterable[str]) -> Floats:
        """For each code 1.0 if any of the labels is given, else 0.0; float (n,)."""
        asked = frozenset(labels)
        applies = np.array([not asked.isdisjoint(one) for one in self._labels], float)
        return applies[codes]

    def seen(self) -> frozenset[str]:
        """All labels that occurred."""
        return frozenset().union(*self._labels)

    def _add(self, text: str) -> int:
        self._codes[text] = len(self._labels)
        self._labels.append(frozenset(json.loads(text)))
        return self._codes[text]


def top_labels(shares: Mapping[str, float]) -> list[str]:
    """The labels that get a stream of their own, the most frequent first."""
    return sorted(shares, key=lambda label: (-shares[label], label))[:TOP_LABELS]


def stream_values(
    texts: Texts, references: Mapping[str, StreamReference], index: LabelIndex
) -> dict[str, Floats]:
    """The values of each stream that the reference has.

    Args:
        texts: Distinct texts.
        references: By the streams' names.
        index: The labels of this run.

    Returns:
        Float (m,) in [0, 1] for each stream; m is the number of texts for which it is known.
    """
    codes = index.codes(texts.labels)
    alone = {name.removeprefix(LABEL) for name in references if name.startswith(LABEL)}
    found = {}
    for name, reference in references.items():
        if name.startswith(LABEL):
            values = index.given(codes, [name.removeprefix(LABEL)])
        elif name == OTHER:
            values = index.given(codes, index.seen() - alone)
        else:
            raw = texts.values[name]
            values = reference.ranks(raw[~np.isnan(raw)])
        found[name] = values
    return found

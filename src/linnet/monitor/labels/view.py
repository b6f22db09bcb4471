"""The prediction log as arrays, for choosing rows and for reading answers back.

Texts are not held: a log may have millions. `texts_of` reads those that were chosen.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linnet.monitor.prediction_log import Store, Truth

PAGE = 20_000
SUM_ERROR = 0.02  # of up to 64 probabilities in half precision
COLUMNS = (
    "number",
    "id",
    "time",
    "arm",
    "digest",
    "labels",
    "probability",
    "abstained",
    "shadow",
    "text_hash",
    "surprise",
    "probabilities",
    "text",
)
BY_PEOPLE = ("audit", "disagree", "queue")  # sources whose answers somebody was asked for


@dataclass(frozen=True)
class LogView:
    """All answers of a log; arrays have the shape (n,).

    Attributes:
        id: Ids of the answers; arms that answered the same text share one.
        arm: Which arm answered.
        digest: The digest of its bundle.
        labels: The labels given.
        number: Numbers of the rows in the log, int64.
        time: Seconds since 1970, float64.
        probability: Of the label given, float64.
        abstained: bool.
        shadow: bool.
        has_text: Whether the log holds the text, bool.
        text_hash: Keyed hash of the text, 0 if unknown, int64.
        surprise: NaN if unknown, float64.
        margin: How far the model is from another answer, float64; the order counts.
        truths: By id and source, the feedback that counts.
    """

    id: list[str]
    arm: list[str]
    digest: list[str]
    labels: list[tuple[str, ...]]
    number: NDArray[np.int64]
    time: NDArray[np.float64]
    probability: NDArray[np.float64]
    abstained: NDArray[np.bool_]
    shadow: NDArray[np.bool_]
    has_text: NDArray[np.bool_]
    text_hash: NDArray[np.int64]
    surprise: NDArray[np.float64]
    margin: NDArray[np.float64]
    truths: dict[str, dict[str, Truth]]

    def __len__(self) -> int:
        return len(self.id)

    @property
    def returned(self) -> NDArray[np.int64]:
        """Places of the answers that were returned, not only logged."""
        return np.flatnonzero(~self.shadow)

    def by_id(self) -> dict[str, list[int]]:
        """Places of the answers of each id."""
        found: dict[str, list[int]] = defaultdict(list)
        for place, name in enumerate(self.id):
            found[name].append(place)
        return found

    def answer(self, place: int) -> tuple[str, ...] | None:
        """What an arm answered; None if it abstained."""
        return None if self.abstained[place] else self.labels[place]

    def known_labels(self) -> tuple[str, ...]:
        """All labels that were given or said to be true, sorted."""
        given = {label for labels in set(self.labels) for label in labels}
        said = {label for each in self.truths.values() for t in each.values() for label in t.labels}
        return tuple(sorted(given | said))

    def is_multi_label(self) -> bool:
        """Whether an answer holds several labels, or none although the model was sure."""
        counts = np.array([len(labels) for labels in self.labels])
        return bool(((counts > 1) | ((counts == 0) & ~self.abstained)).any())


def read_view(store: Store) -> LogView:
    """Read all answers and the feedback about them.

    Raises:
        StorageError: The log can't be read.
    """
    lists: dict[str, Any] = {"id": [], "arm": [], "digest": [], "labels": []}
    arrays: dict[str, list[NDArray[Any]]] = defaultdict(list)
    sets: dict[str, tuple[str, ...]] = {}
    for page in _pages(store, COLUMNS):
        for name in ("id", "arm", "digest"):
            lists[name] += page[name]
        for cell in page["labels"]:
            if cell not in sets:
                sets[cell] = tuple(json.loads(cell))
            lists["labels"].append(sets[cell])
        for name in ("number", "time", "probability", "abstained", "shadow", "text_hash"):
            arrays[name].append(page[name])
        arrays["surprise"].append(np.asarray(page["surprise"], dtype=np.float64))
        arrays["has_text"].append(np.array([text is not None for text in page["text"]]))
        arrays["margin"].append(_margins(page))
    joined: dict[str, Any] = {
        name: np.concatenate(arrays[name]) if arrays[name] else np.empty(0, dtype=kind)
        for name, kind in (
            ("number", np.int64),
            ("time", np.float64),
            ("probability", np.float64),
            ("abstained", np.bool_),
            ("shadow", np.bool_),
            ("has_text", np.bool_),
            ("text_hash", np.int64),
            ("surprise", np.float64),
            ("margin", np.float64),
        )
    }
    return LogView(**lists, **joined, truths=_truths(store))


def texts_of(store: Store, numbers: Collection[int]) -> dict[int, str]:
    """The texts of some rows, by the number of the row; rows without one are left out.

    Raises:
        StorageError: The log can't be read.
    """
    wanted = set(numbers)
    found: dict[int, str] = {}
    for page in _pages(store, ("number", "text")):
        for number, text in zip(page["number"].tolist(), page["text"], strict=True):
            if number in wanted and text is not None:
                found[number] = text
    return found


def _pages(store: Store, names: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    after = 0
    while len((page := store.columns(names, after, PAGE))["number"]):
        after = int(page["number"][-1])
        yield page


def _truths(store: Store) -> dict[str, dict[str, Truth]]:
    """The feedback that counts, by id and source."""
    found: dict[str, dict[str, Truth]] = defaultdict(dict)
    after = 0
    while rows := store.truths(after, PAGE):
        for number, truth in rows:
            after = number
            if truth.replaces(found[truth.id].get(truth.source)):
                found[truth.id][truth.source] = truth
    return dict(found)


def _margins(page: dict[str, Any]) -> NDArray[np.float64]:
    """The difference between the best label and the next, or from 0.5 with several labels.

    A row without all probabilities has two labels or more than 64: then the probability of the
    label alone gives the order.
    """
    margins = 2 * np.asarray(page["probability"], dtype=np.float64) - 1
    by_size: dict[int, list[int]] = defaultdict(list)
    for place, blob in enumerate(page["probabilities"]):
        if blob:
            by_size[len(blob)].append(place)
    for places in by_size.values():
        joined = b"".join(bytes(page["probabilities"][place]) for place in places)
        values = np.frombuffer(joined, dtype="<f2").astype(np.float64).reshape(len(places), -1)
        if values.shape[1] < 2:
            continue
        ordered = np.sort(values, axis=1)
        one_label = np.abs(values.sum(axis=1) - 1) < SUM_ERROR
        margins[places] = np.where(
            one_label, ordered[:, -1] - ordered[:, -2], 2 * np.abs(values - 0.5).min(axis=1)
        )
    return margins

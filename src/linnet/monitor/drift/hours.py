"""The log cut into stretches of one block's length, in the order in which rows were stored.

A stretch ends where a row of a later block comes. A row that is stored late, or by a server whose
clock is behind, counts in the stretch in which it comes. So each row counts once, whatever the
clocks say, and equal logs are cut equally however often somebody looks.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linnet.monitor.drift.streams import RANKED, SHARES, Texts, joined
from linnet.monitor.prediction_log import Store
from linnet.monitor.prediction_log.hashing import audited

CHUNK = 10_000  # rows that are read at once
SETTLE_SECONDS = 60.0  # a younger row may have an elder that is not stored yet
AHEAD_SECONDS = 3600.0  # a row that is later than this machine's clock by more has a wrong time
UNKNOWN = 0  # the hash of a text that the log does not know
COLUMNS = (
    "number",
    "id",
    "time",
    "arm",
    "digest",
    "labels",
    "probability",
    "tokens",
    "truncated",
    "abstained",
    "fast",
    "text_hash",
    "words",
    "surprise",
)


ArmKey = tuple[str, str]  # an arm's name, and its bundle's digest


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """The rows between two positions of the log.

    Attributes:
        block: Number of the block: its beginning in seconds since 1970, by the block's seconds.
        next_block: That of the row after the last.
        last: Number of the last row.
        first_time: Time of the first row, in seconds since 1970.
        rows: How many rows, those from the future included.
        ahead: How many rows have a time in the future. They count nowhere else.
        answers: How many rows each arm and digest has, in the order of their first row.
        texts: Their distinct texts.
        audited: How many of their rows are drawn for the audit.
    """

    block: int
    next_block: int
    last: int
    first_time: float
    rows: int
    ahead: int
    answers: Mapping[ArmKey, int]
    texts: Mapping[ArmKey, Texts]
    audited: Mapping[ArmKey, int] = field(default_factory=dict)


def read_stretches(
    store: Store,
    after: int,
    block: int | None,
    block_seconds: int,
    now: float,
    audit_rate: float = 0.0,
) -> Iterator[Stretch]:
    """Read what can be judged: stretches that are over, and whose rows are settled.

    Args:
        store: The log.
        after: Number of the last row that was read.
        block: The block of the rows that come next; None: that of the first row.
        block_seconds: The length of a block.
        now: This machine's clock, to find rows from the future.
        audit_rate: The share of texts that are drawn for the audit.

    Raises:
        StorageError: The database can't be read.
    """
    open_rows = _Rows(block, audit_rate)
    while True:
        columns = store.columns(COLUMNS, after, CHUNK)
        if not len(columns["number"]):
            return
        after = int(columns["number"][-1])
        yield from open_rows.add(columns, block_seconds, now)


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Rows of one stretch that were read together."""

    last: int
    first_time: float
    rows: int
    ahead: int
    texts: Mapping[ArmKey, Texts]
    audited: Mapping[ArmKey, int]


class _Rows:
    """Rows of stretches that are not over, or not settled."""

    def __init__(self, block: int | None, audit_rate: float):
        self._block = block
        self._audit_rate = audit_rate
        self._waiting: list[tuple[float, Stretch]] = []  # with the time of the row after it
        self._parts: list[_Part] = []
        self._newest = -np.inf

    def add(self, columns: Mapping[str, Any], block_seconds: int, now: float) -> Iterator[Stretch]:
        """Add rows; give the stretches that are settled by them."""
        times = np.asarray(columns["time"], float)
        ahead = times > now + AHEAD_SECONDS
        blocks = np.floor_divide(times, block_seconds).astype(np.int64)
        if self._block is None and not ahead.all():
            self._block = int(blocks[~ahead][0])
        begin = 0 if self._block is None else self._block
        blocks[ahead] = begin
        latest = np.maximum.accumulate(np.maximum(blocks, begin))
        start = 0
        rows = _Columns(columns, ahead, self._audit_rate)
        for end in [*np.flatnonzero(np.diff(latest, prepend=begin)).tolist(), len(times)]:
            if end > start:
                self._parts.append(rows.part(start, end))
            if end < len(times):
                self._close(int(latest[end]), float(times[end]))
            start = end
        self._newest = max(self._newest, float(times[~ahead].max(initial=-np.inf)))
        while self._waiting and self._waiting[0][0] <= self._newest - SETTLE_SECONDS:
            yield self._waiting.pop(0)[1]

    def _close(self, next_block: int, time: float) -> None:
        parts = self._parts
        block = self._block
        self._parts = []
        self._block = next_block
        if not parts or block is None:
            return
        by_arm: dict[ArmKey, list[Texts]] = {}
        drawn: Counter[ArmKey] = Counter()
        for part in parts:
            drawn.update(part.audited)
            for arm, texts in part.texts.items():
                by_arm.setdefault(arm, []).append(texts)
        stretch = Stretch(
            block,
            next_block,
            parts[-1].last,
            parts[0].first_time,
            sum(part.rows for part in parts),
            sum(part.ahead for part in parts),
            {arm: sum(map(len, some)) for arm, some in by_arm.items()},
            {arm: joined(some).distinct() for arm, some in by_arm.items()},
            drawn,
        )
        self._waiting.append((time, stretch))


class _Columns:
    """Columns of the log as arrays."""

    def __init__(self, columns: Mapping[str, Any], ahead: NDArray[np.bool_], audit_rate: float):
        self._numbers = np.asarray(columns["number"], np.int64)
        self._times = np.asarray(columns["time"], float)
        self._ahead = ahead
        keys = list(zip(columns["arm"], columns["digest"], strict=True))
        codes = {key: code for code, key in enumerate(dict.fromkeys(keys))}
        self._arms = list(codes)
        self._codes = np.array([codes[key] for key in keys], np.int64)
        tokens = _floats(columns["tokens"])
        words = _floats(columns["words"])
        with np.errstate(divide="ignore", invalid="ignore"):
            pieces = np.where(words > 0, 1 - words / tokens, np.nan)
        values = {
            "confidence": _floats(columns["probability"]),
            "tokens": tokens,
            "surprise": _floats(columns["surprise"]),
            "pieces": pieces,
        }
        values |= {name: _floats(columns[name]) for name in SHARES}
        assert set(values) == {*RANKED, *SHARES}
        drawn = [audited(identity, audit_rate) for identity in columns["id"]] if audit_rate else []
        self._drawn = np.array(drawn or np.zeros(len(keys)), bool)
        self._texts = Texts(_hashes(columns), columns["labels"], values)

    def part(self, start: int, end: int) -> _Part:
        """The rows from `start` until before `end`."""
        usable = start + np.flatnonzero(~self._ahead[start:end])
        codes = self._codes[usable]
        return _Part(
            int(self._numbers[end - 1]),
            float(self._times[usable[0]] if len(usable) else self._times[start]),
            end - start,
            int(end - start - len(usable)),
            {
                self._arms[code]: self._texts.take(usable[codes == code])
                for code in dict.fromkeys(codes.tolist())
            },
            Counter(self._arms[code] for code in codes[self._drawn[usable]].tolist()),
        )


def _floats(column: Any) -> NDArray[np.float64]:
    return np.array(column, float)


def _hashes(columns: Mapping[str, Any]) -> NDArray[np.int64]:
    """The texts' hashes. Rows of older logs have none: equal answers count as equal texts."""
    hashes = np.array(columns["text_hash"], np.int64)
    for row in np.flatnonzero(hashes == UNKNOWN).tolist():
        hashes[row] = _answer_hash(
            columns["labels"][row], columns["probability"][row], columns["tokens"][row]
        )
    return hashes


def _answer_hash(labels: str, probability: float, tokens: int) -> int:
    answer = f"{labels} {float(probability)!r} {int(tokens)}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(answer, digest_size=8).digest(), signed=True)

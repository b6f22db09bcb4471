"""One answer as the log keeps it, as a row of its table, and joined with its feedback."""

import json
import math
import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from linnet.monitor.prediction_log.truth import Truth, latest, latest_by_source

DRAWN_AT_ONCE = 1000  # random numbers for ids
# Of these PostgreSQL takes neither and SQLite not the second.
UNSTORABLE = re.compile("[\0\ud800-\udfff]")

_drawn: list[bytes] = []
os.register_at_fork(after_in_child=_drawn.clear)  # else two processes would give the same ids


@dataclass(frozen=True, slots=True)
class Record:
    """The answer of one arm to one text.

    Attributes:
        id: Names the text that was asked about: its request's (see `new_id`), "-", its index. The
            answer of a shadow arm has the id of the answer that was returned, so feedback reaches
            both. Id and arm together are unique: a second record of the same is not stored.
        time: When it was answered, seconds since 1970 in UTC.
        arm: Which arm answered.
        digest: The digest of its bundle.
        label: The label given; None where the model abstained or no label applies.
        labels: All labels given: the one, or any number from a multi-label model.
        probability: That of `label`; where there is none, the largest of all.
        tokens: How long the text was to the model, special tokens included.
        truncated: Whether it was longer than the model reads.
        abstained: Whether the model was not sure enough to answer.
        fast: Whether the smaller model of a cascade answered.
        shadow: Whether the answer was only logged, never returned.
        latency_ms: Milliseconds from the request's arrival to the answer.
        text: The text. It is stored only where the settings ask for texts (`prediction_log.texts`).
        epoch: Which arms were at work with which shares; see `Epoch`. 0: not known.
        named: Whether the client named the arm, so that no share decided.
        unit: Keyed hash of what decided the arm: the request's key, else the text. None: not known.
        text_hash: Keyed hash of the text, for repeated texts. None: not known.
        words: Tokens that begin a word.
        surprise: Mean of -ln p of the text's tokens in the training split, in nats. None: the
            bundle doesn't know.
        probabilities: Of all labels in the model's order, as float16 in little-endian order. None
            for two labels that exclude each other, and above 64 labels.
    """

    id: str
    time: float
    arm: str
    digest: str
    label: str | None
    labels: tuple[str, ...]
    probability: float
    tokens: int
    truncated: bool
    abstained: bool
    fast: bool
    shadow: bool
    latency_ms: float
    text: str | None = None
    epoch: int = 0
    named: bool = False
    unit: int | None = None
    text_hash: int | None = None
    words: int = 0
    surprise: float | None = None
    probabilities: bytes | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A record, and what feedback said of it.

    Attributes:
        record: The record.
        truth: The labels that truly apply, mostly one, maybe none; None where nobody has said. Of
            several sources the latest counts.
        truth_time: When that was said, seconds since 1970 in UTC.
        truths: The latest of each source.
    """

    record: Record
    truth: tuple[str, ...] | None
    truth_time: float | None
    truths: tuple[Truth, ...] = ()


def new_id() -> str:
    """A UUID of version 7 (RFC 9562, section 5.7) as 32 hexadecimal digits.

    It begins with the time, so what is answered together lies together in the store's index, which
    random ids would make several times slower to write; 74 bits of it can't be guessed.
    """
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(_ten_random_bytes())
    value = value & ~(0xF << 76) | 7 << 76  # the version
    value = value & ~(0x3 << 62) | 2 << 62  # the variant
    return f"{value:032x}"


def _ten_random_bytes() -> bytes:
    # Many at once: on virtual machines the system call takes as long as all else that is done for a
    # request.
    try:
        return _drawn.pop()
    except IndexError:
        block = os.urandom(10 * DRAWN_AT_ONCE)
        _drawn.extend(block[start : start + 10] for start in range(0, len(block), 10))
        return _ten_random_bytes()


def storable(text: str) -> str:
    """The text with U+FFFD for what no database takes: NUL and halves of surrogate pairs.

    Raises:
        TypeError: Not a string.
    """
    return UNSTORABLE.sub("\ufffd", text)


def to_row(record: Record, texts: bool) -> tuple[Any, ...]:
    """A record as values in the order of its attributes.

    Args:
        record: Any record, from wherever its strings and numbers come.
        texts: Whether the text is among them; else it is None.

    Raises:
        TypeError, ValueError: An attribute is of the wrong type, or a number is not finite.
    """
    moment = float(record.time)
    probability = float(record.probability)
    latency_ms = float(record.latency_ms)
    surprise = None if record.surprise is None else float(record.surprise)
    if not all(map(math.isfinite, (moment, probability, latency_ms, surprise or 0.0))):
        raise ValueError(f"Expected finite numbers, got {moment}, {probability} and {latency_ms}.")
    return (
        storable(record.id),
        moment,
        storable(record.arm),
        storable(record.digest),
        None if record.label is None else storable(record.label),
        json.dumps([*map(storable, record.labels)], ensure_ascii=False),
        probability,
        int(record.tokens),
        bool(record.truncated),
        bool(record.abstained),
        bool(record.fast),
        bool(record.shadow),
        latency_ms,
        storable(record.text) if texts and record.text is not None else None,
        int(record.epoch),
        bool(record.named),
        None if record.unit is None else int(record.unit),
        None if record.text_hash is None else int(record.text_hash),
        int(record.words),
        surprise,
        _bytes(record.probabilities),
    )


def _bytes(value: bytes | None) -> bytes | None:
    if value is not None and not isinstance(value, bytes):
        raise TypeError(f"Expected bytes, got {type(value).__name__}.")
    return value


def to_record(row: Sequence[Any]) -> Record:
    """The record of a row as `to_row` gives it, or as a database does."""
    values = list(row)
    values[5] = tuple(json.loads(values[5]))
    values[8:12] = map(bool, values[8:12])  # SQLite gives numbers
    values[15] = bool(values[15])
    return Record(*values)


def to_entry(record: Record, truths: Sequence[Truth]) -> Entry:
    """A record joined with all feedback about it, in the order in which it was stored."""
    counts = latest(truths)
    if counts is None:
        return Entry(record, None, None)
    return Entry(record, counts.labels, counts.time, latest_by_source(truths))

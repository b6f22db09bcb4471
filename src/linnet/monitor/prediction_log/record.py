"""One answer as the log keeps it, and as a row of its table."""

import json
import math
import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

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


@dataclass(frozen=True, slots=True)
class Entry:
    """A record, and what feedback said of it.

    Attributes:
        record: The record.
        truth: The labels that truly apply, mostly one, maybe none; None where nobody has said.
        truth_time: When that was said, seconds since 1970 in UTC.
    """

    record: Record
    truth: tuple[str, ...] | None
    truth_time: float | None


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
        texts: Whether the text is among them; else None stands for it.

    Raises:
        TypeError, ValueError: An attribute is of the wrong type, or a number is not finite.
    """
    moment = float(record.time)
    probability = float(record.probability)
    latency_ms = float(record.latency_ms)
    if not all(map(math.isfinite, (moment, probability, latency_ms))):
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
    )


def to_entry(row: Sequence[Any]) -> Entry:
    """The entry of a row:

    a record's values, then the labels and the time of its feedback, or twice None.
    """
    *values, labels, truth_time = row
    values[5] = tuple(json.loads(values[5]))
    values[8:12] = map(bool, values[8:12])  # SQLite gives numbers
    return Entry(Record(*values), None if labels is None else tuple(json.loads(labels)), truth_time)

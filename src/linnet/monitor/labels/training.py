"""Write the labelled rows of the log as a file that `linnet prepare --add` takes.

The source of each label goes with it, and `prepare` obeys it: audited rows measure, all others
teach. A text with answers of several sources has the audit's, then those of people who were asked.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from linnet.errors import UsageError
from linnet.files import write_text
from linnet.monitor.labels.ledger import Ledger
from linnet.monitor.labels.view import LogView, read_view, texts_of
from linnet.monitor.prediction_log import Store, Truth

PRIORITY = ("audit", "disagree", "queue", "user")
SUFFIX = ".jsonl"


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        rows: Rows by source.
        without_text: Labelled rows whose text the log doesn't hold.
        same_text: Labelled rows whose text another row has.
    """

    rows: dict[str, int]
    without_text: int
    same_text: int


def check_name(out: Path) -> None:
    """Refuse another format before any work is done.

    Raises:
        UsageError: The name has another ending.
    """
    if out.suffix != SUFFIX:
        raise UsageError(
            f"The labelled rows are written as JSON lines, but {out} ends in another way. "
            f"Name a file that ends in {SUFFIX}."
        )


def write_training(
    store: Store, folder: Path, out: Path, sources: tuple[str, ...], rate: float
) -> Exported:
    """Write the labelled rows.

    Each has `text`, `label` (a list if a text may have several), `source`, `weight`, `time` and
    `id`. The weight of an audited row is the largest rate of the audit over the row's own, so it
    is 1 as long as the rate stays the same.

    Args:
        store: The log.
        folder: The monitor's folder, which knows the rate of each row that was asked for.
        out: The file, which is replaced.
        sources: Those that are written.
        rate: The audit's rate of rows that the folder doesn't know.

    Raises:
        UsageError: There is no labelled row with a text.
        StorageError: A disk or database refused.
    """
    check_name(out)
    view = read_view(store)
    asked = Ledger.read(folder).rows
    places = {view.id[place]: int(place) for place in view.returned}
    chosen = dict(_chosen(view, places, sources))
    texts = texts_of(store, [int(view.number[place]) for place in chosen])
    several = view.is_multi_label()
    if not several:
        chosen = {place: truth for place, truth in chosen.items() if len(truth.labels) == 1}
    rates = {
        name: row.inclusion
        for name, row in asked.items()
        if row.reason == "audit" and row.inclusion
    }
    largest = max(rates.values(), default=rate)
    rows: list[dict[str, Any]] = []
    seen: set[str] = set()
    without_text = 0
    for place, truth in _by_priority(chosen):
        text = texts.get(int(view.number[place]))
        if text is None:
            without_text += 1
            continue
        if text in seen:
            continue
        seen.add(text)
        own = rates.get(truth.id, largest)
        weight = largest / own if truth.source == "audit" else 1.0
        rows.append(_row(text, truth, several, round(weight, 6), float(view.time[place])))
    if not rows:
        raise UsageError(_why_none(store, without_text))
    rows.sort(key=lambda row: (row["time"], row["id"]))
    lines = (json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n" for row in rows)
    write_text(out, "".join(lines), private=True)
    return Exported(
        dict(Counter(row["source"] for row in rows)),
        without_text,
        len(chosen) - without_text - len(rows),
    )


def _chosen(
    view: LogView, places: dict[str, int], sources: tuple[str, ...]
) -> Iterator[tuple[int, Truth]]:
    """The row of each labelled answer, with the truth that counts."""
    for name, said in view.truths.items():
        source = next((each for each in PRIORITY if each in sources and each in said), None)
        if source and name in places:
            yield places[name], said[source]


def _by_priority(chosen: dict[int, Truth]) -> list[tuple[int, Truth]]:
    """Of equal sources the latest first, so that it counts for a text with several answers."""
    return sorted(
        chosen.items(),
        key=lambda pair: (PRIORITY.index(pair[1].source), -pair[1].time, pair[1].id),
    )


def _row(text: str, truth: Truth, several: bool, weight: float, time: float) -> dict[str, Any]:
    moment = datetime.fromtimestamp(time, UTC).isoformat(timespec="seconds")
    return {
        "text": text,
        "label": list(truth.labels) if several else truth.labels[0],
        "source": truth.source,
        "weight": weight,
        "time": moment.replace("+00:00", "Z"),
        "id": truth.id,
    }


def _why_none(store: Store, without_text: int) -> str:
    if without_text:
        return (
            f"The prediction log {store.name} holds {without_text:,} labelled rows, but the text "
            "of none. Set prediction_log.texts, so that later rows can be trained on."
        )
    return (
        f"The prediction log {store.name} holds no labelled row. "
        "Ask for labels with `linnet queue`, and read them with `linnet labels FILE LOG`."
    )

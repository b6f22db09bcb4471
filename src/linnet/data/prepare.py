"""The stage itself: a raw file becomes three splits and a card that accounts for every row."""

from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from linnet.config import Config, DataConfig
from linnet.data import card
from linnet.data.audit import suspects
from linnet.data.clean.collect import Collected, Collector
from linnet.data.clean.staging import ROW, Staging
from linnet.data.group.texts import Resolution, resolve
from linnet.data.read import known
from linnet.data.read.open import Opened, open_table
from linnet.data.split.assign import NAMES, NOWHERE, Assignment, Rows, assign
from linnet.data.split.files import SplitWriter
from linnet.files import whole_directory
from linnet.progress import progress

STAGING = "staging"


def prepare(config: Config, directory: Path) -> dict[str, Any]:
    """Read, clean, audit, sample and split a raw file.

    Args:
        config: Its `data` section says what is read and how it is split.
        directory: The splits folder; appears whole, or stays as it was.

    Returns:
        The data card, as in data_card.json.

    Raises:
        DataError: The file, or too much of it, can't be used.
        StorageError: The disk refused a write.
    """
    settings = known.resolve(config.data)
    with ExitStack() as stack:
        opened = stack.enter_context(open_table(settings))
        folder = stack.enter_context(whole_directory(directory, holds=card.NAME))
        collector = Collector(opened.table, settings, folder / STAGING)
        with progress("prepare", opened.size, "bytes") as task:
            done = 0
            for _ in collector.collect():
                task.advance(opened.position() - done)
                done = opened.position()
        return _finish(collector.result(), collector.staging, settings, opened, folder)


def _finish(
    collected: Collected, staging: Staging, settings: DataConfig, opened: Opened, folder: Path
) -> dict[str, Any]:
    resolution = resolve(collected.text, collected.label, collected.row, settings.duplicates, settings.conflicts)
    usable = ~(resolution.duplicate | resolution.conflicting)
    rows = Rows(collected.label, collected.rank, collected.row, collected.group).take(usable)
    assignment = assign(
        rows, collected.labels, settings.sample, settings.validation_size, settings.test_size, settings.seed
    )
    split = np.full(len(usable), NOWHERE, dtype=np.int8)
    split[usable] = assignment.split
    lengths = _write(collected, staging, split, folder)
    staging.remove()
    content = card.describe(
        settings=settings,
        source=opened.source,
        dialect=opened.table.dialect,
        collected=collected,
        noise=suspects.write(folder, settings.noise_sample),
        found=resolution.counts | _group_counts(rows, collected.normal[usable]),
        accounting=_account(collected, resolution, assignment),
        split=split,
        lengths=lengths,
        notes=[*assignment.notes, *_correction_notes(collected)],
    )
    card.write(folder, content, lengths)
    return content


def _write(collected: Collected, staging: Staging, split: np.ndarray, folder: Path) -> dict[str, np.ndarray]:
    """Write the splits in the order of the ranks; gives the lengths of their texts, in characters."""
    lengths: dict[str, list[np.ndarray]] = {name: [np.empty(0, dtype=np.int32)] for name in NAMES}
    with ExitStack() as stack:
        writers = [stack.enter_context(SplitWriter(folder, name, collected.names, collected.labels)) for name in NAMES]
        for table in staging.read():
            row = table[ROW].to_numpy()
            order = np.lexsort((collected.row[row], collected.rank[row]))
            for index, name in enumerate(NAMES):
                chosen = order[split[row[order]] == index]
                part = table.take(pa.array(chosen))
                part = part.set_column(collected.names.index("label"), "label", pa.array(collected.label[row[chosen]]))
                writers[index].write(part)
                lengths[name].append(pc.utf8_length(part["text"]).to_numpy())
    return {name: np.concatenate(parts) for name, parts in lengths.items()}


def _correction_notes(collected: Collected) -> list[str]:
    idle = collected.corrections["texts"] - collected.corrections["texts_met"]
    return [f"{idle:,} of the corrections name a text that the file does not hold."] if idle else []


def _group_counts(rows: Rows, normal: np.ndarray) -> dict[str, int]:
    sizes = np.unique(rows.group, return_counts=True)[1]
    return {
        "normalised_texts": len(np.unique(normal)),
        "groups": len(sizes),
        "groups_of_several": int((sizes > 1).sum()),
        "rows_in_groups_of_several": int(sizes[sizes > 1].sum()),
        "largest_group": int(sizes.max()),
    }


def _account(collected: Collected, resolution: Resolution, assignment: Assignment) -> dict[str, Any]:
    dropped = Counter(collected.dropped)
    dropped["duplicate"] = int(resolution.duplicate.sum())
    dropped["conflicting_labels"] = int(resolution.conflicting.sum())
    dropped["not_sampled"] = int((assignment.split == NOWHERE).sum())
    used = {name: int((assignment.split == index).sum()) for index, name in enumerate(NAMES)}
    rows_used, rows_dropped = sum(used.values()), dropped.total()
    if collected.rows_in != rows_used + rows_dropped:
        raise AssertionError(f"of {collected.rows_in} rows, {rows_used} were used and {rows_dropped} dropped")
    return {
        "rows_in": collected.rows_in,
        "rows_used": rows_used,
        "rows_dropped": rows_dropped,
        "used": used,
        "dropped": {reason: count for reason, count in sorted(dropped.items()) if count},
    }

"""The stage `prepare`: raw rows to three splits and a card that accounts for every row."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from linnet.config import Config, DataConfig, Files, named
from linnet.data import card
from linnet.data.audit import label_issues
from linnet.data.audit.examine import examine
from linnet.data.clean.collect import Collected, Collector
from linnet.data.clean.staging import ROW, Staging
from linnet.data.group.texts import digests
from linnet.data.previous import Previous, check_review
from linnet.data.sources import added, catalog
from linnet.data.sources.dates import parse_dates, why_no_dates
from linnet.data.sources.find import with_parts
from linnet.data.sources.open import Opened, open_table
from linnet.data.split.assign import NAMES, TEST, VALIDATION
from linnet.data.split.assignment import MAIN, Placement, RowTable, assign_rows
from linnet.data.split.classes import Classes
from linnet.data.split.files import SplitWriter
from linnet.data.split.sources import Sources
from linnet.errors import DataError
from linnet.files import whole_directory
from linnet.labels import listed
from linnet.progress import progress
from linnet.tables.table import Table

STAGING = "staging"
ADDED = 3  # the number of the added file, after those of the splits
FILE_NAMES = (*NAMES, "added")
WRITTEN = {card.NAME, card.PAGE, label_issues.NAME, *(f"{name}.parquet" for name in NAMES)}


def prepare(config: Config, directory: Path) -> dict[str, Any]:
    """Read, clean, audit, sample and split a raw file.

    Args:
        config: Its `data` section names the files and says how they are split.
        directory: The splits folder. It appears whole or does not change.

    Returns:
        The data card, as in data_card.json.

    Raises:
        DataError: The file can't be used, or too few of its rows can.
        StorageError: The disk refused a write.
        UsageError: The folder holds other files, or a suspects.csv that was edited.
    """
    check_review(directory)
    settings, parts = with_parts(catalog.resolve(config.data))
    config = config.model_copy(update={"data": settings})
    with whole_directory(directory, holds=card.NAME, only=WRITTEN) as folder:
        columns = [column for column in (settings.split_by, settings.group_column) if column]
        collector = Collector(settings, folder / STAGING, columns, optional=(added.SOURCE,))
        files = _collect(collector, settings)
        return _finish(collector, files, config, directory, folder, parts)


def _files(settings: DataConfig) -> Iterator[tuple[int, Files]]:
    """The files to read, each with the split whose own file it is; the added file is `ADDED`."""
    yield MAIN, settings.source
    if settings.validation_file:
        yield VALIDATION, settings.validation_file
    if settings.test_file:
        yield TEST, settings.test_file
    if settings.added_file:
        yield ADDED, settings.added_file


def _collect(collector: Collector, settings: DataConfig) -> list[tuple[int, Opened]]:
    """Read all files.

    All are opened before the first is read, so that a wrong column in the last one fails early.
    """
    with ExitStack() as stack:
        files = []
        main: Table | None = None
        for split, file in _files(settings):
            with _named(split, file, settings):
                opened = stack.enter_context(_open(split, file, settings))
                if settings.added_file:
                    opened = _with_sources(opened, split, main, settings)
                main = main or opened.table
                number = collector.expect(opened.table)
            files.append((split, file, opened, number))
        for split, file, opened, number in files:
            with (
                _named(split, file, settings),
                progress(f"prepare {_name(opened, file)}", opened.size, "bytes") as task,
            ):
                done = 0
                for _ in collector.collect(number):
                    task.advance(opened.position() - done)
                    done = opened.position()
        return [(split, opened) for split, _, opened, _ in files]


def _open(split: int, file: Files, settings: DataConfig) -> AbstractContextManager[Opened]:
    if split != ADDED:
        return open_table(settings.model_copy(update={"source": file}), split=NAMES[split])
    own = {"source": file, "encoding": "", "text_column": "text", "label_column": "label"}
    return open_table(settings.model_copy(update=own))


def _with_sources(opened: Opened, split: int, main: Table | None, settings: DataConfig) -> Opened:
    """The table with the columns of the main one and those that say where a label comes from."""
    table = opened.table
    if split == ADDED and main is not None:
        return replace(opened, table=added.like_main(table, main, settings))
    return replace(opened, table=added.with_added_columns(table))


def _name(opened: Opened, file: Files) -> str:
    return opened.source.name if opened.source else named(file)


@contextmanager
def _named(split: int, file: Files, settings: DataConfig) -> Iterator[None]:
    """Name the file in errors of the block."""
    try:
        yield
    except DataError as error:
        if split != MAIN:
            name = FILE_NAMES[split]
            message = f"{name.capitalize()} file {named(file)}: {error}"
            if file == settings.source:
                message += f" To leave the {name} part out, name the files to train on with --data."
            error.args = (message,)  # keeps the type of the error
        raise


def _finish(
    collector: Collector,
    files: list[tuple[int, Opened]],
    config: Config,
    directory: Path,
    folder: Path,
    parts: tuple[str, ...],
) -> dict[str, Any]:
    settings = config.data
    opened = files[0][1]
    origins = np.array([MAIN if split == ADDED else split for split, _ in files])
    collected = collector.result()
    staging = collector.staging
    classes = Classes(collected.labels, collected.label_sets)
    previous = Previous.find(directory, settings, collected.text)
    table = _row_table(collected, classes, origins, previous, settings)
    placement = assign_rows(table, settings)
    left_out = _left_out(collected, placement)
    collected = collected.without(placement.left_out)
    classes = Classes(collected.labels, collected.label_sets)
    lengths = _write(collected, staging, placement.split, settings, folder)
    staging.remove()
    content = card.describe(
        settings=settings,
        source=opened.source,
        apart={FILE_NAMES[split]: each.source for split, each in files[1:] if each.source},
        dialect=opened.table.dialect,
        collected=collected,
        noise=label_issues.write(folder, settings.noise_sample),
        found=placement.found | {"normalised_texts": collected.normalised_texts},
        accounting=_account(collected, placement),
        classes=_class_counts(classes, collected.label, placement.split),
        since=previous.changes(placement.split),
        lengths=lengths,
        audit=examine(folder, config.model, settings.split_by),
        left_out=left_out,
        sources=table.sources.counts(placement.split, NAMES) if table.sources else None,
        notes=[
            *parts,
            *(note for _, each in files for note in each.table.notes),
            *collected.forms.notes(),
            *_left_out_notes(left_out, settings),
            *placement.notes,
            *previous.notes,
            *_correction_notes(collected),
        ],
    )
    card.write(folder, content, lengths)
    return content


def _row_table(
    collected: Collected,
    classes: Classes,
    origins: np.ndarray,
    previous: Previous,
    settings: DataConfig,
) -> RowTable:
    return RowTable(
        classes=classes,
        label=collected.label,
        rank=collected.rank,
        text=collected.text,
        group=collected.group,
        row=collected.row,
        origin=origins[collected.origin].astype(np.int8),
        before=previous.split,
        author=_digests_of(collected.columns[settings.group_column])
        if settings.group_column
        else None,
        when=_moments(collected.columns[settings.split_by], settings.split_by)
        if settings.split_by
        else None,
        sources=Sources.find(collected.columns.get(added.SOURCE)),
    )


def _moments(column: pa.ChunkedArray, name: str) -> np.ndarray:
    when = parse_dates(column, numbers=True)
    if np.isnat(when).all():
        raise DataError(
            f"The column {name!r} holds no date that can be read. "
            + (
                why_no_dates(column)
                or "Expected 2009-06-16, 2009-06-16T10:11:12Z or Tue Jun 16 10:11:12 PDT 2009. "
                "A form such as 25/6/2009 needs one row with a day over 12."
            )
        )
    return when


def _digests_of(column: pa.ChunkedArray) -> np.ndarray:
    """Digests of a column's values, uint64 (n,); 0 for an empty or missing field."""
    encoded = column.combine_chunks().dictionary_encode()
    values = encoded.dictionary.to_pylist()
    known = np.where(
        [value != "" for value in values],
        digests([value.encode() for value in values]),
        np.uint64(0),
    )
    return np.asarray(
        np.append(known, np.uint64(0))[pc.fill_null(encoded.indices, len(known)).to_numpy()]
    )


def _write(
    collected: Collected, staging: Staging, split: np.ndarray, settings: DataConfig, folder: Path
) -> dict[str, np.ndarray]:
    """Write the splits in the order of the ranks.

    Returns:
        Lengths of the texts of each split, in characters.
    """
    lengths: dict[str, list[np.ndarray]] = {name: [np.empty(0, dtype=np.int32)] for name in NAMES}
    several = bool(collected.label_sets)
    sets = pa.array(collected.label_sets, pa.list_(pa.int64()))
    with ExitStack() as stack:
        writers = [
            stack.enter_context(
                SplitWriter(folder, name, collected.names, collected.labels, several, settings.mask)
            )
            for name in NAMES
        ]
        for table in staging.read():
            row = table[ROW].to_numpy()
            order = np.lexsort((collected.row[row], collected.rank[row]))
            for index, name in enumerate(NAMES):
                chosen = order[split[row[order]] == index]
                part = table.take(pa.array(chosen))
                labels = pa.array(collected.label[row[chosen]])
                labels = sets.take(labels) if several else labels
                part = part.set_column(collected.names.index("label"), "label", labels)
                writers[index].write(part)
                lengths[name].append(pc.utf8_length(part["text"]).to_numpy())
    return {name: np.concatenate(parts) for name, parts in lengths.items()}


def _class_counts(
    classes: Classes, label: np.ndarray, split: np.ndarray
) -> dict[str, dict[str, int]]:
    return {
        name: dict(zip(classes.names, classes.counts(label[split == index]).tolist(), strict=True))
        for index, name in enumerate(NAMES)
    }


def _left_out(collected: Collected, placement: Placement) -> dict[str, int]:
    """The rare classes, each with its number of rows before any was dropped."""
    rows = Classes(collected.labels, collected.label_sets).counts(collected.label)
    return {
        collected.labels[index]: int(rows[index])
        for index in np.flatnonzero(placement.left_out).tolist()
    }


def _left_out_notes(left_out: dict[str, int], settings: DataConfig) -> list[str]:
    if not left_out:
        return []
    return [
        f"{len(left_out):,} classes have fewer than {settings.min_class_rows:,} usable rows. "
        f"They are left out (rows): {listed(left_out)}."
    ]


def _correction_notes(collected: Collected) -> list[str]:
    idle = collected.corrections["texts"] - collected.corrections["texts_met"]
    return [f"{idle:,} of the corrections name a text that is not in the file."] if idle else []


def _account(collected: Collected, placement: Placement) -> dict[str, Any]:
    dropped = collected.dropped + placement.dropped
    used = {name: int((placement.split == index).sum()) for index, name in enumerate(NAMES)}
    rows_used = sum(used.values())
    rows_dropped = dropped.total()
    if collected.rows_in != rows_used + rows_dropped:
        raise AssertionError(
            f"of {collected.rows_in} rows, {rows_used} were used and {rows_dropped} dropped"
        )
    return {
        "rows_in": collected.rows_in,
        "rows_used": rows_used,
        "rows_dropped": rows_dropped,
        "used": used,
        "dropped": {reason: count for reason, count in sorted(dropped.items()) if count},
    }

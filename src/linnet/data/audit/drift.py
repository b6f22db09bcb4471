"""Show how rows and labels change with time, if a column has dates."""

from typing import Any

import numpy as np

from linnet.data.audit.sample import Sample
from linnet.data.sources.dates import is_date_column, parse_dates, says_time

ROWS = 60_000
MOST_BINS = 40
FEWEST_ROWS = 20
OUTSIDE = 0.001  # of the rows at each end; stray dates would squeeze all others into one bin
WIDTHS = (
    *((count, "s") for count in (1, 10, 60, 600)),
    *((count, "h") for count in (1, 3, 6, 12)),
    *((count, "D") for count in (1, 2, 3, 7, 14)),
    *((count, "M") for count in (1, 3, 6)),
    *((count, "Y") for count in (1, 2, 5, 10, 50, 500)),
)


def examine_drift(samples: dict[str, Sample], wanted: str) -> dict[str, Any] | None:
    """Count rows and labels by time.

    Args:
        samples: One per split. The same share of each is taken, so that together they are a sample
            of all rows.
        wanted: The column of dates; empty for the first that has dates.

    Returns:
        The `column`, the number of `rows`, of rows `without_date` and `outside` of the time shown,
        and `bins`. Each bin has its `start` in UTC, its `rows`, and the shares of the `labels`.
        None without dates, or if all are equal.
    """
    train = samples["train"]
    column = wanted or next(
        (name for name in train.table.column_names if _is_dates(train, name)), ""
    )
    if not column or column not in train.table.column_names:
        return None
    total = sum(sample.rows for sample in samples.values())
    share = min(
        [
            ROWS / max(total, 1),
            1.0,
            *(len(each) / each.rows for each in samples.values() if each.rows),
        ]
    )
    times = []
    members = []
    for sample in samples.values():
        rows = int(share * sample.rows)
        times.append(sample.table[column].slice(0, rows).combine_chunks())
        members.append(sample.members[:rows])
    moments = np.concatenate([parse_dates(part, _numbers(column, wanted)) for part in times])
    labels = np.concatenate(members)
    known = ~np.isnat(moments)
    if known.sum() < FEWEST_ROWS:
        return None
    starts, place = _bins(moments[known])
    if len(starts) < 2:
        return None
    shown = [
        _bin(start, labels[known][place == index], train.label_names)
        for index, start in enumerate(starts)
    ]
    return {
        "column": column,
        "rows": len(moments),
        "without_date": int((~known).sum()),
        "outside": int((place < 0).sum()),
        "bins": shown,
    }


def _numbers(column: str, wanted: str) -> bool:
    return column == wanted or says_time(column)


def _is_dates(sample: Sample, name: str) -> bool:
    return name not in ("text", "label") and is_date_column(
        sample.table[name][:1000], says_time(name)
    )


def _bin(start: np.datetime64, labels: np.ndarray, names: tuple[str, ...]) -> dict[str, Any]:
    shares = labels.mean(axis=0) if len(labels) else [None] * len(names)
    return {
        "start": str(start),
        "rows": len(labels),
        "labels": {
            name: None if share is None else round(float(share), 4)
            for name, share in zip(names, shares, strict=True)
        },
    }


def _bins(moments: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Starts of the bins, and the bin of each moment, int (n,), or -1 outside of all bins."""
    seconds = np.sort(moments.astype(np.int64))
    stray = int(OUTSIDE * len(seconds))
    low, high = (
        np.datetime64(int(seconds[index]), "s") for index in (stray, len(seconds) - 1 - stray)
    )
    for count, unit in WIDTHS:
        kind = f"datetime64[{unit}]"
        first, last = (bound.astype(kind).astype(np.int64) // count for bound in (low, high))
        if last - first < MOST_BINS:
            break
    place = moments.astype(kind).astype(np.int64) // count - first
    place[(place < 0) | (place > last - first)] = -1
    return (np.arange(first, last + 1) * count).astype(kind), place

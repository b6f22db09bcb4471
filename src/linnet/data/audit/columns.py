"""Find columns that predict the label, such as a date if one class was collected last.

Each column is tested alone, on rows that it was not fitted on. The measure is information: the
share of the label's entropy that the column removes (Theil's uncertainty coefficient). Unlike
accuracy, it also shows knowledge of a rare class. It is negative for a useless column, because
patterns learned by chance mislead.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy import stats
from sklearn.tree import DecisionTreeClassifier

from linnet.data.audit.certain import LEVEL, is_near_certain, lower_bound
from linnet.data.audit.sample import Sample
from linnet.data.sources.added import ADDED, SOURCE
from linnet.data.sources.dates import is_date_column, parse_dates, says_time
from linnet.data.split.sources import Sources

ROWS = 30_000
FEWEST_ROWS = 100
MOST_COLUMNS = 50
MOST_CLASSES = 50  # the rarest are joined to one class
MOST_VALUES = 1000  # of a category; the rarest are joined to one value
FEW_VALUES = 20  # numbers as few as these are codes
FOLDS = 5
LEAVES = 16
PRIOR = 5.0  # pseudo-rows per value, distributed like all rows
LEAK = 0.05  # least information of a column that leaks
PART = 0.01  # least share of rows for a near-certain value or range
NUMBER = r"^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,3})?\s*$"


@dataclass(frozen=True)
class _Column:
    """One column: its kind, and codes, int (n,), or numbers, float (n,), NaN if missing."""

    kind: str
    codes: np.ndarray | None = None
    values: tuple[str, ...] = ()
    numbers: np.ndarray | None = None


def examine_columns(sample: Sample) -> dict[str, Any]:
    """Test how well each column, except text and label, predicts the label.

    Args:
        sample: Train rows.

    Returns:
        `rows`: number of rows tested. `majority`: share of the largest class. `left_out`: columns
        beyond the first 50. `columns`: each with `name`, `kind`, counts of `missing` and
        `distinct` values, and a `verdict`: "constant", "all_different", "too_few_rows", "nothing",
        "hints" or "leaks". The last three come with the out-of-fold `accuracy` and `information`,
        and with the `part` of rows that are near-certain, if any.
    """
    table = sample.table.slice(0, ROWS)
    passed = {"text", "label"}
    if SOURCE in table.column_names and Sources.find(table[SOURCE]):
        passed |= set(ADDED)  # written by Linnet, and chosen rows are of other classes
    names = [name for name in table.column_names if name not in passed]
    label, label_names = sample.label_sets()
    label, label_names = _largest(label[:ROWS], label_names)
    share = np.bincount(label, minlength=len(label_names)) / max(len(label), 1)
    looked_at = names[:MOST_COLUMNS]
    found = [
        {
            "name": name,
            **_examine(table[name].combine_chunks(), name, label, label_names, len(looked_at)),
        }
        for name in looked_at
    ]
    return {
        "rows": len(table),
        "majority": round(float(share.max()), 4),
        "columns": found,
        "left_out": len(names) - len(looked_at),
    }


def _largest(label: np.ndarray, names: list[str]) -> tuple[np.ndarray, list[str]]:
    if len(names) <= MOST_CLASSES:
        return label, names
    kept = np.argsort(-np.bincount(label, minlength=len(names)), kind="stable")[: MOST_CLASSES - 1]
    places = np.full(len(names), len(kept))
    places[kept] = np.arange(len(kept))
    return places[label], [*(names[index] for index in kept), "any other"]


def _examine(
    strings: pa.Array, name: str, label: np.ndarray, label_names: list[str], columns: int
) -> dict[str, Any]:
    strings = pc.if_else(
        pc.equal(pc.utf8_trim_whitespace(strings), ""), pa.scalar(None, pa.string()), strings
    )
    distinct = pc.count_distinct(strings, mode="only_valid").as_py()
    column = _read(strings, name, distinct)
    facts = {"kind": column.kind, "missing": strings.null_count, "distinct": distinct}
    if distinct + (strings.null_count > 0) <= 1:
        return {**facts, "verdict": "constant"}
    if len(label) < FEWEST_ROWS or len(np.unique(label)) < 2:
        return {**facts, "verdict": "too_few_rows"}
    if (
        column.kind == "category"
        and distinct == len(strings) - strings.null_count
        and not strings.null_count
    ):
        return {**facts, "verdict": "all_different"}
    probabilities, prior = _out_of_fold(column, label, len(label_names))
    own = np.arange(len(label)), label
    gains = np.log(probabilities[own]) - np.log(prior[own])
    information = gains.mean() / -np.log(prior[own]).mean()
    error = gains.std() / np.sqrt(len(gains))
    sure = gains.mean() > stats.norm.isf(LEVEL / columns) * error
    part = _part(column, label, label_names) if sure else None
    return {
        **facts,
        "accuracy": round(float((probabilities.argmax(axis=1) == label).mean()), 4),
        "information": round(float(max(information, 0.0)), 4),
        "verdict": ("leaks" if part or information >= LEAK else "hints") if sure else "nothing",
        **({"part": part} if part else {}),
    }


def _read(strings: pa.Array, name: str, distinct: int) -> _Column:
    some = strings.drop_null()[:1000]
    numbers = says_time(name)
    if is_date_column(some, numbers):
        seconds = parse_dates(strings, numbers)
        return _Column(
            "date", numbers=np.where(np.isnat(seconds), np.nan, seconds.astype(np.int64))
        )
    if distinct > FEW_VALUES and pc.mean(pc.match_substring_regex(some, NUMBER)).as_py() >= 0.95:
        is_number = pc.match_substring_regex(strings, NUMBER)
        plain = pc.utf8_ltrim(pc.utf8_trim_whitespace(strings), "+")
        found = pc.if_else(is_number, plain, pa.scalar(None, pa.string())).cast(pa.float64())
        values = found.to_numpy(zero_copy_only=False)
        return _Column("number", numbers=np.where(np.isfinite(values), values, np.nan))
    encoded = strings.dictionary_encode(null_encoding="encode")
    codes = encoded.indices.to_numpy()
    values = ["missing" if value is None else value for value in encoded.dictionary.to_pylist()]
    codes, kept = _most_frequent(codes, values)
    return _Column("category", codes=codes, values=tuple(kept))


def _most_frequent(codes: np.ndarray, values: list[str]) -> tuple[np.ndarray, list[str]]:
    counts = np.bincount(codes, minlength=len(values))
    kept = np.argsort(-counts, kind="stable")[:MOST_VALUES]
    kept = kept[counts[kept] > 1]
    places = np.full(len(values), len(kept))
    places[kept] = np.arange(len(kept))
    return places[codes], [*(values[index] for index in kept), "any other value"]


def _out_of_fold(column: _Column, label: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Out-of-fold probabilities with the column, and without it, both float (n, C)."""
    fold = np.arange(len(label)) % FOLDS
    probabilities = np.empty((len(label), classes))
    prior = np.empty((len(label), classes))
    for held_out in range(FOLDS):
        fit = fold != held_out
        asked = fold == held_out
        cells = _cells(column, label, fit)
        counts = np.zeros((int(cells.max()) + 1, classes))
        np.add.at(counts, (cells[fit], label[fit]), 1)
        base = (counts.sum(axis=0) + 1) / (fit.sum() + classes)
        smooth = (counts + PRIOR * base) / (counts.sum(axis=1, keepdims=True) + PRIOR)
        probabilities[asked] = smooth[cells[asked]]
        prior[asked] = base
    return probabilities, prior


def _cells(column: _Column, label: np.ndarray, fit: np.ndarray) -> np.ndarray:
    """The cell of each row, int (n,): its value, or the range of its number; 0 without a number."""
    if column.numbers is None:
        assert column.codes is not None
        return column.codes
    return np.where(
        np.isnan(column.numbers),
        0,
        np.searchsorted(_cuts(column.numbers, label, fit), column.numbers) + 1,
    )


def _cuts(numbers: np.ndarray, label: np.ndarray, fit: np.ndarray) -> np.ndarray:
    """Cut points of a small tree on the numbers, ascending."""
    fit = fit & ~np.isnan(numbers)
    if not fit.any():
        return np.empty(0)
    # A tree compares in single precision, where close seconds and ids are equal. So it gets ranks.
    ordered, places = np.unique(numbers[fit], return_inverse=True)
    fewest = max(20, int(fit.sum()) // 500)
    tree = DecisionTreeClassifier(max_leaf_nodes=LEAVES, min_samples_leaf=fewest, random_state=0)
    tree.fit(places.reshape(-1, 1).astype(np.float32), label[fit])
    inner = tree.tree_.children_left >= 0
    cuts = np.sort(np.floor(tree.tree_.threshold[inner]).astype(np.int64))
    return np.asarray(ordered[cuts])


def _part(column: _Column, label: np.ndarray, label_names: list[str]) -> dict[str, Any] | None:
    """The largest value or range with a near-certain label; neighbours of one label are joined."""
    cells = _cells(column, label, np.ones(len(label), dtype=bool))
    counts = np.zeros((int(cells.max()) + 1, len(label_names)), dtype=np.int64)
    np.add.at(counts, (cells, label), 1)
    rows = counts.sum(axis=1)
    top = counts.argmax(axis=1)
    share = np.bincount(label, minlength=len(label_names)) / len(label)
    bound = lower_bound(counts[np.arange(len(counts)), top], rows, counts.size)
    good = is_near_certain(bound, share[top])
    if column.values:
        good[len(column.values) - 1 :] = False  # joined rare values are not one value
        runs = [[cell] for cell in np.flatnonzero(good).tolist()]
    else:
        runs = _runs(good, top)
    best = max(runs, key=lambda run: int(rows[run].sum()), default=None)
    if best is None or rows[best].sum() < PART * len(label):
        return None
    return {
        "where": _where(column, cells, best),
        "label": label_names[top[best[0]]],
        "rows": int(rows[best].sum()),
        "share": round(float(counts[best, top[best[0]]].sum() / rows[best].sum()), 4),
    }


def _runs(good: np.ndarray, top: np.ndarray) -> list[list[int]]:
    """Neighbouring cells of one label; the missing, in cell 0, have no neighbour."""
    runs: list[list[int]] = []
    for cell in np.flatnonzero(good).tolist():
        if runs and runs[-1][-1] == cell - 1 > 0 and top[cell] == top[cell - 1]:
            runs[-1].append(cell)
        else:
            runs.append([cell])
    return runs


def _where(column: _Column, cells: np.ndarray, run: list[int]) -> str:
    if column.numbers is None:
        return repr(column.values[run[0]])
    if run == [0]:
        return "missing"
    inside = np.isin(cells, run)
    low = column.numbers[inside].min()
    high = column.numbers[inside].max()
    first, last = (_show(bound, column.kind) for bound in (low, high))
    if high == np.nanmax(column.numbers):
        return f"from {first} on"
    if low == np.nanmin(column.numbers):
        return f"up to {last}"
    return f"from {first} to {last}"


def _show(number: float, kind: str) -> str:
    if kind == "date":
        return str(np.datetime64(int(number), "s")).replace("T", " ")
    return f"{number:.0f}" if number == int(number) else f"{number:g}"

"""Raw values of any type become strings, labels become ids, and what can't be used is counted."""

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from linnet.config import DataConfig, load_config
from linnet.data.clean.collect import BLOCK_ROWS, Collected, Collector, chunks_of
from linnet.data.clean.labels import MAX_LABELS
from linnet.errors import DataError, LabelError
from linnet.tables.table import Table


def collect(
    rows: list[tuple[Any, ...]],
    directory: Path,
    columns: tuple[str, ...] = ("text", "label"),
    **settings: Any,
):
    config: DataConfig = load_config(
        None, {f"data.{key}": value for key, value in settings.items()}
    ).data
    collector = Collector(config, directory / "staging")
    table = Table(columns, iter(enumerate(rows, start=1)), {})
    for _ in collector.collect(collector.expect(table)):
        pass
    result: Collected = collector.result()
    staged = [row for table in collector.staging.read() for row in table.to_pylist()]
    collector.staging.remove()
    assert not (directory / "staging").exists()
    return result, sorted(staged, key=lambda row: row["row"])


def test_values_of_any_type_are_kept_as_strings(tmp_path: Path) -> None:
    values = [
        1,
        2.0,
        2.5,
        float("nan"),
        None,
        True,
        ["a"],
        {"é": 1},
        date(2009, 6, 16),
        "as is",
        10**30,
        1e300,
        float("inf"),
    ]
    rows = [("text", "label", value) for value in values]
    _, staged = collect(rows, tmp_path, ("text", "label", "other"))
    expected = [
        "1",
        "2",
        "2.5",
        None,
        None,
        "true",
        '["a"]',
        '{"é": 1}',
        "2009-06-16",
        "as is",
        str(10**30),
        "1e+300",
        "inf",
    ]
    assert [row["other"] for row in staged] == expected


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["b", "a", "b"], ("a", "b")),
        (["10", "9", "-1"], ("-1", "9", "10")),
        ([1, 0, 1.0], ("0", "1")),
        ([True, False], ("false", "true")),
        ([" yes ", "no"], ("no", "yes")),
        (["2", "10", "x"], ("10", "2", "x")),
    ],
)
def test_labels_are_sorted(tmp_path: Path, labels: list[Any], expected: tuple[str, ...]) -> None:
    result, staged = collect(
        [(f"text {place}", label) for place, label in enumerate(labels)], tmp_path
    )
    assert result.labels == expected
    assert [result.labels[index] for index in result.label] == [row["label"] for row in staged]


def test_what_is_collected_does_not_depend_on_the_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [(f"text {number * 7919 % 1000}", str(number % 3)) for number in range(1000)]
    whole, staged = collect(rows, tmp_path)
    monkeypatch.setattr("linnet.data.clean.collect.CHUNK_ROWS", 7)
    pieces, staged_again = collect(rows, tmp_path)
    for name in ("label", "rank", "text", "group", "row"):
        assert (getattr(whole, name) == getattr(pieces, name)).all()
    assert staged == staged_again
    assert len(np.unique(whole.rank)) == 1000


def test_labels_of_a_list_are_several_labels(tmp_path: Path) -> None:
    rows = [
        ("one", ["b", "a"]),
        ("two", ["a", None]),
        ("three", "b|a"),
        ("four", []),
        ("five", [2, 3.0]),
    ]
    result, _ = collect(rows, tmp_path, label_separator="|")
    assert result.labels == ("2", "3", "a", "b")
    sets = [result.label_sets[place] for place in result.label]
    assert sets == [(2, 3), (2,), (2, 3), (), (0, 1)]
    assert not result.dropped


@pytest.mark.parametrize(
    ("label", "separator", "message"),
    [
        (["a", "b"], "", r"Row 2 has a list for a label: \['a', 'b'\]\. .*--label-separator ','"),
        (["a", "b,c"], "", r"--label-separator '\|'"),
        ({"a": 1}, "|", "Row 2 has an object for a label"),
        (["a|b", "c"], "|", r"Row 2 has the label 'a\|b', which contains '\|'"),
    ],
)
def test_labels_that_are_no_labels(
    tmp_path: Path, label: Any, separator: str, message: str
) -> None:
    with pytest.raises(LabelError, match=message):
        collect([("one", "a"), ("two", label)], tmp_path, label_separator=separator)


def test_long_texts_make_short_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("linnet.data.clean.collect.CHUNK_CHARACTERS", 5000)
    rows = [(number, ("x" * 1000, "a")) for number in range(100)]
    chunks = list(chunks_of(iter(rows)))
    assert [row for chunk in chunks for row in chunk] == rows
    assert max(map(len, chunks)) <= 5000 / 1000 + BLOCK_ROWS


def test_a_label_that_is_not_configured_is_named_with_its_row(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=r"Row 2 has the label 'c'\. Expected one of 'a', 'b'"):
        collect([("one", "a"), ("two", "c")], tmp_path, labels=["a", "b"])


def test_a_column_of_numbers_is_no_label(tmp_path: Path) -> None:
    rows = [(f"text {number}", number) for number in range(MAX_LABELS + 1)]
    with pytest.raises(LabelError, match="Is it the right column"):
        collect(rows, tmp_path)


def test_nothing_usable_says_why(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"none of its 3 rows can be used \(empty_text: 2, missing_label: 1\)"
    ):
        collect([("", "a"), (" ", "a"), ("text", None)], tmp_path)

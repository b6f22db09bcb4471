"""Two data cards side by side: what differs is told, what doesn't is not, and chance is called chance."""

import copy
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from linnet.cli.main import main
from linnet.data.compare import Change, Section, compare, read_card
from linnet.errors import DataError

LABELS = [f"class{number}" for number in range(20)]


@pytest.fixture
def card(splits: Path) -> dict[str, Any]:
    return read_card(splits)


@pytest.fixture
def other(card: dict[str, Any]) -> dict[str, Any]:
    return copy.deepcopy(card)


def section(sections: list[Section], title: str) -> dict[str, Change]:
    found = [section for section in sections if section.title == title]
    assert len(found) == 1, [section.title for section in sections]
    return {change.name: change for change in found[0].changes}


def draw(size: int, weights: list[float], seed: int) -> dict[str, int]:
    return dict(Counter(random.Random(seed).choices(LABELS[: len(weights)], weights, k=size)))


def classes(old: dict[str, int], new: dict[str, int]) -> dict[str, Change]:
    return section(
        compare({"classes": {"train": old}}, {"classes": {"train": new}}), "Classes of train"
    )


def shift(changes: dict[str, Change]) -> str:
    return next(
        change.by for name, change in changes.items() if name.startswith("all shares")
    ).partition(": ")[2]


def test_equal_cards_have_no_difference(card: dict[str, Any], other: dict[str, Any]) -> None:
    other["lineage"] |= {"created": "2031-01-01T00:00:00+00:00", "cpu_count": 96, "git": None}
    assert compare(card, other) == []


def test_only_what_differs_is_told(card: dict[str, Any], other: dict[str, Any]) -> None:
    other["accounting"]["rows_in"] += 50
    other["accounting"]["dropped"]["nul_byte"] = 50
    other["source"]["sha256"] = "f" * 64
    other["notes"] = ["A note."]
    other["settings"]["duplicates"] = "keep"
    sections = compare(card, other)
    assert [section.title for section in sections] == ["Source", "Rows", "Settings", "Notes"]
    assert sections[1].changes == (
        Change("rows_in", "600", "650", "+50 (+8.3%)"),
        Change("dropped nul_byte", "–", "50", ""),
    )
    assert section(sections, "Source")["sha256"].new == "f" * 64
    assert section(sections, "Settings")["duplicates"] == Change("duplicates", "drop", "keep")
    assert section(sections, "Notes") == {"A note.": Change("A note.", "–", "yes")}


def test_what_later_versions_add_is_compared_too(
    card: dict[str, Any], other: dict[str, Any]
) -> None:
    card["audit"] = {"links": {"share": 0.25, "texts": 3}, "ok": True, "list": [1, 2]}
    other["audit"] = {"links": {"share": 0.5, "texts": 3}, "ok": 1, "list": [1, 3], "new_part": {}}
    assert compare(card, other) == [
        Section(
            "Audit",
            (
                Change("links share", "0.25", "0.5", "+0.25 (+100.0%)"),
                Change("list", "[1, 2]", "[1, 3]"),
                Change("ok", "yes", "1"),
            ),
        )
    ]
    del other["audit"]
    assert section(compare(card, other), "Audit")["links texts"] == Change("links texts", "3", "–")


def test_splits_and_quantiles_keep_their_order(card: dict[str, Any], other: dict[str, Any]) -> None:
    for split in other["lengths"].values():
        for name in split:
            split[name] += 1
    names = list(section(compare(card, other), "Characters of a text"))
    assert names[:3] == ["train min", "train p05", "train p25"]
    assert [name.split()[0] for name in names[::7]] == ["train", "validation", "test"]


@pytest.mark.parametrize("weights", [[1, 1], [1] * 20, [30, 1, 1, 1]])
@pytest.mark.parametrize("sizes", [(300, 900), (20_001, 20_000)])
def test_two_draws_of_one_population_differ_by_chance(
    weights: list[float], sizes: tuple[int, int]
) -> None:
    drawn = [
        shift(classes(draw(sizes[0], weights, seed), draw(sizes[1], weights, seed + 1000)))
        for seed in range(60)
    ]
    # One in twenty is the most that is expected; seven of sixty would come once in fifty.
    assert sum(verdict != "chance" for verdict in drawn) < 7


def test_a_shift_is_told_from_chance() -> None:
    assert shift(classes(draw(2000, [1, 1], 1), draw(2000, [6, 4], 2))) == "a shift"
    assert shift(classes({"a": 50, "b": 50}, {"a": 60, "b": 40})) == "chance"
    assert shift(classes({"a": 5000, "b": 5000}, {"a": 6000, "b": 4000})) == "a shift"


def test_a_large_file_does_not_alarm_on_nothing() -> None:
    assert (
        shift(classes({"a": 8_000_000, "b": 8_000_000}, {"a": 8_050_000, "b": 7_950_000}))
        == "small"
    )


def test_classes_are_told_by_how_far_they_moved() -> None:
    old = {"a": 100, "b": 100, "gone": 50}
    changes = classes(old, {"a": 100, "b": 130, "new [red]": 20})
    assert list(changes)[1:] == ["gone", "b", "new [red]"]
    assert changes["gone"] == Change("gone", "50 (20.00%)", "–", "-20.00 points")
    assert changes["b"].new == "130 (52.00%)"


def test_many_classes_are_cut(card: dict[str, Any]) -> None:
    changes = classes(
        dict.fromkeys(LABELS, 10),
        {label: 10 + place for place, label in enumerate(LABELS, start=1)},
    )
    assert len(changes) == 12
    assert "and 10 more" in changes


def test_an_empty_split_is_no_division_by_zero() -> None:
    assert classes({}, {"a": 3})["a"] == Change("a", "–", "3 (100.00%)", "+100.00 points")


def test_prints_a_table(
    splits: Path, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    other = json.loads((splits / "data_card.json").read_text())
    train = other["classes"]["train"]
    train["[red]evil\x1b[2J\n"] = train.pop("positive")
    (tmp_path / "other.json").write_text(json.dumps(other))
    assert main(["compare", str(splits), str(tmp_path / "other.json")]) == 0
    printed = capsys.readouterr().out
    assert "Classes of train" in printed
    assert "[red]evil\N{REPLACEMENT CHARACTER}[2J" in printed
    assert "\x1b[2J" not in printed
    assert main(["compare", str(splits), str(splits)]) == 0
    assert capsys.readouterr().out.strip() == f"The data cards of {splits} and {splits} are equal."


@pytest.mark.parametrize("cards", [[], ["old", "new"], ["old", "new", "--out", "x"]])
def test_the_flag_of_before_names_the_command(
    cards: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prepare", "--compare", *cards]) == 2
    assert "Run `linnet compare OLD NEW` instead." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "There is no data card at .*data_card.json"),
        (b"{", "is no data card"),
        (b"\xff", "is no data card"),
        (b"[1]", "is no data card"),
        (b'{"a": 1}', "is no data card"),
        (
            b'{"format": 99, "accounting": {}}',
            "has format 99. This version of Linnet compares format",
        ),
    ],
)
def test_what_is_no_card_is_refused(tmp_path: Path, content: bytes | None, complaint: str) -> None:
    if content is not None:
        (tmp_path / "data_card.json").write_bytes(content)
    with pytest.raises(DataError, match=complaint):
        read_card(tmp_path)

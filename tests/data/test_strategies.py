"""The ways to split, through the whole stage on real files."""

import csv
import hashlib
import json
import random

import pytest

from linnet.config import load_config
from linnet.data import prepare, read_split
from linnet.data.clean.collect import Collector
from linnet.data.split.files import NAMES
from linnet.errors import DataError


def write(path, rows, columns=("text", "label")):
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([columns, *rows])
    return path


def prepared(path, out, **overrides):
    values = {"data.source": str(path), "data.noise_sample": 0}
    return prepare(
        load_config(None, values | {f"data.{key}": value for key, value in overrides.items()}), out
    )


def texts(out):
    return {name: set(read_split(out, name).texts) for name in NAMES}


def sentences(count, seed, words=400):
    draw = random.Random(seed)
    return [
        " ".join(draw.choices([f"w{number}" for number in range(words)], k=9)) for _ in range(count)
    ]


def labelled(count, seed=0):
    return [(text, ("no", "yes")[place % 2]) for place, text in enumerate(sentences(count, seed))]


def accounted(card):
    counts = card["accounting"]
    return counts["rows_in"] == sum(counts["used"].values()) + sum(counts["dropped"].values())


def test_by_date_the_newest_are_tested_on_and_rows_without_a_date_are_told(tmp_path):
    rows = [
        (*row, f"2021-{1 + place // 28 % 12:02}-{1 + place % 28:02}")
        for place, row in enumerate(labelled(336))
    ]
    rows += [("no date at all here", "yes", ""), (rows[0][0], "no", "2021-12-28")]
    path = write(tmp_path / "a.csv", rows, ("text", "label", "date"))
    card = prepared(path, tmp_path / "out", split_by="date", duplicates="keep", conflicts="keep")
    when = {row[0]: row[2] for row in reversed(rows)}
    dates = {
        name: sorted(when[text] for text in found)
        for name, found in texts(tmp_path / "out").items()
    }
    assert dates["train"][-1] < dates["validation"][0]
    assert dates["validation"][-1] < dates["test"][0]
    assert card["accounting"]["dropped"] == {"copy_of_earlier": 1, "no_date": 1}
    assert accounted(card)


def test_a_column_to_split_by_that_is_not_there_is_named(tmp_path):
    path = write(tmp_path / "a.csv", labelled(50))
    with pytest.raises(DataError, match="There is no column 'when'"):
        prepared(path, tmp_path / "out", split_by="when")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("date", "reason"),
    [("1/2/2009", "whether the day or the month"), ("soon", "one row with a day over 12")],
)
def test_a_column_without_readable_dates_says_why(tmp_path, date, reason):
    path = write(
        tmp_path / "a.csv", [(*row, date) for row in labelled(50)], ("text", "label", "date")
    )
    with pytest.raises(DataError, match=reason):
        prepared(path, tmp_path / "out", split_by="date")


def test_no_author_is_in_two_splits(tmp_path):
    rows = [
        (*row, f"user{place % 60}" if place % 7 else "") for place, row in enumerate(labelled(900))
    ]
    path = write(tmp_path / "a.csv", rows, ("text", "label", "user"))
    card = prepared(path, tmp_path / "out", group_column="user")
    author = {row[0]: row[2] for row in rows}
    authors = [
        {author[text] for text in found} - {""} for found in texts(tmp_path / "out").values()
    ]
    assert not (authors[0] & authors[1] or authors[0] & authors[2] or authors[1] & authors[2])
    assert min(map(len, authors)) >= 3
    assert card["accounting"]["used"] == {"train": 630, "validation": 180, "test": 90}


def test_files_of_their_own_stay_whole_and_nothing_like_them_is_trained_on(tmp_path):
    rows = labelled(400, seed=1)
    apart = labelled(60, seed=2)
    leaks = [(apart[0][0].upper(), "no"), (apart[1][0] + " !", "yes"), (apart[40][0], apart[40][1])]
    path = write(tmp_path / "a.csv", rows + leaks)
    # Another order of the columns; a row of the validation file is one of the test file too.
    test = write(tmp_path / "t.csv", [row[::-1] for row in apart[:30]], ("label", "text"))
    validation = write(tmp_path / "v.csv", [*apart[30:], apart[2]])
    card = prepared(path, tmp_path / "out", test_file=str(test), validation_file=str(validation))
    found = texts(tmp_path / "out")
    assert found["test"] == {text for text, _ in apart[:30]}
    assert found["validation"] == {text for text, _ in apart[30:]}
    assert found["train"] == {text for text, _ in rows}
    assert card["apart"]["test"] == {
        "name": "t.csv",
        "sha256": hashlib.sha256(test.read_bytes()).hexdigest(),
    }
    assert card["accounting"]["dropped"] == {"in_test_file": 3, "in_validation_file": 1}
    assert accounted(card)


def test_a_test_file_of_other_columns_is_refused_before_a_row_is_read(tmp_path, monkeypatch):
    path = write(tmp_path / "a.csv", labelled(50))
    monkeypatch.setattr(Collector, "collect", lambda *_: pytest.fail("a row was read"))
    rows = [(*row, "x") for row in labelled(9)]
    other = write(tmp_path / "t.csv", rows, ("text", "label", "more"))
    with pytest.raises(
        DataError, match=r"different columns: 'text', 'label', 'more' here, 'text', 'label' in"
    ):
        prepared(path, tmp_path / "out", test_file=str(other))


@pytest.mark.parametrize("sample", [0, 300])
def test_again_with_more_rows_every_row_keeps_its_split(tmp_path, sample):
    rows = labelled(800)
    out = tmp_path / "out"
    prepared(write(tmp_path / "a.csv", rows), out, sample=sample)
    before = texts(out)
    random.Random(3).shuffle(rows)
    gone = rows[:50]
    more = labelled(400, seed=9)
    card = prepared(write(tmp_path / "b.csv", more + rows[50:]), out, sample=sample)
    after = texts(out)
    lost = {text for text, _ in gone}
    for name in NAMES:
        assert before[name] - lost <= after[name]
        since = card["since"]["splits"][name]
        assert since["gone"] == len(before[name] & lost)
        assert since["new"] == len(after[name] - before[name])
        assert since["kept"] == len(before[name] - lost) == since["before"] - since["gone"]
    assert card["since"]["moved"] == 0
    assert "Since the last time" in (out / "data_card.html").read_text(encoding="utf-8")
    assert accounted(card)
    if not sample:
        assert card["accounting"]["used"] == {"train": 805, "validation": 230, "test": 115}


def test_copies_that_are_kept_are_counted_one_by_one(tmp_path):
    rows = labelled(400)
    out = tmp_path / "out"
    settings = {"duplicates": "keep", "conflicts": "keep"}
    prepared(write(tmp_path / "a.csv", rows + rows[:60]), out, **settings)
    card = prepared(write(tmp_path / "b.csv", rows + rows[:20] * 3), out, **settings)
    found = card["since"]["splits"].values()
    assert {
        key: sum(entry[key] for entry in found) for key in ("before", "kept", "gone", "new")
    } == {
        "before": 460,
        "kept": 420,  # of 40 texts one copy the fewer
        "gone": 40,
        "new": 40,  # of 20 texts two copies the more
    }


def test_a_split_that_comes_out_small_says_why(tmp_path):
    path = write(tmp_path / "a.csv", labelled(400))
    out = tmp_path / "out"
    prepared(path, out)
    late = sorted(texts(out)["test"])[::2]
    card = prepared(
        write(tmp_path / "b.csv", [row for row in labelled(400) if row[0] not in late]), out
    )
    assert any("rows stay in the split they were in" in note for note in card["notes"])
    rows = [(f"{text} {copy}", label) for text, label in labelled(30) for copy in range(20)]
    card = prepared(write(tmp_path / "c.csv", rows), tmp_path / "groups", test_size=25)
    assert any(
        "not the 25 asked for: groups of like texts are not torn" in note for note in card["notes"]
    )


def test_what_takes_a_class_away_is_told(tmp_path):
    path = write(tmp_path / "a.csv", labelled(400))
    with pytest.raises(
        DataError,
        match=r"has no row of 2 of 2 classes.*sample larger\. .* of one author has .* They all go to",
    ):
        prepared(path, tmp_path / "out", group_column="label")
    with pytest.raises(DataError, match=r"No row is left to split .in_test_file: 400"):
        prepared(path, tmp_path / "out", test_file=str(path))
    assert not (tmp_path / "out").exists()


def test_a_row_that_would_tie_two_splits_together_is_left_out(tmp_path):
    rows = labelled(400)
    out = tmp_path / "out"
    prepared(write(tmp_path / "a.csv", rows), out)
    before = {name: sorted(found) for name, found in texts(out).items()}
    train = before["train"][0]
    test = before["test"][0]
    # Nine words of each: like both (9 of 11 words), which are not like each other... so a chain of two bridges.
    first = train.split()
    second = test.split()
    chain = [" ".join(second[:step] + first[step:]) for step in range(1, 9)]
    card = prepared(write(tmp_path / "b.csv", rows + [(text, "yes") for text in chain]), out)
    after = texts(out)
    assert train in after["train"]
    assert test in after["test"]
    assert card["accounting"]["dropped"].get("between_splits", 0) == len(chain)
    assert accounted(card)


def test_other_settings_split_anew_and_say_so(tmp_path):
    path = write(tmp_path / "a.csv", labelled(400))
    out = tmp_path / "out"
    prepared(path, out)
    card = prepared(path, out, test_size=0.3)
    assert card["since"] is None
    assert any("are ignored: data.test_size" in note for note in card["notes"])
    assert card["accounting"]["used"]["test"] == 120
    assert prepared(path, out, test_size=0.3, keep_splits=False)["since"] is None


def test_the_same_file_again_gives_the_same_bytes(tmp_path):
    path = write(tmp_path / "a.csv", labelled(400))
    out = tmp_path / "out"
    prepared(path, out)
    before = {name: (out / f"{name}.parquet").read_bytes() for name in NAMES}
    card = prepared(path, out)
    assert {name: (out / f"{name}.parquet").read_bytes() for name in NAMES} == before
    assert all(entry["new"] == entry["gone"] == 0 for entry in card["since"]["splits"].values())


def test_several_labels_a_row(tmp_path):
    draw = random.Random(5)
    names = ["joy", "anger", "fear", "love"]
    rows = [
        (text, ", ".join(draw.sample(names, draw.choice([1, 1, 2])))) for text in sentences(600, 4)
    ]
    rows.append(("a text without any label here", " , "))
    card = prepared(write(tmp_path / "a.csv", rows), tmp_path / "out", label_separator=",")
    assert card["multi_label"]
    assert card["labels"] == sorted(names)
    assert card["accounting"]["dropped"] == {}
    assert card["label_forms"]["without_label"] == 1
    truth = {text: {name.strip() for name in label.split(",")} - {""} for text, label in rows}
    for name in NAMES:
        split = read_split(tmp_path / "out", name)
        assert split.multi_label
        for text, applies in zip(split.texts, split.labels, strict=True):
            assert {split.label_names[place] for place in applies.nonzero()[0]} == truth[text]
        shares = [card["classes"][name][label] / len(split) for label in names]
        overall = [sum(label in found for found in truth.values()) / 600 for label in names]
        assert shares == pytest.approx(overall, abs=0.06)


def test_mojibake_is_undone_and_counted(tmp_path):
    rows = labelled(300)
    good = ["It’s a café", "naïve – déjà vu", "I ♥ you"]
    broken = [text.encode().decode("cp1252", errors="replace") for text in good[:1]] + [
        text.encode().decode("latin-1") for text in good[1:]
    ]
    path = write(
        tmp_path / "a.csv", rows + [(text, "yes") for text in [*broken, "Ãrger mit Größe", "élan"]]
    )
    card = prepared(path, tmp_path / "out")
    found = set().union(*texts(tmp_path / "out").values())
    assert set(good) <= found
    assert {"Ãrger mit Größe", "élan"} <= found
    assert card["repaired"] == 3
    card = prepared(path, tmp_path / "out", repair=False)
    assert card["repaired"] == 0
    assert not set(good) & set().union(*texts(tmp_path / "out").values())
    assert (
        json.loads((tmp_path / "out" / "data_card.json").read_text())["settings"]["repair"] is False
    )


def test_an_error_in_a_file_of_its_own_names_the_file(tmp_path):
    path = write(tmp_path / "a.csv", labelled(50))
    test = write(tmp_path / "t.csv", [("good day", "perhaps")])
    with pytest.raises(DataError, match=r"Test file .*t\.csv: .* the label 'perhaps'"):
        prepared(path, tmp_path / "out", test_file=str(test), labels=["no", "yes"])
    assert not (tmp_path / "out").exists()


def test_splits_are_files_of_their_own_for_other_rows(tmp_path):
    rows = labelled(400, seed=1)
    more = labelled(300, seed=2)
    prepared(write(tmp_path / "a.csv", rows), tmp_path / "first")
    given = {
        f"{name}_file": str(tmp_path / "first" / f"{name}.parquet")
        for name in ("validation", "test")
    }
    card = prepared(write(tmp_path / "b.csv", rows + more), tmp_path / "second", **given)
    first = texts(tmp_path / "first")
    second = texts(tmp_path / "second")
    assert (second["validation"], second["test"]) == (first["validation"], first["test"])
    assert second["train"] == first["train"] | {text for text, _ in more}
    assert read_split(tmp_path / "second", "test").label_names == ("no", "yes")
    assert accounted(card)


def test_the_labels_of_a_split_of_several_are_read_by_name(tmp_path):
    several = [(f"text {number}", ("a", "b", "a,b")[number % 3]) for number in range(90)]
    prepared(write(tmp_path / "a.csv", several), tmp_path / "first", label_separator=",")
    prepared(str(tmp_path / "first" / "train.parquet"), tmp_path / "second", label_separator=",")
    again = read_split(tmp_path / "second", "train")
    assert again.label_names == ("a", "b")
    known = dict(several)
    for text, labels in zip(again.texts, again.labels, strict=True):
        assert (
            ",".join(
                name for name, applies in zip(again.label_names, labels, strict=True) if applies
            )
            == known[text]
        )

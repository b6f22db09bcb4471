"""From a suspect to a correction to other labels, and what a broken file of corrections says."""

import csv

import pytest

from linnet.config import load_config
from linnet.data import prepare, read_split
from linnet.data.clean.corrections import Corrections
from linnet.errors import DataError, UsageError

ROWS = [
    (f"the {'good' if i % 2 else 'bad'} day number {i}", "yes" if i % 2 else "no")
    for i in range(400)
]


def write_rows(path, rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    return path


def prepared(tmp_path, rows, **overrides):
    source = write_rows(tmp_path / "rows.csv", rows)
    settings = {
        "data.source": str(source),
        **{f"data.{name}": str(value) for name, value in overrides.items()},
    }
    return prepare(load_config(overrides=settings), tmp_path / "splits")


def test_planted_errors_are_listed_reviewed_and_read_back(tmp_path):
    wrong = {text for text, _ in ROWS[10:30]}
    flipped = [
        (text, {"yes": "no", "no": "yes"}[label] if text in wrong else label)
        for text, label in ROWS
    ]
    card = prepared(tmp_path, flipped)
    with (tmp_path / "splits" / "suspects.csv").open(encoding="utf-8", newline="") as file:
        suspects = list(csv.DictReader(file))
    in_train = wrong & set(read_split(tmp_path / "splits", "train").texts)
    assert {row["text"] for row in suspects} == in_train
    assert card["noise"]["suspects"] == len(in_train) > 5
    assert card["noise"]["share"] == pytest.approx(len(in_train) / card["noise"]["rows"], abs=0.01)

    review = write_rows(
        tmp_path / "review.csv", [(row["text"], row["suggested"]) for row in suspects]
    )
    card = prepared(tmp_path, flipped, corrections=review)
    truth = dict(ROWS)
    train = read_split(tmp_path / "splits", "train")
    assert all(
        train.label_names[label] == truth[text]
        for text, label in zip(train.texts, train.labels, strict=True)
    )
    assert card["corrections"] == {
        "texts": len(in_train),
        "texts_met": len(in_train),
        "rows_changed": len(in_train),
    }
    assert card["noise"]["suspects"] == 0


def test_a_suspect_that_begins_as_a_formula_is_marked_and_read_back(tmp_path):
    rows = [(f"={text};=HYPERLINK(1)", "+" if label == "yes" else "-") for text, label in ROWS]
    for number in range(10, 30):
        text, label = rows[number]
        rows[number] = (text, "-" if label == "+" else "+")
    prepared(tmp_path, rows)
    listed = tmp_path / "splits" / "suspects.csv"
    raw = listed.read_text(encoding="utf-8").splitlines()[1:]
    assert len(raw) > 5
    assert all(line.startswith("\"'=the ") for line in raw)
    with listed.open(encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    assert {row["suggested"] for row in found} == {"'+", "'-"}
    review = write_rows(tmp_path / "review.csv", [(row["text"], row["suggested"]) for row in found])
    card = prepared(tmp_path, rows, corrections=review)
    assert card["corrections"]["texts_met"] == card["corrections"]["rows_changed"] == len(found)


def test_a_review_is_never_replaced(tmp_path):
    prepared(tmp_path, ROWS)
    prepared(tmp_path, ROWS)
    listed = tmp_path / "splits" / "suspects.csv"
    write_rows(listed, [(ROWS[0][0], "yes")])
    before = listed.read_bytes()
    for settings in ({}, {"corrections": listed}):
        with pytest.raises(UsageError, match=r"suspects\.csv was edited, .*Move it elsewhere"):
            prepared(tmp_path, ROWS, **settings)
        assert listed.read_bytes() == before
    listed.rename(tmp_path / "review.csv")
    assert (
        prepared(tmp_path, ROWS, corrections=tmp_path / "review.csv")["corrections"]["texts_met"]
        == 1
    )


def test_raw_data_beside_the_splits_are_never_lost(tmp_path):
    prepared(tmp_path, ROWS)
    source = write_rows(tmp_path / "splits" / "raw.csv", ROWS)
    with pytest.raises(
        UsageError, match=r"'raw\.csv' in it, which Linnet didn't write, would be lost"
    ):
        prepare(load_config(overrides={"data.source": str(source)}), tmp_path / "splits")
    assert source.is_file()


def test_an_empty_label_takes_the_text_out_and_is_accounted(tmp_path):
    review = write_rows(
        tmp_path / "review.csv", [(ROWS[0][0], ""), ("a text of another file", "yes")]
    )
    card = prepared(tmp_path, ROWS, corrections=review)
    assert card["accounting"]["dropped"] == {"removed_by_review": 1}
    assert card["accounting"]["rows_used"] == 399
    assert any("1 of the corrections" in note for note in card["notes"])


@pytest.mark.parametrize(
    "content, sentence",
    [
        ("text,verdict\na,b\n", "no column label"),
        ("", "no column label and no column text"),
        ("text,label\nsame,yes\nsame,no\n", "line 3"),
        ("text,label\n,yes\n", "no CSV of corrections"),
        ('text,label\n"never closed,yes\na text,no\n', "no CSV of corrections: unexpected end"),
    ],
)
def test_a_broken_file_says_what_is_wrong(tmp_path, content, sentence):
    path = tmp_path / "review.csv"
    path.write_text(content)
    with pytest.raises(DataError, match=sentence):
        Corrections.read(path)


def test_a_very_long_text_is_corrected_too(tmp_path):
    text = "word " * 100_000
    assert Corrections.read(write_rows(tmp_path / "review.csv", [(text, "yes")])).labels == {
        text.strip(): "yes"
    }


def test_a_missing_file_and_an_unknown_label(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        Corrections.read(tmp_path / "absent.csv")
    review = write_rows(tmp_path / "review.csv", [(ROWS[0][0], "maybe")])
    with pytest.raises(DataError, match="maybe"):
        prepare(
            load_config(
                overrides={
                    "data.source": str(write_rows(tmp_path / "rows.csv", ROWS)),
                    "data.corrections": str(review),
                    "data.labels": ["no", "yes"],
                }
            ),
            tmp_path / "splits",
        )
    assert not (tmp_path / "splits").exists()

"""One label ends as one class however a file writes it, and a person hears of what looks wrong."""

import csv
import json
import unicodedata
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.test_collect import collect

from linnet.config import load_config
from linnet.data import prepare, read_split
from linnet.data.clean.labels import MISSING, Labels
from linnet.data.sources.open import open_table
from linnet.errors import ConfigError, DataError, LabelError

WORDS = "garden river stone cloud paper wheel apple night horse glass music winter".split()


def text(number: int) -> str:
    return f"{WORDS[number % 12]} {WORDS[number // 12 % 12]} {number * 7919} {number}"


def write_csv(path: Path, labels: list[str], columns: str = "text,label") -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(columns.split(","))
        rows.writerows((text(number), label) for number, label in enumerate(labels))
    return path


def write_json(path: Path, labels: list[Any]) -> Path:
    rows = [{"text": text(number), "label": label} for number, label in enumerate(labels)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_parquet(
    path: Path, labels: pa.Array, feature: Any = None, texts: pa.Array | None = None
) -> Path:
    table = pa.table(
        {
            "text": pa.array(list(map(text, range(len(labels))))) if texts is None else texts,
            "label": labels,
        }
    )
    if feature is not None:
        info = {"info": {"features": {"text": {"dtype": "string"}, "label": feature}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(info)})
    pq.write_table(table, path)
    return path


def run(source: Path, **options: Any) -> dict[str, Any]:
    overrides = {f"data.{name}": value for name, value in options.items()}
    config = load_config(None, {"data.source": str(source), **overrides})
    return prepare(config, source.parent / "splits")


def classes(card: dict[str, Any]) -> dict[str, int]:
    return {
        name: sum(card["classes"][split][name] for split in card["classes"])
        for name in card["labels"]
    }


def test_equal_numbers_are_one_label_and_it_is_said(tmp_path: Path) -> None:
    card = run(write_csv(tmp_path / "a.csv", ["1", "1.0", "0", "0.0"] * 10))
    assert classes(card) == {"0": 20, "1": 20}
    assert card["label_forms"]["merged"] == {"0": {"0.0": 10}, "1": {"1.0": 10}}
    assert any("'1' also as '1.0' (10)" in note for note in card["notes"])


def test_composed_and_decomposed_letters_are_one_label_and_it_is_said(tmp_path: Path) -> None:
    spelled = ["caf\xe9", "cafe\u0301", "\ufeffja\u200b ", "ja"]
    card = run(write_csv(tmp_path / "a.csv", spelled * 10))
    assert classes(card) == {"caf\xe9": 20, "ja": 20}
    assert any(r"also as 'cafe\u0301' (10)" in note for note in card["notes"])


def test_labels_that_look_alike_or_missing_stay_and_are_named(tmp_path: Path) -> None:
    labels = ["Neg", "neg", "neg", "pos", "nan", "N/A", "ne\u200bg"] * 12
    card = run(write_csv(tmp_path / "a.csv", labels))
    assert len(card["labels"]) == 6
    notes = "\n".join(card["notes"])
    assert r"'Neg' (12), 'neg' (24), 'ne\u200bg' (12)" in notes
    assert (
        "look like missing values, but are used as classes (rows): 'N/A' (12), 'nan' (12)" in notes
    )
    assert r"invisible characters inside (rows): 'ne\u200bg' (12)" in notes
    assert r"ne\u200bg" in (tmp_path / "splits" / "data_card.html").read_text(encoding="utf-8")


def test_lists_written_as_text_are_lists(tmp_path: Path) -> None:
    path = write_csv(
        tmp_path / "a.csv", ["['neg', 'other']", '["neg"]', "[]", "['pos' 'other']"] * 10
    )
    card = run(path, label_separator=",")
    assert classes(card) == {"neg": 20, "other": 20, "pos": 10}
    assert card["label_forms"]["without_label"] == 10
    assert any("40 rows are lists that were written as text" in note for note in card["notes"])
    with pytest.raises(LabelError, match=r"Row 2 has a list.*--label-separator ','"):
        run(path)
    with pytest.raises(LabelError, match=r"in brackets but not a list.*\[\"a\", \"b\"\]"):
        run(write_csv(tmp_path / "b.csv", ["[neg, other]"] * 9), label_separator=",")


def test_a_list_of_one_is_that_label(tmp_path: Path) -> None:
    expected = {"neg": 20, "pos": 20}
    assert classes(run(write_json(tmp_path / "a.jsonl", [["neg"], ["pos"]] * 20))) == expected
    assert classes(run(write_csv(tmp_path / "a.csv", ["['neg']", "pos"] * 20))) == expected
    lists = pa.array([["neg"], ["pos"]] * 20)
    assert classes(run(write_parquet(tmp_path / "a.parquet", lists))) == expected


def test_only_null_is_missing_where_rows_have_several_labels(tmp_path: Path) -> None:
    labels = [["a"], ["b", "a"], [], None, ""] * 8
    card = run(write_json(tmp_path / "a.jsonl", labels), label_separator=",")
    assert card["accounting"]["dropped"] == {"missing_label": 8}
    assert card["label_forms"]["without_label"] == 16
    assert any("16 rows have no label" in note for note in card["notes"])
    splits = [read_split(tmp_path / "splits", name) for name in card["classes"]]
    assert sum(int((~split.labels.any(axis=1)).sum()) for split in splits) == 16
    assert all((~split.labels.any(axis=1)).any() for split in splits)


def test_bytes_are_strings_if_they_are_utf8(tmp_path: Path) -> None:
    texts = pa.array([text(number).encode() for number in range(40)])
    labels = pa.array([b"neg", "é".encode()] * 20)
    card = run(write_parquet(tmp_path / "a.parquet", labels, texts=texts))
    assert classes(card) == {"neg": 20, "é": 20}
    with pytest.raises(LabelError, match="Row 1 has bytes that are not UTF-8 for a label"):
        run(write_parquet(tmp_path / "b.parquet", pa.array([b"\xe9"] * 9)))
    broken = pa.array([b"\xe9", *texts.to_pylist()[1:]])
    card = run(write_parquet(tmp_path / "c.parquet", labels, texts=broken))
    assert card["accounting"]["dropped"] == {"wrong_encoding": 1}


@pytest.mark.parametrize("kind", ["Sequence", "List", "old"])
def test_names_of_class_labels_are_taken(tmp_path: Path, kind: str) -> None:
    feature: Any = {"names": ["neg", "pos"], "_type": "ClassLabel"}
    card = run(write_parquet(tmp_path / "a.parquet", pa.array([0, 1, -1, None] * 10), feature))
    assert classes(card) == {"neg": 10, "pos": 10}
    assert card["accounting"]["dropped"] == {"missing_label": 20}
    several = [feature] if kind == "old" else {"feature": feature, "_type": kind}
    path = write_parquet(tmp_path / "b.parquet", pa.array([[0], [0, 1], [1], []] * 10), several)
    assert classes(run(path, label_separator="|")) == {"neg": 20, "pos": 20}


@pytest.mark.parametrize("feature", [None, "x", [], {"names": [1]}, {"names": None}, {"names": 3}])
def test_a_schema_of_other_things_is_passed_over(tmp_path: Path, feature: Any) -> None:
    path = write_parquet(
        tmp_path / "a.parquet", pa.array(["a", "b"] * 5).dictionary_encode(), feature
    )
    with open_table(load_config(None, {"data.source": str(path)}).data) as opened:
        assert [row[1] for _, row in opened.table.rows] == ["a", "b"] * 5


def test_a_line_of_fasttext_has_several_labels(tmp_path: Path) -> None:
    lines = [
        f"__label__{'ab'[number % 2]}{' __label__long' * (number % 3 == 0)} {text(number)}\n"
        for number in range(60)
    ]
    path = tmp_path / "a.txt"
    path.write_text("".join(lines))
    card = run(path)
    assert (card["multi_label"], classes(card)) == (True, {"a": 30, "b": 30, "long": 20})
    assert any("20 rows have more than one label" in note for note in card["notes"])
    path.write_text("".join(lines).replace(" __label__long", ""))
    card = run(path)
    assert (card["multi_label"], classes(card)) == (False, {"a": 30, "b": 30})


def test_one_column_per_label(tmp_path: Path) -> None:
    values = [("1", "0"), ("0.0", "TRUE"), ("1", "1"), ("0", "false"), ("", "1"), ("-1", "0")] * 8
    path = tmp_path / "a.csv"
    rows = [f"{text(number)},{a},x,{b}" for number, (a, b) in enumerate(values)]
    path.write_text("\n".join(["comment,toxic,other,insult", *rows]) + "\n")
    card = run(path, label_column="toxic,insult")
    assert classes(card) == {"insult": 16, "toxic": 16}
    assert card["accounting"]["dropped"] == {"missing_label": 16}
    assert card["label_forms"]["without_label"] == 8
    assert card["columns"] == {"text": "comment", "label": "toxic, insult", "others": ["other"]}
    with pytest.raises(DataError, match=r"--label-column toxic,insult$"):
        run(path)
    path.write_text(path.read_text().replace(",TRUE", ",0.5", 1))
    with pytest.raises(LabelError, match=r"Row 3 has '0.5' in the label column 'insult'"):
        run(path, label_column="toxic,insult")


def test_rare_classes_are_named_at_once_and_left_out_on_request(tmp_path: Path) -> None:
    labels = ["neg", "pos"] * 20 + [f"rare{number:02}" for number in range(12)]
    path = write_csv(tmp_path / "a.csv", labels)
    with pytest.raises(DataError, match=r"12 of 14 classes .*'rare09' \(1\) and 2 more") as caught:
        run(path)
    advice = str(caught.value).rpartition("--set data.min_class_rows=")[2]
    card = run(path, min_class_rows=int(advice.rstrip(".")))
    assert classes(card) == {"neg": 20, "pos": 20}
    assert card["accounting"]["dropped"] == {"rare_class": 12}
    assert len(card["left_out"]) == 12
    assert any("12 classes have fewer than 3 usable rows" in note for note in card["notes"])
    several = write_csv(tmp_path / "b.csv", ["a", "b", "a,b", ""] * 10 + ["a,rare"] * 2)
    card = run(several, label_separator=",", min_class_rows=3)
    assert classes(card) == {"a": 20, "b": 20}
    assert card["accounting"]["dropped"] == {"rare_class": 2}


def test_corrections_and_files_of_their_own_go_the_same_path(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", ["caf\xe9", "1.0"] * 30)
    review = tmp_path / "review.csv"
    review.write_text(f"text,label\n{text(1)},cafe\u0301\u200b\n{text(3)},\n{text(5)},['1.0']\n")
    test = tmp_path / "test.csv"
    test.write_text("text,label\na night of its own,\xa0cafe\u0301\nanother horse,1.0\n")
    card = run(path, corrections=str(review), test_file=str(test))
    assert card["labels"] == ["1.0", "caf\xe9"]
    assert card["corrections"] == {"texts": 3, "texts_met": 3, "rows_changed": 1}
    assert card["classes"]["test"] == {"1.0": 1, "caf\xe9": 1}
    assert card["accounting"]["dropped"] == {"removed_by_review": 1}


def test_labels_of_the_settings_go_the_same_path(tmp_path: Path) -> None:
    rows = [("one", "2"), ("two", "cafe\u0301"), ("three", "1.0")]
    result, _ = collect(rows[::2], tmp_path, labels=["2.0", "1"])
    assert (result.labels, result.label.tolist()) == (("2.0", "1"), [0, 1])
    (tmp_path / "b").mkdir()
    with pytest.raises(LabelError, match="Row 2 has the label"):
        collect(rows, tmp_path / "b", labels=["2.0", "1"])
    with pytest.raises(ConfigError, match="two names of one label"):
        Labels(load_config(None, {"data.labels": ["a", "a "]}).data, None)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.text(st.characters(categories=["L", "M"]), min_size=1, max_size=6),
        min_size=1,
        max_size=4,
    ),
    st.data(),
)
def test_any_spelling_ends_as_one_class(words: list[str], data: st.DataObject) -> None:
    config = load_config(None, {}).data
    labels = Labels(config, None)
    spelled = {labels.names(code)[0]: code for word in words if (code := labels.code(word, 1)) >= 0}
    for name in spelled:
        form = unicodedata.normalize(data.draw(st.sampled_from(["NFC", "NFD"])), name)
        ends = data.draw(st.text(st.sampled_from(" \t\xa0\ufeff\u200b\u3000\x00"), max_size=3))
        cell: Any = f"{ends}{form}{ends}"
        kind = data.draw(st.sampled_from(["plain", "list", "json", "python", "set"]))
        cell = {"list": (cell,), "json": json.dumps([cell]), "python": repr([cell])}.get(kind, cell)
        cell = f"{{{cell!r}}}" if kind == "set" else cell
        assert labels.names(labels.code(cell, 2)) == (name,)
    assert labels.code(None, 1) == labels.code("", 1) == labels.code("[]", 1) == MISSING


@given(st.lists(st.integers(-99, 99), min_size=1, unique=True), st.data())
def test_any_spelling_of_a_number_is_one_class(numbers: list[int], data: st.DataObject) -> None:
    labels = Labels(load_config(None, {}).data, None)
    codes = {}
    for number in numbers:
        forms = [f"{number}", f"{number}.0", f"{number}.", f"{number}e0", f"[{number}]"]
        for form in data.draw(st.lists(st.sampled_from(forms), min_size=1)):
            codes[labels.code(form, 1)] = str(number)
    found = labels.settle(pa.array([1] * labels.codes).to_numpy())
    assert found.names == tuple(str(number) for number in sorted(numbers))
    assert {code: found.names[found.ids[code]] for code in codes} == codes

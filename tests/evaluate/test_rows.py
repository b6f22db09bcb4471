"""The rows that are judged, and the sentences about those that can't be."""

import json

import pyarrow.parquet as pq
import pytest

from linnet.bundle import Manifest
from linnet.config import load_config
from linnet.data import read_split
from linnet.errors import DataError, LabelError
from linnet.evaluate.rows import choose_rows
from linnet.files import digest

MANIFEST = Manifest(
    format=1,
    name="words",
    created="2026-01-01T00:00:00+00:00",
    labels=("negative", "positive"),
    problem_type="single_label_classification",
    max_length=12,
    models={"fp32": "model.onnx"},
    temperature=1.0,
    lineage={},
    files={},
    digest="0" * 64,
)


def settings(**values):
    return load_config(
        overrides={f"evaluate.{key}": value for key, value in values.items()}
    ).evaluate


def test_all_rows_by_default(splits):
    rows = choose_rows(splits, MANIFEST, settings())
    assert rows.split.texts == read_split(splits, "test").texts
    assert rows.rows_in_split == 240
    assert rows.notes == []


def test_a_sample_is_seeded_keeps_labels_with_texts_and_is_said(splits):
    whole = read_split(splits, "test")
    label_of = dict(zip(whole.texts, whole.labels, strict=True))
    rows = choose_rows(splits, MANIFEST, settings(sample=50))
    assert len(set(rows.split.texts)) == 50
    assert [label_of[text] for text in rows.split.texts] == rows.split.labels.tolist()
    assert rows.split.texts == choose_rows(splits, MANIFEST, settings(sample=50)).split.texts
    assert (
        rows.split.texts != choose_rows(splits, MANIFEST, settings(sample=50, seed=7)).split.texts
    )
    assert rows.notes == ["Judged on 50 of the split's 240 rows, drawn at random."]


def test_a_sample_larger_than_the_split_is_the_split(splits):
    rows = choose_rows(splits, MANIFEST, settings(sample=10_000))
    assert len(rows.split) == 240
    assert rows.notes == []


@pytest.mark.parametrize(
    ("name", "word"), [("validation", "chose the epoch"), ("train", "learned from these rows")]
)
def test_a_split_that_flatters_says_so(splits, name, word):
    assert word in choose_rows(splits, MANIFEST, settings(split=name)).notes[0]


def test_a_split_without_rows_names_those_that_have_some(splits, tmp_path):
    for name in ("train", "validation", "test"):
        table = pq.read_table(splits / f"{name}.parquet")
        pq.write_table(table.slice(0, 0) if name == "test" else table, tmp_path / f"{name}.parquet")
    with pytest.raises(
        DataError, match=r"test split .* has 0 row.* train \(240\), validation \(120\)"
    ):
        choose_rows(tmp_path, MANIFEST, settings())


def test_one_row_is_too_few_and_no_split_may_have_more(splits, tmp_path):
    pq.write_table(pq.read_table(splits / "test.parquet").slice(0, 1), tmp_path / "test.parquet")
    with pytest.raises(DataError, match=r"has 1 row.*No split has rows"):
        choose_rows(tmp_path, MANIFEST, settings())


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (
            ("positive", "negative"),
            "in the order 'negative', 'positive', the bundle in the order 'positive', 'negat",
        ),
        (("negative", "neutral", "positive"), "The splits lack 'neutral'"),
        (("negative", "good"), "doesn't know 'positive', and the splits lack 'good'"),
    ],
)
def test_other_labels_are_refused_with_the_difference(splits, labels, sentence):
    with pytest.raises(LabelError, match=sentence):
        choose_rows(splits, MANIFEST.model_copy(update={"labels": labels}), settings())


def test_a_label_too_many_is_named(splits, tmp_path):
    table = pq.read_table(splits / "test.parquet")
    content = json.dumps({"format": 1, "labels": ["negative", "positive", "spam"]})
    pq.write_table(table.replace_schema_metadata({"linnet": content}), tmp_path / "test.parquet")
    with pytest.raises(LabelError, match=r"doesn't know 'spam'\. Choose"):
        choose_rows(tmp_path, MANIFEST, settings())


@pytest.mark.parametrize("same", [True, False])
def test_a_bundle_trained_on_other_splits_says_that_rows_may_have_leaked(splits, same):
    made_from = {"train.parquet": digest(splits / "train.parquet") if same else "0" * 64}
    manifest = MANIFEST.model_copy(update={"lineage": {"data": {"splits": made_from}}})
    notes = choose_rows(splits, manifest, settings()).notes
    assert [note for note in notes if "trained on other splits" in note] == notes
    assert bool(notes) != same

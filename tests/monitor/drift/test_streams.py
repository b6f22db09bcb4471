"""Ranks, labels and references: what each answer gives to a stream."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linnet.monitor.drift.references import label_references, ranked_reference, training_references
from linnet.monitor.drift.streams import (
    OTHER,
    LabelIndex,
    StreamReference,
    Texts,
    joined,
    stream_values,
    top_labels,
)

from .traffic import FORMAT_2, LABELS, make_bundle

numbers = st.lists(st.integers(0, 40) | st.floats(0, 40), min_size=1, max_size=300)


def make_texts(labels: list[list[str]], **values: list[float]) -> Texts:
    n = len(labels)
    known = {name: np.array(column, float) for name, column in values.items()}
    return Texts(np.arange(n), [json.dumps(one) for one in labels], known)


@given(numbers, numbers)
def test_ranks_are_shares_that_keep_the_order(reference, values):
    one = ranked_reference(reference)
    ranks = one.ranks(np.sort(np.array(values, float)))
    assert ((ranks >= 0) & (ranks <= 1)).all()
    assert (np.diff(ranks) >= 0).all()
    assert one.ranks(np.array([-1.0, 41.0])).tolist() == [0, 1]


@pytest.mark.parametrize("kind", ["continuous", "whole numbers", "mostly one value"])
def test_the_mean_rank_of_the_same_traffic_is_a_half(kind):
    draw = np.random.default_rng(0)
    values = {
        "continuous": draw.beta(8, 2, 20_000),
        "whole numbers": draw.integers(3, 20, 20_000),
        "mostly one value": draw.choice([1.0, 0.9, 0.5], 20_000, p=[0.8, 0.15, 0.05]),
    }[kind]
    one = ranked_reference(values[:10_000])
    assert abs(one.mean - 0.5) < 0.01
    assert abs(one.ranks(values[10_000:].astype(float)).mean() - one.mean) < 0.01


def test_the_most_frequent_labels_have_streams_and_the_rest_share_one():
    shares = {f"label {k:02}": (k + 1) / 100 for k in range(12)}
    found = label_references(shares, 500, [*shares, "never given"])
    assert set(found) == {*(f"label:label {k:02}" for k in range(4, 12)), OTHER}
    assert found[OTHER].mean == pytest.approx(0.01 + 0.02 + 0.03 + 0.04)
    assert top_labels({"b": 0.5, "a": 0.5}) == ["a", "b"]


def test_values_of_several_labels_and_of_none():
    texts = make_texts([["a", "b"], [], ["c"], ["b"]], tokens=[1, 2, np.nan, 4])
    references = {f"label:{name}": StreamReference.of_share(0.5, 9) for name in "ab"}
    references |= {OTHER: StreamReference.of_share(0.1, 9), "tokens": ranked_reference([1, 2, 4])}
    found = stream_values(texts, references, LabelIndex())
    assert found["label:a"].tolist() == [1, 0, 0, 0]
    assert found["label:b"].tolist() == [1, 0, 0, 1]
    assert found[OTHER].tolist() == [0, 0, 1, 0]
    assert len(found["tokens"]) == 3


def test_texts_count_once_where_they_came_first_and_can_be_kept():
    texts = Texts(np.array([5, 3, 5, 7, 3]), ["[]"] * 5, {"tokens": np.arange(5.0)})
    once = texts.distinct()
    assert once.hashes.tolist() == [5, 3, 7]
    assert once.values["tokens"].tolist() == [0, 1, 3]
    again = Texts.from_json(json.loads(json.dumps(once.to_json())))
    assert joined([again, texts]).distinct().to_json() == once.to_json()


def test_a_bundle_of_an_older_linnet_has_fewer_streams(tmp_path):
    bundle = make_bundle(tmp_path / "bundle")
    found = training_references(bundle)
    assert set(found) == {*(f"label:{label}" for label in LABELS), "tokens", "truncated"}
    assert found["tokens"].n == 4000
    newer = make_bundle(tmp_path / "newer", **FORMAT_2)
    assert training_references(newer)["confidence"].n == 900
    assert training_references(newer)["tokens"].n == 900
    assert training_references(make_bundle(tmp_path / "empty", rows=0)) == {}

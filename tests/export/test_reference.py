"""What monitoring will compare with is counted right."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linnet.export.reference import PROBABILITY_BINS, describe
from linnet.predict import MultiLabel, SingleLabel
from linnet.text import Encoding

LABELS = ("negative", "neutral", "positive")


def test_small_enough_to_count_by_hand():
    probabilities = np.array(
        [[0.9, 0.1, 0.0], [0.0, 0.0, 1.0], [0.2, 0.18, 0.62], [0.12, 0.82, 0.06]]
    )
    encodings = [
        Encoding([2] * length, cut)
        for length, cut in [(3, False), (8, True), (8, True), (5, False)]
    ]
    given_to = SingleLabel().decide(probabilities, None)
    seen = describe(
        SingleLabel(), probabilities, np.array([0, 0, 2, 1]), encodings, LABELS, 8, given_to
    )
    assert seen["rows"] == 4
    assert (seen["accuracy"], seen["abstained"]) == (0.75, 0.0)
    assert seen["true_labels"] == {"negative": 0.5, "neutral": 0.25, "positive": 0.25}
    assert seen["predicted_labels"] == {"negative": 0.25, "neutral": 0.25, "positive": 0.5}
    assert seen["token_length"]["counts"] == [0, 0, 0, 1, 0, 1, 0, 0, 2]
    assert seen["token_length"]["quantiles"]["0.5"] == 6.5
    assert seen["truncated"] == 0.5
    counts = seen["top_probability"]["counts"]
    assert {index: count for index, count in enumerate(counts) if count} == {
        12: 1,
        16: 1,
        18: 1,
        19: 1,
    }


def test_a_label_without_rows_has_a_share_of_nothing():
    given_to = np.array([[True, False, False]])
    seen = describe(
        SingleLabel(),
        np.array([[0.7, 0.2, 0.1]]),
        np.array([0]),
        [Encoding([1, 2], False)],
        LABELS,
        4,
        given_to,
    )
    assert seen["true_labels"] == {"negative": 1.0, "neutral": 0.0, "positive": 0.0}


def test_texts_without_an_answer_are_neither_right_nor_wrong():
    probabilities = np.array([[0.9, 0.1, 0.0], [0.0, 0.4, 0.6], [0.2, 0.8, 0.0]])
    encodings = [Encoding([1, 2], False)] * 3
    given_to = SingleLabel().decide(probabilities, [0.5, 0.5, 0.7])
    seen = describe(
        SingleLabel(), probabilities, np.array([0, 1, 2]), encodings, LABELS, 4, given_to
    )
    assert (seen["accuracy"], seen["abstained"]) == (0.5, pytest.approx(1 / 3))
    several = describe(
        MultiLabel(), probabilities, np.eye(3, dtype=bool) & False, encodings, LABELS, 4, given_to
    )
    assert (several["accuracy"], several["abstained"]) == (pytest.approx(1 / 3), 0.0)


@given(st.integers(1, 60), st.integers(2, 5), st.integers(0, 2**32 - 1))
def test_every_row_is_counted_once(rows, classes, seed):
    draw = np.random.default_rng(seed)
    encodings = [Encoding([1] * length, False) for length in draw.integers(0, 17, rows)]
    names = [f"label {i}" for i in range(classes)]
    labels = draw.integers(0, classes, rows)
    probabilities = draw.dirichlet(np.ones(classes), rows)
    thresholds = [0.0, *draw.random(classes - 1)]
    seen = describe(
        SingleLabel(),
        probabilities,
        labels,
        encodings,
        names,
        16,
        SingleLabel().decide(probabilities, thresholds),
    )
    assert sum(seen["top_probability"]["counts"]) == sum(seen["token_length"]["counts"]) == rows
    assert (
        len(seen["top_probability"]["counts"])
        == seen["top_probability"]["bins"]
        == PROBABILITY_BINS
    )
    assert len(seen["token_length"]["counts"]) == 17
    assert sum(seen["true_labels"].values()) == pytest.approx(1)
    assert sum(seen["predicted_labels"].values()) + seen["abstained"] == pytest.approx(1)
    json.dumps(seen, allow_nan=False)

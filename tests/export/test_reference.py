"""What monitoring will compare with is counted right."""

import json

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from linnet.export.reference import PROBABILITY_BINS, ReferenceRows
from linnet.export.reference import describe as describe_rows
from linnet.predict import MultiLabel, SingleLabel
from linnet.text import Encoding

LABELS = ("negative", "neutral", "positive")


def describe(task, probabilities, labels, encodings, names, max_length, predictions, **changes):
    """What reference.json says; of a single model whose thresholds were not chosen on the rows."""
    n = len(labels)
    rows = {
        "cross_predictions": predictions,
        "fast": np.zeros(n, bool),
        "surprise": np.arange(n, dtype=float),
    }
    return describe_rows(
        ReferenceRows(
            task,
            names,
            max_length,
            labels,
            encodings,
            probabilities,
            predictions,
            **rows | changes,
        )
    )


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


def test_streams_are_quantiles_of_what_the_log_keeps():
    draw = np.random.default_rng(1)
    n = 400
    lengths = draw.integers(2, 17, n)
    encodings = [Encoding([1] * k, False, 0.0, max(k - 2, 1)) for k in lengths.tolist()]
    probabilities = draw.dirichlet(np.ones(3), n)
    given_to = SingleLabel().decide(probabilities, None)
    surprise = draw.gamma(3, 2, n)
    seen = describe(
        SingleLabel(),
        probabilities,
        draw.integers(0, 3, n),
        encodings,
        LABELS,
        16,
        given_to,
        surprise=surprise,
    )
    streams = seen["streams"]
    assert list(streams) == ["confidence", "tokens", "surprise", "pieces"]
    assert all(
        (len(one["grid"]), one["mean"], one["n"]) == (101, 0.5, n) for one in streams.values()
    )
    assert streams["confidence"]["grid"][50] == pytest.approx(np.median(probabilities.max(axis=1)))
    assert streams["surprise"]["grid"][::100] == [surprise.min(), surprise.max()]
    assert streams["pieces"]["grid"][100] == pytest.approx(2 / 3)  # 1 word of 3 tokens
    ranks = scipy.stats.rankdata(lengths) - 0.5  # the mean of the shares below and up to
    assert streams["tokens"]["sd"] == pytest.approx((ranks / n).std())
    assert streams["surprise"]["sd"] == pytest.approx(12**-0.5, abs=1e-4)


def test_the_accuracy_table_counts_by_confidence_label_and_model():
    probabilities = np.array([[0.9, 0.1, 0.0]] * 10 + [[0.3, 0.6, 0.1]] * 10)
    labels = np.array([0] * 9 + [1] + [1] * 5 + [2] * 5)
    given_to = SingleLabel().decide(probabilities, [0.5, 0.5, 0.5])
    given_to[19] = False  # abstained, so neither right nor wrong
    fast = np.arange(20) < 4
    encodings = [Encoding([1, 2], False)] * 20
    seen = describe(SingleLabel(), probabilities, labels, encodings, LABELS, 4, given_to, fast=fast)
    assert len(seen["accuracy_bins"]) == 9
    assert [tuple(cell.values()) for cell in seen["accuracy_table"]] == [
        (4, "neutral", False, 9, 5),
        (9, "negative", False, 6, 5),
        (9, "negative", True, 4, 4),
    ]
    assert [tuple(cell.values()) for cell in seen["confusion"]] == [
        ("negative", "negative", 9),
        ("neutral", "negative", 1),
        ("neutral", "neutral", 5),
        ("positive", None, 1),
        ("positive", "neutral", 4),
    ]
    assert seen["rates"] == pytest.approx({"truncated": 0.0, "abstained": 0.05, "fast": 0.2})


def test_a_multi_label_text_is_right_if_all_of_its_labels_are():
    probabilities = np.array([[0.9, 0.8, 0.1], [0.9, 0.8, 0.1], [0.2, 0.3, 0.1]])
    given_to = MultiLabel().decide(probabilities, [0.5, 0.5, 0.5])
    labels = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 0]], bool)
    encodings = [Encoding([1, 2], False)] * 3
    seen = describe(MultiLabel(), probabilities, labels, encodings, LABELS, 4, given_to)
    assert [(cell["label"], cell["n"], cell["right"]) for cell in seen["accuracy_table"]] == [
        (None, 1, 1),
        ("negative", 2, 1),
    ]
    assert seen["confusion"] is None


def test_the_table_is_of_thresholds_that_other_rows_chose():
    probabilities = np.array([[0.9, 0.1, 0.0], [0.8, 0.1, 0.1]])
    given_to = np.array([[True, False, False]] * 2)
    crossed = np.array([[True, False, False], [False, False, False]])
    encodings = [Encoding([1, 2], False)] * 2
    seen = describe(
        SingleLabel(),
        probabilities,
        np.array([0, 0]),
        encodings,
        LABELS,
        4,
        given_to,
        cross_predictions=crossed,
    )
    assert seen["labels"]["negative"] == 1.0
    assert [(cell["n"], cell["right"]) for cell in seen["accuracy_table"]] == [(1, 1)]

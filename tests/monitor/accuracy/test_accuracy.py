"""Accuracy is measured, estimated or unknown, and the intervals hold what they promise."""

from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from linnet.monitor.accuracy import (
    AccuracyTable,
    Answers,
    CalibrationAlarm,
    assess,
    estimate_under_label_shift,
    labels_needed,
    measure,
    unlike_streams,
)
from linnet.monitor.accuracy.label_shift import label_shares
from linnet.monitor.evidence import interval_at_any_look
from linnet.monitor.reference import AccuracyCell, Confused, Reference, ReferenceStream

LABELS = ("a", "b", "c")
GRID = tuple(np.linspace(0, 10, 101))


def reference(cells, confusion=None, edges=(0.5,), streams=("surprise",)):
    """A reference with the given cells: (bin, label, n, right)."""
    n = sum(cell[2] for cell in cells)
    return Reference(
        format=2,
        rows=n,
        accuracy=sum(cell[3] for cell in cells) / max(n, 1),
        true_labels=dict.fromkeys(LABELS, 1 / 3),
        labels=dict.fromkeys(LABELS, 1 / 3),
        rates={},
        streams={
            name: ReferenceStream(grid=GRID, mean=0.5, sd=12**-0.5, n=1000) for name in streams
        },
        accuracy_bins=edges,
        accuracy_table=[
            AccuracyCell(bin=k, label=label, fast=False, n=rows, right=right)
            for k, label, rows, right in cells
        ],
        confusion=confusion,
    )


def answers(confidence, labels, probabilities=None, abstained=None, streams=None):
    n = len(labels)
    return Answers(
        np.asarray(confidence, float),
        list(labels),
        np.zeros(n, bool) if abstained is None else np.asarray(abstained),
        np.zeros(n, bool),
        probabilities,
        streams or {},
    )


def test_an_audit_says_both_intervals_and_bounds_for_missing_labels():
    audit = measure(80, 20, 10)
    found = audit.to_json()
    assert (found["value"], found["labels"], found["audited"], found["missing"]) == (
        0.8,
        100,
        110,
        10,
    )
    assert found["low"] < found["one_look"][0] < 0.8 < found["one_look"][1] < found["high"]
    assert found["low_if_missing_wrong"] == interval_at_any_look(80, 30)[0] < found["low"]
    assert found["high_if_missing_right"] == interval_at_any_look(90, 20)[1] > found["high"]
    assert measure(0, 0, 5) is None
    with pytest.raises(ValueError, match="at least 0"):
        measure(-1, 0, 0)


def test_labels_needed_is_the_least_number_that_is_enough():
    needed = labels_needed(0.8, 0.1)
    widths = [
        np.diff(interval_at_any_look(round(0.8 * n), n - round(0.8 * n)))[0] / 2
        for n in (needed - 1, needed)
    ]
    assert widths[1] <= 0.1 < widths[0]
    assert labels_needed(0.8, 0.1, 60) == needed - 60
    assert labels_needed(0.8, 0.1, 6000) == 0


def test_the_table_by_hand():
    table = AccuracyTable(reference([(0, "a", 8, 4), (1, "a", 18, 17), (1, "b", 2, 1)]))
    # Cells are drawn to their bin by 2 rows: 0.5, and 18 of 20.
    found = table.estimate(answers([0.4, 0.9, 0.9, 0.9], ["a", "a", "b", "c"]))
    cells = [5 / 10, (17 + 1.8) / 20, (1 + 1.8) / 4, 0.9]
    rows = [8, 18, 2, 0]
    assert found.value == pytest.approx(np.mean(cells))
    variance = sum(
        a * (1 - a) / (16 * (n + 2)) + a * (1 - a) / 16 for a, n in zip(cells, rows, strict=True)
    )
    assert found.standard_error == pytest.approx(sqrt(variance))
    held_back = answers([0.4, 0.9], ["a", None], abstained=[False, True])
    assert table.estimate(held_back).rows == 1
    assert table.estimate(held_back).value == 0.5
    assert table.estimate(answers([0.4], [None], abstained=[True])) is None
    with pytest.raises(ValueError, match="no accuracy table"):
        AccuracyTable(reference([]))


def test_the_interval_of_the_table_holds_the_truth_as_often_as_it_says():
    """500 validation sets with 1,000 texts each, whose mix of cells is another one."""
    draw = np.random.default_rng(3)
    truth = np.array([[0.5, 0.6, 0.4], [0.8, 0.9, 0.7]])
    home = np.array([[0.2, 0.2, 0.1], [0.2, 0.2, 0.1]])
    served = np.array([[0.3, 0.1, 0.2], [0.1, 0.2, 0.1]])
    missed = 0
    for _ in range(500):
        rows = draw.multinomial(600, home.ravel()).reshape(2, 3)
        right = draw.binomial(rows, truth)
        cells = [
            (k, LABELS[j], int(rows[k, j]), int(right[k, j])) for k in range(2) for j in range(3)
        ]
        counts = draw.multinomial(1000, served.ravel()).reshape(2, 3)
        confidence = np.repeat([0.3, 0.3, 0.3, 0.7, 0.7, 0.7], counts.ravel())
        labels = np.repeat(np.array([*LABELS, *LABELS]), counts.ravel()).tolist()
        found = AccuracyTable(reference(cells)).estimate(answers(confidence, labels))
        true = draw.binomial(counts, truth).sum() / 1000
        missed += not found.low <= true <= found.high
    assert missed <= binom.ppf(0.999, 500, 0.05)
    assert missed >= 5  # or it would be much too wide


@pytest.mark.parametrize("by_probability", [False, True])
def test_label_shift_is_found_where_only_the_shares_changed(by_probability):
    draw = np.random.default_rng(4)
    recall = np.array([[0.8, 0.1, 0.1], [0.2, 0.6, 0.2], [0.05, 0.05, 0.9]])
    confusion = [
        Confused(true=LABELS[i], predicted=LABELS[j], n=round(6000 * recall[i, j]))
        for i in range(3)
        for j in range(3)
    ]
    cells = [(0, label, 1000, 800) for label in LABELS]
    shares = np.array([0.1, 0.7, 0.2])
    missed = 0
    for _ in range(100):
        true = draw.choice(3, 2000, p=shares)
        given_to = np.array([draw.choice(3, p=recall[k]) for k in true])
        posterior = (recall / recall.sum(axis=0)).T[given_to]
        found = estimate_under_label_shift(
            reference(cells, confusion),
            answers(
                np.full(2000, 0.7),
                [LABELS[k] for k in given_to],
                posterior if by_probability else None,
            ),
            LABELS,
        )
        missed += not found.low <= (true == given_to).mean() <= found.high
        assert found.value == pytest.approx(shares @ np.diagonal(recall), abs=0.06)
    assert missed <= binom.ppf(0.999, 100, 0.05)


def test_label_shares_of_certain_answers_are_their_shares():
    assert label_shares(np.eye(3), np.array([5.0, 3, 2]), np.full(3, 1 / 3)) == pytest.approx(
        [0.5, 0.3, 0.2]
    )


def test_a_multi_label_model_has_no_label_shift():
    assert (
        estimate_under_label_shift(reference([(0, "a", 9, 5)], None), answers([0.5], ["a"]), LABELS)
        is None
    )


def test_a_drop_of_ten_points_raises_the_calibration_alarm():
    """Half of the alarms within 600 labels, and hardly one without a drop."""
    draw = np.random.default_rng(5)
    expected = np.full(3000, 0.8)
    found = []
    for _ in range(12):
        alarm = CalibrationAlarm.of_validation(0.8, 10_000)
        right = draw.random(3000) < 0.7
        for start in range(0, 1500, 50):
            alarm.update(right[start : start + 50], expected[start : start + 50])
            if alarm.raised:
                break
        found.append(start + 50)
    assert np.median(found) <= 600
    assert alarm.direction == "below" and alarm.evidence_log10 > 5
    calm = [CalibrationAlarm.of_validation(0.8, 10_000) for _ in range(8)]
    for alarm in calm:
        alarm.update(draw.random(1500) < 0.8, expected[:1500])
    assert sum(alarm.raised for alarm in calm) <= binom.ppf(0.999, 8, 0.05)


def test_the_calibration_alarm_survives_a_restart_and_stays():
    alarm = CalibrationAlarm.of_validation(0.9, 5000)
    assert alarm.evidence_log10 is None and not alarm.raised
    alarm.update(np.zeros(60, bool), np.full(60, 0.9))
    again = CalibrationAlarm.from_json(alarm.to_json())
    assert again.raised and again.evidence_log10 == pytest.approx(alarm.evidence_log10)
    again.update(np.ones(300, bool), np.full(300, 0.9))
    assert again.raised


def test_unlike_texts_are_seen_by_rank():
    draw = np.random.default_rng(6)
    base = reference([(0, "a", 900, 700)])
    assert unlike_streams(base, {"surprise": draw.uniform(0, 10, 500)}) == []
    assert unlike_streams(base, {"surprise": draw.uniform(4, 10, 500)}) == ["surprise"]
    assert unlike_streams(base, {"surprise": np.full(500, np.nan), "fast": np.ones(500)}) == []


USUAL = reference([(0, "a", 500, 300), (1, "a", 500, 450)])
TRAFFIC = answers(
    np.tile([0.3, 0.8], 200), ["a"] * 400, streams={"surprise": np.linspace(0, 10, 400)}
)


def test_the_audit_wins_where_it_is_narrow_enough():
    found = assess(USUAL, LABELS, TRAFFIC, measure(200, 60, 3))
    assert (found["state"], found["value"]) == ("measured", 200 / 260)
    assert (found["low"], found["high"]) == interval_at_any_look(200, 60)
    assert found["estimated"]["value"] == pytest.approx(0.75, abs=0.01)


def test_an_estimate_names_its_assumption():
    found = assess(USUAL, LABELS, TRAFFIC)
    assert found["state"] == "estimated"
    assert found["value"] == pytest.approx(0.75, abs=0.01)
    assert found["low"] < found["value"] < found["high"]
    assert found["reason"] == "if equal confidence means equal accuracy"
    few = assess(USUAL, LABELS, TRAFFIC, measure(8, 2, 0))
    assert few["reason"].endswith("which 10 audited texts do not contradict")


RAISED = CalibrationAlarm.of_validation(0.75, 5000)
RAISED.update(np.zeros(80, bool), np.full(80, 0.75))
SHIFTED = [Confused(true="a", predicted="a", n=300), Confused(true="b", predicted="b", n=700)]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"reference": None}, "no accuracy table. Export it again"),
        ({"reference": reference([])}, "no accuracy table"),
        ({"answers": answers([0.5] * 99, ["a"] * 99)}, "99 answers, and an estimate needs 100"),
        ({"answers": answers([], [])}, "0 answers"),
        ({"calibration": RAISED}, "right less often than in validation"),
        ({"alarms": ["label:a", "tokens", "surprise"]}, "active on surprise, tokens"),
        (
            {"answers": answers([0.3] * 200, ["a"] * 200, streams={"surprise": np.full(200, 9.0)})},
            "unlike validation: surprise",
        ),
        ({"audit": measure(10, 40, 0)}, "contradict the estimate"),
        (
            {"reference": reference([(0, "a", 500, 300), (1, "a", 500, 450)], SHIFTED)},
            "two estimates differ: 75.0% by confidence, 99.",
        ),
    ],
)
def test_the_accuracy_is_unknown_where_a_gate_says_so(changes, says):
    asked = {"reference": USUAL, "labels": LABELS, "answers": TRAFFIC}
    found = assess(**asked | changes)
    assert (found["state"], found["value"], found["low"], found["high"]) == (
        "unknown",
        None,
        None,
        None,
    )
    assert says in found["reason"]
    assert found["labels_needed"] > 0


def test_alarms_on_other_streams_close_no_gate():
    found = assess(USUAL, LABELS, TRAFFIC, alarms=["label:a", "truncated"])
    assert found["state"] == "estimated"


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 300), st.integers(2, 90), st.integers(0, 2**32 - 1))
def test_any_traffic_has_an_accuracy_in_its_interval(n, classes, seed):
    draw = np.random.default_rng(seed)
    names = [f"label {k}" for k in range(classes)]
    rows = draw.integers(1, 400)
    cells = {}
    for k, label in zip(draw.integers(0, 10, rows), draw.choice(names, rows), strict=True):
        cells.setdefault((int(k), str(label)), []).append(bool(draw.random() < 0.7))
    known = reference([(0, "a", 1, 1)], edges=tuple(np.linspace(0.1, 0.9, 9))).model_copy(
        update={
            "accuracy_table": tuple(
                AccuracyCell(bin=k, label=label, fast=False, n=len(of), right=sum(of))
                for (k, label), of in cells.items()
            ),
            "confusion": tuple(
                Confused(true=str(draw.choice(names)), predicted=str(draw.choice(names)), n=2)
                for _ in range(30)
            ),
        }
    )
    abstained = draw.random(n) < 0.2
    given_to = [None if none else str(draw.choice(names)) for none in abstained]
    shown = draw.dirichlet(np.ones(classes), n) if draw.random() < 0.5 else None
    found = assess(
        known, names, answers(draw.random(n), given_to, shown, abstained), measure(3, 2, 1)
    )
    estimated = found["estimated"]
    if estimated is None:
        assert abstained.all()
    else:
        assert 0 <= estimated["low"] <= estimated["value"] <= estimated["high"] <= 1
        assert 0 <= estimated["label_shift"] <= 1 + 1e-9

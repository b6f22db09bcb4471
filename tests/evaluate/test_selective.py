"""The precision promised is kept: in many simulated validations, how often does a chosen threshold break it?"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from linnet.config import load_config
from linnet.evaluate.selective import (
    SMALLEST,
    STARTS,
    choose,
    describe,
    fewest,
    ladder,
    listed,
    lowest_shown,
    notes,
    sentence,
)
from linnet.evaluate.temperature import choose as choose_temperature
from linnet.predict import MultiLabel, SingleLabel, sigmoid, softmax, task_of

ROUNDS = 200
LEVEL = 0.9
SETTINGS = load_config(overrides={"evaluate.bootstrap_resamples": 300}).evaluate
MOST_BROKEN = binom.ppf(
    0.999, ROUNDS, 1 - LEVEL
)  # what a method of just this level exceeds once in 1,000


@dataclass(frozen=True)
class World:
    """Texts: the logits that a model gives them, and how probable each label truly is.

    `answered` is a share that has to be answered on average, for silence would keep every promise.
    """

    draw: Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]]
    min_precision: float
    answered: float
    multi_label: bool = False


def calibrated(draw: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
    logits = draw.normal(0, 2.5, (rows, 2))
    return logits, softmax(logits)


def overconfident(draw: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
    logits = draw.normal(0, 2, (rows, 4))
    return 2 * logits, softmax(logits)


def wavy(draw: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """From the surest answers down, precision is below, above and again below the 0.9 that is asked for."""
    sure, side = draw.random(rows), draw.integers(0, 2, rows)
    right = np.select([sure > 0.95, sure > 0.75], [0.8, 0.93], 0.895)
    logits = np.stack([np.where(side == 0, 4 * sure, 0), np.where(side == 1, 4 * sure, 0)], axis=1)
    return logits, np.where(side[:, None] == [0, 1], right[:, None], 1 - right[:, None])


def saturated(draw: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Never surer than 0.9 of what is right in up to 0.99 of cases, so that no temperature puts it right."""
    sure, side = draw.random(rows), draw.integers(0, 2, rows)
    right, margin = 0.65 + 0.34 * sure, np.log(9) * sure**0.3
    logits = np.stack([np.where(side == 0, margin, 0), np.where(side == 1, margin, 0)], axis=1)
    return logits, np.where(side[:, None] == [0, 1], right[:, None], 1 - right[:, None])


def just_below(draw: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """However sure it is, it is right in just less than 0.9 of cases: every threshold breaks the promise."""
    margin, side = draw.exponential(3, rows), draw.integers(0, 2, rows)
    logits = np.stack([np.where(side == 0, margin, 0), np.where(side == 1, margin, 0)], axis=1)
    return logits, np.where(side[:, None] == [0, 1], 0.8999, 0.1001)


def several(draw: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
    logits = draw.normal(-1, 2.5, (rows, 3))
    return 1.5 * logits, sigmoid(logits)


WORLDS = {
    "calibrated": World(calibrated, 0.9, 0.6),
    "overconfident": World(overconfident, 0.8, 0.3),
    "saturated": World(saturated, 0.9, 0.1),
    "wavy": World(wavy, 0.9, 0.0),
    "just_below": World(just_below, 0.9, 0.0),
    "several": World(several, 0.85, 0.3, multi_label=True),
}


def labels_of(draw: np.random.Generator, true: np.ndarray, multi_label: bool) -> np.ndarray:
    if multi_label:
        return draw.random(true.shape) < true
    ids = (true.cumsum(axis=1) < draw.random((len(true), 1))).sum(axis=1)
    return np.minimum(ids, true.shape[1] - 1)[:, None] == np.arange(true.shape[1])


def broken(world: World, pick: Callable[..., list[float | None]]) -> tuple[int, float]:
    """In how many validations of 1,500 rows a label's answers are worse than promised, and the mean share answered.

    As export does it: the temperature is fitted on the same rows. They are drawn from 10,000 texts that are all there
    is, so that the truth is known exactly.
    """
    logits, true = world.draw(np.random.default_rng(0), 10_000)
    count, answered = 0, []
    for seed in range(ROUNDS):
        draw = np.random.default_rng(1000 + seed)
        rows = draw.integers(0, len(logits), 1500)
        labels = labels_of(draw, true[rows], world.multi_label)
        wanted = labels if world.multi_label else labels.argmax(axis=1)
        value = choose_temperature(logits[rows], wanted, seed).value
        probabilities = task_of(world.multi_label).probabilities(logits, value)
        thresholds = pick(
            probabilities[rows], labels, task_of(world.multi_label), world.min_precision, LEVEL
        )
        given_to = task_of(world.multi_label).decide(probabilities, thresholds)
        times = given_to.sum(axis=0)
        precision = (true * given_to).sum(axis=0)[times > 0] / times[times > 0]
        count += bool((precision < world.min_precision).any())
        answered.append(given_to.any(axis=1).mean())
    return count, float(np.mean(answered))


@pytest.mark.parametrize("name", WORLDS)
def test_the_promise_is_broken_no_more_often_than_stated(name):
    count, answered = broken(WORLDS[name], choose)
    assert count <= MOST_BROKEN
    assert answered >= WORLDS[name].answered


def naive(probabilities, labels, multi_label, min_precision, confidence_level):
    """What one might do instead: the lowest threshold that looks right on the rows."""
    found = []
    candidates = task_of(multi_label).decide(probabilities, None)
    for k in range(labels.shape[1]):
        order = np.argsort(-probabilities[candidates[:, k], k])
        chances, right = (
            probabilities[candidates[:, k], k][order],
            labels[candidates[:, k], k][order],
        )
        good = np.flatnonzero(np.cumsum(right) / np.arange(1, len(right) + 1) >= min_precision)
        found.append(chances[good[-1]] if good.size else None)
    return found


def test_what_only_looks_right_breaks_it():
    assert broken(WORLDS["calibrated"], naive)[0] > 0.4 * ROUNDS
    assert broken(WORLDS["just_below"], naive)[0] > 0.9 * ROUNDS


def test_the_error_rate_of_one_walk_is_used_up():
    """A label whose answers are all equally sure, and right just too rarely, stands or falls with one exact test."""
    shown = 0
    for seed in range(3000):
        right = np.random.default_rng(seed).random(400) < 0.9
        shown += lowest_shown(np.full(400, 0.95), right, 0.9, 0.1, 0.5) is not None
    assert (
        0.01 < shown / 3000 < 0.1 / STARTS + 0.01
    )  # starts share the rate, and see the same rows here


def test_more_rows_answer_more():
    shares = []
    for rows in (300, 1000, 10_000):
        draw = np.random.default_rng(3)
        logits, true = calibrated(draw, rows)
        probabilities = softmax(logits)
        thresholds = choose(probabilities, labels_of(draw, true, False), SingleLabel(), 0.95, 0.95)
        shares.append(SingleLabel().decide(probabilities, thresholds).any(axis=1).mean())
    assert shares[0] < shares[1] < shares[2]
    sure = np.sort(softmax(calibrated(np.random.default_rng(4), 100_000)[0]).max(axis=1))[::-1]
    best = (np.cumsum(sure) / np.arange(1, len(sure) + 1) >= 0.95).mean()
    assert best - 0.1 < shares[2] < best  # of what one who knows the truth would answer


def test_nothing_is_held_back_where_all_answers_are_right_often_enough():
    """Also of a model that is never as sure as that itself."""
    right = np.arange(1000) % 50 > 0
    assert lowest_shown(np.full(1000, 0.6), right, 0.95, 0.05, 0.5) == 0.5


def test_a_label_that_can_not_reach_it_gets_none():
    draw = np.random.default_rng(0)
    side = draw.integers(0, 2, 2000)
    probabilities = np.where(side[:, None] == [0, 1], 0.99, 0.01)
    labels = np.where((side == 0) | (draw.random(2000) < 0.6), side, 1 - side)[:, None] == [0, 1]
    first, second = choose(probabilities, labels, SingleLabel(), 0.9, 0.95)
    assert first == 0.5 and second is None


def test_few_rows_show_nothing():
    """So many right answers of as many are what it takes; fewer can't show it, were they all right."""
    least = fewest(0.95, 0.05)
    assert binom.sf(least - 1, least, 0.95) <= 0.05 / STARTS < binom.sf(least - 2, least - 1, 0.95)
    for rows, threshold in ((200, 0.5), (least, 0.5), (least - 1, None), (0, None)):
        assert lowest_shown(np.full(rows, 0.999), np.ones(rows, bool), 0.95, 0.05, 0.5) == threshold


def test_answers_of_one_probability_stay_together():
    """The surest 500 are right and no others: a threshold is between two probabilities, and below 1."""
    right = np.arange(1000) < 500
    assert lowest_shown(np.where(right, 0.9, 0.6), right, 0.9, 0.05, 0.5) == pytest.approx(0.75)
    assert lowest_shown(np.where(right, 1.0, 1 - 1e-4), right, 0.9, 0.05, 0.5) == pytest.approx(
        1 - 5e-5, abs=1e-6
    )
    assert lowest_shown(np.full(1000, 1.0), right, 0.9, 0.05, 0.5) is None


@given(st.integers(1, 10_000), st.integers(0, 200_000))
def test_the_ladder_leads_from_the_fewest_to_all(least, rows):
    steps, starts = ladder(least, rows)
    if rows < least:
        assert len(steps) == len(starts) == 0
        return
    assert steps[0] == least and steps[-1] == rows and starts[-1] == len(steps) - 1
    assert (np.diff(steps) > 0).all() and (
        np.diff(steps) <= np.maximum(1, 0.011 * steps[:-1] + 1)
    ).all()
    assert 1 <= len(starts) <= STARTS and starts == sorted(set(starts))


@given(
    st.integers(1, 300),
    st.integers(2, 5),
    st.booleans(),
    st.floats(0.05, 0.99),
    st.integers(0, 2**32 - 1),
)
def test_thresholds_are_bounded_and_what_they_leave_was_seen_to_be_right(
    rows, labels, multi_label, asked, seed
):
    draw = np.random.default_rng(seed)
    logits = draw.normal(0, 3, (rows, labels))
    true = sigmoid(logits) if multi_label else softmax(logits)
    applies = labels_of(draw, true, multi_label)
    thresholds = choose(true, applies, task_of(multi_label), asked, 0.95)
    given_to = task_of(multi_label).decide(true, thresholds)
    for k, threshold in enumerate(thresholds):
        if threshold is None:
            assert not given_to[:, k].any()
        else:
            assert (SMALLEST if multi_label else 1 / labels) <= threshold < 1
            assert applies[given_to[:, k], k].mean() > asked
    found = describe(
        applies,
        given_to,
        [str(k) for k in range(labels)],
        thresholds,
        task_of(multi_label),
        SETTINGS,
    )
    assert (
        0
        <= found["coverage"]["low"]
        <= found["coverage"]["value"]
        <= found["coverage"]["high"]
        <= 1
    )
    precision = found["precision"]
    assert (precision is None) == (not given_to.any())
    if precision:
        assert 0 <= precision["low"] <= precision["value"] <= precision["high"] <= 1
    assert sum(item["answered"] for item in found["per_class"]) == given_to.sum()


def test_two_labels_leave_a_band_between_their_thresholds():
    draw = np.random.default_rng(1)
    logits, true = calibrated(draw, 5000)
    probabilities = softmax(logits)
    low, high = choose(probabilities, labels_of(draw, true, False), SingleLabel(), 0.97, 0.95)
    given_to = SingleLabel().decide(probabilities, [low, high])
    chance = probabilities[:, 1]
    assert (given_to[:, 1] == (chance >= high)).all()
    assert (given_to[:, 0] == (1 - chance >= low)).all()
    between = ~given_to.any(axis=1)
    assert between.sum() > 500 and (between == ((chance > 1 - low) & (chance < high))).all()


def test_counted_by_hand():
    labels = np.array([[1, 0], [1, 0], [0, 1], [0, 1], [1, 0]], bool)
    given_to = np.array([[1, 0], [0, 1], [0, 1], [0, 0], [1, 0]], bool)
    found = describe(labels, given_to, ["ham", "spam"], [0.6, 0.9], SingleLabel(), SETTINGS)
    assert (found["coverage"]["value"], found["precision"]["value"]) == (0.8, 0.75)
    assert [
        (item["label"], item["threshold"], item["answered"]) for item in found["per_class"]
    ] == [
        ("ham", 0.6, 2),
        ("spam", 0.9, 2),
    ]
    assert [item["precision"]["value"] for item in found["per_class"]] == [1.0, 0.5]
    assert sentence(found, SingleLabel()).startswith(
        "answers 80.00% of the texts, and is right in 75.00% ("
    )


def test_the_precision_of_no_answers_is_undefined():
    labels, nothing = np.array([[1, 0], [0, 1]], bool), np.zeros((2, 2), bool)
    for multi_label, said in ((False, "answers no text"), (True, "gives no label to any text")):
        found = describe(
            labels, nothing, ["ham", "spam"], [None, None], task_of(multi_label), SETTINGS
        )
        assert found["precision"] is None and found["coverage"]["value"] == 0.0
        assert [item["precision"] for item in found["per_class"]] == [None, None]
        assert sentence(found, task_of(multi_label)) == said
        said_of = notes(found | {"min_precision": 0.9}, task_of(multi_label))
        assert not any("LESS" in note or "nan" in note for note in said_of)


def test_the_interval_of_several_labels_is_by_texts():
    """Texts whose labels are right or wrong together tell less than as many labels of their own."""
    draw = np.random.default_rng(2)
    labels = np.repeat(draw.random((200, 1)) < 0.8, 10, axis=1)
    found = describe(
        labels,
        np.ones_like(labels),
        [str(k) for k in range(10)],
        [0.5] * 10,
        MultiLabel(),
        SETTINGS,
    )
    width = found["precision"]["high"] - found["precision"]["low"]
    assert width == pytest.approx(2 * 1.96 * np.sqrt(0.8 * 0.2 / 200), rel=0.15)
    assert sentence(found, MultiLabel()).startswith(
        "gives labels to 100.00% of the texts; of the labels given, 79.50% ("
    )


def test_the_notes_name_what_is_amiss():
    rows = np.arange(400)
    labels = (rows % 2)[:, None] == [0, 1]
    given_to = labels.copy()
    given_to[:100] = ~given_to[:100]
    found = {
        "min_precision": 0.9,
        **describe(labels, given_to, ["ham", "spam"], [0.5, 0.5], SingleLabel(), SETTINGS),
    }
    first, below = notes(found, SingleLabel())
    assert (
        first.startswith("The model answers 100.00% of the texts") and "asked for 90.00%" in first
    )
    assert "the answer 'ham', 'spam' is right LESS often than that" in below
    given_to = labels & [True, False]
    found = {
        "min_precision": 0.9,
        **describe(labels, given_to, ["ham", "spam"], [0.5, None], SingleLabel(), SETTINGS),
    }
    assert notes(found, SingleLabel())[1:] == [
        "It never answers 'spam', as export could not show that with any threshold."
    ]


def test_long_lists_are_cut():
    assert listed(["a", "b"]) == "'a', 'b'"
    assert listed(list("abcde")) == "'a', 'b', 'c' and 2 more"

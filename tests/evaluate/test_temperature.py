"""A planted temperature is found, rows it was not fitted on say so, and where rows can't tell it stays 1."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from linnet.evaluate import metrics
from linnet.evaluate.calibration import one_vs_rest_error
from linnet.evaluate.temperature import FEWEST, HIGHEST, LOWEST, choose, fit, log_loss
from linnet.predict import SingleLabel, sigmoid, softmax

SEED = 42


def simulate(rows: int, classes: int, planted: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits of a model whose probabilities are exact once the logits are divided by `planted`."""
    draw = np.random.default_rng(seed)
    true = draw.normal(0, 2, (rows, classes))
    labels = (softmax(true).cumsum(axis=1) < draw.random((rows, 1))).sum(axis=1)
    return (planted * true).astype(np.float32), labels


def simulate_several(
    rows: int, classes: int, planted: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """The same where each label applies by itself."""
    draw = np.random.default_rng(seed)
    true = draw.normal(-1, 2, (rows, classes))
    return (planted * true).astype(np.float32), draw.random((rows, classes)) < sigmoid(true)


@pytest.mark.parametrize("planted", [0.4, 1.0, 1.5, 3.0])
@pytest.mark.parametrize("simulated", [simulate, simulate_several])
def test_a_planted_temperature_is_found(simulated, planted):
    found = [fit(*simulated(1000, 3, planted, seed)) for seed in range(20)]
    assert np.mean(found) == pytest.approx(planted, rel=0.03)
    assert all(abs(np.log(value / planted)) < 0.2 for value in found)


def test_the_calibration_error_falls_on_rows_that_played_no_part():
    for seed in range(20):
        logits, labels = simulate(1000, 3, 2.0, seed)
        fresh, truth = simulate(4000, 3, 2.0, 1000 + seed)
        temperature = choose(logits, labels, SEED)
        before, after = (
            metrics.expected_calibration_error(SingleLabel().probabilities(fresh, value), truth, 15)
            for value in (1.0, temperature.value)
        )
        assert before > 0.08 and after < before / 2
        assert log_loss(fresh / temperature.value, truth) < log_loss(fresh, truth)
        assert (
            softmax(fresh).argmax(axis=1) == softmax(fresh / temperature.value).argmax(axis=1)
        ).all()


def test_several_labels_too():
    logits, labels = simulate_several(500, 5, 2.5, 0)
    fresh, truth = simulate_several(4000, 5, 2.5, 1)
    value = choose(logits, labels, SEED).value
    before, after = (
        one_vs_rest_error(sigmoid(fresh / divisor), truth, 15) for divisor in (1.0, value)
    )
    assert after < before / 2


def test_the_crossed_error_is_that_of_fresh_rows():
    """What two halves say of each other is on average what rows that played no part say; all rows would say less."""
    crossed, own, fresh = [], [], []
    for seed in range(150):
        logits, labels = simulate(100, 2, 2.0, seed)
        found = choose(logits, labels, SEED)
        crossed.append(log_loss(logits / found.crossed, labels))
        own.append(log_loss(logits / fit(logits, labels), labels))
        others, truth = simulate(4000, 2, 2.0, 10_000 + seed)
        fresh.append(log_loss(others / found.crossed[0, 0], truth))
    noise = 3 * np.std(np.subtract(crossed, own)) / np.sqrt(150)
    assert np.mean(own) < np.mean(crossed) - noise
    assert np.mean(crossed) == pytest.approx(np.mean(fresh), abs=3 * np.std(crossed) / np.sqrt(150))


def test_each_row_is_judged_by_the_other_half():
    logits, labels = simulate(400, 3, 2.0, 0)
    found = choose(logits, labels, SEED)
    assert found.kept is None
    one, other = np.unique(found.crossed)
    first = found.crossed[:, 0] == one
    assert first.sum() == 200
    assert fit(logits[~first], labels[~first]) == one
    assert fit(logits[first], labels[first]) == other
    assert found.value == fit(logits, labels)


def test_a_calibrated_model_is_not_made_worse():
    kept = 0
    for seed in range(60):
        logits, labels = simulate(400, 3, 1.0, seed)
        found = choose(logits, labels, SEED)
        kept += found.kept is not None
        assert 0.8 < found.value < 1.25
        assert log_loss(logits / found.crossed, labels) <= log_loss(logits, labels)
    assert kept > 20  # a good part of the time chance alone makes it no better


def test_why_it_is_kept_is_said():
    draw = np.random.default_rng(0)
    right = np.arange(200) % 2
    logits = np.where(right[:, None] == [0, 1], 2.0, -1.0) + draw.random((200, 2)) / 10
    perfect = choose(logits, right, SEED)
    assert perfect.value == 1.0 and (perfect.crossed == 1).all()
    assert perfect.kept == (
        "The temperature is left at 1: all rows are answered right, so that nothing says how sure is too sure."
    )
    assert (
        choose(np.where(right[:, None] == [0, 1], 2.0, -1.0), right[:, None] == [0, 1], SEED).kept
        == perfect.kept
    )
    few = choose(*simulate(FEWEST - 1, 3, 3.0, 0), SEED)
    assert few.value == 1.0 and f"{FEWEST - 1} rows say too little" in few.kept
    assert choose(*simulate(FEWEST, 3, 3.0, 0), SEED).kept is None
    worse = next(
        found
        for seed in range(60)
        if (found := choose(*simulate(400, 3, 1.0, seed), SEED)).kept is not None
    )
    assert "does not lower the log loss of rows that it was not fitted on (0." in worse.kept


def test_one_mistake_decides_nothing():
    """The half without it would be as sure as can be, which the half with it pays for."""
    right = np.arange(300) % 2
    logits = (
        np.where(right[:, None] == [0, 1], 1.5, -1.5)
        + np.random.default_rng(1).random((300, 2)) / 10
    )
    logits[7] = logits[7, ::-1]
    assert fit(logits, right) < 0.7
    found = choose(logits, right, SEED)
    assert found.value == 1.0 and found.kept is not None


@settings(max_examples=100, deadline=None)
@given(
    logits=arrays(np.float32, (60, 3), elements=st.floats(-1e4, 1e4, width=32)),
    labels=arrays(np.int64, 60, elements=st.integers(0, 2)),
)
def test_any_logits_give_a_bounded_temperature(logits, labels):
    found = choose(logits, labels, SEED)
    assert LOWEST <= found.value <= HIGHEST
    assert found.crossed.shape == (60, 1)
    assert ((found.crossed >= LOWEST) & (found.crossed <= HIGHEST)).all()
    assert log_loss(logits / found.crossed, labels) <= log_loss(logits, labels)
    assert np.isfinite(SingleLabel().probabilities(logits, found.value)).all()


@given(
    arrays(np.float32, (20, 4), elements=st.floats(-30, 30, width=32)), st.integers(0, 2**32 - 1)
)
def test_the_log_loss_is_that_of_the_probabilities(logits, seed):
    draw = np.random.default_rng(seed)
    labels, several = draw.integers(0, 4, 20), draw.random((20, 4)) < 0.4
    assert log_loss(logits, labels) == pytest.approx(
        -np.log(softmax(logits)[np.arange(20), labels]).mean(), abs=1e-6
    )
    stated = np.where(several, sigmoid(logits), sigmoid(-logits))
    assert log_loss(logits, several) == pytest.approx(-np.log(stated).mean(), abs=1e-6)

"""A threshold is the best on its rows, a rare label borrows that of all, and none is judged on its own rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from linnet.evaluate.metrics import micro_f1
from linnet.evaluate.thresholds import EVEN, FEWEST, MOST_GIVEN, best_threshold, cross_decide, tune

cases = st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=1, max_size=40).filter(
    lambda rows: any(applies for _, applies in rows)
)


@given(cases)
def test_no_other_threshold_has_a_better_f1(rows: list[tuple[int, bool]]) -> None:
    probabilities, applies = np.array([p / 20 for p, _ in rows]), np.array([a for _, a in rows])
    threshold = best_threshold(probabilities, applies)
    assert 0 < threshold < 1
    best = micro_f1(applies, probabilities >= threshold)
    given_by = [probabilities >= t for t in np.linspace(0.0125, 0.9875, 40)]
    admissible = [some for some in given_by if some.sum() <= MOST_GIVEN * applies.sum()]
    assert best >= max((micro_f1(applies, some) for some in admissible), default=0) - 1e-12


def test_it_lies_half_way() -> None:
    assert best_threshold(
        np.array([0.9, 0.8, 0.2]), np.array([True, True, False])
    ) == pytest.approx(0.5)
    assert best_threshold(np.array([0.4, 0.3]), np.array([True, True])) == pytest.approx(0.15)


def test_a_rare_label_gets_the_threshold_of_all() -> None:
    draw = np.random.default_rng(1)
    labels = draw.random((400, 3)) < (0.5, 0.3, 0.5)
    labels[:, 2] = np.arange(400) < FEWEST - 1
    probabilities = np.clip(labels * 0.3 + draw.random((400, 3)) * (0.6, 0.3, 0.1), 0, 1)
    found = tune(probabilities, labels)
    assert found[2] == best_threshold(probabilities.ravel(), labels.ravel())
    assert found[0] == best_threshold(probabilities[:, 0], labels[:, 0]) != found[2]
    labels[FEWEST - 1, 2] = True
    assert tune(probabilities, labels)[2] == best_threshold(probabilities[:, 2], labels[:, 2])


def test_a_rare_label_that_can_not_be_told_is_not_given_to_all() -> None:
    draw = np.random.default_rng(3)
    applies = np.arange(1000) % 50 == 0
    probabilities = draw.uniform(0.01, 0.03, 1000)
    assert f1_score(applies, np.ones(1000, bool)) > 0.035  # what not to fall for
    assert (probabilities >= best_threshold(probabilities, applies)).sum() <= MOST_GIVEN * 20
    assert not (np.full(1000, 0.3) >= best_threshold(np.full(1000, 0.3), applies)).any()


def test_hardly_any_label_at_all() -> None:
    labels = np.zeros((50, 2), dtype=bool)
    labels[:3, 0] = True
    assert tune(np.full((50, 2), 0.2), labels).tolist() == [EVEN, EVEN]


def test_thresholds_of_other_rows_do_not_flatter() -> None:
    draw = np.random.default_rng(2)
    labels, noise = draw.random((200, 40)) < 0.08, draw.random((200, 40))
    tuned = f1_score(labels, noise >= tune(noise, labels), average="macro", zero_division=0)
    honest = f1_score(labels, cross_decide(noise, labels), average="macro", zero_division=0)
    always = f1_score(labels, np.ones_like(labels), average="macro")
    assert tuned > honest + 0.03  # though there is nothing to know
    assert honest < always


def test_every_row_is_decided() -> None:
    probabilities = np.linspace(0, 1, 60).reshape(30, 2)
    labels = probabilities > 0.5
    assert (cross_decide(probabilities, labels) == labels).mean() > 0.9

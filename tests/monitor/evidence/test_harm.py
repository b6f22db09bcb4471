"""The evidence of several kinds of events is their weighted mean."""

import math

import pytest

from linnet.monitor.evidence import (
    GUARDRAIL_WEIGHTS,
    EventCounts,
    log_evidence_of_any_harm,
    log_limit,
)


def test_the_weights_are_a_mean():
    assert sum(GUARDRAIL_WEIGHTS.values()) == pytest.approx(1)
    assert log_evidence_of_any_harm({}) == pytest.approx(0)


def test_one_kind_alone_counts_by_its_weight():
    counts = EventCounts()
    counts.add(0.1, True, 20)
    counts.add(0.1, False, 20)
    alone = counts.log_evidence_of_harm()
    assert alone > 5
    for kind, weight in GUARDRAIL_WEIGHTS.items():
        found = log_evidence_of_any_harm({kind: counts})
        assert found == pytest.approx(math.log(weight * math.exp(alone) + 1 - weight))


def test_each_server_has_a_part_of_the_false_alarms():
    assert log_limit(100, 4) == pytest.approx(math.log(400))

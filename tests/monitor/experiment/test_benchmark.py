"""The benchmark's figures on fewer runs: rates with a binomial limit, and that it computes what the service does."""

import importlib.util
from math import log
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from linnet.monitor.evidence import EventCounts, SampleRatioTest

FILE = Path(__file__).parents[3] / "benchmarks" / "experiments.py"


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("experiments_benchmark", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_benchmark_computes_the_tests_of_the_service(benchmark: ModuleType):
    rng = np.random.default_rng(1)
    shares = np.repeat([0.05, 0.5], 60)
    falls = rng.random(120) < 0.3
    counts = EventCounts()
    ratio = SampleRatioTest()
    for share, fell in zip(shares.tolist(), falls.tolist(), strict=True):
        counts.add(share, fell)
        ratio.add((0.9, 0.1), int(fell))
    assert benchmark.evidence_of_harm(shares, falls)[-1] == pytest.approx(
        counts.log_evidence_of_harm()
    )
    assert benchmark.evidence_of_ratio(0.1, falls)[-1] == pytest.approx(ratio.log_evidence())


def test_equal_arms_are_seldom_rolled_back_with_a_look_at_each_event(benchmark: ModuleType):
    found = benchmark.false_roll_backs(100, 20_000, seed=3)
    most = benchmark.largest_count(100, found["alpha"])
    assert found["first_events"] * 100 <= most
    assert found["all_events"] * 100 > most  # what the first event of a unit is for


def test_a_mismatch_of_units_is_seldom_false(benchmark: ModuleType):
    found = benchmark.ratio_checks(60, 4_000, seed=3)
    assert found["false_on_distinct_texts"] * 60 <= benchmark.largest_count(60, found["alpha"])
    assert found["units_until_8_of_10_median"] <= 3_000


def test_a_failing_challenger_is_rolled_back_early(benchmark: ModuleType):
    assert benchmark.roll_back_delay(10.0, 60, seed=3)["texts_median"] <= 70


def test_the_binomial_limit_is_the_known_one(benchmark: ModuleType):
    assert benchmark.largest_count(2000, 0.05) == 131
    assert log(1 / benchmark.ALPHA) == pytest.approx(4.60517)

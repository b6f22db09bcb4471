"""From a log to the counts of an experiment."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from linnet.config import ExperimentConfig
from linnet.monitor import Store
from linnet.monitor.experiment import Challenger, Statistics, count, experiment_json

from .simulated import NOW, Log, epoch, traffic

Settings = Callable[..., ExperimentConfig]


def counted(log: Log, path: Path, settings: ExperimentConfig) -> tuple[Statistics, dict[str, Any]]:
    with log.store(path / "log.db") as store:
        statistics = count(store, settings, NOW)
    return statistics, experiment_json(statistics, settings)


def candidate(log: Log, path: Path, settings: Settings, **changes: Any) -> Challenger:
    return counted(log, path, settings(slow_ms=50.0, **changes))[0].challengers["candidate"]


def test_a_ramp_is_counted_under_the_share_of_each_moment(tmp_path: Path, settings: Settings):
    log = Log()
    small = epoch(0.1)
    large = epoch(0.5)
    log.answer(small, "champion", 1)
    log.answer(small, "candidate", 2)
    log.answer(large, "candidate", 1)  # the slot grew over this unit: no first sight
    log.answer(large, "candidate", 3)
    log.answer(large, "champion", 4)
    found = candidate(log, tmp_path, settings)
    assert found.assigned == [(0.1, 1, 1), (0.5, 1, 1)]
    assert (found.units, found.champion_units, found.texts, found.share) == (3, 2, 3, 0.5)
    assert found.step_began == log.records[2].time
    assert found.step_units == 2


def test_an_event_counts_once_for_a_unit(tmp_path: Path, settings: Settings):
    log = Log()
    of = epoch(0.5)
    for _ in range(3):
        log.answer(of, "candidate", 7, abstained=True, latency_ms=60.0)
        log.fail(of, "candidate", 8)
    log.answer(of, "champion", 9, truncated=True)
    log.fail(of, "champion", 10, "deadline_exceeded")
    found = candidate(log, tmp_path, settings)
    assert found.events == {
        "abstained": [(0.5, 0, 1)],
        "any_feedback": [],
        "failures": [(0.5, 1, 1)],
        "reported_wrong": [],
        "slow": [(0.5, 1, 1)],
        "truncated": [(0.5, 1, 0)],
    }
    assert found.assigned == [(0.5, 2, 2)]
    assert found.answered == [(0.5, 1, 1)]


def test_texts_that_no_share_assigned_are_left_out(tmp_path: Path, settings: Settings):
    log = Log()
    of = epoch(0.5)
    log.answer(of, "candidate", 1, named=True)
    log.answer(of, "candidate", 2, shadow=True)
    log.answer(epoch(0.5, experiment="other"), "candidate", 3)
    log.answer(None, "candidate", 4)
    log.fail(of, "candidate", 5, named=True)
    log.fail(of, "candidate", 6, "client_left")
    log.fail(of, "candidate", None, "overloaded", texts=70)
    log.answer(of, "candidate", 7)
    found = candidate(log, tmp_path, settings)
    assert found.answered == [(0.5, 0, 1)]
    assert found.assigned == [(0.5, 0, 2)]  # and the unit whose client left
    assert found.events["failures"] == []
    assert found.failed_texts == 70


def test_another_bundle_ends_the_experiment(tmp_path: Path, settings: Settings):
    log = Log()
    log.answer(epoch(0.5, champion="e" * 64), "champion", 1)
    log.answer(epoch(0.5, candidate="f" * 64), "candidate", 2)
    log.answer(epoch(0.5), "candidate", 3)
    statistics, _ = counted(log, tmp_path, settings())
    found = statistics.challengers["candidate"]
    assert found.assigned == [(0.5, 0, 1)]
    assert statistics.epochs == 1


def test_pairs_count_distinct_texts_and_wait_for_labels(tmp_path: Path, settings: Settings):
    log = Log()
    of = epoch(1.0, role="shadow")
    for _ in range(4):
        log.pair(of, 1, "good", "good")
    log.pair(of, 2, "good", "bad")
    better = log.pair(of, 3, "good", "bad")
    worse = log.pair(of, 4, "good", "bad")
    both_wrong = log.pair(of, 5, "good", "bad")
    by_user = log.pair(of, 6, "good", "bad")
    abstained = log.pair(of, 7, "good", "good", abstained=True)
    log.say(better, "bad", "disagree")
    log.say(worse, "good", "audit")
    log.say(both_wrong, "other", "disagree")
    log.say(by_user, "bad")  # a user's word compares nothing
    log.say(abstained, "good", "disagree")
    pairs = candidate(log, tmp_path, settings).pairs
    assert pairs is not None
    assert (pairs.same, pairs.better, pairs.worse, pairs.pending) == (2, 1, 2, 2)
    assert (pairs.expected, pairs.missing) == (10, 0)
    _, content = counted(Log(), tmp_path / "empty", settings())
    assert content["challengers"] == {}


def test_a_label_reaches_the_text_through_any_of_its_answers(tmp_path: Path, settings: Settings):
    log = Log()
    of = epoch(1.0, role="shadow")
    log.pair(of, 1, "good", "bad")
    later = log.pair(of, 1, "good", "bad")
    log.say(later, "bad", "audit")
    pairs = candidate(log, tmp_path, settings).pairs
    assert pairs is not None
    assert (pairs.better, pairs.pending) == (1, 0)


def test_pairs_of_a_shadow_count_after_it_became_a_challenger(tmp_path: Path, settings: Settings):
    log = Log()
    log.pair(epoch(1.0, role="shadow", experiment="before"), 1, "good", "good")
    log.answer(epoch(0.01), "candidate", 2)
    found = candidate(log, tmp_path, settings)
    assert found.role == "challenger"
    assert found.pairs is not None
    assert found.pairs.same == 1


def test_pairs_that_are_missing_are_counted(tmp_path: Path, settings: Settings):
    log = Log()
    of = epoch(1.0, role="shadow")
    log.pair(of, 1, "good", "good")
    log.answer(of, "champion", 2)
    log.answer(of, "champion", 3)
    log.fail(of, "candidate", 3, shadow=True)
    _, content = counted(log, tmp_path, settings())
    assert content["losses"]["pairs_missing_share"] == pytest.approx(2 / 3, abs=1e-6)
    conditions = content["challengers"]["candidate"]["ramp"]["conditions"]
    assert {one["name"]: one["met"] for one in conditions}["pairs are complete"] is False


def test_what_users_report_is_shown_and_doubted_where_one_arm_reports_more(
    tmp_path: Path, settings: Settings
):
    log = Log()
    of = epoch(0.5)
    for unit in range(1, 121):
        log.say(log.answer(of, "candidate", unit), "bad")
        log.answer(of, "champion", 1000 + unit)
    _, content = counted(log, tmp_path, settings(slow_ms=50.0))
    found = content["challengers"]["candidate"]
    assert found["guardrails"]["reported_wrong"]["challenger"]["events"] == 120
    assert found["guardrails"]["reported_wrong"]["doubtful"]
    assert "120 answers have feedback of users" in found["user_feedback_note"]
    assert found["harm_evidence_log10"] <= 0  # users alone roll nothing back
    assert found["split_accuracy"] is None


def test_audits_of_a_split_give_both_accuracies(tmp_path: Path, settings: Settings):
    log = Log()
    of = epoch(0.5)
    for unit in range(1, 41):
        log.say(log.answer(of, "candidate", unit), "good", "audit")
        log.say(log.answer(of, "champion", 100 + unit), "good" if unit % 2 else "bad", "audit")
    _, content = counted(log, tmp_path, settings())
    found = content["challengers"]["candidate"]["split_accuracy"]
    assert found["champion"]["value"] == 0.5
    assert found["challenger"]["value"] == 1.0
    low, high = found["difference"]
    assert 0 < low < 0.5 < high


def test_slow_is_the_champions_quantile_before_the_experiment(tmp_path: Path, settings: Settings):
    log = Log()
    alone = epoch(0.0)
    for unit in range(300):
        log.answer(alone, "champion", unit, latency_ms=float(unit))
    of = epoch(0.5)
    log.answer(of, "candidate", 1000, latency_ms=284.0)
    log.answer(of, "candidate", 1001, latency_ms=286.0)
    statistics, _ = counted(log, tmp_path, settings())
    assert statistics.slow_ms == 285.0
    assert statistics.challengers["candidate"].events["slow"] == [(0.5, 0, 1)]


def test_without_earlier_answers_the_first_ones_fix_what_is_slow(
    tmp_path: Path, settings: Settings
):
    log = Log()
    of = epoch(0.5)
    for unit in range(1, 201):
        log.answer(of, "champion", unit, latency_ms=1000.0 if unit == 50 else float(unit % 100))
    log.answer(of, "candidate", 1000, latency_ms=2000.0)
    statistics, _ = counted(log, tmp_path, settings())
    assert statistics.slow_ms == 95.0
    assert statistics.challengers["candidate"].events["slow"] == [(0.5, 0, 1)]


def test_servers_with_other_shares_and_rows_that_arrive_late(tmp_path: Path, settings: Settings):
    log = Log()
    small = epoch(0.1)
    large = epoch(0.5)
    for unit in range(2, 42, 2):
        log.answer(small, "champion", unit)
        log.answer(large, "candidate", unit + 1)
    log.records.reverse()  # another server's rows are stored in another order
    statistics, content = counted(log, tmp_path, settings())
    assert statistics.challengers["candidate"].assigned == [(0.1, 20, 0), (0.5, 0, 20)]
    assert content["challengers"]["candidate"]["share"] == 0.5
    assert statistics.several_epochs


def test_rows_settle_after_a_minute_and_none_of_the_future_counts(
    tmp_path: Path, settings: Settings
):
    log = Log()
    of = epoch(0.5)
    log.answer(of, "candidate", 1)
    log.answer(of, "candidate", 2, time=NOW + 1e6)
    statistics, content = counted(log, tmp_path, settings())
    assert (statistics.rows, statistics.ahead, statistics.unsettled) == (1, 1, 1)
    assert statistics.horizon == log.records[0].time
    assert any("in the future" in note for note in content["notes"])


def test_equal_logs_give_equal_files_whatever_the_order_of_rows(tmp_path: Path, settings: Settings):
    log = Log()
    traffic(log, epoch(0.2), range(1, 200), failing=0.1)
    _, first = counted(log, tmp_path / "one", settings())
    other = Log(records=log.records[:-1][::-1], failures=log.failures[::-1], epochs=log.epochs)
    other.time = log.time - 101
    other.number = log.number - 1
    _, second = counted(other, tmp_path / "two", settings())
    assert first == second


def test_a_failing_challenger_is_harmful_and_an_equal_one_is_not(
    tmp_path: Path, settings: Settings
):
    for worse, harms in ((1.0, False), (8.0, True)):
        log = Log()
        traffic(log, epoch(0.5), range(1, 600), failing=0.03, worse=worse)
        _, content = counted(log, tmp_path / str(worse), settings())
        found = content["challengers"]["candidate"]
        assert (found["harm_evidence_log10"] >= found["harm_limit_log10"]) is harms
        assert found["ratio"]["mismatch"] is False


@pytest.mark.parametrize("rows", ["none", "unsettled", "old", "alone"])
def test_a_log_without_an_experiment_says_why(tmp_path: Path, settings: Settings, rows: str):
    log = Log()
    if rows == "old":
        log.answer(None, "champion", 1)
    if rows == "alone":
        log.answer(epoch(0.0), "champion", 1)
        log.epochs = {}
    with Store(str(tmp_path / "log.db")) as store:
        if rows == "unsettled":
            log.answer(None, "champion", 1)
            store.add(log.records)
    if rows not in {"none", "unsettled"}:
        log.store(tmp_path / "log.db").close()
    with Store(str(tmp_path / "log.db")) as store:
        content = experiment_json(count(store, settings(), NOW), settings())
    assert content["challengers"] == {}
    expected = {"none": "no settled row", "unsettled": "no settled row", "old": "older version"}
    assert expected.get(rows, "older version") in content["notes"][0]


def test_labellers_who_disagree_are_counted(tmp_path: Path, settings: Settings):
    log = Log()
    of = epoch(1.0, role="shadow")
    identity = log.pair(of, 1, "good", "bad")
    log.say(identity, "good", "disagree", annotator="ann")
    log.say(identity, "bad", "disagree", annotator="bob", time=log.time + 1)
    statistics, content = counted(log, tmp_path, settings())
    assert statistics.relabelled == 1
    pairs = statistics.challengers["candidate"].pairs
    assert pairs is not None
    assert pairs.better == 1
    assert any("disagree" in note for note in content["notes"])

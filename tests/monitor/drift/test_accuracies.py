"""The accuracy of an arm in drift.json: from audited rows of the log alone, and from its recent ones."""

import pytest

from linnet.monitor.drift import Plan, run
from linnet.monitor.prediction_log import Store
from linnet.monitor.prediction_log.hashing import audited
from linnet.monitor.prediction_log.truth import Truth

from .traffic import FORMAT_2, HOUR, START, fill, make_bundle, make_records

PLAN = Plan(3600, 90, 0.05, 0.02, 0.05)
HOURS = 60
RATE = 0.2


@pytest.fixture
def bundle(tmp_path):
    return make_bundle(tmp_path / "bundle", **FORMAT_2)


@pytest.fixture
def log(bundle, tmp_path):
    return fill(tmp_path / "log.db", make_records(bundle.digest, HOURS, 60))


def accuracy(log, bundle, tmp_path):
    with Store(log) as store:
        content = run(store, [bundle], tmp_path / "m", PLAN, now=START + 9e6, audit_rate=RATE)
    return content.content["arms"]["champion"]["accuracy"]


def label(log, source: str, share_right: float, only_audited: bool = True, leave: int = 0) -> int:
    """Judge the rows of the audit but the last few; gives how many."""
    with Store(log) as store:
        records = [entry.record for entry in store.read(until=START + (HOURS - 1) * HOUR)]
        chosen = [one for one in records if audited(one.id, RATE) or not only_audited]
        chosen = chosen[: len(chosen) - leave]
        store.judge(
            [
                Truth(one.id, source, one.labels if k % 100 < 100 * share_right else ("no",), START)
                for k, one in enumerate(chosen)
            ]
        )
    return len(chosen)


def test_without_labels_it_is_estimated_or_unknown(log, bundle, tmp_path):
    found = accuracy(log, bundle, tmp_path)
    assert found["measured"] is None
    assert 0.6 < found["estimated"]["value"] < 0.9
    assert found["estimated"]["rows"] > 3000


def test_audited_labels_measure_it(log, bundle, tmp_path):
    accuracy(log, bundle, tmp_path)  # the labels come after the rows were judged
    labels = label(log, "audit", 0.9, leave=7)
    found = accuracy(log, bundle, tmp_path)
    assert found["state"] == "measured"
    assert found["measured"]["labels"] == labels
    assert found["measured"]["missing"] == 7
    assert found["low"] < 0.9 < found["high"]
    assert found["calibration_evidence_log10"] > 1  # the table expects 75 %


def test_feedback_of_users_measures_nothing(log, bundle, tmp_path):
    label(log, "user", 0.1)
    label(log, "queue", 0.1)
    assert accuracy(log, bundle, tmp_path)["measured"] is None


def test_rows_that_the_audit_did_not_draw_do_not_count(log, bundle, tmp_path):
    label(log, "audit", 0.9, only_audited=False)
    with Store(log) as store:
        drawn = sum(
            audited(entry.record.id, RATE) for entry in store.read(until=START + (HOURS - 1) * HOUR)
        )
    found = accuracy(log, bundle, tmp_path)["measured"]
    assert found["labels"] == drawn
    assert found["missing"] == 0

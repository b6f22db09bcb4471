"""A bundle runs as was measured on this host; what was measured elsewhere is ignored, and that is said."""

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest

import linnet
from linnet.bundle import Bundle
from linnet.errors import BundleError, StorageError
from linnet.predict.host import Host, this_host
from linnet.predict.plan import Plan, choose_plan, record

CHOSEN = Plan(num_threads=1, num_sessions=2, max_batch_tokens=77)


@pytest.fixture
def copy(bundle: Path, tmp_path: Path) -> Bundle:
    shutil.copytree(bundle, tmp_path / "bundle")
    return Bundle.read(tmp_path / "bundle")


def elsewhere(**changes: Any) -> Host:
    return Host({**this_host().described, **changes})


def test_the_default_is_float32_and_says_what_to_do(copy, caplog):
    with caplog.at_level(logging.INFO, "linnet.predict"):
        classifier = linnet.load(copy.path)
    assert classifier.plan == Plan()
    assert classifier.reason.startswith(
        "the default, as nothing was measured on this host; `linnet optimize "
    )
    assert (
        "runs as fp32 in onnxruntime (sessions: 1, threads: all cores, "
        "tokens per batch: 512): the default" in caplog.text
    )


def test_what_was_measured_here_is_used_and_said(copy, caplog):
    record(copy, CHOSEN, {"goal": "latency"}, this_host())
    with caplog.at_level(logging.INFO, "linnet.predict"):
        classifier = linnet.load(copy.path)
    assert classifier.plan == CHOSEN
    assert classifier.reason.startswith("measured on this host at 20")
    assert classifier.reason.endswith(" for latency")
    assert "(sessions: 2, threads: 1, tokens per batch: 77): measured on this host" in caplog.text
    assert classifier.digest == copy.digest
    assert len(classifier.predict(["good day"] * 50)) == 50


@pytest.mark.parametrize(
    "change",
    [
        {"cpu": "Other 9000"},
        {"cores": 99},
        {"onnxruntime": "0.1"},
        {"openvino": "9"},
        {"instructions": ["other"]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_strangers_choice_is_ignored_and_said(copy, caplog, change):
    record(copy, CHOSEN, {"goal": "latency"}, elsewhere(**change))
    classifier = linnet.load(copy.path)
    assert classifier.plan == Plan()
    (name, value), here = *change.items(), this_host().described
    assert f"{name} there {value!r}, here {here[name]!r}" in caplog.text
    assert "host.json is ignored: it was measured on another host" in caplog.text
    assert "is of another host" in classifier.reason


def test_hosts_do_not_overwrite_each_other(copy):
    record(copy, Plan(max_batch_tokens=5), {"goal": "latency"}, elsewhere(cores=99))
    record(copy, CHOSEN, {"goal": "latency"}, this_host())
    assert choose_plan(copy).plan == CHOSEN
    assert len(json.loads((copy.path / "host.json").read_text())["hosts"]) == 2


def test_a_choice_for_another_bundle_is_ignored(copy, caplog):
    record(copy, CHOSEN, {"goal": "latency"}, this_host())
    content = json.loads((copy.path / "host.json").read_text()) | {"bundle": "0" * 64}
    (copy.path / "host.json").write_text(json.dumps(content))
    assert choose_plan(copy).plan == Plan()
    assert "it was measured with another bundle" in caplog.text
    record(copy, CHOSEN, {"goal": "latency"}, this_host())
    assert choose_plan(copy).plan == CHOSEN


def test_what_is_asked_for_wins(copy):
    record(copy, CHOSEN, {"goal": "latency"}, this_host())
    choice = choose_plan(copy, num_threads=3)
    assert choice.plan == Plan(num_threads=3, num_sessions=2, max_batch_tokens=77)
    assert choice.reason.endswith("for latency, with num_threads 3 as asked")
    assert choose_plan(copy, engine="onnxruntime", variant="fp32").plan == CHOSEN
    other = choose_plan(copy, engine="openvino")
    assert (other.plan, other.reason) == (Plan(engine="openvino"), "as asked")
    with pytest.raises(BundleError, match="holds no variant 'int4'"):
        choose_plan(copy, variant="int4")


def test_a_choice_of_what_is_not_proven_is_refused(copy):
    record(copy, Plan("onnxruntime", "int8-static", 1), {"goal": "latency"}, this_host())
    with pytest.raises(BundleError, match="holds no variant 'int8-static'"):
        linnet.load(copy.path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
        '{"format": 1, "bundle": 3, "hosts": {"KEY": {}}}',
        '{"format": "1", "bundle": "", "hosts": {}}',
        '{"format": 2, "bundle": "", "hosts": {}}',
    ],
)
def test_a_broken_choice_is_a_sentence(copy, text):
    (copy.path / "host.json").write_text(text)
    with pytest.raises(
        BundleError, match=r"host\.json (can't be used: .*writes it again|is of format 2)"
    ):
        choose_plan(copy)
    record(copy, CHOSEN, {"goal": "latency"}, this_host())
    assert choose_plan(copy).plan == CHOSEN


@pytest.mark.parametrize(
    "plan",
    [
        None,
        {},
        {"num_threads": 1},
        "fast",
        *({"num_threads": bad} for bad in (0, -1, 2_000_000, True, 1.5, "1", None)),
    ],
    ids=str,
)
def test_a_choice_that_is_no_plan_is_a_sentence(copy, plan):
    record(copy, CHOSEN, {"goal": "latency"}, this_host())
    content = json.loads((copy.path / "host.json").read_text())
    (entry,) = content["hosts"].values()
    whole = isinstance(plan, dict) and plan not in ({}, {"num_threads": 1})
    entry["plan"] = entry["plan"] | plan if whole else plan
    (copy.path / "host.json").write_text(json.dumps(content))
    with pytest.raises(BundleError, match=r"host\.json can't be used: expected"):
        choose_plan(copy)


def test_a_disk_that_refuses_leaves_what_stood(copy, monkeypatch):
    record(copy, CHOSEN, {"goal": "latency"}, this_host())

    def full(*_: Any) -> None:
        raise StorageError("full")

    monkeypatch.setattr("linnet.predict.plan.write_text", full)
    with pytest.raises(StorageError):
        record(copy, Plan(), {"goal": "latency"}, this_host())
    assert choose_plan(copy).plan == CHOSEN

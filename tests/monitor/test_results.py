"""Files of results as they may be found: whole, missing, half-written, of another format, hostile."""

import json
import os
import time

import pytest

from linnet.monitor.results import LARGEST, read_results

from .sample import decision, drift, experiment, write


def changed(make, *place, value):
    """A sample with one value in it replaced."""
    content = make()
    inner = content
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return content


def test_whole_files_are_read_and_keep_what_they_say(tmp_path):
    found = read_results(write(tmp_path))
    assert found.broken == {} and found.missing == {}
    content = found.content()
    assert content["decision"] == decision()
    assert content["experiment"]["challengers"]["candidate"]["paired"]["pending"] == 95
    assert content["drift"]["arms"]["champion"]["streams"]["surprise"]["rows"] == 33_600
    assert json.loads(json.dumps(content["drift"])) == drift()
    assert found.drift.arms["champion"].accuracy.measured.missing == 28  # a key of its own


def test_an_empty_folder_and_none_are_files_that_are_missing(tmp_path):
    for folder in (tmp_path, tmp_path / "none"):
        found = read_results(folder)
        assert found.missing == {
            "drift.json": "linnet monitor",
            "experiment.json": "linnet experiment",
            "decision.json": "linnet decide",
        }
        assert (found.broken, found.age_seconds) == ({}, None)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no JSON"),
        (b'{"format": 1, "arms": {', "no JSON"),
        (b"\xff\xfe{", "no JSON"),
        (b"[]", "expected format 1, found None"),
        (b'{"format": 2}', "expected format 1, found 2"),
        (b'{"format": "\\u202e1"}', r"found '\u202e1'"),
        (b'{"format": 1, "log": {"rows": NaN}}', "NaN is no number"),
        (b'{"format": 1, "log": {"rows": 1e999}}', "too large"),
        (b'{"format": 1, "log": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", "nested too deeply"),
        (changed(drift, "arms", value=[]), "arms: Input should be"),
        (
            changed(drift, "arms", "champion", "streams", "surprise", "evidence_log10", value="x"),
            "arms.champion.streams.surprise.evidence_log10",
        ),
        (changed(drift, "timeline", 0, "start", value=None), "timeline.0.start"),
    ],
)
def test_a_broken_file_is_a_sentence_and_the_others_count(tmp_path, content, reason):
    found = read_results(write(tmp_path, drift=content))
    assert found.drift is None and found.decision and found.experiment
    assert set(found.broken) == {"drift.json"}
    sentence = found.broken["drift.json"]
    assert reason in sentence and sentence.endswith("Run `linnet monitor` again.")
    assert sentence.isprintable() and len(sentence) < 300


def test_what_is_no_plain_file_is_not_waited_for(tmp_path):
    write(tmp_path, drift=None, decision=None)
    os.mkfifo(tmp_path / "drift.json")
    (tmp_path / "decision.json").mkdir()
    assert set(read_results(tmp_path).broken) == {"drift.json", "decision.json"}


def test_a_huge_file_is_not_read(tmp_path):
    with (write(tmp_path) / "drift.json").open("ab") as file:
        file.truncate(LARGEST + 1)
    assert "the most" in read_results(tmp_path).broken["drift.json"]


def test_the_age_is_that_of_the_monitor_s_file(tmp_path):
    write(tmp_path)
    an_hour_ago = time.time() - 3600
    os.utime(tmp_path / "drift.json", (an_hour_ago, an_hour_ago))
    assert 3600 <= read_results(tmp_path).age_seconds < 3700
    ahead = time.time() + 3600
    os.utime(tmp_path / "drift.json", (ahead, ahead))
    assert read_results(tmp_path).age_seconds == 0


def test_an_unknown_verdict_is_a_broken_decision(tmp_path):
    found = read_results(write(tmp_path, decision=changed(decision, "verdict", value="maybe")))
    assert "verdict" in found.broken["decision.json"]
    found = read_results(write(tmp_path, experiment=changed(experiment, "format", value=2)))
    assert set(found.broken) == {"experiment.json"}


def test_half_of_a_surrogate_pair_in_a_name_is_replaced(tmp_path):
    found = read_results(write(tmp_path, drift=changed(drift, "arms", value={"\ud800": {}})))
    assert list(found.content()["drift"]["arms"]) == ["\ufffd" * 3]

"""The command on real logs: adopted traffic, changed traffic, alarms, bad input, and kills."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from linnet.cli.main import main
from linnet.errors import UsageError
from linnet.monitor.drift import Plan, run, verdict
from linnet.monitor.prediction_log import Store

from .traffic import HOUR, LABELS, START, fill, make_bundle, make_records

PLAN = Plan(3600, 90, 0.05, 0.02, 0.05)
WEEK = 7 * 24
NOW = START + 365 * 86_400
FILES = ("drift.json", "state.json", "reference.json")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp("bundles") / "bundle")


@pytest.fixture(scope="module")
def usual(bundle, tmp_path_factory) -> Path:
    """The log of ten days of usual traffic."""
    path = tmp_path_factory.mktemp("logs") / "usual.db"
    fill(path, make_records(bundle.digest, WEEK + 72, 60))
    return path


@pytest.fixture
def log(usual, tmp_path) -> Path:
    """A copy of it that may be changed."""
    return Path(shutil.copy(usual, tmp_path / "log.db"))


def monitor(log, bundle, folder, window=None, acknowledged=(), plan=PLAN, now=NOW):
    bundles = bundle if isinstance(bundle, list) else [bundle]
    with Store(str(log), create=False) as store:
        return run(store, bundles, folder, plan, window, acknowledged, now)


def adopted_week(log, bundle, folder):
    return monitor(log, bundle, folder, (START, START + WEEK * HOUR))


def later(bundle, hours=72, seed=1, begin=START + (WEEK + 72) * HOUR, **changes):
    return make_records(bundle.digest, hours, 60, seed=seed, begin=begin, **changes)


def contents(folder):
    return {name: (folder / name).read_bytes() for name in FILES if (folder / name).exists()}


def test_before_anything_is_adopted_training_is_compared_and_nothing_alarms(log, bundle, tmp_path):
    found = monitor(log, bundle, tmp_path / "m").content
    arm = found["arms"]["champion"]
    assert found["reference"]["kind"] == arm["reference"] == "training"
    # The bundle's validation rows have tokens from 5 to 44, and other figures are as in the traffic.
    assert set(arm["streams"]) == {*(f"label:{label}" for label in LABELS), "tokens", "truncated"}
    assert found["alarms"] == []
    assert "--adopt" in verdict(found)
    assert found["log"]["rows"] == arm["rows"] == arm["distinct_texts"] == (WEEK + 71) * 60


def test_validation_rows_that_are_unlike_the_traffic_are_reported(log, tmp_path):
    strange = make_bundle(tmp_path / "b", predicted_labels={"negative": 0.9})
    fill(tmp_path / "other.db", make_records(strange.digest, 48, 60))
    found = monitor(tmp_path / "other.db", strange, tmp_path / "m").content
    unlike = found["arms"]["champion"]["unlike_training"]
    assert unlike == [f"label:{label}" for label in LABELS]
    assert found["alarms"] == []


def test_usual_traffic_raises_no_alarm_and_strange_traffic_does(log, bundle, tmp_path):
    folder = tmp_path / "m"
    quiet = adopted_week(log, bundle, folder).content
    assert quiet["reference"]["kind"] == "adopted"
    assert quiet["reference"]["rows"] == WEEK * 60
    assert quiet["log"]["rows"] == 71 * 60
    assert quiet["alarms"] == []
    assert quiet["arms"]["champion"]["state"] == "ok"
    assert verdict(quiet) == "No alarm: every stream is in its zone."

    fill(log, later(bundle, foreign=0.5))
    found = monitor(log, bundle, folder).content
    alarms = {alarm["stream"]: alarm for alarm in found["alarms"]}
    assert set(alarms) == {"confidence", "tokens", "surprise"}
    assert alarms["confidence"]["direction"] == "below"
    assert {alarm["incident"] for alarm in alarms.values()} == {1}
    assert all(
        START + (WEEK + 72) * HOUR < alarm["since"] <= START + (WEEK + 96) * HOUR
        for alarm in alarms.values()
    )
    assert found["arms"]["champion"]["state"] == "alarm"
    assert "in 1 incident" in verdict(found)
    limit = found["promise"]["evidence_limit_log10"]
    assert limit == round(np.log10(90 * 24 / 0.05), 4)
    assert all(alarm["evidence_log10"] >= limit for alarm in alarms.values())


def test_an_alarm_is_latched_until_somebody_acknowledges_it(log, bundle, tmp_path):
    folder = tmp_path / "m"
    adopted_week(log, bundle, folder)
    fill(log, later(bundle, shares=(0.8, 0.1, 0.1)))
    names = {alarm["stream"] for alarm in monitor(log, bundle, folder).content["alarms"]}
    assert names == {f"label:{label}" for label in LABELS}
    # As usual again: the alarm stays.
    fill(log, later(bundle, begin=START + (WEEK + 144) * HOUR, seed=2))
    since = monitor(log, bundle, folder).content["alarms"][0]["since"]
    found = monitor(log, bundle, folder, acknowledged=["champion/label:negative"]).content
    assert {alarm["stream"] for alarm in found["alarms"]} == names - {"label:negative"}
    stream = found["arms"]["champion"]["streams"]["label:negative"]
    assert stream["alarm_since"] is None
    assert stream["acknowledged"] == found["log"]["settled_until"] > since
    with pytest.raises(UsageError, match="Open: champion/label:positive"):
        monitor(log, bundle, folder, acknowledged=["champion/label:negative"])
    assert monitor(log, bundle, folder, acknowledged=["champion"]).content["alarms"] == []


def test_the_same_log_gives_the_same_bytes_whenever_it_is_read(log, bundle, tmp_path):
    fill(log, later(bundle, foreign=0.5))
    adopted_week(log, bundle, tmp_path / "once")
    with Store(str(log)) as store:
        entries = [entry.record for entry in store.read()]
    grown = tmp_path / "grown.db"
    draw = np.random.default_rng(3)
    place = WEEK * 60 + 70
    fill(grown, iter(entries[:place]))
    adopted_week(grown, bundle, tmp_path / "often")
    while place < len(entries):
        step = int(draw.integers(1, 900))
        fill(grown, iter(entries[place : place + step]))
        place += step
        monitor(grown, bundle, tmp_path / "often")
    assert contents(tmp_path / "often") == contents(tmp_path / "once")


def test_a_run_without_news_changes_no_byte(log, bundle, tmp_path):
    adopted_week(log, bundle, tmp_path / "m")
    before = contents(tmp_path / "m")
    monitor(log, bundle, tmp_path / "m")
    assert contents(tmp_path / "m") == before


@pytest.mark.parametrize("lost", [["state.json"], ["state.json", "drift.json"]])
def test_a_kill_between_two_files_costs_nothing(log, bundle, tmp_path, lost):
    folder = tmp_path / "m"
    adopted_week(log, bundle, folder)
    early = contents(folder)
    fill(log, later(bundle, foreign=0.5))
    monitor(log, bundle, folder)
    late = contents(folder)
    for name in lost:  # as they were before the run that was killed
        (folder / name).write_bytes(early[name])
    monitor(log, bundle, folder)
    assert contents(folder) == late


def test_kills_at_any_moment_change_nothing(log, bundle, tmp_path):
    fill(log, later(bundle, foreign=0.5))
    adopted_week(log, bundle, tmp_path / "whole")
    day = [datetime.fromtimestamp(START + k * 86_400, UTC).isoformat() for k in (0, 7)]
    command = [sys.executable, "-m", "linnet.cli.main", "monitor", log, bundle.path]
    command += ["--out", tmp_path / "killed"]
    for delay in (0.05, 0.2, 0.35, 0.5, 0.65, 0.8):
        process = subprocess.Popen([*command, "--adopt", "..".join(day)], stdout=subprocess.DEVNULL)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = subprocess.run([*command, "--adopt", "..".join(day)], capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
    assert not [path for path in (tmp_path / "killed").iterdir() if path.suffix == ".tmp"]


def test_repeated_texts_count_once_in_a_block(log, bundle, tmp_path):
    """One text, asked again and again, is no drift."""
    folder = tmp_path / "m"
    adopted_week(log, bundle, folder)
    burst = later(bundle, seed=5, text_hash=99, probability=0.1, label="negative")
    records = [*later(bundle), *burst]
    fill(log, iter(sorted(records, key=lambda record: record.time)))
    found = monitor(log, bundle, folder).content
    assert found["alarms"] == []
    arm = found["arms"]["champion"]
    assert arm["rows"] == 71 * 60 + 60 + 71 * 120
    assert arm["distinct_texts"] == 71 * 60 + 60 + 71 * 61


def test_answers_of_an_older_log_without_hashes_are_told_apart_by_what_they_say(bundle, tmp_path):
    records = [*make_records(bundle.digest, 4, 60, text_hash=None)]
    again = [*make_records(bundle.digest, 4, 60, text_hash=None, arm="champion")]
    changed = [record.__class__(**_changed(record, id=f"again-{record.id}")) for record in again]
    log = fill(tmp_path / "log.db", iter(sorted(records + changed, key=lambda r: (r.time, r.id))))
    arm = monitor(log, bundle, tmp_path / "m").content["arms"]["champion"]
    assert arm["rows"] == 2 * arm["distinct_texts"] == 2 * 3 * 60


def _changed(record, **changes):
    return {name: getattr(record, name) for name in record.__slots__} | changes


def test_quiet_hours_are_joined_until_they_have_20_texts(bundle, tmp_path):
    log = fill(tmp_path / "log.db", make_records(bundle.digest, 50, 3))
    found = monitor(log, bundle, tmp_path / "m").content
    assert [entry["rows"] for entry in found["timeline"]] == [21] * 7
    assert found["timeline"][1]["start"] == START + 7 * HOUR
    # In parts too, though the texts of open blocks are known from the state alone.
    with Store(log) as store:
        records = [entry.record for entry in store.read()]
    for count in range(0, 150, 7):
        fill(tmp_path / "grown.db", iter(records[count : count + 7]))
        monitor(tmp_path / "grown.db", bundle, tmp_path / "often")
    assert contents(tmp_path / "often") == contents(tmp_path / "m")


def test_retention_takes_rows_that_were_judged(log, bundle, tmp_path):
    folder = tmp_path / "m"
    adopted_week(log, bundle, folder)
    with Store(str(log)) as store:
        while store.forget(START + (WEEK + 71) * HOUR, 5000):
            pass
    fill(log, later(bundle, foreign=0.5))
    found = monitor(log, bundle, folder).content
    assert len(found["alarms"]) == 3
    assert found["log"]["rows"] == (71 + 72) * 60


def test_a_log_that_retention_emptied_goes_on(log, bundle, tmp_path):
    folder = tmp_path / "m"
    adopted_week(log, bundle, folder)
    with Store(str(log)) as store:
        while store.forget(NOW, 5000):
            pass
    assert monitor(log, bundle, folder).content["log"]["rows"] == 71 * 60
    fill(log, later(bundle))
    # The row that ended the last block was deleted before it was judged.
    assert monitor(log, bundle, folder).content["log"]["rows"] == (71 + 71) * 60


def test_two_servers_with_clocks_apart_lose_no_row(bundle, tmp_path):
    one = list(make_records(bundle.digest, 30, 60))
    two = list(make_records(bundle.digest, 30, 60, seed=2))
    behind = [type(record)(**_changed(record, time=record.time - 1200)) for record in two]
    both = [record for pair in zip(one, behind, strict=True) for record in pair]
    log = fill(tmp_path / "log.db", iter(both))
    found = monitor(log, bundle, tmp_path / "m").content
    assert found["log"]["rows"] == found["arms"]["champion"]["rows"] == 29 * 120
    assert len(found["timeline"]) == 29


def test_a_new_bundle_begins_a_new_state(log, bundle, tmp_path):
    folder = tmp_path / "m"
    adopted_week(log, bundle, folder)
    other = make_bundle(tmp_path / "other", rows=4001)
    fill(log, later(other, foreign=0.9))
    outcome = monitor(log, bundle, folder)
    assert outcome.content["arms"]["champion"]["digest"] == other.digest
    assert outcome.content["arms"]["champion"]["state"] == "no_reference"
    assert any("Name it too" in note for note in outcome.notes)
    fill(log, later(other, begin=START + (WEEK + 144) * HOUR, seed=3))
    arm = monitor(log, [bundle, other], folder).content["arms"]["champion"]
    assert arm["reference"] == "training"
    assert arm["rows"] == 72 * 60
    # Rolled back: the first bundle's evidence was kept.
    fill(log, later(bundle, begin=START + (WEEK + 216) * HOUR, seed=4))
    arm = monitor(log, [bundle, other], folder).content["arms"]["champion"]
    assert arm["reference"] == "adopted"
    assert arm["rows"] == (72 + 71) * 60


def test_changed_settings_begin_at_the_beginning(log, bundle, tmp_path):
    monitor(log, bundle, tmp_path / "m")
    other = Plan(7200, 90, 0.05, 0.02, 0.05)
    outcome = monitor(log, bundle, tmp_path / "m", plan=other)
    assert "settings" in outcome.notes[0]
    assert len(outcome.content["timeline"]) == (WEEK + 72) // 2 - 1


def test_the_state_stays_small(bundle, tmp_path):
    records = [
        record
        for arm in ("champion", "shadow", "a", "b", "c")
        for record in make_records(bundle.digest, 26, 19, arm=arm, seed=len(arm))
    ]
    log = fill(tmp_path / "log.db", iter(sorted(records, key=lambda record: record.time)))
    monitor(log, bundle, tmp_path / "m", (START, START + 24 * HOUR))
    assert (tmp_path / "m" / "state.json").stat().st_size < 64 << 10


# Bad input: one sentence each, and no file that is not whole.


def test_an_empty_log_is_no_error(bundle, tmp_path):
    Store(str(tmp_path / "log.db")).close()
    outcome = monitor(tmp_path / "log.db", bundle, tmp_path / "m")
    assert verdict(outcome.content) == "Nothing to judge yet: no block of the log is complete."
    assert outcome.content["arms"] == {}


def test_a_log_of_another_bundle_is_refused(log, tmp_path):
    other = make_bundle(tmp_path / "other", rows=4001)
    with pytest.raises(UsageError, match=r"no answers of .*other .*Name that bundle\.$"):
        monitor(log, other, tmp_path / "m")
    assert not (tmp_path / "m" / "drift.json").exists()


def test_a_log_that_the_folder_is_not_about_is_refused(log, bundle, tmp_path):
    monitor(log, bundle, tmp_path / "m")
    other = fill(tmp_path / "other.db", make_records(bundle.digest, 300, 60, seed=8))
    before = contents(tmp_path / "m")
    with pytest.raises(UsageError, match="not the log that the monitor's folder is about"):
        monitor(other, bundle, tmp_path / "m")
    assert contents(tmp_path / "m") == before


@pytest.mark.parametrize("name", ["state.json", "reference.json"])
@pytest.mark.parametrize("content", ["", "{}", "[]", '{"format": 2}', "\0" * 99])
def test_a_broken_file_is_named(log, bundle, tmp_path, name, content):
    adopted_week(log, bundle, tmp_path / "m")
    (tmp_path / "m" / name).write_text(content)
    with pytest.raises(UsageError, match=f"{name} can't be used"):
        monitor(log, bundle, tmp_path / "m")


def test_rows_from_the_future_are_left_out(bundle, tmp_path):
    records = list(make_records(bundle.digest, 30, 60))
    records[100] = type(records[0])(**_changed(records[100], time=NOW + 10 * 86_400))
    log = fill(tmp_path / "log.db", iter(records))
    outcome = monitor(log, bundle, tmp_path / "m")
    assert outcome.content["log"]["from_the_future"] == 1
    assert outcome.content["arms"]["champion"]["rows"] == 29 * 60 - 1
    assert len(outcome.content["timeline"]) == 29
    assert any("Check the servers' clocks" in note for note in outcome.notes)


def test_a_clock_that_was_set_back_stops_nothing(bundle, tmp_path):
    """The clock was a year ahead, also where the monitor ran, and then it was not."""
    log = fill(tmp_path / "log.db", make_records(bundle.digest, 30, 60, begin=START + 8760 * HOUR))
    monitor(log, bundle, tmp_path / "m", now=START + 9000 * HOUR)
    fill(tmp_path / "log.db", make_records(bundle.digest, 30, 60, seed=1))
    now = START + 30 * HOUR
    outcome = monitor(log, bundle, tmp_path / "m", now=now)
    assert any("set back" in note for note in outcome.notes)
    assert outcome.content["log"]["settled_until"] == START + 29 * HOUR
    assert outcome.content["arms"]["champion"]["rows"] == (29 + 29) * 60


@pytest.mark.parametrize(
    ("window", "sentence"),
    [
        (
            (START - 90 * HOUR, START - 50 * HOUR),
            "no complete block. The log has answers from 2025",
        ),
        ((START, START + 1800), "no complete block"),
    ],
)
def test_a_reference_needs_rows(log, bundle, tmp_path, window, sentence):
    with pytest.raises(UsageError, match=sentence):
        monitor(log, bundle, tmp_path / "m", window)
    assert contents(tmp_path / "m") == {}


def test_two_monitors_do_not_share_a_folder(log, bundle, tmp_path):
    from linnet.files import locked

    (tmp_path / "m").mkdir()
    with locked(tmp_path / "m" / ".monitor.lock"), pytest.raises(UsageError, match="Another"):
        monitor(log, bundle, tmp_path / "m")


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--adopt", "yesterday"], "Expected --adopt as two days"),
        (["--adopt", "2026-01-02..2026-01-01"], "the earlier time first"),
        (["--every", "0"], "Expected --every"),
        (["--acknowledge", "champion/confidence"], "Open: none"),
        (["--acknowledge", "\ud800/x"], "no alarm"),
    ],
)
def test_the_command_refuses_in_one_sentence(log, bundle, tmp_path, capsys, flags, sentence):
    code = main(["monitor", str(log), str(bundle.path), "--out", str(tmp_path / "m"), *flags])
    error = capsys.readouterr().err
    assert code == UsageError.exit_code
    assert sentence in error
    assert error.count("\n") == 1


def test_the_command_prints_a_table_and_a_verdict(log, bundle, tmp_path, capsys):
    fill(log, later(bundle, foreign=0.5))
    days = [datetime.fromtimestamp(START + k * 86_400, UTC).isoformat() for k in (0, 7)]
    command = ["monitor", str(log), str(bundle.path), "--out", str(tmp_path / "m")]
    assert main([*command, "--adopt", "..".join(days)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("champion  ")
    assert any(line.startswith("  confidence") and "ALARM since" in line for line in lines)
    assert "at most 5%" in lines[-2]
    assert lines[-1].startswith("3 alarms in 1 incident since 2025-")


def test_the_page_the_metrics_and_the_alarms_follow(log, bundle, tmp_path, capsys):
    assert main(["monitor", str(log), str(bundle.path), "--out", str(tmp_path / "m")]) == 0
    assert "label:positive" in (tmp_path / "m" / "drift.html").read_text()
    assert "linnet_drift_evidence" in (tmp_path / "m" / "linnet.prom").read_text()
    assert main(["monitor", "--test-alarm"]) == UsageError.exit_code
    assert "There is no webhook" in capsys.readouterr().err
    assert main(["monitor", str(log)]) == UsageError.exit_code
    assert "LOG BUNDLE" in capsys.readouterr().err


def test_every_runs_again_until_it_is_stopped(log, bundle, tmp_path):
    command = [sys.executable, "-m", "linnet.cli.main", "monitor", log, bundle.path]
    command += ["--out", tmp_path / "m", "--every", "0.05"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        lines = [process.stdout.readline() for _ in range(12)]
        nice = os.getpriority(os.PRIO_PROCESS, process.pid)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert lines[-1] == lines[-2] != ""
    assert nice >= 10
    assert json.loads((tmp_path / "m" / "drift.json").read_text())["format"] == 1

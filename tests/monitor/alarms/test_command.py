"""`linnet monitor` alarms: once for each stream, whatever happens to the receiver."""

import json

from linnet.cli.main import main

from ..drift.traffic import HOUR, START, fill, make_bundle, make_records
from ..sample import write


def test_a_test_alarm_needs_no_log(receiver, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["monitor", "--test-alarm", "--set", f"alarms.webhook={receiver.url}"]) == 0
    assert receiver.alarms()[0]["kind"] == "test"
    said = capsys.readouterr().out
    assert said == f"http://127.0.0.1:{receiver.server_port} took the test alarm.\n"
    receiver.answers = [403]
    assert main(["monitor", "--test-alarm", "--set", f"alarms.webhook={receiver.url}"]) == 8
    assert "a-secret-path" not in capsys.readouterr().err
    assert main(["monitor", "--test-alarm"]) == 2
    assert "There is no webhook" in capsys.readouterr().err
    assert main(["monitor", "predictions.db"]) == 2
    assert "linnet monitor LOG BUNDLE" in capsys.readouterr().err


def test_drift_alarms_once_and_leaves_page_and_metrics(receiver, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bundle = make_bundle(tmp_path / "bundle")
    usual = make_records(bundle.digest, 48)
    changed = make_records(bundle.digest, 24, begin=START + 48 * HOUR, seed=1, foreign=1.0)
    log = fill(tmp_path / "predictions.db", usual, changed)
    command = ["monitor", log, str(bundle.path), "--set", f"alarms.webhook={receiver.url}"]
    command += ["--set", "alarms.max_attempts=1"]
    receiver.answers = [500]
    assert main([*command, "--adopt", "2025-10-10..2025-10-12"]) == 0
    captured = capsys.readouterr()
    assert "ALARM since" in captured.out
    assert "did not take an alarm: it answered 500" in captured.err
    receiver.taken.clear()
    assert main(command) == 0
    streams = {alarm["stream"] for alarm in receiver.alarms()}
    assert {"surprise", "tokens"} <= streams and len(streams) == len(receiver.taken)
    assert f"Sent {len(streams)} alarms to " in capsys.readouterr().err
    assert main(command) == 0
    assert len(receiver.taken) == len(streams)
    folder = tmp_path / "monitor"
    assert (
        'linnet_drift_alarm{arm="champion",stream="surprise"} 1.0'
        in (folder / "linnet.prom").read_text()
    )
    page = (folder / "drift.html").read_text()
    embedded = json.loads(page.partition('id="results">')[2].partition("</script>")[0])
    assert {alarm["stream"] for alarm in embedded["drift"]["alarms"]} == streams
    assert main([*command, "--acknowledge", "champion"]) == 0
    assert len(receiver.taken) == len(streams)


def test_a_decision_alarms_and_is_on_the_page(receiver, tmp_path, monkeypatch):
    """`linnet decide` tells of the experiment's harm as soon as it decides."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "monitor", decision=None, experiment=None)
    command = ["decide", "--set", f"alarms.webhook={receiver.url}"]
    assert main(command) == 0
    assert {alarm["kind"] for alarm in receiver.alarms()} == {"drift"}
    assert 'linnet_decision{verdict="keep"} 1.0' in (tmp_path / "monitor/linnet.prom").read_text()
    assert "Keep the champion" in (tmp_path / "monitor/drift.html").read_text()
    assert main([*command, "--out", "elsewhere.json"]) == 0
    assert len(receiver.taken) == 2

"""Alarms to a real receiver: signed, tried again, once for each cause, over kills and restarts."""

import hashlib
import hmac
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from linnet.config import load_config
from linnet.errors import ConfigError, ServiceError, UsageError
from linnet.monitor.alarms import due_alarms, send_alarms, send_test_alarm
from linnet.monitor.results import read_results

from ..sample import decision, drift, write


@pytest.fixture
def run(tmp_path, settings):
    """What a command does at its end: reads the folder and sends what is due."""
    pauses = []

    def run(files=None, **changes):
        write(tmp_path, **files or {})
        return send_alarms(settings(**changes), tmp_path, read_results(tmp_path), pauses.append)

    run.pauses = pauses
    return run


def test_each_alarm_is_sent_once(run, receiver):
    said = run()
    assert said == [f"Sent 2 alarms to http://127.0.0.1:{receiver.server_port}."]
    first, second = receiver.alarms()
    assert {first["stream"], second["stream"]} == {"surprise", "label:negative"}
    assert first["kind"] == "drift" and first["severity"] == "ticket"
    assert first["since"] == "2025-11-25T00:00:00+00:00"
    assert first["runbook"].endswith("/alarms/#a-stream-has-an-alarm")
    assert first["text"].startswith("The stream ") and first["id"] != second["id"]
    assert run() == [] and len(receiver.taken) == 2


def test_a_cause_that_comes_back_is_sent_again(run, receiver):
    quiet = drift() | {"alarms": []}
    retrain = {"drift": quiet, "decision": decision() | {"verdict": "retrain"}}
    keep = {"drift": quiet, "decision": decision() | {"verdict": "keep"}}
    for files, count in ((retrain, 1), (retrain, 1), (keep, 1), (retrain, 2), (keep, 2)):
        run(files)
        assert len(receiver.taken) == count
    assert receiver.alarms()[0]["verdict"] == "retrain"
    later = drift()
    for alarm in later["alarms"]:
        alarm["since"] += 86_400
    run({"drift": drift()})
    run({"drift": later})
    assert len(receiver.taken) == 6


def test_acknowledged_streams_and_quiet_verdicts_are_not_sent(tmp_path):
    found = drift()
    for stream in found["arms"]["champion"]["streams"].values():
        stream["acknowledged"] = found["log"]["settled_until"]
    write(tmp_path, drift=found)
    assert due_alarms(read_results(tmp_path)) == []
    write(tmp_path, drift=None, decision=decision() | {"verdict": "roll_back"})
    (alarm,) = due_alarms(read_results(tmp_path))
    assert (alarm.severity, alarm.anchor) == ("page", "the-verdict-is-roll-back")
    assert alarm.text == "Linnet advises to roll back candidate."


@pytest.mark.parametrize("way", ["file", "variable"])
def test_it_is_signed_with_the_secret_and_its_time(run, receiver, tmp_path, monkeypatch, way):
    if way == "file":
        (tmp_path / "secret").write_text("a long secret\n")
        run(secret_file=str(tmp_path / "secret"))
    else:
        monkeypatch.setenv("LINNET_ALARM_SECRET", "a long secret")
        run()
    headers, body = receiver.taken[0]
    parts = dict(part.split("=", 1) for part in headers["Linnet-Signature"].split(","))
    assert abs(int(parts["t"]) - time.time()) < 60
    expected = hmac.new(b"a long secret", parts["t"].encode() + b"." + body, hashlib.sha256)
    assert parts["v1"] == expected.hexdigest()
    assert headers["Content-Type"] == "application/json"
    assert headers["Idempotency-Key"] == json.loads(body)["id"]


def test_without_a_secret_there_is_no_signature(run, receiver):
    run()
    assert "Linnet-Signature" not in receiver.taken[0][0]


def test_it_is_tried_again_with_longer_pauses_and_the_same_id(run, receiver):
    receiver.answers = [503, 429]
    assert run()[0].startswith("Sent 2 alarms")
    identities = [headers["Idempotency-Key"] for headers, _ in receiver.taken]
    assert identities[0] == identities[1] == identities[2] != identities[3]
    assert run.pauses == [1, 2]


def test_a_webhook_that_stays_down_is_a_sentence_and_the_next_run_sends(run, receiver):
    receiver.answers = [500] * 3
    (sentence,) = run()
    assert "did not take an alarm: it answered 500" in sentence
    assert len(receiver.taken) == 3  # the second alarm was not tried
    assert run() == [f"Sent 2 alarms to http://127.0.0.1:{receiver.server_port}."]


def test_a_refusal_that_stays_is_not_tried_again(run, receiver):
    receiver.answers = [404]
    assert "it answered 404" in run()[0]
    assert len(receiver.taken) == 1 and run.pauses == []


def test_a_redirect_is_not_followed(run, receiver):
    receiver.answers = [receiver.url]
    assert "it answered 302" in run()[0]
    assert len(receiver.taken) == 1


def test_nobody_there_and_a_receiver_that_hangs_are_sentences(run, receiver):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (sentence,) = run(webhook=f"http://127.0.0.1:{port}/", max_attempts=2)
    assert "Connection refused" in sentence and len(run.pauses) == 1
    receiver.hold.clear()
    (sentence,) = run(timeout_seconds=0.2, max_attempts=1)
    assert "did not answer in time" in sentence


def test_what_is_no_http_is_a_sentence(run):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def babble():
            connection, _ = server.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(b"SSH-2.0-nothing\r\n\r\n")

        thread = threading.Thread(target=babble)
        thread.start()
        (sentence,) = run(webhook=f"http://127.0.0.1:{server.getsockname()[1]}/", max_attempts=1)
        thread.join()
    assert "did not take an alarm: BadStatusLine" in sentence


def test_neither_secret_nor_path_is_said_or_stored(run, receiver, tmp_path, monkeypatch):
    monkeypatch.setenv("LINNET_ALARM_SECRET", "a long secret")
    receiver.answers = [500] * 3
    said = [*run(), *run()]
    stored = [path.read_text() for path in tmp_path.iterdir() if path.is_file()]
    for text in (*said, *stored):
        assert "a-secret-path" not in text and "a long secret" not in text


def test_a_proxy_is_not_asked_for_a_loopback_address(run, receiver, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    assert run()[0].startswith("Sent 2")


def test_a_test_alarm_takes_the_same_way(receiver, settings, monkeypatch):
    monkeypatch.setenv("LINNET_ALARM_SECRET", "s")
    assert send_test_alarm(settings()) == f"http://127.0.0.1:{receiver.server_port}"
    headers, body = receiver.taken[0]
    assert json.loads(body)["kind"] == "test" and "Linnet-Signature" in headers
    receiver.answers = [410]
    with pytest.raises(ServiceError, match="it answered 410"):
        send_test_alarm(settings())
    with pytest.raises(UsageError, match="There is no webhook"):
        send_test_alarm(settings(webhook=""))


def test_the_address_may_come_from_the_variable(run, receiver, monkeypatch):
    monkeypatch.setenv("LINNET_ALARM_WEBHOOK", receiver.url)
    assert run(webhook="")[0].startswith("Sent 2")
    monkeypatch.setenv("LINNET_ALARM_WEBHOOK", "http://example.com/secret")
    (sentence,) = run(webhook="")
    assert sentence.startswith("Alarms were not sent: LINNET_ALARM_WEBHOOK can't be used")
    assert "secret" not in sentence


def test_a_secret_that_is_missing_or_empty_sends_nothing_unsigned(run, receiver, tmp_path):
    assert "can't be read" in run(secret_file=str(tmp_path / "none"))[0]
    (tmp_path / "empty").touch()
    assert "is empty" in run(secret_file=str(tmp_path / "empty"))[0]
    assert receiver.taken == []


@pytest.mark.parametrize(
    "address",
    [
        "http://example.com/hook",
        "http://localhost.evil.example/",
        "http://127.0.0.1.evil.example/",
        "https://user:password@example.com/",
        "ftp://example.com/",
        "https:///path",
        "https://example.com:99999/",
        "https://example.com/\r\nX-Injected: 1",
        "https://exa mple.com/",
        "http://[::2]/",
        "file:///etc/passwd",
    ],
)
def test_an_address_that_others_could_read_is_refused(settings, address):
    with pytest.raises(ConfigError, match=r"alarms\.webhook") as refused:
        settings(webhook=address)
    assert address not in str(refused.value)


@pytest.mark.parametrize("address", ["https://example.com/x", "http://[::1]:9/", ""])
def test_other_addresses_are_taken(settings, address):
    assert settings(webhook=address).webhook == address


def test_a_broken_state_counts_as_none(run, receiver, tmp_path):
    for content in (b"{", b"[]", b'{"sent": [1, {}]}', b'{"sent": null}'):
        (tmp_path / "alarms.json").write_bytes(content)
        receiver.taken.clear()
        assert run()[0].startswith("Sent 2") and len(receiver.taken) == 2


def test_a_full_disk_is_a_sentence(run, receiver, files_of_at_most, tmp_path):
    write(tmp_path)
    results = read_results(tmp_path)
    settings = load_config(overrides={"alarms.webhook": receiver.url}).alarms
    with files_of_at_most(0):
        (sentence,) = send_alarms(settings, tmp_path, results)
    assert sentence.startswith("Alarms were not sent: Could not write")


SENDER = """
import sys
from pathlib import Path
from linnet.config import load_config
from linnet.monitor.alarms import send_alarms
from linnet.monitor.results import read_results
folder = Path(sys.argv[1])
settings = load_config(overrides={"alarms.webhook": sys.argv[2]}).alarms
print(*send_alarms(settings, folder, read_results(folder)))
"""


def test_a_kill_while_it_is_sent_loses_no_alarm(tmp_path, receiver):
    """It is sent again with the same id: at least once, and a receiver can tell."""
    folder = write(tmp_path / "monitor")
    command = [sys.executable, "-c", SENDER, str(folder), receiver.url]
    receiver.hold.clear()
    process = subprocess.Popen(command, cwd=tmp_path)
    deadline = time.monotonic() + 60
    while not receiver.taken and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    receiver.hold.set()
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Sent 2 alarms")
    identities = [headers["Idempotency-Key"] for headers, _ in receiver.taken]
    assert len(identities) == 3 and identities[0] == identities[1] != identities[2]
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert again.stdout.strip() == "" and len(receiver.taken) == 3


def test_two_runs_at_a_time_send_once(tmp_path, receiver, settings):
    folder = write(tmp_path / "monitor")
    results = read_results(folder)
    chosen = settings()
    threads = [
        threading.Thread(target=send_alarms, args=(chosen, folder, results)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(receiver.taken) == 2

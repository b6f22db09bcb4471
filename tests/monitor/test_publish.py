"""What commands do with their results: page, metrics and alarms, whatever of it fails."""

import pytest

from linnet.config import load_config
from linnet.errors import StorageError
from linnet.monitor.publish import publish

from .sample import drift, write


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def without_time(found):
    """The metrics say when the monitor ran, and nothing else does."""
    lines = found["linnet.prom"].splitlines()
    assert sum(line.startswith(b"linnet_monitor_timestamp_seconds ") for line in lines) == 1
    kept = [line for line in lines if not line.startswith(b"linnet_monitor_timestamp_seconds ")]
    return found | {"linnet.prom": kept}


def test_page_and_metrics_are_written_and_equal_results_give_equal_bytes(tmp_path):
    folder = write(tmp_path / "monitor")
    assert publish(load_config(), folder) == []
    first = without_time(files(folder))
    assert {"drift.html", "linnet.prom"} <= set(first)
    publish(load_config(), write(folder))
    assert without_time(files(folder)) == first


def test_metrics_may_go_elsewhere_and_one_that_can_t_is_a_sentence(tmp_path):
    folder = write(tmp_path / "monitor")
    elsewhere = tmp_path / "collector" / "linnet.prom"
    publish(load_config(overrides={"alarms.textfile": str(elsewhere)}), folder)
    assert b"linnet_drift_alarm" in elsewhere.read_bytes()
    assert "linnet.prom" not in files(folder)
    # a folder below a file
    below = elsewhere / "linnet.prom"
    (sentence,) = publish(load_config(overrides={"alarms.textfile": str(below)}), folder)
    assert sentence.startswith("The metrics were not written: ")
    assert (folder / "drift.html").is_file()


def test_a_webhook_that_is_down_stops_nothing(tmp_path):
    folder = write(tmp_path / "monitor")
    pauses = []
    config = load_config(overrides={"alarms.webhook": "http://127.0.0.1:9/"})
    (sentence,) = publish(config, folder, pauses.append)
    assert "did not take an alarm" in sentence and pauses == [1, 2, 4]
    assert {"drift.html", "linnet.prom"} <= set(files(folder))


def test_a_full_disk_is_said_and_former_files_stay(tmp_path, files_of_at_most):
    folder = write(tmp_path / "monitor")
    publish(load_config(), folder)
    before = files(folder)["drift.html"]
    write(folder, drift=drift() | {"alarms": []})
    with files_of_at_most(10), pytest.raises(StorageError, match=r"drift\.html"):
        publish(load_config(), folder)
    assert files(folder)["drift.html"] == before

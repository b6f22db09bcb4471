"""A finished run in a store: once, whole, and loadable without a pickle."""

import json
import subprocess
import sys

import pytest

from linnet.errors import BundleError, ConfigError, ServiceError, UsageError
from linnet.predict import load
from linnet.track.finished_run import FinishedRun
from linnet.track.log import track
from linnet.track.registry import Registry, check_alias
from linnet.track.store import Store, without_password

TEXTS = ["good good day", "i hate rain", "what is this"]


def test_a_run_is_logged_whole_and_the_same_bundle_is_one_version(good_run, config):
    run = FinishedRun.read(good_run)
    first = track(run, config.track, "words")
    again = track(run, config.track, "words")
    assert first.is_new and not again.is_new
    assert again.version.number == first.version.number and again.run_id == first.run_id
    client = Store(config.track).client
    logged = client.get_run(first.run_id)
    assert logged.info.status == "FINISHED"
    assert logged.data.params == run.parameters()
    assert logged.data.metrics["test.accuracy.low"] == run.report["accuracy"]["low"]
    assert logged.data.tags["mlflow.source.git.commit"] == "c" * 40
    names = {
        (one.dataset.name, next(tag.value for tag in one.tags if tag.key == "mlflow.data.context"))
        for one in logged.inputs.dataset_inputs
    }
    assert names == {("train", "training"), ("validation", "validation"), ("test", "testing")}
    kept = {entry.path for entry in client.list_artifacts(first.run_id, "report")}
    assert kept == {f"report/{path.name}" for path in (good_run / "report").iterdir()}
    assert Registry(Store(config.track), "words").by_alias("challenger") == first.version


def test_a_run_that_was_killed_is_closed_and_logged_again(good_run, config, monkeypatch):
    run = FinishedRun.read(good_run)
    from linnet.track import log

    with monkeypatch.context() as patch:
        patch.setattr(log, "_log_model", lambda *_: sys.exit(137))
        with pytest.raises(SystemExit):
            track(run, config.track, "words")
    tracked = track(run, config.track, "words")
    client = Store(config.track).client
    states = {
        found.info.run_id: found.info.status
        for found in client.search_runs([client.get_experiment_by_name("words").experiment_id])
    }
    assert tracked.is_new and states.pop(tracked.run_id) == "FINISHED"
    assert [*states.values()] == ["KILLED"]


def test_no_path_of_this_machine_and_no_pickle_is_in_the_model(good_run, config, tmp_path):
    tracked = track(FinishedRun.read(good_run), config.track, "words")
    (described,) = tmp_path.glob("mlartifacts/**/MLmodel")
    assert str(tmp_path) not in described.read_text() and str(good_run) not in described.read_text()
    content = json.loads(described.read_text())
    assert content["flavors"]["python_function"]["loader_module"] == "linnet.track.pyfunc"
    assert content["flavors"]["linnet"]["digest"] == tracked.version.digest
    assert not [*described.parent.rglob("*.pkl")]
    assert not (described.parent / "bundle" / "host.json").exists()


def test_the_loader_gives_the_answers_of_load_without_torch_and_without_mlflow(good_run):
    code = f"""
import json, sys
from linnet.track.pyfunc import _load_pyfunc
import numpy
model = _load_pyfunc({str(good_run / "bundle")!r})
answers = model.predict({TEXTS!r})
assert answers == model.predict(numpy.array({TEXTS!r}, dtype=object)[:, None])
assert not [name for name in sys.modules if name.partition(".")[0] in ("torch", "mlflow", "transformers")]
print(json.dumps(answers))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    answers = load(good_run / "bundle").predict(TEXTS)
    assert [one["probabilities"] for one in json.loads(done.stdout)] == [
        one.probabilities for one in answers
    ]


def test_a_server_that_is_down_is_one_sentence_within_seconds(good_run, config, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    with pytest.raises(ServiceError, match="Nothing of the run is lost") as caught:
        track(FinishedRun.read(good_run), config.track, "words")
    assert "secret" not in str(caught.value) and caught.value.exit_code == 8


@pytest.mark.parametrize("uri", ["file:///tmp/x", "mlruns", "s3://bucket"])
def test_a_store_of_no_kind_is_refused(config, uri, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(ConfigError, match="sqlite:///FILE"):
        Store(config.track)


def test_a_file_that_is_no_database_is_refused(config, tmp_path):
    (tmp_path / "mlflow.db").write_bytes(b"notes, not a database" * 100)
    with pytest.raises(UsageError, match="no SQLite database"):
        Store(config.track)


def test_a_report_of_another_bundle_is_refused(good_run, worse_run):
    with pytest.raises(UsageError, match="judges another bundle"):
        FinishedRun.read(good_run, report=worse_run / "report")
    with pytest.raises(UsageError, match="there is none"):
        FinishedRun.read(good_run, report=good_run)
    with pytest.raises(BundleError, match="No such bundle"):
        FinishedRun.read(good_run / "report")


def test_processes_that_make_the_store_at_once_all_succeed(good_run, config, tmp_path):
    (tmp_path / "mlflow.db").unlink()
    code = f"""
from linnet.config import load_config
from linnet.track.store import Store
config = load_config(overrides={{"track.uri": {config.track.uri!r}}})
print(Store(config.track).experiment("words"))
"""
    command = [sys.executable, "-W", "ignore", "-c", code]
    started = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = [one.communicate(timeout=200) for one in started]
    assert [one.returncode for one in started] == [0, 0], outputs
    assert len({output for output, _ in outputs}) == 1


def test_a_password_is_not_shown():
    assert without_password("postgresql://me:secret@host/db") == "postgresql://host/db"
    assert without_password("sqlite:///mlflow.db") == "sqlite:///mlflow.db"


@pytest.mark.parametrize("alias", ["latest", "v3", "", "a b", "3"])
def test_an_alias_that_the_store_would_misread_is_refused(alias):
    with pytest.raises(UsageError, match="Expected an alias"):
        check_alias(alias)

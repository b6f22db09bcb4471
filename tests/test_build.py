"""The stages as Python functions: quiet, with the figures of the files and Linnet's errors."""

import dataclasses
import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

import linnet
from linnet import build
from linnet.build import api
from linnet.config import defaults, load_config
from linnet.errors import BundleError, ConfigError, DataError, UsageError

# Settings that make a small run quick.
QUICK = {
    "train.learning_rate": 5e-3,
    "export.parity_rows": 32,
    "export.variants": [],
    "evaluate.bootstrap_resamples": 100,
}
FUNCTIONS = [build.prepare, build.train, build.export, build.evaluate, build.run]


@pytest.fixture(autouse=True)
def working_folder(tmp_path, monkeypatch):
    """A folder of its own, without a linnet.toml."""
    monkeypatch.chdir(tmp_path)


def call(labelled_csv: Path, encoder: Path, **changes):
    arguments = {"name": "small", "model": encoder, "max_length": 32}
    return build.run(labelled_csv, **arguments | {"settings": QUICK} | changes)


def test_a_run_is_quiet_and_is_resumed_where_it_was(labelled_csv, encoder, capfd):
    made = call(labelled_csv, encoder)
    assert capfd.readouterr() == ("", "")
    assert made.path == Path("runs/small")
    assert sum(made.splits.rows.values()) + sum(made.splits.dropped.values()) == 600
    assert made.splits.labels == ("negative", "positive")
    assert 0.5 < made.checkpoint.accuracy <= 1
    assert made.bundle.checks.keys() >= {"parity"}
    report = json.loads((made.path / "report/report.json").read_text())
    assert made.report.metric == "accuracy"
    assert dataclasses.asdict(made.report.score) == report["accuracy"]
    assert made.report.beats_baseline is report["beats_baseline"]
    assert bool(made.report.advice) is not made.report.beats_baseline
    for page in (made.splits.page, made.checkpoint.page, made.report.page):
        assert page.is_file()
    assert linnet.load(made.bundle.path).bundle.digest == made.bundle.digest
    assert load_config(made.path / "linnet.toml").model.max_length == 32

    before = [(path, path.stat().st_mtime_ns) for path in sorted(made.path.rglob("*.json"))]
    assert call(labelled_csv, encoder) == made
    assert before == [(path, path.stat().st_mtime_ns) for path in sorted(made.path.rglob("*.json"))]
    with pytest.raises(UsageError, match=r"train\.num_train_epochs was 3, is 2"):
        call(labelled_csv, encoder, num_train_epochs=2)


def test_each_stage_alone_and_progress_if_asked_for(splits, encoder, labelled_csv, capfd):
    prepared = build.prepare([labelled_csv], sample=300, test_size=100, progress=True)
    assert prepared.path == Path("splits")
    assert prepared.rows["test"] == 100
    trained = build.train(splits, model=encoder, max_length=32, num_train_epochs=1, settings=QUICK)
    assert trained.path == Path("checkpoint")
    assert trained.best_epoch == 1
    assert capfd.readouterr().out == ""
    with pytest.raises(UsageError, match=r"holds no data_card\.json"):
        build.prepare(labelled_csv, out=trained.path)


def test_a_checkpoint_is_exported_and_judged(checkpoint, splits, capfd):
    made = build.export(checkpoint, splits, name="tiny", max_length=64, settings=QUICK)
    assert made.variants == ("fp32",)
    judged = build.evaluate(made.path, splits, split="validation", sample=100, settings=QUICK)
    assert (judged.split, judged.rows) == ("validation", 100)
    assert judged.score.low < judged.score.value < judged.score.high
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("function", "arguments", "error", "message"),
    [
        (build.prepare, {"data": "absent.csv"}, DataError, "absent.csv"),
        (build.prepare, {"settings": {"data.nonsense": 1}}, ConfigError, "data.nonsense"),
        (build.train, {"num_train_epochs": 0}, ConfigError, "train.num_train_epochs"),
        (build.train, {"config": "absent.toml"}, ConfigError, "No such settings file"),
        (build.train, {"splits": "absent"}, DataError, "absent"),
        (build.evaluate, {"bundle": "absent"}, BundleError, "absent"),
    ],
)
def test_errors_are_those_of_the_command_line(function, arguments, error, message, capfd):
    with pytest.raises(error, match=message):
        function(**arguments)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_every_argument_is_described_and_leaves_its_setting_alone(function, monkeypatch):
    """A docstring that names `section.key` names a setting, and None keeps its default."""
    parameters = inspect.signature(function).parameters
    text = inspect.getdoc(function)
    for name, parameter in parameters.items():
        assert f"    {name}: " in text, name
        unset = {"overwrite": False, "progress": False}
        paths = ("splits", "out", "checkpoint", "bundle")
        assert name in paths or parameter.default is unset.get(name)
        if f"    {name}: `" in text:
            section, _, key = text.split(f"    {name}: `")[1].split("`")[0].partition(".")
            assert key in defaults()[section], name
    assert api._resolve(None, None, dict.fromkeys(["data.source"])) == load_config()


def test_importing_linnet_imports_no_stage():
    code = "import linnet, sys; print([name for name in sys.modules if 'linnet.' in name])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "build" not in done.stdout

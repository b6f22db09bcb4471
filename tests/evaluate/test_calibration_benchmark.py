"""benchmarks/calibration.py, run as a person runs it, on a small run."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from linnet.config import load_config

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "calibration.py"


def run(tmp_path, *flags):
    command = [
        sys.executable,
        SCRIPT,
        "--run",
        tmp_path / "run",
        "--out",
        tmp_path / "results.json",
        *flags,
    ]
    return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)


@pytest.mark.slow
def test_it_judges_before_and_after_and_what_is_asked_for(tmp_path, checkpoint, splits):
    shutil.copytree(checkpoint, tmp_path / "run" / "checkpoint")
    shutil.copytree(splits, tmp_path / "run" / "splits")
    load_config(overrides={"model.max_length": 64}).save(tmp_path / "run" / "linnet.toml")
    quick = ("--set", "evaluate.bootstrap_resamples=100", "--set", "predict.num_threads=1")
    done = run(tmp_path, *quick, "--min-precision", "0.7", "--min-precision", "0.999")
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    test = results["calibration"]["test"]
    for when in ("before", "after"):
        assert f"{100 * test[when]['expected_calibration_error']:.2f} %" in done.stdout
    kept, refused = results["min_precision"]
    assert kept["test"]["min_precision"] == 0.7 and kept["test"]["precision"]["value"] > 0.7
    assert (
        "no label" in refused["refused"]
        and f"99.9 % was refused: {refused['refused']}" in done.stdout
    )
    assert str(tmp_path) not in json.dumps(results)


@pytest.mark.slow
def test_without_a_run_it_says_what_it_needs(tmp_path):
    done = run(tmp_path)
    assert done.returncode != 0
    assert done.stderr.startswith("calibration: Expected in --run a folder that `linnet run` made")
    assert not (tmp_path / "results.json").exists()

"""benchmarks/distil.py, run as a person runs it, on small splits and a one-layer encoder."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "distil.py"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_it_compares_teacher_students_and_a_linear_model(tmp_path, splits, unlabelled, encoder):
    command = [
        sys.executable,
        SCRIPT,
        "--splits",
        splits,
        "--texts",
        unlabelled,
        "--model",
        encoder,
    ]
    command += [
        "--sample",
        "300",
        "--students",
        "1x32",
        "--rows",
        "50",
        "--timed",
        "20",
        "--rounds",
        "2",
    ]
    command += ["--run", tmp_path / "run", "--out", tmp_path / "results.json", "--num-threads", "1"]
    command += ["--set", "model.max_length=64", "--set", "train.learning_rate=0.02"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    names = ["teacher", "1x32, labels alone", "1x32, distilled", "TF-IDF + logistic regression"]
    assert [line["model"] for line in results["models"]] == names
    assert results["rows"] == 50
    assert results["students"]["1x32"]["distil"]["rows"]["texts"] == 300
    assert len(results["models"][0]["times_the_teacher_by_round"]) == 2
    assert results["models"][0]["times_the_teacher"] == 1
    assert "the teacher's answers to" in done.stdout
    assert str(tmp_path) not in json.dumps(
        {key: results[key] for key in results if key != "lineage"}
    )

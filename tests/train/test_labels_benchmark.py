"""benchmarks/labels.py, run as a person runs it, on small splits and the built-in encoder."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "labels.py"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_it_compares_the_same_labels_with_and_without_other_texts(tmp_path, splits, unlabelled):
    command = [sys.executable, SCRIPT, "--splits", splits, "--texts", unlabelled, "--model", "linnet-mini"]
    command += ["--sample", "300", "--rows", "50", "--run", tmp_path / "run", "--out", tmp_path / "results.json"]
    command += ["--set", "train.learning_rate=2e-4", "--set", "train.num_train_epochs=3"]
    command += ["--set", "train.per_device_train_batch_size=8", "--set", "predict.num_threads=1"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    assert len(results["models"]) == 5
    assert results["models"][0]["gained"]["value"] == 0
    assert results["checkpoints"]["encoder-taught"]["distil"]["rows"]["texts"] == 300
    assert len(results["checkpoints"]["encoder-taught"]["distil"]["teachers"]) == 2
    assert "the same labels, and 300 texts without" in done.stdout
    assert str(tmp_path) not in json.dumps({key: results[key] for key in results if key != "lineage"})

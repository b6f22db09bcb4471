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
    command = [
        sys.executable,
        SCRIPT,
        "--splits",
        splits,
        "--texts",
        unlabelled,
        "--model",
        "linnet-mini",
    ]
    command += [
        "--sample",
        "300",
        "--rows",
        "50",
        "--run",
        tmp_path / "run",
        "--out",
        tmp_path / "results.json",
    ]
    command += ["--set", "train.learning_rate=2e-4", "--set", "train.num_train_epochs=3"]
    command += ["--set", "train.per_device_train_batch_size=8", "--set", "predict.num_threads=1"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    encoder, *others = results["models"]
    assert [line["model"][:11] for line in others] == [
        "linnet-mini",
        "linnet-mini",
        "the encoder",
        "the mean of",
    ]
    for line in others:
        assert line["gained"]["value"] == pytest.approx(
            line["accuracy"]["value"] - encoder["accuracy"]["value"]
        )
    made = results["checkpoints"]
    assert made["encoder"]["distil"] is None
    assert {
        name: len(made[name]["distil"]["teachers"])
        for name in ("mini-taught-before", "encoder-taught")
    } == {
        "mini-taught-before": 2,
        "encoder-taught": 2,
    }
    assert (
        made["encoder-taught"]["distil"]["left_out"]["texts"]
        < made["mini-taught-before"]["distil"]["left_out"]["texts"]
    )
    assert results["texts"] == 300
    assert "the same labels, and 300 texts without" in done.stdout
    assert str(tmp_path) not in json.dumps(
        {key: results[key] for key in results if key != "lineage"}
    )
    other = subprocess.run(
        [*command, "--sample", "200"], capture_output=True, text=True, cwd=tmp_path, env=environment
    )
    assert other.returncode == 1
    assert "was made with other settings of distil. Choose another --run." in other.stderr

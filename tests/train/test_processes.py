"""Several processes learn as one does with as many times the batch."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from safetensors.torch import load_file

from linnet.config import load_config
from linnet.train import train


@pytest.mark.slow
def test_two_processes_are_one_with_twice_the_batch(splits, encoder, tmp_path):
    still = {"dropout": 0.0, "attention_dropout": 0.0}
    shutil.copytree(encoder, tmp_path / "encoder")
    shape = json.loads((encoder / "config.json").read_text()) | {
        "seq_classif_dropout": 0.0
    }  # the head's own
    (tmp_path / "encoder" / "config.json").write_text(json.dumps(shape))
    model = {
        "model.name_or_path": str(tmp_path / "encoder"),
        "model.max_length": 64,
        "train.learning_rate": 2e-2,
    }

    def settings(**train):
        return load_config(
            overrides=model | {f"train.{key}": value for key, value in train.items()}
        )

    config = settings(**still, per_device_train_batch_size=16, num_train_epochs=2)
    expected = train(config, splits, tmp_path / "one")
    config = settings(**still, per_device_train_batch_size=8, num_train_epochs=2)
    config.save(tmp_path / "linnet.toml")
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
    command += [
        "--standalone",
        "-m",
        "linnet.cli.main",
        "train",
        "--config",
        str(tmp_path / "linnet.toml"),
    ]
    command += ["--splits", str(splits), "--out", str(tmp_path / "two")]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=200, env=environment, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Final model:") == 1
    record = json.loads((tmp_path / "two" / "training.json").read_text())
    assert record["processes"] == 2
    assert record["global_step"] == expected["global_step"]
    for ours, theirs in zip(record["history"], expected["history"], strict=True):
        assert ours["train_loss"] == pytest.approx(theirs["train_loss"], abs=1e-5)
        assert ours["eval_loss"] == pytest.approx(theirs["eval_loss"], abs=1e-5)
    weights = load_file(tmp_path / "one" / "model.safetensors")
    for name, found in load_file(tmp_path / "two" / "model.safetensors").items():
        assert (found - weights[name]).abs().max() < 1e-3, name

"""Several processes stop together and, killed or stopped, go on to the same bytes, dropout included."""

import json
import os
import signal
import subprocess
import sys

import pytest

# A process that has imported the package forks those of each trial: rank -> the step at which it signals itself.
SCRIPT = r"""
import json, os, signal, socket, sys

import torch

from linnet.cli.main import main
from linnet.train import network
from linnet.train.loop import Loop

torch.set_num_threads(1)
kind, command, trials = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
if kind == "padded":
    network.fits = lambda model: False


def child(rank, port, out, at_step, number):
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    signal.alarm(200)  # should one wait for the other for ever
    inner = Loop._step

    def step(self, rows):
        if self.state.step == at_step:
            os.kill(os.getpid(), number)
        return inner(self, rows)

    Loop._step = step
    code = main([*command, "--out", out])
    sys.stderr.flush()
    os._exit(code)


codes = []
for out, number, steps in trials:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = []
    for rank, at_step in enumerate(steps):
        children.append(os.fork())
        if not children[-1]:
            child(rank, port, out, at_step, number)
    codes.append([os.waitstatus_to_exitcode(os.waitpid(each, 0)[1]) for each in children])
print(json.dumps(codes))
"""


@pytest.mark.parametrize("kind", ["packed", "padded"])
def test_two_processes_stop_together_and_go_on_to_the_same_bytes(splits, settings, tmp_path, kind):
    recipe = {"per_device_train_batch_size": 8, "num_train_epochs": 2, "save_steps": 3, "dropout": 0.2}
    settings(**recipe, attention_dropout=0.1, early_stopping_patience=9).save(tmp_path / "linnet.toml")
    command = ["train", "--config", str(tmp_path / "linnet.toml"), "--splits", str(splits)]
    calm, stopped, killed = (str(tmp_path / name) for name in ("calm", "stopped", "killed"))
    last = 53  # the step with which the second epoch ends; each has 27, and the last of each is not full
    trials = [
        (calm, 0, [None, None]),
        (stopped, signal.SIGTERM, [None, 7]),  # one alone is asked to stop
        (stopped, signal.SIGINT, [20, None]),
        (stopped, 0, [None, None]),
        (killed, signal.SIGKILL, [11, 11]),
        (killed, signal.SIGKILL, [30, 30]),
        (killed, signal.SIGKILL, [last, last]),
        (killed, 0, [None, None]),
    ]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, kind, json.dumps(command), json.dumps(trials)],
        capture_output=True,
        text=True,
        timeout=280,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    codes = json.loads(done.stdout.splitlines()[-1])
    assert codes == [[0, 0], [130, 130], [130, 130], [0, 0], [-9, -9], [-9, -9], [-9, -9], [0, 0]], done.stderr
    for step in (8, 21):
        assert done.stderr.count(f"Stopped after step {step}, and saved in {stopped}.unfinished.") == 2
    record = json.loads((tmp_path / "calm" / "training.json").read_text())
    assert (record["processes"], record["network"], record["global_step"]) == (2, kind, last + 1)
    for name in ("stopped", "killed"):
        again = json.loads((tmp_path / name / "training.json").read_text())
        assert (again["history"], again["log_history"]) == (record["history"], record["log_history"])
        weights = [(tmp_path / each / "model.safetensors").read_bytes() for each in (name, "calm")]
        assert weights[0] == weights[1]
        assert not (tmp_path / f"{name}.unfinished").exists()

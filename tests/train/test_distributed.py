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
from linnet.train.network import network
from linnet.train.loop import Loop

torch.set_num_threads(1)
kind, command, trials = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
if kind == "padded":
    network.fits = lambda model: False


def child(rank, port, more, at_step, number):
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    signal.alarm(200)  # should one wait for the other for ever
    inner = Loop._step

    def step(self, rows):
        if self.state.step == at_step:
            os.kill(os.getpid(), number)
        return inner(self, rows)

    Loop._step = step
    code = main([*command, *more])
    sys.stderr.flush()
    os._exit(code)


codes = []
for more, number, steps in trials:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = []
    for rank, at_step in enumerate(steps):
        children.append(os.fork())
        if not children[-1]:
            child(rank, port, more, at_step, number)
    codes.append([os.waitstatus_to_exitcode(os.waitpid(each, 0)[1]) for each in children])
print(json.dumps(codes))
"""


LAST = (
    53  # the step with which the second epoch ends; each has 27, and the last of each is not full
)
UNDISTURBED = 0, [None, None]


@pytest.mark.parametrize(
    ("kind", "disturbed"),
    [
        (
            "packed",
            [(signal.SIGTERM, [None, 7]), (signal.SIGINT, [20, None]), (signal.SIGKILL, [30, 30])],
        ),
        pytest.param("padded", [(signal.SIGKILL, [LAST, LAST])], marks=pytest.mark.slow),
    ],
)
def test_two_processes_stop_together_and_go_on_to_the_same_bytes(
    splits, settings, tmp_path, kind, disturbed
):
    recipe = {
        "per_device_train_batch_size": 8,
        "num_train_epochs": 2,
        "save_steps": 3,
        "dropout": 0.2,
    }
    settings(**recipe, attention_dropout=0.1, early_stopping_patience=9).save(
        tmp_path / "linnet.toml"
    )
    command = ["train", "--config", str(tmp_path / "linnet.toml"), "--splits", str(splits)]
    calm, other, scratch = (
        ["--out", str(tmp_path / name)] for name in ("calm", "other", "scratch")
    )
    trials = [(calm, *UNDISTURBED), *((other, *each) for each in disturbed), (other, *UNDISTURBED)]
    if kind == "packed":
        trials.append(([*scratch, "--model", "scratch", "--num-train-epochs", "1"], *UNDISTURBED))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, kind, json.dumps(command), json.dumps(trials)],
        capture_output=True,
        text=True,
        timeout=280,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    codes = {0: 0, signal.SIGKILL: -9, signal.SIGTERM: 130, signal.SIGINT: 130}
    found = json.loads(done.stdout.splitlines()[-1])
    assert found == [[codes[number]] * 2 for _, number, _ in trials], done.stderr
    for number, steps in disturbed:
        if codes[number] == 130:  # one alone was asked to stop, before the step that both then made
            step = 1 + next(step for step in steps if step)
            said = f"Stopped after step {step}, and saved in {tmp_path / 'other'}.unfinished."
            assert done.stderr.count(said) == 2
    records = [
        json.loads((tmp_path / name / "training.json").read_text()) for name in ("calm", "other")
    ]
    assert (records[0]["processes"], records[0]["network"], records[0]["global_step"]) == (
        2,
        kind,
        LAST + 1,
    )
    for key in ("history", "log_history"):
        assert records[0][key] == records[1][key]
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("calm", "other")]
    assert weights[0] == weights[1]
    assert not (tmp_path / "other.unfinished").exists()

"""Killed anywhere, one process's study comes out as an undisturbed one: its trials, their order, their values."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from linnet.config import load_config
from linnet.data import read_split
from linnet.train.tune import tune

# A fresh process that has imported the package, so that it can fork one child a trial. A child kills itself at a step
# of training, at a file operation or after a statement of SQL, drawn at random, and the next one goes on.
SCRIPT = r"""
import json, os, signal, sys
from functools import partial
from pathlib import Path

import optuna
import torch
from forks import kill_at_least
from sqlalchemy import event
from sqlalchemy.engine import Engine

from linnet.config import load_config
from linnet.train.loop import Loop
from linnet.train.tune import plots, tune

torch.set_num_threads(1)
# What is imported when it is first used, so that no child has to.
optuna.create_study(storage="sqlite://")
plots.importance({"learning_rate": 1.0})
root, splits, overrides = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
config = load_config(overrides=overrides)
FILES = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree", "ctypes.dlsym"}
LONGEST = {"step": 40, "file": 150, "sql": 150}


def child(here, kind, left):
    def count(event):
        nonlocal left
        left -= event == kind
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

    step = Loop._step

    def counted(self, rows):
        count("step")
        return step(self, rows)

    Loop._step = counted
    event.listen(Engine, "after_cursor_execute", lambda *_: count("sql"))
    sys.addaudithook(lambda name, _: count("file") if name in FILES else None)
    tune(config, splits, here / "study")


def draw_child(here, draw):
    kind = draw.choice(sorted(LONGEST))
    return partial(child, here, kind, draw.randint(1, LONGEST[kind]))


print(kill_at_least(int(sys.argv[4]), root, draw_child))
"""


@pytest.fixture(scope="module")
def few(splits, write_splits, tmp_path_factory):
    sizes = {"train": 96, "validation": 60, "test": 20}
    some = {name: read_split(splits, name) for name in sizes}
    rows = {
        name: list(zip(split.texts, split.labels.tolist(), strict=True))[: sizes[name]]
        for name, split in some.items()
    }
    names = {name: list(split.label_names) for name, split in some.items()}
    return write_splits(tmp_path_factory.mktemp("few") / "splits", names, rows)


@pytest.mark.parametrize("least", [4, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_at_random_it_is_the_study_of_an_undisturbed_process(few, encoder, tmp_path, least):
    overrides = {
        "model.name_or_path": str(encoder),
        "model.max_length": 64,
        "train.learning_rate": 2e-2,
    }
    overrides |= {
        "train.metric_for_best_model": "eval_loss",
        "train.save_steps": 3,
        "tune.n_trials": 6,
    }
    overrides |= {
        "tune.n_startup_trials": 2,
        "tune.learning_rate": [1e-4, 1e9],
        "tune.num_train_epochs": [1, 3],
    }
    calm = tune(load_config(overrides=overrides), few, tmp_path / "calm")
    assert calm["states"]["complete"] and calm["states"]["pruned"] + calm["states"]["failed"]
    (tmp_path / "killed").mkdir()
    command = [
        sys.executable,
        "-c",
        SCRIPT,
        tmp_path / "killed",
        few,
        json.dumps(overrides),
        str(least),
    ]
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, env=environment)
    assert done.returncode == 0, done.stderr
    for study in range(int(done.stdout)):
        here = tmp_path / "killed" / str(study)
        results = json.loads((here / "study" / "study.json").read_text())
        for trial in [*results["trials"], *calm["trials"]]:
            trial.pop("seconds", None)
        assert results["trials"] == calm["trials"]
        assert results["best"] == calm["best"]
        assert (here / "study" / "best.toml").read_bytes() == (
            tmp_path / "calm" / "best.toml"
        ).read_bytes()
        assert sorted(path.name for path in (here / "study").iterdir()) == sorted(
            path.name for path in (tmp_path / "calm").iterdir()
        )

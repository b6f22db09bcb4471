"""A run killed anywhere resumes to the same bytes. Files of another run are refused."""

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from linnet.errors import StoppedError, StorageError, TrainingError, UsageError
from linnet.train import train
from linnet.train.loop import Loop
from linnet.train.objective import ClassificationObjective
from linnet.train.resume import ResumableRun

# A fresh process that has imported the package, so that it can fork one child a trial. A child kills itself at a step
# or at one of its file operations, drawn at random, and the next one goes on; until one comes to the end.
SCRIPT = r"""
import json, os, signal, sys
from functools import partial
from pathlib import Path

import torch
from forks import kill_at_least

from linnet.config import load_config
from linnet.train import train

torch.set_num_threads(1)
root, splits, overrides = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
config = load_config(overrides=overrides)
EVENTS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree", "ctypes.dlsym"}


def child(here, after_steps, at_event):
    from linnet.train.loop import Loop

    step, seen = Loop._step, [0, 0]

    def kill_in_time(self, rows):
        seen[0] += 1
        if seen[0] == after_steps and at_event is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return step(self, rows)

    def hook(name, arguments):
        if at_event and seen[0] >= after_steps and name in EVENTS:
            seen[1] += 1
            if seen[1] == at_event:
                os.kill(os.getpid(), signal.SIGKILL)

    Loop._step = kill_in_time
    sys.addaudithook(hook)
    train(config, splits, here / "checkpoint")


def draw_child(here, draw):
    options = [(draw.randint(1, 14), None), (draw.randint(1, 14), draw.randint(1, 25))]
    return partial(child, here, *draw.choice(options))


print(kill_at_least(int(sys.argv[4]), root, draw_child))
"""


@pytest.fixture
def overrides(encoder):
    values = {
        "learning_rate": 2e-2,
        "num_train_epochs": 2,
        "save_steps": 2,
        "dropout": 0.1,
        "seed": 3,
    }
    values |= {"early_stopping_patience": 9}
    return {"model.name_or_path": str(encoder), "model.max_length": 64} | {
        f"train.{k}": v for k, v in values.items()
    }


@pytest.mark.parametrize(
    ("kills", "more"),
    [
        (20, {}),
        pytest.param(
            *(
                3,
                {"bf16": True, "per_device_train_batch_size": 8, "gradient_accumulation_steps": 2},
            ),
            marks=pytest.mark.slow,
        ),
    ],
    ids=["float32", "bfloat16, accumulated"],
)
def test_killed_at_random_it_gives_the_bytes_of_an_undisturbed_run(
    splits, overrides, settings, tmp_path, kills, more
):
    overrides |= {f"train.{name}": value for name, value in more.items()}
    record = train(settings(**{key.removeprefix("train."): value for key, value in overrides.items()
                               if key.startswith("train.")}), splits, tmp_path / "calm")  # fmt: skip
    (tmp_path / "killed").mkdir()
    command = [
        sys.executable,
        "-c",
        SCRIPT,
        tmp_path / "killed",
        splits,
        json.dumps(overrides),
        str(kills),
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, env=environment)
    assert done.returncode == 0, done.stderr
    for run in range(int(done.stdout)):
        here = tmp_path / "killed" / str(run)
        assert [entry.name for entry in here.iterdir()] == ["checkpoint"]
        for name in ("model.safetensors", "config.json", "tokenizer.json"):
            assert (here / "checkpoint" / name).read_bytes() == (
                tmp_path / "calm" / name
            ).read_bytes()
        again = json.loads((here / "checkpoint" / "training.json").read_text())
        for key in (
            "history",
            "log_history",
            "global_step",
            "total_flos",
            "num_input_tokens_seen",
            "best_epoch",
            "stop_reason",
        ):
            assert again[key] == record[key]


@pytest.fixture
def stop(monkeypatch):
    """Have the process asked to stop at a step."""

    def at(step, number=signal.SIGINT):
        inner, asked = Loop._step, []

        def ask(self, rows):
            if self.state.step == step and not asked:
                asked.append(step)
                signal.raise_signal(number)
            return inner(self, rows)

        monkeypatch.setattr(Loop, "_step", ask)

    return at


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop_it_saves_and_says_how_to_go_on(splits, settings, stop, tmp_path, number):
    stop(7, number)
    before = signal.getsignal(number)
    with pytest.raises(
        StoppedError,
        match=r"Stopped after step 8, .*checkpoint\.unfinished\. The same command resumes",
    ):
        train(settings(), splits, tmp_path / "checkpoint")
    assert [entry.name for entry in tmp_path.iterdir()] == ["checkpoint.unfinished"]
    assert signal.getsignal(number) == before
    train(settings(), splits, tmp_path / "checkpoint")
    assert [entry.name for entry in tmp_path.iterdir()] == ["checkpoint"]


def test_in_a_thread_signals_are_left_alone(splits, settings, tmp_path):
    config = settings(num_train_epochs=1)
    thread = threading.Thread(target=train, args=(config, splits, tmp_path / "checkpoint"))
    thread.start()
    thread.join()
    assert (tmp_path / "checkpoint" / "model.safetensors").is_file()


def test_another_run_is_refused_and_says_what_differs(splits, settings, stop, tmp_path):
    stop(3)
    with pytest.raises(StoppedError):
        train(settings(), splits, tmp_path / "checkpoint")
    with pytest.raises(
        UsageError,
        match=r"(?s)another one:\n  train\.learning_rate  was 0\.02, is now 0\.1\nResume it",
    ):
        train(settings(learning_rate=0.1), splits, tmp_path / "checkpoint")
    shutil.copytree(tmp_path / "checkpoint.unfinished", tmp_path / "other.unfinished")
    shutil.copytree(tmp_path / "checkpoint.unfinished", tmp_path / "older.unfinished")
    run = json.loads((tmp_path / "older.unfinished" / "run.json").read_text())
    (tmp_path / "older.unfinished" / "run.json").write_text(json.dumps(run | {"format": 1}))
    with pytest.raises(UsageError, match=r"format  was 1, is now 2"):
        train(settings(), splits, tmp_path / "older")
    anew = train(settings(learning_rate=0.1), splits, tmp_path / "other", overwrite=True)
    assert anew["settings"]["train"]["learning_rate"] == 0.1
    train(
        settings(save_steps=1), splits, tmp_path / "checkpoint"
    )  # what the result does not depend on may change


@pytest.mark.parametrize("damage", ["cut", "changed", "list", "without a record"])
def test_a_damaged_state_is_passed_over(splits, settings, stop, tmp_path, damage):
    calm = train(settings(), splits, tmp_path / "calm")
    stop(9)
    with pytest.raises(StoppedError):
        train(settings(save_steps=4), splits, tmp_path / "checkpoint")
    states = sorted(path.name for path in (tmp_path / "checkpoint.unfinished").glob("state-*"))
    assert states == ["state-10", "state-8"]
    file = tmp_path / "checkpoint.unfinished" / "state-10" / "state.safetensors"
    content = file.read_bytes()
    if damage == "cut":
        file.write_bytes(content[: len(content) // 2])
    elif damage == "changed":
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif damage == "list":
        (file.parent / "state.json").write_text("[]")
    else:
        (file.parent / "state.json").unlink()
    assert train(settings(), splits, tmp_path / "checkpoint")["history"] == calm["history"]


def test_a_damaged_state_takes_no_place(splits, settings, stop, tmp_path):
    stop(9)
    with pytest.raises(StoppedError):
        train(settings(save_total_limit=1), splits, tmp_path / "checkpoint")
    (tmp_path / "checkpoint.unfinished" / "state-10" / "state.json").unlink()
    stop(5)
    with pytest.raises(StoppedError):
        train(settings(save_total_limit=1), splits, tmp_path / "checkpoint")
    assert [path.name for path in (tmp_path / "checkpoint.unfinished").glob("state-*")] == [
        "state-6"
    ]


@pytest.mark.parametrize("name", ["save", "save_best"])
def test_a_full_disk_is_a_sentence_and_the_former_state_stands(
    splits, settings, monkeypatch, tmp_path, name, files_of_at_most
):
    calm = train(settings(), splits, tmp_path / "calm")
    write, calls = getattr(ResumableRun, name), []

    def fill_up(self, *arguments):
        calls.append(name)
        if len(calls) == (3 if name == "save" else 1):
            with files_of_at_most(2000):
                write(self, *arguments)
        else:
            write(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(ResumableRun, name, fill_up)
        with pytest.raises(
            StorageError,
            match=r"Could not write .*: File too large\. What stood there is unchanged",
        ):
            train(settings(save_steps=2), splits, tmp_path / "checkpoint")
    kept = sorted(path.name for path in (tmp_path / "checkpoint.unfinished").iterdir())
    assert kept[:2] == [".lock", "run.json"] and len(kept) == 4
    assert all(path.startswith("state-") for path in kept[2:])
    assert (
        train(settings(save_steps=2), splits, tmp_path / "checkpoint")["history"] == calm["history"]
    )


def test_a_loss_that_is_no_number_leaves_the_state_before_it(
    splits, settings, monkeypatch, tmp_path
):
    calm = train(settings(), splits, tmp_path / "calm")
    loss = ClassificationObjective.loss

    def spoilt(self, inputs):
        calls.append(1)
        return loss(self, inputs) * (math.nan if len(calls) == 7 else 1)

    calls = []
    with monkeypatch.context() as patch:
        patch.setattr(ClassificationObjective, "loss", spoilt)
        with pytest.raises(
            TrainingError,
            match=r"At step 7 \(epoch 1\) the loss is nan .* The batch was rows \d+, ",
        ):
            train(settings(save_steps=2), splits, tmp_path / "checkpoint")
    states = sorted(path.name for path in (tmp_path / "checkpoint.unfinished").glob("state-*"))
    assert states == ["state-4", "state-6"]
    assert (
        train(settings(save_steps=2), splits, tmp_path / "checkpoint")["history"] == calm["history"]
    )


@pytest.mark.parametrize("content", [None, "", "{", "[]"])
def test_what_run_lies_there_must_be_told(splits, settings, stop, monkeypatch, tmp_path, content):
    stop(3)
    with pytest.raises(StoppedError):
        train(settings(), splits, tmp_path / "checkpoint")
    file = tmp_path / "checkpoint.unfinished" / "run.json"
    file.unlink() if content is None else file.write_text(content)
    with pytest.raises(
        UsageError, match=r"checkpoint\.unfinished is damaged: its run\.json .* --overwrite"
    ):
        train(settings(), splits, tmp_path / "checkpoint")


def test_memory_that_ran_out_says_what_to_lower(splits, settings, monkeypatch, tmp_path):
    def is_out_of_memory(self, rows):
        raise RuntimeError(
            "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory"
        )

    monkeypatch.setattr(Loop, "_step", is_out_of_memory)
    with pytest.raises(TrainingError, match=r"Lower train\.per_device_train_batch_size \(now 16\)"):
        train(settings(), splits, tmp_path / "checkpoint")


def test_what_it_says_to_lower_where_memory_ran_out_can_be_lowered(
    splits, settings, monkeypatch, tmp_path
):
    def is_out_of_memory(self, rows):
        if self.state.step == 3:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return step(self, rows)

    step, checkpoint = Loop._step, tmp_path / "checkpoint"
    with monkeypatch.context() as patch:
        patch.setattr(Loop, "_step", is_out_of_memory)
        with pytest.raises(TrainingError, match=r"it is another run: begin it with --overwrite\.$"):
            train(settings(save_steps=2), splits, checkpoint)
    lower = settings(save_steps=2, per_device_train_batch_size=8, gradient_accumulation_steps=2)
    with pytest.raises(UsageError, match="--overwrite"):
        train(lower, splits, checkpoint)
    assert train(settings(save_steps=2), splits, checkpoint)["global_step"]  # with more memory
    train(lower, splits, checkpoint, overwrite=True)


def test_a_finished_run_is_begun_anew(splits, settings, tmp_path):
    first = train(settings(num_train_epochs=1), splits, tmp_path / "checkpoint")
    second = train(settings(num_train_epochs=1, seed=9), splits, tmp_path / "checkpoint")
    assert first["history"] != second["history"]
    shutil.rmtree(tmp_path / "checkpoint")


def test_two_at_once_are_refused(splits, settings, stop, monkeypatch, tmp_path):
    stop(3)
    inner, said = ResumableRun.save, []

    def save(self, loop, states):
        inner(self, loop, states)
        with pytest.raises(
            UsageError, match=r"Another process is training into .*checkpoint\.unfinished"
        ):
            train(settings(), splits, tmp_path / "checkpoint")
        said.append(loop.state.step)

    monkeypatch.setattr(ResumableRun, "save", save)
    with pytest.raises(StoppedError):
        train(settings(), splits, tmp_path / "checkpoint")
    assert said == [4]


def test_a_run_that_failed_before_its_first_state_stands_in_nobodys_way(splits, settings, tmp_path):
    with pytest.raises(TrainingError, match=r"Lower train\.learning_rate"):
        train(settings(learning_rate=1e30), splits, tmp_path / "checkpoint")
    train(settings(num_train_epochs=1), splits, tmp_path / "checkpoint")
    assert [entry.name for entry in tmp_path.iterdir()] == ["checkpoint"]


def test_padded_models_go_on_too(splits, settings, stop, monkeypatch, tmp_path):
    monkeypatch.setattr("linnet.train.network.network.fits", lambda model: False)
    calm = train(settings(dropout=0.2), splits, tmp_path / "calm")
    assert calm["network"] == "padded"
    stop(20)
    with pytest.raises(StoppedError):
        train(settings(dropout=0.2), splits, tmp_path / "checkpoint")
    train(settings(dropout=0.2), splits, tmp_path / "checkpoint")
    weights = [
        (tmp_path / name / "model.safetensors").read_bytes() for name in ("calm", "checkpoint")
    ]
    assert weights[0] == weights[1]

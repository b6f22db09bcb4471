"""What TensorBoard reads of a run: each step once, however often the run was stopped."""

import json
import sys

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from linnet.errors import MissingExtraError, StorageError
from linnet.train import train
from linnet.train.loop import Loop
from linnet.train.tensorboard import Events

TRAIN = {f"train/{name}" for name in ("loss", "learning_rate", "grad_norm", "samples_per_second")}
EVAL = {f"eval/{name}" for name in ("loss", "accuracy", "f1")}


def read(folder):
    found = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    found.Reload()
    return {
        tag: [(event.step, event.value) for event in found.Scalars(tag)]
        for tag in found.Tags()["scalars"]
    }


def check(folder, record):
    scalars = read(folder)
    assert set(scalars) == TRAIN | EVAL
    for name in ("loss", "learning_rate", "grad_norm"):
        expected = [(point["step"], point[name]) for point in record["log_history"]]
        assert scalars[f"train/{name}"] == [
            (step, pytest.approx(value)) for step, value in expected
        ]
    assert [step for step, _ in scalars["train/samples_per_second"]] == list(
        range(1, record["global_step"] + 1)
    )
    each = record["global_step"] // len(record["history"])
    for name in ("loss", "accuracy", "f1"):
        expected = [
            (each * epoch["epoch"], pytest.approx(epoch[f"eval_{name}"]))
            for epoch in record["history"]
        ]
        assert scalars[f"eval/{name}"] == expected


def test_it_reads_every_step_and_epoch(splits, settings, tmp_path):
    record = train(
        settings(report_to="tensorboard", num_train_epochs=2), splits, tmp_path / "checkpoint"
    )
    check(tmp_path / "checkpoint" / "tensorboard", record)
    assert [entry.name for entry in tmp_path.iterdir()] == ["checkpoint"]


def test_steps_that_are_made_again_after_a_failure_are_shown_once(
    splits, settings, monkeypatch, tmp_path
):
    config = settings(report_to="tensorboard", num_train_epochs=2, save_steps=5)
    inner, failing = Loop._step, [8, 12]

    def fail(self, rows):
        if failing and self.state.step == failing[0]:
            failing.pop(0)
            raise KeyError("something unforeseen")
        return inner(self, rows)

    monkeypatch.setattr(Loop, "_step", fail)
    for _ in range(2):
        with pytest.raises(KeyError):
            train(config, splits, tmp_path / "checkpoint")
    assert read(tmp_path / "checkpoint.unfinished" / "tensorboard")["train/loss"][-1][0] == 12
    record = train(config, splits, tmp_path / "checkpoint")
    check(tmp_path / "checkpoint" / "tensorboard", record)


def test_a_run_begun_anew_shows_nothing_of_the_former(splits, settings, monkeypatch, tmp_path):
    inner = Loop._step

    def fail(self, rows):
        if self.state.step == 20:
            raise KeyError("something unforeseen")
        return inner(self, rows)

    monkeypatch.setattr(Loop, "_step", fail)
    with pytest.raises(KeyError):
        train(settings(report_to="tensorboard", save_steps=5), splits, tmp_path / "checkpoint")
    monkeypatch.setattr(Loop, "_step", inner)
    config = settings(report_to="tensorboard", num_train_epochs=1, seed=5)
    check(
        tmp_path / "checkpoint" / "tensorboard",
        train(config, splits, tmp_path / "checkpoint", overwrite=True),
    )


def test_without_tensorboard_it_is_one_sentence_before_any_work(
    splits, settings, monkeypatch, tmp_path
):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(
        MissingExtraError,
        match=r"'tensorboard', which is not installed.*pip install 'linnet-text\[tensorboard\]'",
    ):
        train(settings(report_to="tensorboard"), splits, tmp_path / "checkpoint")
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_a_sentence(monkeypatch, tmp_path):
    def full(*arguments, **rest):
        raise OSError(28, "No space left on device")

    events = Events(tmp_path, 0)
    monkeypatch.setattr(events._writer, "add_scalar", full)
    with pytest.raises(StorageError, match="No space left"):
        events._write("train", {"loss": 0.5}, 1)
    events.close()


def test_the_result_does_not_depend_on_it(splits, settings, tmp_path):
    for name, told in (("without", "none"), ("with", "tensorboard")):
        train(settings(report_to=told, num_train_epochs=1), splits, tmp_path / name)
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("without", "with")]
    assert weights[0] == weights[1]
    runs = [
        json.loads((tmp_path / name / "training.json").read_text()) for name in ("without", "with")
    ]
    assert runs[0]["log_history"] == runs[1]["log_history"]

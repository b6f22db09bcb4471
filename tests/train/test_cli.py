"""`linnet train`: what it prints, and how it fails."""

import json
import shutil

import pyarrow.parquet as pq
import pytest
from huggingface_hub import constants

from linnet.cli.main import main


def test_it_prints_how_training_went(splits, encoder, tmp_path, capsys):
    out = tmp_path / "checkpoint"
    command = [
        "train",
        "--splits",
        str(splits),
        "--out",
        str(out),
        "--model",
        str(encoder),
        "--num-train-epochs",
        "2",
    ]
    overrides = ["--set", "model.max_length=12", "--set", "train.learning_rate=2e-2"]
    assert main([*command, *overrides]) == 0
    printed = capsys.readouterr().out
    record = json.loads((out / "training.json").read_text())
    assert record["encoder_note"] == ""
    for header in ("Epoch", "Training Loss", "Validation Loss", "Accuracy"):
        assert header in printed
    for row in record["history"]:
        line = next(
            line for line in printed.splitlines() if line.startswith(f"│     {row['epoch']} ")
        )
        assert f"{row['train_loss']:.4f}" in line
        assert f"{row['eval_loss']:.4f}" in line
        assert f"{100 * row['eval_accuracy']:.2f} %" in line
    assert f"Stopped: {record['stop_reason']}; epoch {record['best_epoch']} is kept." in printed
    assert f"{record['global_step']:,} steps" in printed
    assert f"{record['total_flos']:.3g} FLOPs" in printed
    assert (
        f"Truncated to 12 tokens: {record['truncated']['train']:,} of {record['rows']['train']:,} train"
        in printed
    )
    assert printed.rstrip().endswith(f"Final model: {out}")


def test_a_mistake_is_one_sentence(splits, tmp_path, capsys):
    out = tmp_path / "checkpoint"
    assert (
        main(
            ["train", "--splits", str(splits), "--model", str(tmp_path / "none"), "--out", str(out)]
        )
        == 4
    )
    captured = capsys.readouterr()
    assert captured.err.startswith("linnet: There is no encoder")
    assert captured.err.count("\n") == 1
    assert not out.exists()


def test_without_splits(tmp_path, capsys):
    assert (
        main(
            [
                "train",
                "--splits",
                str(tmp_path / "none"),
                "--model",
                "scratch",
                "--out",
                str(tmp_path / "c"),
            ]
        )
        == 3
    )
    assert "No such split" in capsys.readouterr().err


def test_distil_prints_what_was_learnt_from_and_how_like_its_teacher_it_is(
    bundle, splits, unlabelled, encoder, tmp_path, capsys
):
    out = tmp_path / "student"
    command = [
        "distil",
        str(bundle),
        "--splits",
        str(splits),
        "--texts",
        str(unlabelled),
        "--out",
        str(out),
    ]
    recipe = [
        "--set",
        "model.max_length=64",
        "--set",
        "train.learning_rate=2e-2",
        "--num-train-epochs",
        "1",
    ]
    recipe += ["--num-threads", "1", "--set", "distil.sample=300", "--set", "distil.leave_out=0.5"]
    assert main([*command, "--model", str(encoder), *recipe]) == 0
    printed = capsys.readouterr().out
    told = json.loads((out / "training.json").read_text())["distil"]
    assert "texts.txt: 500 rows in = 300 used + 200 dropped (not_drawn 200)." in printed
    assert (
        f"Taught by {bundle}: {told['rows']['train']:,} texts of the train split and 300 others."
        in printed
    )
    less = told["left_out"]
    assert f"{less['words']:,} of them were left out of {less['texts']:,} texts." in printed
    assert (
        f"Agreement with the teacher on validation texts: {100 * told['agreement']['value']:.2f} %"
        in printed
    )
    assert "other splits" not in printed
    assert f"Final model: {out}" in printed


def test_distil_says_that_the_teacher_may_have_seen_the_rows(
    bundle, encoder, splits, tmp_path, capsys
):
    shutil.copytree(splits, tmp_path / "splits")
    train = tmp_path / "splits" / "train.parquet"
    table = pq.read_table(train)
    pq.write_table(table.slice(100), train)
    command = [
        "distil",
        str(bundle),
        "--splits",
        str(tmp_path / "splits"),
        "--out",
        str(tmp_path / "student"),
    ]
    assert (
        main(
            [
                *command,
                "--model",
                str(encoder),
                "--set",
                "model.max_length=64",
                "--num-train-epochs",
                "1",
            ]
        )
        == 0
    )
    assert f"{bundle} was trained on other splits than these" in capsys.readouterr().out


def test_distil_takes_several_teachers(bundle, splits, tmp_path, capsys):
    command = [
        "distil",
        str(bundle),
        str(bundle),
        "--splits",
        str(splits),
        "--out",
        str(tmp_path / "student"),
    ]
    assert main([*command, "--model", "scratch"]) == 2
    assert (
        f"The teachers {bundle} and {bundle} are one bundle. Name each once."
        in capsys.readouterr().err
    )


def test_distil_without_a_teacher(splits, tmp_path, capsys):
    assert (
        main(["distil", str(tmp_path / "none"), "--splits", str(splits), "--model", "scratch"]) == 5
    )
    assert capsys.readouterr().err.startswith("linnet: No such bundle")


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    """Nothing of the hub's is on this machine, and tests can't reach it."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


FEW = [
    "--num-train-epochs",
    "1",
    "--set",
    "train.per_device_train_batch_size=64",
    "--set",
    "train.learning_rate=1e-4",
]


@pytest.mark.usefixtures("empty_cache")
def test_without_a_hub_the_built_in_encoder_stands_in_and_it_is_said(splits, tmp_path, capsys):
    out = tmp_path / "checkpoint"
    assert main(["train", "--splits", str(splits), "--out", str(out), *FEW]) == 0
    record = json.loads((out / "training.json").read_text())
    assert record["encoder"]["name"] == "linnet-mini"
    assert record["encoder"]["source"] == "built-in"
    assert "the built-in linnet-mini is taken" in record["encoder_note"]
    printed = capsys.readouterr().out
    assert printed.startswith(record["encoder_note"])
    assert "linnet-mini on" in printed


@pytest.mark.usefixtures("empty_cache")
@pytest.mark.parametrize("command", ["tune", "distil"])
def test_other_commands_that_train_say_so_too(bundle, tmp_path, capsys, command):
    more = {"tune": [], "distil": [str(bundle)]}[command]
    none = ["--splits", str(tmp_path / "none"), "--out", str(tmp_path / "out")]
    assert main([command, *more, *none]) == 3  # what it says comes before it looks at the splits
    (said,) = capsys.readouterr().out.splitlines()
    assert "the built-in linnet-mini is taken" in said
    assert ".." not in said


@pytest.mark.usefixtures("empty_cache")
def test_an_encoder_that_was_named_is_not_replaced(splits, tmp_path, capsys):
    out = tmp_path / "checkpoint"
    command = [
        "train",
        "--splits",
        str(splits),
        "--out",
        str(out),
        "--model",
        "distilbert-base-uncased",
        *FEW,
    ]
    assert main(command) == 4
    assert "the model hub could not be reached" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("model", ["linnet-mini", "scratch"])
def test_a_small_encoder_says_which_learning_rate_it_brings(tmp_path, capsys, model):
    command = ["train", "--splits", str(tmp_path / "none"), "--model", model]
    assert main(command) == 3
    (said,) = capsys.readouterr().out.splitlines()
    assert said.startswith(f"No train.learning_rate was set: {model} trains at its own, ")
    assert main([*command, "--set", "train.learning_rate=5e-5"]) == 3
    assert capsys.readouterr().out == ""


def test_the_learning_rate_of_a_small_encoder_is_recorded(splits, tmp_path, capsys):
    shape = ["model.num_hidden_layers=1", "model.hidden_size=32", "model.vocab_size=4096"]
    overrides = ["train.num_train_epochs=1", "train.per_device_train_batch_size=64", *shape]
    settings = [part for override in overrides for part in ("--set", override)]
    command = ["train", "--splits", str(splits), "--model", "scratch", *settings]
    for name, more, rate in (
        ("own", [], 5e-4),
        ("mine", ["--set", "train.learning_rate=1e-4"], 1e-4),
    ):
        assert main([*command, "--out", str(tmp_path / name), *more]) == 0
        record = json.loads((tmp_path / name / "training.json").read_text())
        assert record["settings"]["train"]["learning_rate"] == rate
        assert record["log_history"][0]["learning_rate"] == rate
        note = record["learning_rate_note"]
        assert bool(note) is (name == "own") and note in capsys.readouterr().out

"""`linnet train`: what it prints, and how it fails."""

import json
import shutil

import pyarrow.parquet as pq

from linnet.cli.main import main


def test_it_prints_how_training_went(splits, encoder, tmp_path, capsys):
    out = tmp_path / "checkpoint"
    command = ["train", "--splits", str(splits), "--out", str(out), "--model", str(encoder), "--num-train-epochs", "2"]
    overrides = ["--set", "model.max_length=12", "--set", "train.learning_rate=2e-2"]
    assert main([*command, *overrides]) == 0
    printed = capsys.readouterr().out
    record = json.loads((out / "training.json").read_text())
    for header in ("Epoch", "Training Loss", "Validation Loss", "Accuracy"):
        assert header in printed
    for row in record["history"]:
        line = next(line for line in printed.splitlines() if line.startswith(f"│     {row['epoch']} "))
        assert f"{row['train_loss']:.4f}" in line
        assert f"{row['eval_loss']:.4f}" in line
        assert f"{100 * row['eval_accuracy']:.2f} %" in line
    assert f"Stopped: {record['stop_reason']}; epoch {record['best_epoch']} is kept." in printed
    assert f"{record['global_step']:,} steps" in printed
    assert f"{record['total_flos']:.3g} FLOPs" in printed
    assert f"Truncated to 12 tokens: {record['truncated']['train']:,} of {record['rows']['train']:,} train" in printed
    assert printed.rstrip().endswith(f"Final model: {out}")


def test_a_mistake_is_one_sentence(splits, tmp_path, capsys):
    out = tmp_path / "checkpoint"
    assert main(["train", "--splits", str(splits), "--model", str(tmp_path / "none"), "--out", str(out)]) == 4
    captured = capsys.readouterr()
    assert captured.err.startswith("linnet: There is no encoder")
    assert captured.err.count("\n") == 1
    assert not out.exists()


def test_without_splits(tmp_path, capsys):
    assert main(["train", "--splits", str(tmp_path / "none"), "--model", "scratch", "--out", str(tmp_path / "c")]) == 3
    assert "No such split" in capsys.readouterr().err


def test_distil_prints_what_was_learnt_from_and_how_like_its_teacher_it_is(
    bundle, splits, unlabelled, encoder, tmp_path, capsys
):
    out = tmp_path / "student"
    command = ["distil", str(bundle), "--splits", str(splits), "--texts", str(unlabelled), "--out", str(out)]
    recipe = ["--set", "model.max_length=64", "--set", "train.learning_rate=2e-2", "--num-train-epochs", "1"]
    assert main([*command, "--model", str(encoder), *recipe, "--num-threads", "1", "--set", "distil.sample=300"]) == 0
    printed = capsys.readouterr().out
    told = json.loads((out / "training.json").read_text())["distil"]
    assert "texts.txt: 500 rows in = 300 used + 200 dropped (not_drawn 200)." in printed
    assert f"The teacher answered {told['rows']['train']:,} texts of the train split and 300 others." in printed
    assert f"agrees with its teacher in {100 * told['agreement']['value']:.2f} %" in printed
    assert "other splits" not in printed
    assert f"Final model: {out}" in printed


def test_distil_says_that_the_teacher_may_have_seen_the_rows(bundle, encoder, splits, tmp_path, capsys):
    shutil.copytree(splits, tmp_path / "splits")
    train = tmp_path / "splits" / "train.parquet"
    table = pq.read_table(train)
    pq.write_table(table.slice(100), train)
    command = ["distil", str(bundle), "--splits", str(tmp_path / "splits"), "--out", str(tmp_path / "student")]
    assert main([*command, "--model", str(encoder), "--set", "model.max_length=64", "--num-train-epochs", "1"]) == 0
    assert "The teacher was trained on other splits than these" in capsys.readouterr().out


def test_distil_without_a_teacher(splits, tmp_path, capsys):
    assert main(["distil", str(tmp_path / "none"), "--splits", str(splits), "--model", "scratch"]) == 5
    assert capsys.readouterr().err.startswith("linnet: No such bundle")

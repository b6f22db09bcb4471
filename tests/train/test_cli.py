"""`linnet train`: what it prints, and how it fails."""

import json

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

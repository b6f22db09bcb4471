"""`linnet tune`: what it prints, and how it fails."""

import json
import os
import subprocess
import sys

import pytest

from linnet.cli.main import main


def test_it_prints_how_the_study_went(splits, encoder, tmp_path, capsys):
    out = tmp_path / "study"
    command = [
        "tune",
        "--splits",
        str(splits),
        "--out",
        str(out),
        "--model",
        str(encoder),
        "--n-trials",
        "2",
    ]
    overrides = ["model.max_length=12", "train.learning_rate=2e-2", "train.num_train_epochs=1"]
    overrides += [
        "tune.learning_rate=[1e-3, 5e-2]",
        "tune.num_train_epochs=[1, 1]",
        "tune.dropout=[]",
    ]
    assert main([*command, *(part for override in overrides for part in ("--set", override))]) == 0
    printed = capsys.readouterr().out
    results = json.loads((out / "study.json").read_text())
    lines = printed.splitlines()
    for trial, line in zip(results["trials"], lines, strict=False):
        assert line.startswith(
            f"Trial {trial['number']} complete, {trial['value']:.4f}: learning_rate "
        )
    assert "eval_accuracy of 2 trials: 2 complete" in printed
    assert "train.dropout" not in printed
    assert any("train.learning_rate" in line and " 0.02 " in line for line in lines)
    for note in results["notes"]:
        assert note in lines
    assert "No trial was judged on the test split" in printed
    assert lines[-2:] == [f"Settings: {out / 'best.toml'}", f"Study: {out / 'study.html'}"]
    command = ["train", "--splits", str(splits), "--out", str(tmp_path / "checkpoint"), "--config"]
    assert main([*command, str(out / "best.toml")]) == 0
    assert f"{100 * results['best']['value']:.2f} %" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_processes_share_a_study(splits, encoder, tmp_path):
    command = [
        sys.executable,
        "-m",
        "linnet.cli.main",
        "tune",
        "--splits",
        splits,
        "--out",
        tmp_path / "study",
    ]
    command += ["--model", encoder, "--n-trials", "8"]
    overrides = ["model.max_length=12", "train.learning_rate=2e-2", "train.num_train_epochs=3"]
    overrides += [
        "tune.learning_rate=[1e-3, 5e-2]",
        "tune.num_train_epochs=[3, 3]",
        'tune.pruner="none"',
    ]
    command += [part for override in overrides for part in ("--set", override)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        for _ in range(2)
    ]
    printed = [process.communicate(timeout=200)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0]
    told = [
        [line.split()[1] for line in text.splitlines() if line.startswith("Trial ")]
        for text in printed
    ]
    assert sorted(int(number) for numbers in told for number in numbers) == list(
        range(8)
    )  # each trial was run once
    assert min(map(len, told)) >= 1, told
    results = json.loads((tmp_path / "study" / "study.json").read_text())
    assert results["states"]["complete"] == len(results["trials"]) == 8


def test_a_mistake_is_one_sentence(splits, tmp_path, capsys):
    out = tmp_path / "study"
    assert (
        main(
            ["tune", "--splits", str(splits), "--model", str(tmp_path / "none"), "--out", str(out)]
        )
        == 4
    )
    captured = capsys.readouterr()
    assert captured.err.startswith("linnet: There is no encoder")
    assert captured.err.count("\n") == 1
    assert not out.exists()


def test_without_optuna_it_says_what_to_install(monkeypatch, capsys):
    for module in [name for name in sys.modules if name.startswith("linnet.train.tune")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert main(["tune"]) == 2
    said = capsys.readouterr().err
    assert said.endswith("pip install 'linnet-text[train]'\n") and "'optuna'" in said
    assert said.count("\n") == 1

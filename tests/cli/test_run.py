"""`linnet run` from a file to a judged bundle, as a user calls it."""

import json

import pytest
from huggingface_hub import constants

import linnet
from linnet.cli.main import main
from linnet.config import load_config
from linnet.errors import DataError, ModelError, UsageError


@pytest.fixture
def job(tmp_path, monkeypatch, encoder, labelled_csv):
    """Arguments of a small run in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    settings = ["train.learning_rate=5e-3", "model.max_length=32", "export.parity_rows=32"]
    overrides = [part for setting in settings for part in ("--set", setting)]
    return [
        "run",
        "--data",
        str(labelled_csv),
        "--model",
        str(encoder),
        "--name",
        "small",
        *overrides,
    ]


def folders(directory):
    return sorted(path.name for path in directory.iterdir())


def test_run_leaves_the_folders_of_every_stage(job, tmp_path, capsys):
    assert main([*job, "--set", "export.min_precision=0.55"]) == 0
    run = tmp_path / "runs" / "small"
    assert folders(run) == ["bundle", "checkpoint", "linnet.toml", "report", "splits"]
    shown = capsys.readouterr().out
    assert all(
        word in shown for word in ("Epoch", "Training Loss", "Validation Loss", "Accuracy", "FLOPs")
    )
    resolved = load_config(run / "linnet.toml")
    assert (resolved.train.learning_rate, resolved.run.name) == (5e-3, "small")
    report = json.loads((run / "report" / "report.json").read_text())
    assert report["split"] == "test"
    # Only a model that beats its baseline is one to serve; of another it is said why it does not.
    assert ("Serve it with: linnet serve" in shown) is report["beats_baseline"]
    assert ("Why, and what to change:" in shown) is not report["beats_baseline"]
    assert bool(report["diagnosis"]) is not report["beats_baseline"]
    assert report["accuracy"]["value"] > 0.7
    assert (
        report["selective"]["min_precision"]
        == linnet.load(run / "bundle").bundle.manifest.min_precision
        == 0.55
    )
    assert f"The model answers {report['selective']['coverage']['value']:.2%} of the texts" in shown
    assert (
        f"calibration error {100 * report['calibration']['expected_calibration_error']:.1f} %"
        in shown
    )
    card = json.loads((run / "splits" / "data_card.json").read_text())["accounting"]
    assert card["rows_in"] == card["rows_used"] + card["rows_dropped"] == 600
    assert len(linnet.load(run / "bundle").predict(["what a good day", "i hate this"])) == 2


def test_torchrun_is_told_that_a_run_is_made_by_one_process(job, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main(job) == 2
    assert "torchrun started several: each would prepare the data" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_run_goes_on_where_it_was_stopped(job, tmp_path, capsys, monkeypatch):
    import linnet.build.stages

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(linnet.build.stages, "export", stop)
        assert main(job) == 130
    run = tmp_path / "runs" / "small"
    assert folders(run) == ["checkpoint", "linnet.toml", "splits"]
    before = (run / "checkpoint" / "training.json").stat().st_mtime_ns
    capsys.readouterr()
    assert main(job) == 0
    assert "is finished" in capsys.readouterr().out
    assert (run / "checkpoint" / "training.json").stat().st_mtime_ns == before

    for setting in ("train.seed=7", "evaluate.split=validation", "export.parity_rows=16"):
        assert main([*job, "--set", setting]) == UsageError.exit_code
        name, value = setting.split("=")
        shown = capsys.readouterr().err
        assert f"{run.relative_to(tmp_path)} was made with other settings: {name} was " in shown
        assert f", is {value if value.isdigit() else repr(value)}. Choose another --name" in shown


def test_a_setting_that_no_finished_stage_reads_may_change(tmp_path, monkeypatch, capsys):
    """Without training: the folders of the finished stages are made by hand, the next one is refused its input."""
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "runs" / "default"
    load_config().save(run / "linnet.toml")
    for folder, reads, free in (
        ("splits", "data.seed=1", "train.seed=1"),
        ("checkpoint", "train.seed=1", "evaluate.split=validation"),
        ("bundle", "export.opset=17", "evaluate.split=validation"),
        ("report", "evaluate.split=validation", "serve.port=1"),
    ):
        (run / folder).mkdir()
        (run / folder / "report.json").write_text('{"beats_baseline": true}')
        job = ["run", "--model", "linnet-mini"]
        load_config(overrides=["model.name_or_path=linnet-mini"]).save(run / "linnet.toml")
        assert main([*job, "--set", reads]) == UsageError.exit_code
        name = reads.partition("=")[0]
        assert f"other settings: {name} was " in capsys.readouterr().err
        changed = [*job, "--set", free, "--set", "model.hidden_size=64", "--set", "score.prefix=x"]
        done = main(changed)
        shown = capsys.readouterr()
        assert "other settings" not in shown.err
        assert f"{folder} is finished" in shown.out
        assert done == (0 if folder == "report" else done)
        assert load_config(run / "linnet.toml").score.prefix == "x"


def test_a_run_of_several_files_is_known_again(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "runs" / "default"
    load_config(overrides={"data.source": ["a.csv", "b.csv"]}).save(run / "linnet.toml")
    for folder in ("splits", "checkpoint", "bundle", "report"):
        (run / folder).mkdir()
        (run / folder / "report.json").write_text('{"beats_baseline": true}')
    assert main(["run", "--data", "a.csv", "b.csv"]) == 0
    assert main(["run", "--data", "a.csv", "--data", "b.csv"]) == 0
    assert capsys.readouterr().out.count("is finished") == 8
    assert main(["run", "--data", "a.csv"]) == UsageError.exit_code
    assert "data.source was ('a.csv', 'b.csv'), is 'a.csv'" in capsys.readouterr().err


def test_a_run_that_can_not_start_leaves_nothing(job, tmp_path, capsys):
    job[job.index("--data") + 1] = "absent.csv"
    assert main(job) == DataError.exit_code
    assert "absent.csv" in capsys.readouterr().err
    runs = tmp_path / "runs" / "small"
    assert not runs.exists() or folders(runs) == []


def test_a_mistyped_model_is_told_before_the_data_are_read(job, tmp_path, capsys):
    job[job.index("--model") + 1] = str(tmp_path / "typo")
    assert main(job) == ModelError.exit_code
    assert "typo" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_that_the_built_in_encoder_stands_in_is_told_before_the_data_are_read(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        constants, "HF_HUB_CACHE", str(tmp_path / "hub")
    )  # empty, and tests can't reach the hub
    assert main(["run", "--data", "absent.csv"]) == DataError.exit_code
    shown = capsys.readouterr()
    assert shown.out.startswith(
        "No encoder was named, and distilbert-base-uncased could not be had: "
    )
    assert "absent.csv" in shown.err


def test_a_foreign_folder_is_left_alone(job, tmp_path, capsys):
    foreign = tmp_path / "runs" / "small"
    foreign.mkdir(parents=True)
    (foreign / "thesis.txt").write_text("mine")
    assert main(job) == UsageError.exit_code
    assert "not a run of Linnet's" in capsys.readouterr().err
    assert folders(foreign) == ["thesis.txt"]


def test_a_run_is_retrained_with_labels_that_people_gave(job, tmp_path, capsys, monkeypatch):
    import linnet.build.stages

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(linnet.build.stages, "train", stop)
    (tmp_path / "linnet.toml").write_text("[data]\nseed = 8\n")
    assert main([*job, "--set", "data.seed=7"]) == 130
    more = tmp_path / "more.jsonl"
    rows = [
        {"text": f"the film was long {number}", "label": "positive", "source": source, "weight": 1}
        for number, source in enumerate(["audit"] * 4 + ["queue"] * 4)
    ]
    more.write_text("".join(json.dumps(row) + "\n" for row in rows))
    capsys.readouterr()
    retrain = ["run", "--retrain", "runs/small", "--add", str(more)]
    assert main(retrain) == UsageError.exit_code
    assert "Name it with --name" in capsys.readouterr().err
    assert main(["run", "--retrain", "nowhere", "--name", "new"]) == UsageError.exit_code
    assert "is not a run of Linnet's" in capsys.readouterr().err
    assert main([*retrain, "--name", "new"]) == 130
    config = load_config(tmp_path / "runs" / "new" / "linnet.toml")
    assert config.data.seed == 7
    assert config.data.previous_splits == "runs/small/splits"
    card = json.loads((tmp_path / "runs" / "new" / "splits" / "data_card.json").read_text())
    assert card["since"]["moved"] == 0
    assert card["sources"]["train"]["queue"] == 4
    assert card["sources"]["train"]["audit"] == 0

"""`linnet tune`: a study of real trials, of a tiny encoder on a few rows."""

import json
import resource
import shutil
import signal
import sqlite3
import sys
from contextlib import closing

import numpy as np
import optuna
import pytest

from linnet.config import load_config
from linnet.data import read_split
from linnet.errors import ConfigError, StoppedError, StorageError, UsageError
from linnet.train import train
from linnet.train.loop import Loop
from linnet.train.objective import ClassificationObjective
from linnet.train.resume import ResumableRun
from linnet.train.tune import plots, results, stage, tune
from linnet.train.tune.space import search_space
from linnet.train.tune.study import Study

RESULTS = {".lock", "study.db", "study.json", "study.html", "best.toml"}


@pytest.fixture(scope="module")
def few(splits, write_splits, tmp_path_factory):
    """The first rows of the splits."""
    sizes = {"train": 160, "validation": 60, "test": 20}
    some = {name: read_split(splits, name) for name in sizes}
    rows = {
        name: list(zip(split.texts, split.labels.tolist(), strict=True))[: sizes[name]]
        for name, split in some.items()
    }
    names = {name: list(split.label_names) for name, split in some.items()}
    return write_splits(tmp_path_factory.mktemp("few") / "splits", names, rows)


@pytest.fixture(scope="module")
def config(encoder):
    """A study of five trials of at most three epochs."""

    def resolve(**overrides):
        values = {
            "n_trials": 5,
            "n_startup_trials": 2,
            "learning_rate": [1e-3, 5e-2],
            "num_train_epochs": [1, 3],
        }
        model = {
            "model.name_or_path": str(encoder),
            "model.max_length": 64,
            "train.learning_rate": 2e-2,
        }
        tuned = {f"tune.{name}": value for name, value in values.items()}
        return load_config(
            overrides=model | tuned | {name.replace("__", "."): v for name, v in overrides.items()}
        )

    return resolve


@pytest.fixture(scope="module")
def calm(few, config, tmp_path_factory):
    """A study from end to end: its folder, its results, and what was heard of its trials."""
    folder, heard = tmp_path_factory.mktemp("calm") / "study", []
    return folder, tune(config(), few, folder, on_trial=heard.append), heard


def told(results):
    """What of the trials does not depend on the clock."""
    return [
        {key: value for key, value in trial.items() if key != "seconds"}
        for trial in results["trials"]
    ]


def test_a_study_from_end_to_end(calm):
    folder, results, heard = calm
    assert heard == results["trials"]
    assert {path.name for path in folder.iterdir()} == RESULTS
    assert json.loads((folder / "study.json").read_text()) == results
    first, *others = results["trials"]
    assert first["parameters"] == {
        "learning_rate": 2e-2,
        "per_device_train_batch_size": 16,
        "num_train_epochs": 3,
        "weight_decay": 0.01,
        "dropout": 0.1,
        "attention_dropout": 0.1,
        "warmup_ratio": 0.0,
    }
    assert [trial["number"] for trial in results["trials"]] == list(range(5))
    assert len({json.dumps(trial["parameters"]) for trial in results["trials"]}) == 5
    for trial in results["trials"]:
        assert trial["value"] == (
            max(trial["epochs"]) if trial["state"] == "complete" else trial["epochs"][-1]
        )
        assert 0 < trial["seconds"] < 60
        assert trial["reason"] is None
    best = max(
        (trial for trial in results["trials"] if trial["state"] == "complete"),
        key=lambda t: t["value"],
    )
    assert results["best"] == {key: best[key] for key in ("number", "value", "parameters")}
    assert results["gain"] == best["value"] - first["value"]
    for trial in others:
        assert 1e-3 <= trial["parameters"]["learning_rate"] <= 5e-2
        assert trial["parameters"]["per_device_train_batch_size"] in (8, 16, 32)
        assert trial["parameters"]["num_train_epochs"] in (1, 2, 3)


def test_a_trial_is_what_train_makes_of_best_toml(calm, few, tmp_path):
    folder, results, _ = calm
    best = load_config(folder / "best.toml")
    assert best.train.bf16 == "auto" and best.train.save_total_limit == 2
    record = train(best, few, tmp_path / "checkpoint")
    assert record["history"][record["best_epoch"] - 1]["eval_accuracy"] == results["best"]["value"]
    epochs = next(
        trial["epochs"]
        for trial in results["trials"]
        if trial["number"] == results["best"]["number"]
    )
    assert [epoch["eval_accuracy"] for epoch in record["history"]] == epochs


def test_so_it_is_of_an_encoder_from_nothing(few, config, tmp_path):
    asked = config(
        model__name_or_path="scratch", tune__n_trials=1, train__metric_for_best_model="eval_loss"
    )
    results = tune(asked, few, tmp_path / "study")
    record = train(load_config(tmp_path / "study" / "best.toml"), few, tmp_path / "checkpoint")
    assert record["history"][record["best_epoch"] - 1]["eval_loss"] == results["best"]["value"]
    default = train(asked, few, tmp_path / "default")
    assert [epoch["eval_loss"] for epoch in default["history"]] == results["trials"][0]["epochs"]


def test_a_loss_is_made_small(few, config, tmp_path):
    results = tune(config(train__metric_for_best_model="eval_loss"), few, tmp_path / "study")
    complete = [trial["value"] for trial in results["trials"] if trial["state"] == "complete"]
    assert results["best"]["value"] == min(complete)
    assert results["gain"] == pytest.approx(results["default"] - min(complete))
    assert results["direction"] == "minimize"


def test_what_is_hopeless_is_pruned_after_an_epoch(few, config, tmp_path):
    space = {
        "tune__learning_rate": [1e-7, 2e-2],
        "tune__num_train_epochs": [3, 3],
        "tune__n_trials": 8,
    }
    results = tune(config(**space), few, tmp_path / "study")
    pruned = [trial for trial in results["trials"] if trial["state"] == "pruned"]
    assert pruned
    for trial in pruned:
        assert len(trial["epochs"]) < 3
        before = [t for t in results["trials"][: trial["number"]] if t["state"] == "complete"]
        there = sorted(
            t["epochs"][len(trial["epochs"]) - 1]
            for t in before
            if len(t["epochs"]) >= len(trial["epochs"])
        )
        assert max(trial["epochs"]) < (there[len(there) // 2] + there[(len(there) - 1) // 2]) / 2
    space |= {"tune__n_trials": 3, "tune__pruner": "none", "tune__sampler": "random"}
    assert tune(config(**space), few, tmp_path / "all")["states"] == {
        "complete": 3,
        "pruned": 0,
        "failed": 0,
        "running": 0,
    }


def test_a_trial_that_fails_is_told_and_the_study_goes_on(few, config, tmp_path):
    results = tune(config(tune__learning_rate=[2e-2, 1e30]), few, tmp_path / "study")
    failed = [trial for trial in results["trials"] if trial["state"] == "failed"]
    assert len(failed) >= 2 and results["states"]["complete"] >= 1
    for trial in failed:
        assert "Lower train.learning_rate" in trial["reason"] and trial["value"] is None
    assert {path.name for path in (tmp_path / "study").iterdir()} == RESULTS
    assert "Lower train.learning_rate" in (tmp_path / "study" / "study.html").read_text()


def test_a_trial_that_is_killed_at_the_same_place_each_time_is_given_up(
    few, config, monkeypatch, tmp_path
):
    class Killed(BaseException):
        """Nobody catches it, so that the trial is left as a kill leaves it."""

    inner, killed = Loop._step, 0

    def step(self, rows):
        nonlocal killed
        if self.state.step == 7 and killed <= stage.ATTEMPTS:
            killed += 1
            raise Killed
        return inner(self, rows)

    monkeypatch.setattr(Loop, "_step", step)
    asked = config(tune__n_trials=2, train__save_steps=5)
    for _ in range(1 + stage.ATTEMPTS):  # once from the beginning, then from step 5
        with pytest.raises(Killed):
            tune(asked, few, tmp_path / "study")
    results = tune(asked, few, tmp_path / "study")
    first, second = results["trials"]
    assert (
        first["state"] == "failed"
        and "ended 10 times after step 5 and left no word" in first["reason"]
    )
    assert "16 texts to a batch" in first["reason"]
    assert second["state"] == "complete"


def test_a_trial_that_left_word_each_time_is_not_given_up(few, config, monkeypatch, tmp_path):
    full, write = list(range(2 * stage.ATTEMPTS)), ResumableRun.save

    def save(self, *arguments):
        if full:
            full.pop()
            raise StorageError("The disk is full.")
        write(self, *arguments)

    monkeypatch.setattr(ResumableRun, "save", save)
    asked = config(tune__n_trials=1, train__save_steps=5)
    while full:
        with pytest.raises(StorageError):
            tune(asked, few, tmp_path / "study")
    assert tune(asked, few, tmp_path / "study")["states"]["complete"] == 1


def test_a_finished_study_is_drawn_once(calm, few, config, monkeypatch, tmp_path):
    study, drawn = shutil.copytree(calm[0], tmp_path / "study"), []
    monkeypatch.setattr(results, "render", lambda *_, **values: drawn.append(values) or "")
    tune(config(), few, study)
    assert len(drawn) == 1


def test_without_a_complete_trial_there_is_no_best_toml(few, config, tmp_path):
    asked = config(train__learning_rate=1e30, tune__learning_rate=[1e30, 1e30], tune__n_trials=2)
    results = tune(asked, few, tmp_path / "study")
    assert results["best"] is results["default"] is results["gain"] is None
    assert results["notes"] == ["No trial is complete, so nothing can be said yet."]
    assert {path.name for path in (tmp_path / "study").iterdir()} == RESULTS - {"best.toml"}


def test_more_trials_may_be_asked_for_and_the_first_are_the_same(calm, few, config, tmp_path):
    tune(config(tune__n_trials=2), few, tmp_path / "study")
    assert told(tune(config(), few, tmp_path / "study")) == told(calm[1])
    assert len(tune(config(tune__n_trials=1), few, tmp_path / "study")["trials"]) == 5


@pytest.fixture
def at_step(monkeypatch):
    """Do something once, at a step of the trials."""

    def plan(number, action):
        inner, steps = Loop._step, []

        def step(self, rows):
            steps.append(rows)
            if len(steps) == number:
                action()
            return inner(self, rows)

        monkeypatch.setattr(Loop, "_step", step)

    return plan


def test_asked_to_stop_it_goes_on_where_it_was(calm, few, config, at_step, tmp_path):
    at_step(35, lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(
        StoppedError, match=r"saved in .*trial-2\.unfinished\. The same command resumes"
    ):
        tune(config(), few, tmp_path / "study")
    left = {path.name for path in (tmp_path / "study").iterdir()}
    assert left == RESULTS | {"trial-2.lock", "trial-2.unfinished"}
    assert told(tune(config(), few, tmp_path / "study")) == told(calm[1])
    assert {path.name for path in (tmp_path / "study").iterdir()} == RESULTS


def test_asked_to_stop_at_the_end_of_a_trial_it_begins_no_other(few, config, monkeypatch, tmp_path):
    inner = ClassificationObjective.evaluate

    def evaluate(self):
        signal.raise_signal(signal.SIGTERM)
        return inner(self)

    monkeypatch.setattr(ClassificationObjective, "evaluate", evaluate)
    with pytest.raises(StoppedError, match="Stopped after trial 0"):
        tune(config(train__num_train_epochs=1), few, tmp_path / "study")
    assert json.loads((tmp_path / "study" / "study.json").read_text())["states"]["complete"] == 1


def test_processes_share_the_trials(calm, few, config, at_step, tmp_path):
    heard = []

    def beside():
        tune(
            config(tune__n_trials=2),
            few,
            tmp_path / "study",
            on_trial=lambda trial: heard.append(trial["number"]),
        )
        states = json.loads((tmp_path / "study" / "study.json").read_text())["states"]
        assert (states["complete"], states["running"]) == (1, 1)

    at_step(5, beside)
    results = tune(
        config(tune__n_trials=2),
        few,
        tmp_path / "study",
        on_trial=lambda trial: heard.append(trial["number"]),
    )
    assert heard == [1, 0]
    assert results["states"]["complete"] == 2
    assert told(results)[0] == told(calm[1])[0]


def test_it_says_which_parameter_matters_once_enough_trials_tell(config, tmp_path):
    settings = config().tune
    space = search_space(settings)
    lowest = {
        "learning_rate": 1e-3,
        "per_device_train_batch_size": 8,
        "num_train_epochs": 1,
        "weight_decay": 0.0,
    }
    lowest |= {"dropout": 0.0, "attention_dropout": 0.0, "warmup_ratio": 0.0}
    with closing(
        Study(tmp_path / "study", settings, space, "maximize", {}, lambda: (lowest, False))
    ) as study:
        draw = np.random.default_rng(0)
        for number in range(20):
            assert (study.importance is None) == (number < 10)
            drawn = {"learning_rate": draw.uniform(1e-3, 5e-2), "dropout": draw.uniform(0, 0.3)}
            study._study.add_trial(
                optuna.trial.create_trial(
                    params=lowest | drawn, distributions=space, value=np.log(drawn["learning_rate"])
                )
            )
        importance = study.importance
    assert next(iter(importance)) == "learning_rate"
    assert importance["learning_rate"] > 0.8 and sum(importance.values()) == pytest.approx(1.0)
    assert "learning_rate" in plots.importance(importance)


def test_no_trial_is_begun_after_the_timeout(few, config, monkeypatch, tmp_path):
    clock = [0.0]
    monkeypatch.setattr(stage.time, "monotonic", lambda: clock[0])
    results = tune(
        config(tune__timeout=60),
        few,
        tmp_path / "study",
        on_trial=lambda trial: clock.append(clock.pop() + 31),
    )
    assert results["states"]["complete"] == 2


@pytest.mark.parametrize(
    "changed",
    [
        {"train__weight_decay": 0.02},
        {"tune__dropout": [0.0, 0.2]},
        {"tune__seed": 1},
        {"model__max_length": 32},
    ],
)
def test_another_study_is_refused_and_says_what_differs(few, config, tmp_path, changed):
    tune(config(tune__n_trials=1), few, tmp_path / "study")
    (name,) = changed
    with pytest.raises(
        UsageError, match=rf"(?s)another one:\n  {name.replace('__', '.')}  was .*Resume it"
    ):
        tune(config(**changed), few, tmp_path / "study")


def test_other_splits_are_another_study(few, splits, config, tmp_path):
    tune(config(tune__n_trials=1), few, tmp_path / "study")
    with pytest.raises(UsageError, match=r"splits\.train  was"):
        tune(config(), splits, tmp_path / "study")


def test_what_is_no_study_is_left_alone(few, config, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"mine exists and is no study of Linnet's"):
        tune(config(), few, folder)
    with pytest.raises(UsageError, match=r"No folder can be made at .*notes\.txt"):
        tune(config(), few, folder / "notes.txt")
    (folder / "study.db").write_text("no database, though of some length")
    with pytest.raises(UsageError, match=r"study\.db is no study: file is not a database"):
        tune(config(), few, folder)
    (folder / "study.db").unlink()
    with sqlite3.connect(folder / "study.db") as connection:
        connection.execute("CREATE TABLE studies (study_name TEXT)")
    connection.close()
    with pytest.raises(UsageError, match=r"holds no study of Linnet's"):
        tune(config(), few, folder)


def test_the_search_space_holds_the_recipe(few, config, tmp_path):
    space = {
        "tune__learning_rate": [1e-5, 1e-3],
        "tune__per_device_train_batch_size": [8],
        "tune__dropout": [0.2, 0.3],
    }
    with pytest.raises(ConfigError) as caught:
        tune(config(**space), few, tmp_path / "study")
    lines = str(caught.value).splitlines()[1:-1]
    assert lines == [
        "  tune.learning_rate  [1e-05, 0.001] does not hold train.learning_rate = 0.02",
        "  tune.per_device_train_batch_size  [8] does not hold train.per_device_train_batch_size = 16",
        "  tune.dropout  [0.2, 0.3] does not hold train.dropout = 0.1",
    ]
    narrow = {f"tune__{name}": [] for name in search_space(config().tune)}
    with pytest.raises(ConfigError, match="nothing to search"):
        tune(config(**narrow), few, tmp_path / "study")
    few_names = narrow | {"tune__warmup_ratio": [0.0, 0.5], "tune__n_trials": 1}
    assert tune(config(**few_names), few, tmp_path / "study")["trials"][0]["parameters"] == {
        "warmup_ratio": 0.0
    }


def test_trials_write_no_event_files(few, config, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    found = tune(config(train__report_to="tensorboard", tune__n_trials=1), few, tmp_path / "study")
    assert found["states"]["complete"] == 1


def test_torchrun_is_told_to_start_workers_instead(few, config, monkeypatch, tmp_path):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="Start `linnet tune` several times"):
        tune(config(), few, tmp_path / "study")


def test_a_full_disk_is_a_sentence_and_leaves_no_half_study(few, config, tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(StorageError, match=r"study\.db can't be read or written: .*disk"):
            tune(config(), few, tmp_path / "study")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not (tmp_path / "study" / "study.db").exists()
    assert tune(config(tune__n_trials=1), few, tmp_path / "study")["states"]["complete"] == 1


def test_a_folder_of_any_name(few, config, tmp_path):
    folder = tmp_path / "50 % of {all}?#"
    assert tune(config(tune__n_trials=1), few, folder)["states"]["complete"] == 1
    assert {path.name for path in folder.iterdir()} == RESULTS

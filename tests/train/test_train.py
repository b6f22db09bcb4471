"""The stage on real splits and a real, tiny encoder."""

import io
import json
import re
import shutil

import numpy as np
import pytest
import torch
from rich.console import Console
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from linnet.config import load_config
from linnet.data import read_split
from linnet.errors import DataError, LabelError, TrainingError, UsageError
from linnet.files import digest
from linnet.text import Tokenizer
from linnet.train import train
from linnet.train.distributed import Group
from linnet.train.encoder.find import find_encoder
from linnet.train.network.precision import Precision
from linnet.train.train import make_loop, read_training_data

FILES = {
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "README.md",
    "training.json",
    "training.html",
}
NAMES = ["train", "validation", "test"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, splits, encoder):
    """A checkpoint and its record."""
    overrides = {
        "model.name_or_path": str(encoder),
        "model.max_length": 64,
        "train.learning_rate": 2e-2,
    }
    directory = tmp_path_factory.mktemp("trained") / "checkpoint"
    return directory, train(load_config(overrides=overrides), splits, directory)


@pytest.fixture(scope="module")
def flipped(splits, write_splits, tmp_path_factory):
    """Splits whose training labels are the wrong way round, so that each epoch does worse than the one before."""
    names = {name: list(read_split(splits, name).label_names) for name in NAMES}
    rows = {}
    for name in NAMES:
        split = read_split(splits, name)
        labels = 1 - split.labels if name == "train" else split.labels
        rows[name] = list(zip(split.texts, labels.tolist(), strict=True))
    return write_splits(tmp_path_factory.mktemp("flipped"), names, rows)


def judge(directory, split):
    """Loss and accuracy of a checkpoint, by transformers alone, one text at a time."""
    model = AutoModelForSequenceClassification.from_pretrained(directory).eval()
    tokenizer = AutoTokenizer.from_pretrained(directory)
    with torch.no_grad():
        encodings = [tokenizer(text, truncation=True, return_tensors="pt") for text in split.texts]
        logits = torch.cat([model(**encoding).logits for encoding in encodings])
    labels = torch.tensor(split.labels)
    loss = torch.nn.functional.cross_entropy(logits, labels).item()
    return loss, (logits.argmax(1) == labels).double().mean().item()


def test_it_learns(trained, splits):
    _, record = trained
    labels = read_split(splits, "validation").labels
    majority = np.bincount(labels).max() / len(labels)
    assert record["history"][record["best_epoch"] - 1]["eval_accuracy"] > majority + 0.25


def test_the_checkpoint_answers_the_same_in_transformers(trained, splits):
    directory, record = trained
    best = record["history"][record["best_epoch"] - 1]
    loss, accuracy = judge(directory, read_split(splits, "validation"))
    assert loss == pytest.approx(best["eval_loss"], abs=1e-5)
    assert accuracy == pytest.approx(best["eval_accuracy"])


def test_the_checkpoint_holds_these_files_and_label_names(trained):
    directory, record = trained
    assert {file.name for file in directory.iterdir()} == FILES
    assert all(file.stat().st_mode & 0o444 == 0o444 for file in directory.iterdir())
    config = json.loads((directory / "config.json").read_text())
    assert config["id2label"] == {"0": "negative", "1": "positive"}
    assert config["label2id"] == {"negative": 0, "positive": 1}
    assert config["problem_type"] == "single_label_classification"
    assert json.loads((directory / "training.json").read_text()) == record


def test_transformers_truncates_as_linnet_does(trained):
    directory, _ = trained
    texts = ["good day", "love " * 100]
    ours = Tokenizer(directory / "tokenizer.json", 64).encode(texts)
    theirs = AutoTokenizer.from_pretrained(directory)(texts, truncation=True)["input_ids"]
    assert [encoding.ids for encoding in ours] == theirs
    assert [encoding.truncated for encoding in ours] == [False, True]


def test_the_record_accounts_for_the_run(trained, splits, encoder):
    _, record = trained
    epochs, rows = len(record["history"]), len(read_split(splits, "train"))
    assert record["global_step"] == epochs * -(-rows // 16)
    assert record["rows"] == {"train": rows, "validation": len(read_split(splits, "validation"))}
    assert record["truncated"] == {"train": 0, "validation": 0}
    assert record["train_samples_per_second"] * record["train_runtime"] == pytest.approx(
        epochs * rows
    )
    assert record["num_input_tokens_seen"] >= epochs * record["tokens"]["train"]
    files = ("config.json", "model.safetensors", "tokenizer.json")
    assert record["encoder"]["sha256"] == {file: digest(encoder / file) for file in files}
    assert record["data_card_sha256"] == digest(splits / "data_card.json")
    assert record["settings"]["train"]["learning_rate"] == 2e-2
    recorded = record["lineage"]["packages"]["torch"]
    assert recorded.partition("+")[0] == torch.__version__.partition("+")[0]
    assert [entry["epoch"] for entry in record["history"]] == list(range(1, epochs + 1))


def test_the_record_holds_the_course_of_the_loss_and_a_page_shows_it(trained):
    directory, record = trained
    epochs, course = len(record["history"]), record["log_history"]
    assert [point["step"] for point in course] == list(range(1, record["global_step"] + 1))
    each = record["global_step"] // epochs
    for number, epoch in enumerate(record["history"]):
        losses = [point["loss"] for point in course[number * each : (number + 1) * each]]
        assert np.mean(losses) == pytest.approx(
            epoch["train_loss"], rel=0.05
        )  # the last batch may be smaller
    assert course[0]["learning_rate"] == 2e-2
    assert course[each - 1]["learning_rate"] == record["history"][0]["learning_rate"]
    assert all(point["grad_norm"] > 0 for point in course)
    page = (directory / "training.html").read_text()
    assert page.count("<svg") == 2
    for words in (
        "validation loss",
        "validation accuracy",
        f"{record['history'][0]['eval_loss']:.4f}",
        " (kept)<",
    ):
        assert words in page
    assert "src=" not in page
    assert "href=" not in page.replace("xlink:href", "").replace('xmlns:xlink="http', "")


def test_it_shows_epoch_step_loss_speed_and_time_left(
    splits, settings, monkeypatch, tmp_path, capsys
):
    monkeypatch.setattr("linnet.progress.SECONDS_BETWEEN_LINES", 0.0)
    record = train(settings(num_train_epochs=2), splits, tmp_path / "checkpoint")
    shown = [line for line in capsys.readouterr().err.splitlines() if line.startswith("train: ")]
    last = record["global_step"]
    assert len(shown) == last
    assert re.fullmatch(
        rf"train: {last - 1} of {last} steps, 0:0\d:\d\d left, epoch 2/2, loss \d\.\d{{4}}, [\d,]+ texts/s",
        shown[-2],
    )


def test_a_narrow_terminal_shows_it_too(splits, settings, monkeypatch, tmp_path):
    screen = io.StringIO()
    monkeypatch.setattr(
        "linnet.progress.stderr", Console(file=screen, force_terminal=True, width=80)
    )
    record = train(settings(num_train_epochs=2), splits, tmp_path / "checkpoint")
    last = record["global_step"]
    words = re.sub(r"\x1b\[[\d;?]*\w", "", screen.getvalue())
    line = rf"train ━+ {last}/{last} steps 0:00:\d\d 0:00:00 epoch 2/2, loss \d\.\d{{4}}, [\d,]+ texts/s"
    assert re.search(line, words)


def test_equal_runs_give_equal_bytes_and_another_seed_other_ones(
    trained, splits, settings, tmp_path
):
    directory, record = trained
    again = train(settings(), splits, tmp_path / "again")
    other = train(settings(seed=7), splits, tmp_path / "other")
    weights = (directory / "model.safetensors").read_bytes()
    assert (tmp_path / "again" / "model.safetensors").read_bytes() == weights
    assert again["history"] == record["history"]
    assert (tmp_path / "other" / "model.safetensors").read_bytes() != weights
    assert other["history"] != record["history"]


def test_the_callers_random_state_is_left_alone(splits, settings, tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train(settings(num_train_epochs=1), splits, tmp_path / "checkpoint")
    assert torch.equal(torch.rand(3), expected)


def test_the_best_epoch_is_kept_when_later_ones_are_worse(flipped, settings, tmp_path):
    config = settings(early_stopping_patience=3, metric_for_best_model="eval_loss")
    record = train(config, flipped, tmp_path / "checkpoint")
    losses = [entry["eval_loss"] for entry in record["history"]]
    assert len(losses) == 3
    assert losses[0] < min(losses[1:])
    assert record["best_epoch"] == 1
    assert record["stop_reason"] == "all 3 epochs done"
    loss, _ = judge(tmp_path / "checkpoint", read_split(flipped, "validation"))
    assert loss == pytest.approx(losses[0], abs=1e-5)
    assert {file.name for file in (tmp_path / "checkpoint").iterdir()} == FILES


def test_training_stops_early(flipped, settings, tmp_path):
    record = train(settings(metric_for_best_model="eval_loss"), flipped, tmp_path / "checkpoint")
    assert len(record["history"]) == 2
    assert record["best_epoch"] == 1
    assert record["stop_reason"] == "no better eval_loss for 1 epoch"


def test_truncated_texts_are_counted(splits, settings, encoder, tmp_path):
    overrides = {
        "model.name_or_path": str(encoder),
        "model.max_length": 8,
        "train.num_train_epochs": 1,
    }
    record = train(load_config(overrides=overrides), splits, tmp_path / "checkpoint")
    tokenizer = Tokenizer(encoder / "tokenizer.json", 8)
    for name in ("train", "validation"):
        longer = sum(
            encoding.truncated for encoding in tokenizer.encode(read_split(splits, name).texts)
        )
        assert record["truncated"][name] == longer > 0


def test_a_loss_that_is_no_number_stops_it_and_leaves_what_stood(splits, settings, tmp_path):
    directory = tmp_path / "checkpoint"
    directory.mkdir()
    (directory / "training.json").write_text("kept")
    with pytest.raises(
        TrainingError, match=r"^At step \d+ \(epoch 1\) .* Lower train.learning_rate \(now 1e\+30\)"
    ):
        train(settings(learning_rate=1e30), splits, directory)
    assert {entry.name for entry in tmp_path.iterdir()} == {"checkpoint", "checkpoint.unfinished"}
    assert [entry.name for entry in directory.iterdir()] == ["training.json"]


@pytest.mark.parametrize("name", ["validation", "test"])
def test_splits_of_different_labels_are_refused(tmp_path, settings, write_splits, name):
    labels = {split: ["no", "yes"] for split in NAMES} | {name: ["no", "maybe"]}
    directory = write_splits(
        tmp_path / "splits", labels, {split: [("a", 0), ("b", 1)] for split in NAMES}
    )
    with pytest.raises(LabelError, match=f"train has no, yes; {name} has no, maybe"):
        train(settings(), directory, tmp_path / "checkpoint")
    assert not (tmp_path / "checkpoint").exists()


def test_a_split_without_rows_is_refused(tmp_path, settings, write_splits):
    rows = {"train": [("a", 0), ("b", 1)], "validation": [], "test": [("a", 0)]}
    directory = write_splits(tmp_path / "splits", {split: ["no", "yes"] for split in NAMES}, rows)
    with pytest.raises(DataError, match="The validation split holds no rows"):
        train(settings(), directory, tmp_path / "checkpoint")


def test_what_is_not_linnets_in_a_checkpoint_is_not_lost(trained, splits, settings, tmp_path):
    shutil.copytree(trained[0], tmp_path / "checkpoint")
    (tmp_path / "checkpoint" / "study").mkdir()
    with pytest.raises(UsageError, match="'study' in it, which Linnet didn't write, would be lost"):
        train(settings(), splits, tmp_path / "checkpoint")
    assert not (tmp_path / "checkpoint.unfinished").exists()


def test_processes_compute_in_what_the_first_of_them_measured(splits, settings, encoder):
    class Second(Group):
        def gather(self, value):
            return [Precision(torch.bfloat16, "the first's"), value]

    config = settings(bf16=False)
    loop, precision = make_loop(
        config, read_training_data(config.model, splits), find_encoder(str(encoder)), Second(1, 2)
    )
    assert (precision.name, precision.reason) == ("bf16", "the first's")
    assert torch.bfloat16 in {buffer.copy.dtype for buffer in loop.weights.buffers}


def test_more_than_two_classes(tmp_path, settings, write_splits):
    texts = ["good sun", "bad rain", "very day"]
    counts = zip(NAMES, (600, 60, 9), strict=True)
    rows = {name: [(f"{texts[i % 3]} {i}", i % 3) for i in range(count)] for name, count in counts}
    directory = write_splits(tmp_path / "splits", {split: ["a", "b", "c"] for split in NAMES}, rows)
    record = train(settings(early_stopping_patience=3), directory, tmp_path / "checkpoint")
    assert record["labels"] == ["a", "b", "c"]
    assert record["history"][record["best_epoch"] - 1]["eval_accuracy"] > 0.9

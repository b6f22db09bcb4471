"""`linnet run` on a file of any number of labels a row, with a mask, to a service that answers so."""

import csv
import json
import random

import pytest
from starlette.testclient import TestClient

import linnet
from linnet.cli.main import main
from linnet.config import load_config
from linnet.data import read_split
from linnet.serve import Service, create_app

WORDS = {"praise": ("good", "love"), "blame": ("bad", "hate"), "weather": ("sun", "rain")}


def write_rows(path, count):
    draw = random.Random(0)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for number in range(count):
            labels = sorted(draw.sample(list(WORDS), draw.choice((1, 1, 2, 3))))
            words = [draw.choice(WORDS[label]) for label in labels] + draw.choices(
                "it was this and so".split(), k=3
            )
            draw.shuffle(words)
            writer.writerow(
                [" ".join([*words, f"me{number}@b.co", str(number % 97)]), "|".join(labels)]
            )


@pytest.mark.slow
def test_from_a_file_to_answers(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_rows(tmp_path / "rows.csv", 900)
    settings = [
        "train.learning_rate=1e-3",
        "train.num_train_epochs=6",
        "train.early_stopping_patience=6",
    ]
    settings += [
        "train.metric_for_best_model=eval_f1",
        "model.max_length=32",
        'data.mask=["email"]',
    ]
    overrides = [part for setting in settings for part in ("--set", setting)]
    job = [
        "run",
        "--data",
        "rows.csv",
        "--label-separator",
        "|",
        "--model",
        "scratch",
        "--name",
        "several",
        *overrides,
    ]
    assert main(job) == 0
    assert "micro-F1" in capsys.readouterr().out
    run = tmp_path / "runs" / "several"
    split = read_split(run / "splits", "train")
    assert split.multi_label and split.mask == ("email",)
    assert all("<email>" in text for text in split.texts)
    report = json.loads((run / "report" / "report.json").read_text())
    assert report["micro_f1"]["low"] > 0.8
    classifier = linnet.load(run / "bundle")
    assert classifier.bundle.manifest.mask == ("email",)
    with TestClient(create_app(Service(load_config(), str(run / "bundle")))) as client:
        texts = [
            "good sun it was so jane@example.com 5",
            "so bad this was john.doe@mail.example.org 7",
        ]
        answers = client.post("/v1/predict", json={"texts": texts}).json()["predictions"]
    assert {"praise", "weather"} <= set(answers[0]["labels"])
    assert answers[1]["label"] == "blame"

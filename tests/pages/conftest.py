"""The pages that stages write, each of few classes and of many, as files to open in a browser."""

import csv
import json
import random
from pathlib import Path
from typing import Any

import pytest

from linnet.config import load_config
from linnet.data import prepare
from linnet.evaluate import evaluate

from ..conftest import WORDS
from ..evaluate.conftest import write_bundle

HOSTILE = (
    "<img src=x onerror=broken=1>",
    "\u202eright to left\u202c שלום עולם",
    "one " + "verylongname" * 12,
    "$5 or $6 `code` {{ 7 * 7 }}",
    "zero\u200bwidth\u2066",
)
MANY = 151
QUICK = {
    "data.validation_size": 200,
    "evaluate.bootstrap_resamples": 100,
    "predict.num_threads": 1,
}


def names(count: int) -> list[str]:
    """Label names, the hostile ones among them where there are many."""
    if count == 2:
        return ["negative", "positive"]
    plain = [f"topic {number}: {WORDS[number % len(WORDS)]}" for number in range(count)]
    return [*HOSTILE, *plain][:count]


def write_rows(path: Path, labels: list[str], rows: int, several: bool = False) -> Path:
    """A CSV of one label per row, or JSON lines of several; with a date and a column that leaks."""
    draw = random.Random(0)
    made = []
    for number in range(rows):
        label = labels[number % len(labels)]
        lean = ("good", "love") if number % len(labels) % 2 else ("bad", "hate")
        words = [draw.choice(WORDS) for _ in range(draw.randint(3, 14))]
        text = " ".join([*words, *lean, str(number)])
        extra = {"author": f"author {number % 9}", "score": number % len(labels)}
        chosen = [label, *draw.sample(labels, draw.randint(0, 2))]
        found: Any = list(dict.fromkeys(chosen)) if several else label
        made.append({"text": text, "label": found, "created": f"2024-{1 + number % 12:02d}-11"})
        made[-1] |= extra
    made += [made[0], {**made[1], "text": ""}]
    if several:
        path.write_text("\n".join(map(json.dumps, made)), encoding="utf-8")
        return path
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(made[0]))
        writer.writeheader()
        writer.writerows(made)
    return path


def training_record(steps: int = 300) -> dict[str, Any]:
    """What training.json holds of a run with a noisy loss."""
    draw = random.Random(0)
    losses = [0.9 / (1 + number / 60) + draw.gauss(0, 0.12) for number in range(1, steps + 1)]
    epochs = [
        {"epoch": k, "train_loss": 0.8 / k, "eval_loss": 0.75 / k, "eval_accuracy": 0.6 + 0.1 * k}
        | {"eval_f1": 0.6 + 0.1 * k}
        for k in (1, 2, 3)
    ]
    return {
        "encoder": {"name": "distilbert-base-uncased"},
        "rows": {"train": 4800, "validation": 600},
        "lineage": {"created": "2026-11-30T12:00:00+00:00", "git": None},
        "stop_reason": "all 3 epochs are done",
        "settings": {"train": {"metric_for_best_model": "eval_accuracy"}},
        "global_step": steps,
        "train_steps_per_second": 3.1,
        "train_samples_per_second": 49.6,
        "log_history": [
            {"step": number, "loss": abs(loss)} for number, loss in enumerate(losses, start=1)
        ],
        "history": epochs,
        "best_epoch": 3,
        "parameters": 66955010,
        "precision": "bf16",
        "device": "cpu",
        "processes": 1,
        "num_threads": 2,
        "seed": 0,
    }


def study_results(trials: int = 25) -> dict[str, Any]:
    """What study.json holds of a search over seven parameters, with a pruned and a failed trial."""
    draw = random.Random(0)
    made: list[dict[str, Any]] = []
    for number in range(trials):
        state = "pruned" if number % 5 == 3 else "complete"
        value = draw.uniform(0.75, 0.84)
        parameters = {
            "learning_rate": 10 ** draw.uniform(-5, -3.5),
            "per_device_train_batch_size": draw.choice((8, 16, 32)),
            "num_train_epochs": draw.choice((1, 2, 3)),
            "weight_decay": draw.uniform(0, 0.1),
            "dropout": draw.uniform(0, 0.3),
            "attention_dropout": draw.uniform(0, 0.3),
            "warmup_ratio": draw.uniform(0, 0.2),
        }
        epochs = [value - 0.02, value]
        made.append({"number": number, "state": state, "parameters": parameters, "value": value})
        made[-1] |= {"epochs": epochs, "seconds": 61.2, "reason": None}
    reason = "Training ran out of memory. Lower `train.per_device_train_batch_size`."
    made[-1] |= {"state": "failed", "value": None, "epochs": [], "seconds": None, "reason": reason}
    best = max(made[:-1], key=lambda trial: trial["value"])
    searched = list(best["parameters"])
    return {
        "metric": "eval_accuracy",
        "direction": "maximize",
        "n_trials": trials,
        "states": {"complete": 19, "pruned": 5, "failed": 1, "running": 0},
        "rows": {"train": 4800, "validation": 600},
        "encoder": "distilbert-base-uncased",
        "default": made[0]["value"],
        "best": {key: best[key] for key in ("number", "value", "parameters")},
        "importance": {name: 1 / len(searched) for name in searched},
        "trials": made,
        "searched": {name: [] for name in searched},
        "notes": ["Train with best.toml and judge that with `linnet evaluate`."],
        "lineage": {"created": "2026-11-30T12:00:00+00:00", "packages": {"linnet-text": "0.1.0"}},
    }


def make_pages(folder: Path, tokenizer: Path, count: int, several: bool = False) -> None:
    """Data card and report of one data set: FOLDER/splits and FOLDER/report."""
    folder.mkdir(parents=True)
    labels = names(count)
    ending = "jsonl" if several else "csv"
    rows = 400 if count == 2 else 12 * count
    source = write_rows(folder / f"rows.{ending}", labels, rows, several)
    overrides = QUICK | {"data.source": str(source), "data.test_size": rows // 3}
    overrides |= {"data.label_separator": "|"} if several else {}
    config = load_config(overrides=overrides)
    prepare(config, folder / "splits")
    card = json.loads((folder / "splits/data_card.json").read_text())
    options: dict[str, Any] = {"labels": tuple(card["labels"])}
    if several:
        options["problem_type"] = "multi_label_classification"
        options["thresholds"] = (0.5,) * len(card["labels"])
    options["lineage"] = {"history": training_record()["history"]}
    write_bundle(folder / "bundle", tokenizer, **options)
    evaluate(config, folder / "bundle", folder / "splits", folder / "report")


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory, tokenizer_path: Path) -> Path:
    """A folder of pages: two/, many/ and several/ with splits/ and report/, training.html and study.html."""
    from linnet.train.checkpoint import training_page
    from linnet.train.tune.results import study_page

    folder = tmp_path_factory.mktemp("pages")
    for name, count, several in (("two", 2, False), ("many", MANY, False), ("several", 30, True)):
        make_pages(folder / name, tokenizer_path, count, several)
    (folder / "training.html").write_text(training_page(training_record()), encoding="utf-8")
    (folder / "study.html").write_text(study_page(study_results()), encoding="utf-8")
    return folder

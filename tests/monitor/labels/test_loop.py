"""From the log to splits: asked, answered, written, and prepared together with the old data."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from linnet.cli.main import main
from linnet.monitor.prediction_log import Store

from .conftest import make_text

SPLITS = ("train", "validation", "test")


def label_of(text: str) -> str:
    """What is true of a text of the sample; the champion always finds it."""
    return "positive" if int(text.rsplit(" ", 1)[1]) % 2 == 0 else "negative"


def texts_in(folder: Path) -> dict[str, set[str]]:
    return {
        name: set(pq.read_table(folder / f"{name}.parquet")["text"].to_pylist()) for name in SPLITS
    }


def test_labels_go_from_the_log_to_the_splits(
    fill: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = [{"text": make_text(n), "label": label_of(make_text(n))} for n in range(5000, 5100)]
    Path("old.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    prepare = ["prepare", "--data", "old.jsonl", "--set", "data.noise_sample=0"]
    assert main([*prepare, "--out", "old"]) == 0
    old = texts_in(Path("old"))
    with Store("log.db") as store:
        fill(store, 200)
        # Users send texts that the old model was tested on, too.
        for text in sorted(old["test"]):
            fill(store, 1, first=int(text.rsplit(" ", 1)[1]))
    for _ in range(3):
        Path("queue.csv").unlink(missing_ok=True)
        queue = ["queue", "log.db", "-n", "60", "--set", "prediction_log.audit_rate=0.3"]
        assert main(queue) == 0
        with Path("queue.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        with Path("answers.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows({**row, "label": label_of(row["text"])} for row in rows)
        assert main(["labels", "answers.csv", "log.db", "--export", "more.jsonl"]) == 0
    capsys.readouterr()
    again = [*prepare, "--add", "more.jsonl", "--out", "new"]
    assert main([*again, "--set", "data.previous_splits=old"]) == 0
    card = json.loads(Path("new/data_card.json").read_text())
    new = texts_in(Path("new"))
    lines = list(map(json.loads, Path("more.jsonl").read_text().splitlines()))
    asked = {line["text"]: line for line in lines}
    assert len(asked) == 180
    assert not new["train"] & (old["test"] | old["validation"])
    assert old["test"] <= new["test"]
    assert {asked[text]["source"] for text in new["train"] & set(asked)} == {"disagree", "queue"}
    audited = {text for text, line in asked.items() if line["source"] == "audit"}
    held_out = audited & (new["validation"] | new["test"])
    like_training = card["accounting"]["dropped"]["audit_like_training"]
    assert len(audited) - len(held_out) == like_training < 5
    assert not audited & new["train"]
    assert sum(card["sources"][name]["audit"] for name in SPLITS) == len(held_out) > 40
    assert card["accounting"]["rows_in"] == 100 + 180
    assert not any("source" in note for note in card["notes"])

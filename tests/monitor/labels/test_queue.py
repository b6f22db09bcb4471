"""Which rows are asked for, blind or not, once, and the same after a kill."""

import csv
import errno
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linnet.cli.main import main
from linnet.errors import StorageError, UsageError
from linnet.monitor.evidence import interval_at_any_look
from linnet.monitor.labels.choose import Wish, labels_needed
from linnet.monitor.labels.near_copies import NearCopies
from linnet.monitor.labels.queue import Queued, write_queue
from linnet.monitor.labels.task_files import FORMATS, Task, label_studio_config, to_csv
from linnet.monitor.prediction_log import Store, Truth
from linnet.monitor.prediction_log.hashing import audited
from linnet.tables.formulas import undefused

from .conftest import NOW, make_id, make_text, probabilities

RATE = 0.2


def ask(store: Store, folder: Path, name: str = "q.csv", size: int = 40, **more: Any) -> Queued:
    wish = Wish(size, RATE, **more)
    return write_queue(store, folder / "monitor", folder / name, "csv", wish)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return [
            {key: undefused(value) for key, value in row.items()} for row in csv.DictReader(file)
        ]


def test_half_is_audit_then_disagreements_then_rows_that_teach(
    store: Store, fill: Callable[..., None], tmp_path: Path
) -> None:
    fill(store)
    queued = ask(store, tmp_path, size=120)
    rows = rows_of(tmp_path / "q.csv")
    assert len(rows) == 120
    assert list(queued.rows.items())[:2] == [("audit", 60), ("disagree", 34)]
    by_reason = {name: [r for r in rows if r["reason"] == name] for name in queued.rows}
    assert all(audited(row["id"], RATE) for row in by_reason["audit"])
    assert {row["inclusion"] for row in by_reason["audit"]} == {"0.2"}
    numbers = [int(row["id"][:32], 16) // 7919 for row in by_reason["disagree"]]
    assert all(number % 10 == 0 for number in numbers)
    assert all(row["suggestion"] == "" for row in by_reason["audit"] + by_reason["disagree"])
    assert all(row["suggestion"] for row in by_reason["margin"] + by_reason["surprise"])
    assert all(row["label"] == "" for row in rows)
    assert [row["text"] for row in rows] == [
        make_text(int(row["id"][:32], 16) // 7919) for row in rows
    ]
    assert len({row["id"] for row in rows}) == len({row["text"] for row in rows}) == 120


def test_no_row_and_no_text_is_asked_for_twice(
    store: Store, fill: Callable[..., None], tmp_path: Path
) -> None:
    fill(store, 60)
    fill(store, 60, first=1000, text="the same text of everybody here", text_hash=99)
    seen: list[str] = []
    for number in range(10):
        queued = ask(store, tmp_path, f"{number}.csv", size=20)
        if not sum(queued.rows.values()):
            break
        seen += [row["text"] for row in rows_of(tmp_path / f"{number}.csv")]
    assert len(seen) == len(set(seen)) == 61
    assert not (tmp_path / f"{number}.csv").exists()


def test_the_audit_stops_once_the_accuracy_is_known(
    store: Store, fill: Callable[..., None], tmp_path: Path
) -> None:
    fill(store)
    answered = [make_id(number) for number in range(300) if audited(make_id(number), RATE)]
    store.judge(
        [
            Truth(name, "audit", ("positive" if int(name[:32], 16) // 7919 % 2 == 0 else "negative",), NOW)
            for name in answered
        ]
    )  # fmt: skip
    queued = ask(store, tmp_path, width=0.1)
    assert queued.audit_met
    assert "audit" not in queued.rows
    assert sum(queued.rows.values()) == 40


@pytest.mark.parametrize(("right", "wrong", "width"), [(0, 0, 0.05), (40, 10, 0.05), (9, 1, 0.2)])
def test_labels_needed_is_the_smallest_number(right: int, wrong: int, width: float) -> None:
    needed = labels_needed(right, wrong, width)
    accuracy = right / (right + wrong) if right + wrong else 0.85
    for more, is_met in ((needed, True), (needed - 1, False)):
        total = right + wrong + more
        hits = round(accuracy * total)
        low, high = interval_at_any_look(hits, total - hits)
        assert (high - low <= 2 * width) is is_met


def test_least_sure_most_surprising_and_doubted_answers_teach(
    store: Store, fill: Callable[..., None], tmp_path: Path
) -> None:
    fill(store, 100, first=1)
    fill(store, 1, first=5001, probability=0.5001, surprise=None)
    three = {"labels": ("positive",), "surprise": None, "probability": 0.4}
    fill(store, 1, first=5003, probabilities=probabilities(0.4, 0.399, 0.201), **three)
    fill(store, 1, first=5005, surprise=99.0, probability=0.999)
    fill(store, 1, first=5007, surprise=None, probability=0.9999)
    store.judge([Truth(make_id(5007), "user", ("never",), NOW)])
    wish = Wish(6, 0.0, arms=("champion", "nobody"))
    write_queue(store, tmp_path / "monitor", tmp_path / "q.csv", "csv", wish)
    rows = {row["id"]: row["reason"] for row in rows_of(tmp_path / "q.csv")}
    assert rows.pop(make_id(5001)) == "margin"
    assert rows.pop(make_id(5003)) == "margin"
    assert rows.pop(make_id(5005)) == "surprise"
    assert rows.pop(make_id(5007)) == "user_doubt"


def test_near_copies_are_thinned_among_rows_that_teach_only(
    store: Store, fill: Callable[..., None], tmp_path: Path
) -> None:
    for number in range(30):
        text = f"Free tickets for the great concert tonight, only today at the old mill {number}"
        fill(store, 1, first=2 * number + 1, text=text)
    wish = Wish(30, RATE)
    queued = write_queue(store, tmp_path / "monitor", tmp_path / "q.csv", "csv", wish)
    drawn = sum(audited(make_id(2 * number + 1), RATE) for number in range(30))
    assert drawn > 2
    assert queued.rows == {"audit": drawn}


@given(st.lists(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=8), max_size=8))
def test_near_copies_are_those_of_the_definition(texts: list[list[str]]) -> None:
    near = NearCopies()
    taken: list[set[str]] = []
    for words in texts:
        one = set(words)
        found = any(len(one & other) / len(one | other) >= 0.8 for other in taken)
        assert near.has(" ".join(words)) == (found and len(one) >= 4)
        near.add(" ".join(words))
        taken.append(one)


def test_two_arms_are_named(store: Store, fill: Callable[..., None], tmp_path: Path) -> None:
    fill(store, 50)
    assert "disagree" in ask(store, tmp_path, arms=("champion", "candidate")).rows
    assert "disagree" not in ask(store, tmp_path, "other.csv", arms=("champion", "third")).rows


TEXTS = st.text(max_size=40).map(lambda text: text.replace("\0", ""))


@given(TEXTS, TEXTS)
def test_no_cell_is_a_formula_and_the_text_comes_back(text: str, label: str) -> None:
    task = Task("id", text, "margin", None, (label,), 0.5, "d" * 64)
    content = to_csv([task]).encode("utf-8", "surrogatepass").decode("utf-8", "surrogatepass")
    (row,) = csv.DictReader(io.StringIO(content, newline=""))
    assert undefused(row["text"]) == text
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in row.values())


def test_label_studio_and_argilla_get_their_own_format() -> None:
    blind = Task("a-0", "one", "audit", 0.01, None, 0.9, "d" * 64)
    shown = Task("b-0", "two", "margin", None, ("positive",), 0.6, "d" * 64)
    tasks = json.loads(FORMATS["label-studio"]([blind, shown]))
    assert tasks[0] == {
        "data": {"linnet_id": "a-0", "text": "one", "reason": "audit", "inclusion": 0.01}
    }
    (prediction,) = tasks[1]["predictions"]
    assert prediction["model_version"] == "d" * 12
    assert prediction["result"][0]["value"] == {"choices": ["positive"]}
    records = json.loads(FORMATS["argilla"]([blind, shown]))
    assert "label.suggestion" not in records[0]
    assert records[1]["label.suggestion"] == "positive"
    assert records[1]["label.suggestion.score"] == 0.6
    view = ElementTree.fromstring(label_studio_config(['a "quoted" <label>', "b"], several=True))
    choices = view.find("Choices")
    assert choices is not None
    assert choices.get("choice") == "multiple"
    assert [choice.get("value") for choice in choices] == ['a "quoted" <label>', "b"]


def test_a_log_without_texts_says_what_to_set(
    store: Store, fill: Callable[..., None], tmp_path: Path
) -> None:
    fill(store, 3, text=None)
    with pytest.raises(UsageError, match=r"holds no texts.*prediction_log\.texts"):
        ask(store, tmp_path)


def test_a_file_that_somebody_labels_is_not_replaced(
    store: Store, fill: Callable[..., None], tmp_path: Path
) -> None:
    fill(store, 20)
    (tmp_path / "q.csv").write_text("id,label\n1,positive\n")
    with pytest.raises(UsageError, match="somebody may be labelling it"):
        ask(store, tmp_path)
    assert not (tmp_path / "monitor" / "queue.json").exists()
    assert ask(store, tmp_path, "other.csv").rows


def test_a_full_disk_leaves_nothing_and_the_next_run_writes_the_same(
    store: Store, fill: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, 50)

    def full(descriptor: int) -> None:
        if "q.csv" in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr("linnet.files.os.fsync", full)
        with pytest.raises(StorageError, match="No space left"):
            ask(store, tmp_path)
    assert not (tmp_path / "q.csv").exists()
    resumed = ask(store, tmp_path)
    assert resumed.resumed
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    ask(store, fresh)
    assert (tmp_path / "q.csv").read_bytes() == (fresh / "q.csv").read_bytes()


def test_a_damaged_list_is_one_sentence(
    store: Store, fill: Callable[..., None], tmp_path: Path
) -> None:
    fill(store, 5)
    (tmp_path / "monitor").mkdir()
    for content in ("{", '{"format": 2}', "[" * 100_000):
        (tmp_path / "monitor" / "queue.json").write_text(content)
        with pytest.raises(UsageError, match=r"queue\.json can't be read"):
            ask(store, tmp_path)


def test_the_command_says_what_it_wrote(
    store: Store,
    fill: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fill(store, 100)
    monkeypatch.chdir(tmp_path)
    command = ["queue", "log.db", "-n", "10", "--set", "prediction_log.audit_rate=0.2"]
    assert main(command) == 0
    shown = capsys.readouterr().out
    assert "Written 10 rows to queue.csv" in shown
    assert "linnet labels queue.csv log.db" in shown
    assert main([*command, "--format", "label-studio"]) == 0
    assert '<Choice value="negative"/>' in capsys.readouterr().out
    assert len(json.loads((tmp_path / "queue.json").read_text())) == 10
    assert main(["queue", "nothing.db"]) == UsageError.exit_code
    assert main(["queue", "log.db", "-n", "0"]) == UsageError.exit_code


KILLED = """
import os, signal, sys
from linnet import files
left = int(sys.argv[1])
replaced = files.Path.replace
def replace(self, target):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return replaced(self, target)
files.Path.replace = replace
from linnet.cli.main import main
main(["queue", "log.db", "-n", "30", "--set", "prediction_log.audit_rate=0.2"])
"""


@pytest.mark.slow
def test_killed_at_any_moment_the_next_run_writes_the_same(
    fill: Callable[..., None], tmp_path: Path
) -> None:
    with Store(str(tmp_path / "log.db")) as store:
        fill(store, 200)
    command = [sys.executable, "-m", "linnet.cli.main", "queue", "log.db", "-n", "30"]
    command += ["--set", "prediction_log.audit_rate=0.2"]
    results = set()
    for step in range(4):
        folder = tmp_path / str(step)
        folder.mkdir()
        shutil.copy(tmp_path / "log.db", folder / "log.db")
        killed = subprocess.run([sys.executable, "-c", KILLED, str(step)], cwd=folder, check=False)
        assert (killed.returncode == -signal.SIGKILL) is (step < 3)
        if step < 3:
            subprocess.run(command, cwd=folder, check=True, capture_output=True)
        ledger = json.loads((folder / "monitor" / "queue.json").read_text())
        assert ledger["unfinished"] == 0
        results.add((folder / "queue.csv").read_bytes())
    assert len(results) == 1

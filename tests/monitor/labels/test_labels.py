"""Answers come back: each is taken or refused with a reason, and sources are never mixed."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linnet.cli.main import main
from linnet.errors import DataError, UsageError
from linnet.monitor.labels.agreement import agreement, cohen, fleiss
from linnet.monitor.labels.answer_files import Answer, labels_of, read_answers
from linnet.monitor.labels.answers import Labels, Taken, majority, take_answers
from linnet.monitor.labels.choose import Wish
from linnet.monitor.labels.ledger import Ledger
from linnet.monitor.labels.queue import write_queue
from linnet.monitor.labels.training import write_training
from linnet.monitor.prediction_log import Store, Truth
from linnet.monitor.prediction_log.hashing import audited

from .conftest import NOW, make_id

RATE = 0.2
Fill = Callable[..., None]


def ask(store: Store, folder: Path, size: int = 40) -> list[dict[str, str]]:
    write_queue(store, folder / "monitor", folder / "q.csv", "csv", Wish(size, RATE))
    with (folder / "q.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def answer_csv(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def take(store: Store, folder: Path, *answers: Answer, **labels: Any) -> Taken:
    made = Labels(**labels) if labels else Labels()
    return take_answers(store, folder / "monitor", answers, made, RATE, NOW + 9999)


def said(store: Store) -> dict[tuple[str, str], tuple[str, ...]]:
    return {(truth.id, truth.source): truth.labels for _, truth in store.truths()}


def test_every_answer_is_taken_or_refused(store: Store, fill: Fill, tmp_path: Path) -> None:
    fill(store)
    rows = ask(store, tmp_path)
    for row in rows[:30]:
        row["label"] = " Positive "
    rows[1]["label"] = "neutral"
    rows += [rows[0], {**rows[0], "id": "unknown"}, {**rows[0], "id": ""}]
    rows += [{**rows[2], "label": "negative"}]
    path = answer_csv(tmp_path / "anna.csv", rows)
    with path.open("a") as file:
        file.write("a,b\n\n")
    taken = take(store, tmp_path, *read_answers(path))
    assert taken.answers == 45
    assert taken.refused == {
        "unknown_label": 1,
        "empty": 10,
        "unknown_id": 1,
        "no_id": 1,
        "broken_row": 1,
        "twice": 1,
        "contradiction": 2,
    }
    assert sum(taken.taken.values()) == 28
    assert sum(taken.taken.values()) + sum(taken.refused.values()) == taken.answers


def test_sources_are_those_that_the_rows_were_asked_for(
    store: Store, fill: Fill, tmp_path: Path
) -> None:
    fill(store)
    rows = ask(store, tmp_path, 120)
    answers = [Answer(row["id"], "anna", "positive", reason="margin") for row in rows]
    taken = take(store, tmp_path, *answers)
    assert taken.taken["audit"] == sum(row["reason"] == "audit" for row in rows) == 60
    assert taken.taken["disagree"] == 34
    assert taken.taken["queue"] == 26
    assert (taken.audit_asked, taken.audit_answered) == (60, 60)
    assert len(said(store)) == 120
    again = take(store, tmp_path, *answers)
    assert again.refused == {"twice": 120}
    assert len(store.truths()) == 120


def test_an_audit_answer_needs_the_draw(store: Store, fill: Fill, tmp_path: Path) -> None:
    fill(store, 100)
    drawn = next(make_id(n) for n in range(100) if audited(make_id(n), RATE))
    other = next(make_id(n) for n in range(100) if not audited(make_id(n), RATE))
    taken = take(
        store,
        tmp_path,
        Answer(drawn, "anna", "positive", reason="audit"),
        Answer(other, "anna", "positive", reason="audit"),
        Answer(make_id(3), "anna", "positive"),
    )
    assert taken.taken == {"audit": 1, "user": 1}
    assert taken.refused == {"not_audited": 1}
    assert take(store, tmp_path, Answer(make_id(3), "anna", "positive")).refused == {"twice": 1}


def test_a_majority_counts_and_a_tie_goes_back(store: Store, fill: Fill, tmp_path: Path) -> None:
    fill(store)
    first, second, *_ = rows = ask(store, tmp_path)
    taken = take(
        store,
        tmp_path,
        *(Answer(first["id"], who, "positive") for who in ("anna", "ben")),
        Answer(first["id"], "cleo", "negative"),
        Answer(second["id"], "anna", "positive"),
        Answer(second["id"], "ben", "negative"),
    )
    assert taken.answers == 5
    assert taken.taken == {"audit": 3}
    assert taken.refused == {"tie": 2}
    assert taken.ties == 1
    assert said(store) == {(first["id"], "audit"): ("positive",)}
    assert [truth.annotator for _, truth in store.truths()] == ["anna, ben, cleo"]
    (tmp_path / "q.csv").unlink()
    assert ask(store, tmp_path, 1)[0]["id"] == second["id"]
    broken = take(store, tmp_path, Answer(second["id"], "cleo", "negative"))
    assert broken.taken == {"audit": 1}
    assert said(store)[second["id"], "audit"] == ("negative",)
    assert not Ledger.read(tmp_path / "monitor").rows[second["id"]].again
    assert len(rows) == 40


def test_a_changed_mind_counts(store: Store, fill: Fill, tmp_path: Path) -> None:
    fill(store)
    row = ask(store, tmp_path)[0]
    take(store, tmp_path, Answer(row["id"], "anna", "positive"))
    assert take(store, tmp_path, Answer(row["id"], "anna", "negative")).taken == {"audit": 1}
    assert said(store) == {(row["id"], "audit"): ("negative",)}


def test_rows_with_the_same_text_get_the_same_answer(
    store: Store, fill: Fill, tmp_path: Path
) -> None:
    fill(store, 100, text="a text that everybody sends", text_hash=7)
    (row,) = ask(store, tmp_path)
    taken = take(store, tmp_path, Answer(row["id"], "anna", "positive"))
    drawn = {make_id(n) for n in range(100) if audited(make_id(n), RATE)}
    assert taken.copies == len(drawn) - 1
    assert {name for name, source in said(store) if source == "audit"} == drawn
    (tmp_path / "q.csv").unlink()
    with pytest.raises(FileNotFoundError):
        ask(store, tmp_path)  # nothing is left to ask


def test_the_list_may_be_lost(store: Store, fill: Fill, tmp_path: Path) -> None:
    fill(store)
    rows = ask(store, tmp_path)
    (tmp_path / "monitor" / "queue.json").unlink()
    for row in rows:
        row["label"] = "negative"
    answers = read_answers(answer_csv(tmp_path / "anna.csv", rows))
    taken = take(store, tmp_path, *answers)
    assert taken.taken == {"audit": 20, "disagree": 20}


NAMES = ("negative", "positive")


@pytest.mark.parametrize(
    ("cell", "several", "found"),
    [
        ("positive", False, ("positive",)),
        (" Positive ", False, ("positive",)),
        (["positive"], False, ("positive",)),
        ('["positive"]', False, ("positive",)),
        ('{"choices": ["positive", "negative"]}', True, NAMES),
        ({"choices": ["positive"]}, False, ("positive",)),
        ("positive|negative", True, NAMES),
        ("positive|negative", False, "unknown_label"),
        (["positive", "negative"], False, "several_labels"),
        ("[]", True, ()),
        ("[]", False, "empty"),
        ("[" * 9999, True, "unknown_label"),
        ("neutral", False, "unknown_label"),
        ("  ", False, None),
        ("\u200b", False, None),
        (float("nan"), False, None),
        (None, True, None),
    ],
)
def test_the_forms_of_a_label(cell: Any, several: bool, found: Any) -> None:
    assert labels_of(cell, NAMES, several) == found


def test_formulas_are_labels_too() -> None:
    assert labels_of("'=1", ("=1", "-1"), several=False) == ("=1",)
    assert labels_of("-1", ("=1", "-1"), several=False) == ("-1",)
    assert labels_of("A", ("a", "A"), several=False) == ("A",)
    assert labels_of("AB", ("ab", "aB"), several=False) == "unknown_label"
    assert labels_of(1.0, ("0", "1"), several=False) == ("1",)


def tasks() -> list[dict[str, Any]]:
    def annotation(who: Any, choice: str | None, **more: Any) -> dict[str, Any]:
        result = [{"type": "choices", "from_name": "label", "value": {"choices": [choice]}}]
        return {"id": 1, "completed_by": who, "result": result if choice else []} | more

    data = {"linnet_id": "a-0", "text": "one", "reason": "audit", "inclusion": 0.2}
    return [
        {
            "id": 7,
            "data": data,
            "annotations": [
                annotation(1, "positive"),
                annotation({"email": "ben@example.org"}, "negative"),
                annotation(3, "positive", was_cancelled=True),
                annotation(4, None),
            ],
            "predictions": [],
        },
        {"id": 8, "data": {"linnet_id": "b-0", "text": "two"}, "annotations": []},
        {"id": 9, "data": {"text": "three"}, "annotations": []},
    ]


def outline(path: Path) -> list[tuple[str, str, Any, str]]:
    return [(a.id, a.annotator, a.cell, a.refused) for a in read_answers(path)]


@pytest.mark.parametrize("lines", [False, True])
def test_label_studio_json(tmp_path: Path, lines: bool) -> None:
    path = tmp_path / "export.json"
    content = "\n".join(map(json.dumps, tasks())) if lines else json.dumps(tasks(), indent=1)
    path.write_text(content)
    assert outline(path) == [
        ("a-0", "1", ["positive"], ""),
        ("a-0", "ben@example.org", ["negative"], ""),
        ("a-0", "3", ["positive"], "skipped"),
        ("a-0", "4", None, ""),
        ("b-0", "", None, "empty"),
        ("", "", None, "no_id"),
    ]
    assert read_answers(path)[0].inclusion == 0.2
    path.write_text(json.dumps(tasks()[:1]))
    assert len(read_answers(path)) == 4


def test_label_studio_csv_has_an_id_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    rows = [
        {"id": "7", "label": "positive", "linnet_id": "a-0", "text": "one", "annotator": "3"},
        {"id": "8", "label": '{"choices": ["x", "y"]}', "linnet_id": "b-0", "text": "", "annotator": ""},
    ]  # fmt: skip
    answer_csv(path, rows)
    assert outline(path) == [
        ("a-0", "3", "positive", ""),
        ("b-0", "", '{"choices": ["x", "y"]}', ""),
    ]


def argilla() -> list[dict[str, Any]]:
    return [
        {
            "id": "a-0",
            "text": "one",
            "label.responses": ["positive", "negative", "positive"],
            "label.responses.users": ["u1", "u2", "u3"],
            "label.responses.status": ["submitted", "draft", "discarded"],
            "reason": "audit",
        },
        {
            "id": "b-0",
            "text": "two",
            "label.responses": None,
            "label.responses.users": None,
            "label.responses.status": None,
            "reason": "margin",
        },
    ]


ARGILLA = [
    ("a-0", "u1", "positive", ""),
    ("a-0", "u2", "negative", "not_submitted"),
    ("a-0", "u3", "positive", "not_submitted"),
    ("b-0", "", None, "empty"),
]


def test_argilla_parquet_and_json(tmp_path: Path) -> None:
    parquet = tmp_path / "data.parquet"
    pq.write_table(pa.Table.from_pylist(argilla()), parquet)
    assert outline(parquet) == ARGILLA
    flat = tmp_path / "flat.json"
    flat.write_text(json.dumps(argilla()))
    assert outline(flat) == ARGILLA
    nested = tmp_path / "nested.json"
    responses = [
        {"value": "positive", "user_id": "u1", "status": "submitted"},
        {"value": "negative", "user_id": "u2", "status": "draft"},
        {"value": "positive", "user_id": "u3", "status": "discarded"},
    ]
    records = [
        {"id": "a-0", "fields": {"text": "one"}, "metadata": {"reason": "audit"},
         "responses": {"label": responses}},
        {"id": "b-0", "fields": {"text": "two"}, "metadata": {}, "responses": {}},
    ]  # fmt: skip
    nested.write_text(json.dumps(records))
    assert outline(nested) == ARGILLA
    assert read_answers(nested)[0].reason == "audit"


def test_files_that_hold_no_answers_are_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label\none,positive\ntwo,negative\n")
    with pytest.raises(DataError, match="no column 'id'"):
        read_answers(path)
    path.write_text("id,text\na-0,one\nb-0,two\n")
    with pytest.raises(DataError, match=r"no column of labels.*--label-column"):
        read_answers(path)
    assert read_answers(answer_csv(path, [{"id": "a", "mine": "x"}]), "mine")[0].cell == "x"
    with pytest.raises(DataError, match="does not exist"):
        read_answers(tmp_path / "none.csv")


def test_kappa_is_that_of_the_papers() -> None:
    # Cohen's own 2 x 2 example by counts: observed 0.7, chance 0.5.
    pairs = [("yes", "yes")] * 20 + [("yes", "no")] * 5 + [("no", "yes")] * 10 + [("no", "no")] * 15
    assert cohen(pairs) == pytest.approx(0.4)
    # Fleiss 1971, as in the example with 14 raters: kappa 0.21.
    table = [
        [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
    ]  # fmt: skip
    assert fleiss([dict(enumerate(row)) for row in table]) == pytest.approx(0.210, abs=5e-4)
    assert cohen([("a", "a")] * 3) is None
    assert agreement([{"anna": "a"}, {}]) is None


@given(st.dictionaries(st.sampled_from("abcde"), st.sampled_from([("x",), ("y",), ()])))
def test_a_majority_is_one_that_no_other_equals(votes: dict[str, tuple[str, ...]]) -> None:
    if not votes:
        return
    counts = sorted((list(votes.values()).count(v) for v in set(votes.values())), reverse=True)
    winner = majority(votes)
    assert (winner is None) == (len(counts) > 1 and counts[0] == counts[1])
    if winner is not None:
        assert list(votes.values()).count(winner) == counts[0]


def test_labelled_rows_are_written_with_their_source(
    store: Store, fill: Fill, tmp_path: Path
) -> None:
    fill(store)
    rows = ask(store, tmp_path, 120)
    take(store, tmp_path, *(Answer(row["id"], "anna", "positive") for row in rows))
    store.judge([Truth(row["id"], "user", ("negative",), NOW) for row in rows[:3]])
    store.judge([Truth(make_id(9_999), "user", ("negative",), NOW)])
    unasked = next(n for n in range(400) if make_id(n) not in {row["id"] for row in rows})
    store.judge([Truth(make_id(unasked), "user", ("negative",), NOW)])
    out = tmp_path / "labelled.jsonl"
    written = write_training(
        store, tmp_path / "monitor", out, ("audit", "disagree", "queue", "user"), RATE
    )
    assert written.rows == {"audit": 60, "disagree": 34, "queue": 26, "user": 1}
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert {line["weight"] for line in lines} == {1.0}
    assert {line["label"] for line in lines if line["source"] != "user"} == {"positive"}
    assert lines == sorted(lines, key=lambda line: (line["time"], line["id"]))
    ledger = Ledger.read(tmp_path / "monitor")
    first = next(row for row in ledger.rows.values() if row.reason == "audit")
    first.inclusion = 0.1
    ledger.write()
    write_training(store, tmp_path / "monitor", out, ("audit",), RATE)
    weights = sorted(json.loads(line)["weight"] for line in out.read_text().splitlines())
    assert weights == [1.0] * 59 + [2.0]


def test_the_command_reads_and_writes(
    store: Store,
    fill: Fill,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fill(store)
    monkeypatch.chdir(tmp_path)
    assert main(["labels", "log.db", "--export", "labelled.jsonl"]) == UsageError.exit_code
    assert "holds no labelled row" in capsys.readouterr().err
    rows = ask(store, tmp_path)
    for number, row in enumerate(rows):
        row["label"] = "positive"
        if number == 0:
            row["label"] = ""
    answer_csv(tmp_path / "anna.csv", rows)
    answer_csv(
        tmp_path / "ben.csv", [*rows[:10], *({**row, "label": "negative"} for row in rows[10:20])]
    )
    command = ["labels", "anna.csv", "ben.csv", "log.db", "--export", "labelled.jsonl"]
    assert main(command) == 0
    shown = capsys.readouterr().out
    assert "60 answers = 38 taken + 22 refused" in shown
    assert "empty                 2  refused" in shown
    assert "tie                  20  refused" in shown
    assert "Cohen's kappa" in shown
    assert "10 rows go back to the queue" in shown
    assert "Audit: 9 of 20 rows have an answer. 55.0% have none." in shown
    assert "Written 29 labelled rows to labelled.jsonl" in shown
    assert main(["labels", "log.db"]) == UsageError.exit_code
    assert main(["labels", "log.db", "--export", "labelled.csv"]) == UsageError.exit_code

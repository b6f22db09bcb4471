"""Labels that people gave: audits measure, all others teach, and nothing held out is trained on."""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linnet.config import load_config
from linnet.data import prepare
from linnet.data.split.assign import NOWHERE, TEST, TRAIN, VALIDATION
from linnet.data.split.sources import HELD_OUT, NONE, TAUGHT, Sources, drop_mixed, with_sources
from linnet.errors import DataError, UsageError

SPLITS = ("train", "validation", "test")
WORDS = "amber birch cedar delta ember fjord grove heath islet jetty knoll lagoon marsh".split()


def make_text(number: int) -> str:
    return " ".join(random.Random(number).choices(WORDS, k=9)) + f" {number}"


def write_main(path: Path, rows: int = 60, **columns: str) -> Path:
    content = [
        {"text": make_text(number), "label": "ab"[number % 2], **columns} for number in range(rows)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in content))
    return path


def write_added(path: Path, rows: list[tuple[str, str, str]]) -> Path:
    content = [
        {
            "text": text,
            "label": label,
            "source": source,
            "weight": 1.0,
            "time": "2026-03-01T10:00:00Z",
            "id": f"{number:032x}-0",
        }
        for number, (text, label, source) in enumerate(rows)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in content))
    return path


def run(directory: Path, main: Path, added: Path | None = None, **more: Any) -> dict[str, Any]:
    overrides = {"data.source": str(main), "data.noise_sample": 0}
    overrides |= {"data.added_file": str(added)} if added else {}
    overrides |= {f"data.{key}": value for key, value in more.items()}
    return prepare(load_config(None, overrides), directory)


def rows_of(directory: Path) -> dict[str, list[tuple[str, str | None]]]:
    found = {}
    for name in SPLITS:
        table = pq.read_table(directory / f"{name}.parquet").to_pydict()
        found[name] = list(zip(table["text"], table["source"], strict=True))
    return found


def test_audits_are_held_out_and_the_others_are_trained_on(tmp_path: Path) -> None:
    sources = ["audit"] * 20 + ["queue"] * 10 + ["disagree"] * 5 + ["user"] * 5
    texts = [make_text(1000 + number) for number in range(len(sources))]
    added = write_added(
        tmp_path / "more.jsonl", [(t, "ab"[i % 2], sources[i]) for i, t in enumerate(texts)]
    )
    card = run(tmp_path / "splits", write_main(tmp_path / "main.jsonl"), added)
    assert card["accounting"]["rows_in"] == 100
    assert card["accounting"]["dropped"] == {}
    assert card["sources"]["train"] | {"file": 0} == {
        "file": 0,
        "audit": 0,
        "queue": 10,
        "disagree": 5,
        "user": 5,
    }
    held_out = [card["sources"][name] for name in ("validation", "test")]
    assert sum(counts["audit"] for counts in held_out) == 20
    assert all(counts["audit"] > 4 for counts in held_out)
    assert all(sum(counts.values()) == counts["audit"] + counts["file"] for counts in held_out)
    rows = rows_of(tmp_path / "splits")
    assert {source for _, source in rows["train"]} == {None, "queue", "disagree", "user"}
    assert {source for _, source in rows["test"]} == {None, "audit"}
    assert "weight" in card["columns"]["others"]
    page = (tmp_path / "splits" / "data_card.html").read_text()
    assert "Where the labels come from" in page


def test_a_text_of_the_old_test_split_is_never_trained_on(tmp_path: Path) -> None:
    main = write_main(tmp_path / "main.jsonl")
    run(tmp_path / "old", main)
    old = {
        name: pq.read_table(tmp_path / "old" / f"{name}.parquet")["text"].to_pylist()
        for name in SPLITS
    }
    tested = old["test"][0]
    validated = old["validation"][0]
    trained, relabelled = old["train"][:2]
    added = write_added(
        tmp_path / "more.jsonl",
        [
            (tested, "b", "queue"),
            (tested.upper() + "!", "b", "user"),  # a near copy
            (validated, "a", "audit"),
            (trained, "a", "audit"),
            (relabelled, "a", "queue"),
            (make_text(5000), "b", "queue"),
        ],
    )
    card = run(tmp_path / "new", main, added, previous_splits=str(tmp_path / "old"))
    rows = rows_of(tmp_path / "new")
    assert (tested, None) in rows["test"]
    assert (validated, "audit") in rows["validation"]
    assert (trained, None) in rows["train"]
    assert (relabelled, "queue") in rows["train"]
    assert (make_text(5000), "queue") in rows["train"]
    assert card["accounting"]["dropped"] == {
        "answered_by_people": 2,
        "audit_like_training": 1,
        "like_held_out": 2,
    }
    assert card["since"]["moved"] == 0
    assert {text for text, _ in rows["test"]} >= set(old["test"])


def test_a_file_that_was_concatenated_by_hand_is_obeyed_too(tmp_path: Path) -> None:
    rows = [
        {"text": make_text(number), "label": "ab"[number % 2], "source": "audit" if number > 49
         else ""} for number in range(60)
    ]  # fmt: skip
    main = tmp_path / "main.jsonl"
    main.write_text("".join(json.dumps(row) + "\n" for row in rows))
    card = run(tmp_path / "splits", main)
    assert card["sources"]["train"]["audit"] == 0
    assert card["sources"]["validation"]["audit"] + card["sources"]["test"]["audit"] == 10


def test_another_column_called_source_means_nothing(tmp_path: Path) -> None:
    card = run(tmp_path / "splits", write_main(tmp_path / "main.jsonl", source="twitter"))
    assert card["sources"] is None


def test_one_column_per_label_takes_a_list(tmp_path: Path) -> None:
    content = [
        {"text": make_text(number), "toxic": number % 2, "insult": number % 3 == 0}
        for number in range(60)
    ]
    main = tmp_path / "main.jsonl"
    main.write_text("".join(json.dumps(row) + "\n" for row in content))
    added = tmp_path / "more.jsonl"
    lines = [
        {"text": make_text(900 + number), "label": labels, "source": "queue", "weight": 1.0}
        for number, labels in enumerate([[], ["toxic"], ["insult", "toxic"]])
    ]
    added.write_text("".join(json.dumps(line) + "\n" for line in lines))
    run(tmp_path / "splits", main, added, label_column="toxic,insult")
    table = pq.read_table(tmp_path / "splits" / "train.parquet").to_pydict()
    found = {
        text: label
        for text, label, source in zip(table["text"], table["label"], table["source"], strict=True)
        if source
    }
    assert [found[make_text(900 + number)] for number in range(3)] == [[], [1], [0, 1]]


def test_by_time_the_answer_has_the_time_of_the_text(tmp_path: Path) -> None:
    content = [
        {"text": make_text(number), "label": "ab"[number % 2], "date": f"2026-01-{1 + number % 28}"}
        for number in range(84)
    ]
    main = tmp_path / "main.jsonl"
    main.write_text("".join(json.dumps(row) + "\n" for row in content))
    sources = ["audit"] * 6 + ["queue"] * 6
    added = write_added(
        tmp_path / "more.jsonl",
        [(make_text(700 + i), "ab"[i % 2], source) for i, source in enumerate(sources)],
    )
    card = run(tmp_path / "splits", main, added, split_by="date")
    assert card["accounting"]["dropped"] == {}
    assert card["sources"]["train"]["queue"] == 6
    assert card["sources"]["train"]["audit"] == 0


def test_a_file_without_source_or_old_splits_is_one_sentence(tmp_path: Path) -> None:
    main = write_main(tmp_path / "main.jsonl")
    with pytest.raises(DataError, match=r"^Added file .*no column 'source'.*linnet labels LOG"):
        run(tmp_path / "splits", main, main)
    with pytest.raises(UsageError, match=r"holds no data_card\.json"):
        run(tmp_path / "splits", main, previous_splits=str(tmp_path / "nowhere"))
    run(tmp_path / "old", main)
    with pytest.raises(UsageError, match=r"data\.seed has changed"):
        run(tmp_path / "splits", main, previous_splits=str(tmp_path / "old"), seed=3)


@settings(deadline=None, max_examples=200)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 6),  # group
            st.integers(0, 2),  # text within the group
            st.sampled_from([NONE, HELD_OUT, TAUGHT]),
            st.sampled_from([NOWHERE, TRAIN, VALIDATION, TEST]),
        ),
        max_size=25,
    )
)
def test_no_group_is_trained_on_and_held_out(rows: list[tuple[int, int, int, int]]) -> None:
    group = np.array([row[0] for row in rows], dtype=np.uint64)
    text = np.array([row[0] * 10 + row[1] for row in rows], dtype=np.uint64)
    role = np.array([row[2] for row in rows], dtype=np.int8)
    split_of_group = {row[0]: row[3] for row in reversed(rows)}  # old splits tore no group
    before = np.array([split_of_group[row[0]] for row in rows], dtype=np.int8)
    sources = Sources(role, role)
    remains = np.ones(len(rows), dtype=bool)

    def drop(_: str, mask: np.ndarray) -> None:
        remains[mask] = False

    drop_mixed(sources, np.arange(len(rows)), group, text, before, drop)
    split = with_sources(sources, group, before, 42)
    assert (split[remains & (role == TAUGHT)] == TRAIN).all()
    assert np.isin(split[remains & (role == HELD_OUT)], [VALIDATION, TEST, NOWHERE]).all()
    for name in np.unique(group[remains]):
        assert len(set(split[remains & (group == name)].tolist()) - {NOWHERE}) <= 1

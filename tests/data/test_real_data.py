"""Data sets as their authors published them load with column flags at most."""

import os
import random
from pathlib import Path
from typing import Any

import pytest

from linnet.config import load_config
from linnet.data import prepare
from linnet.data.sources.open import open_table
from linnet.data.split.assign import NAMES
from linnet.errors import DataError

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        "LINNET_DATA" not in os.environ, reason="LINNET_DATA does not name the folder of real data"
    ),
]


def settings(name: str, **columns: str) -> dict[str, Any]:
    source = Path(os.environ["LINNET_DATA"], "classification", name)
    return {"data.source": str(source), "data.noise_sample": 0} | {
        f"data.{key}": one for key, one in columns.items()
    }


@pytest.mark.parametrize(
    ("name", "columns", "rows", "classes", "encoding"),
    [
        ("ag_news/test.csv", {"text_column": "1,2", "label_column": "0"}, 7600, 4, "utf-8"),
        ("banking77/train.csv", {}, 10_003, 77, "utf-8"),
        ("sms_spam/sms.tsv", {"text_column": "1", "label_column": "0"}, 5574, 2, "utf-8"),
        ("trec/TREC.train", {}, 5452, 6, "latin-1"),
        ("trec/TREC.train", {"label_column": "fine_label"}, 5452, 50, "latin-1"),
        ("trec/TREC.test", {}, 500, 6, "utf-8"),
        ("sst2/stsa.binary.train", {}, 6920, 2, "utf-8"),
        ("sst2/stsa.binary.test", {}, 1821, 2, "utf-8"),
        ("rotten_tomatoes", {}, 10_662, 2, "latin-1"),
        ("tweeteval_emotion/train_text.txt", {}, 3257, 4, "utf-8"),
        ("tweeteval_emotion/val_text.txt", {}, 374, 4, "utf-8"),
    ],
)
def test_loads(
    tmp_path: Path, name: str, columns: dict[str, str], rows: int, classes: int, encoding: str
) -> None:
    card = prepare(load_config(None, settings(name, **columns)), tmp_path / "splits")
    accounting = card["accounting"]
    assert accounting["rows_in"] == rows == accounting["rows_used"] + accounting["rows_dropped"]
    assert accounting["rows_dropped"] == sum(accounting["dropped"].values()) < 0.1 * rows
    assert set(accounting["dropped"]) <= {"duplicate", "conflicting_labels"}
    assert len(card["labels"]) == classes
    assert card["source"]["encoding"] == encoding


def test_labels_get_their_names_from_the_mapping(tmp_path: Path) -> None:
    card = prepare(
        load_config(None, settings("tweeteval_emotion/train_text.txt")), tmp_path / "splits"
    )
    assert card["labels"] == ["anger", "joy", "optimism", "sadness"]
    assert card["source"]["files"] == 3


def test_quotes_of_messages_mean_nothing() -> None:
    config = load_config(None, settings("sms_spam/sms.tsv", text_column="1", label_column="0"))
    with open_table(config.data) as opened:
        assert opened.table.dialect["quoted"] is False
        assert sum('"' in row[1] for _, row in opened.table.rows) > 100


def test_several_labels_a_row_come_as_they_stand() -> None:
    config = load_config(None, settings("goemotions/train.tsv", text_column="0", label_column="1"))
    with open_table(config.data) as opened:
        rows = [row for _, row in opened.table.rows]
        assert opened.position() == opened.size
    assert len(rows) == 43_410
    assert {len(row) for row in rows} == {3}
    assert {label for row in rows for label in row[1].split(",")} == {
        str(number) for number in range(28)
    }
    assert sum("," in row[1] for row in rows) == 7_102


@pytest.mark.parametrize("name", ["sst2", "trec", "banking77", "sms_spam"])
def test_folders_of_splits_are_no_classes(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="is a folder of 0 folders and"):
        prepare(load_config(None, settings(name)), tmp_path / "splits")


@pytest.mark.parametrize(
    "name",
    ["tweeteval_emotion/test_labels.txt", "ag_news/classes.txt", "rotten_tomatoes/rt-polarity.neg"],
)
def test_files_without_labels_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="neither the name nor the first lines"):
        prepare(load_config(None, settings(name)), tmp_path / "splits")


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        (
            "sms_spam/sms.tsv",
            {"text_column": "1", "label_column": "0"},
        ),  # quotes that are never closed
        ("goemotions/train.tsv", {"text_column": "0", "label_column": "1", "label_separator": ","}),
        ("sst2/stsa.binary.train", {}),
    ],
)
def test_any_order_of_the_rows_gives_the_same_splits(
    tmp_path: Path, name: str, columns: dict[str, str]
) -> None:
    lines = (
        Path(os.environ["LINNET_DATA"], "classification", name)
        .read_bytes()
        .splitlines(keepends=True)
    )
    found = []
    for seed in range(2):
        source = tmp_path / Path(name).name
        source.write_bytes(b"".join(random.Random(seed).sample(lines, len(lines))))
        prepare(
            load_config(None, settings(name, **columns) | {"data.source": str(source)}),
            tmp_path / f"{seed}",
        )
        found.append([(tmp_path / f"{seed}" / f"{split}.parquet").read_bytes() for split in NAMES])
    assert found[0] == found[1]

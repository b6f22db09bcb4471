"""The card tells what came in and what became of it, to programs and to people."""

import hashlib
import json
import random
import re
from pathlib import Path

import pytest

from linnet.config import load_config
from linnet.data import prepare, read_split


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("card")
    draw = random.Random(0)
    labels = ["<b>bold</b>", "plain", "ünïcode"]
    rows = [
        {"text": f"{'word ' * draw.randint(1, 30)}{n}", "label": labels[n % 3], "who": n}
        for n in range(300)
    ]
    (directory / "<raw>.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    prepare(
        load_config(None, {"data.source": str(directory / "<raw>.jsonl"), "data.sample": 200}),
        directory / "splits",
    )
    return directory


def test_card(folder: Path) -> None:
    card = json.loads((folder / "splits" / "data_card.json").read_text())
    raw = (folder / "<raw>.jsonl").read_bytes()
    assert card["source"] == {
        "name": "<raw>.jsonl",
        "member": "",
        "sha256": hashlib.sha256(raw).hexdigest(),
        "bytes": len(raw),
        "format": "jsonl",
        "compression": "",
        "encoding": "utf-8",
    }
    assert card["columns"] == {"text": "text", "label": "label", "others": ["who"]}
    assert card["accounting"]["used"] == {"train": 160, "validation": 40, "test": 20}
    assert card["accounting"]["dropped"] == {"not_sampled": 80}
    assert card["settings"]["sample"] == 200
    assert card["lineage"]["packages"]["linnet-text"]
    for name in ("train", "validation", "test"):
        split = read_split(folder / "splits", name)
        lengths = sorted(map(len, split.texts))
        assert card["lengths"][name]["min"] == lengths[0]
        assert card["lengths"][name]["max"] == lengths[-1]
        assert (
            lengths[0]
            <= card["lengths"][name]["p25"]
            <= card["lengths"][name]["median"]
            <= lengths[-1]
        )
        counts = [int((split.labels == index).sum()) for index in range(3)]
        assert list(card["classes"][name].values()) == counts


def test_page(folder: Path) -> None:
    page = (folder / "splits" / "data_card.html").read_text()
    assert page.count("<svg") == 4  # classes, lengths, words, where rows went
    assert "&lt;b&gt;bold&lt;/b&gt;" in page
    assert "<b>bold</b>" not in page
    assert "usable, but neither in the sample nor in the test rows" in page
    assert not re.search(r"<script|<link|(?:src|href)=\"(?!#)", page)


def test_many_classes_have_a_table_and_no_plot(tmp_path: Path) -> None:
    rows = "".join(f"text {number},class {number % 40}\n" for number in range(800))
    (tmp_path / "rows.csv").write_text("text,label\n" + rows)
    prepare(load_config(None, {"data.source": str(tmp_path / "rows.csv")}), tmp_path / "splits")
    page = (tmp_path / "splits" / "data_card.html").read_text()
    assert page.count("<svg") == 3
    assert "class 39" in page


def test_long_labels_that_begin_alike_stay_apart_in_the_plot(tmp_path: Path) -> None:
    rows = "".join(f"text {number},{'long ' * 50}{number % 2}\n" for number in range(200))
    (tmp_path / "rows.csv").write_text("text,label\n" + rows)
    prepare(load_config(None, {"data.source": str(tmp_path / "rows.csv")}), tmp_path / "splits")
    page = (tmp_path / "splits" / "data_card.html").read_text()
    plot = next(part for part in page.split("<svg") if "Rows of each class" in part)
    plot = plot.partition("</svg>")[0]
    assert plot.count("long long long long long long…") == 2

"""Every reason for which a row can be dropped has its words on the data card."""

import re
from pathlib import Path

import linnet.text
from linnet.config import load_config
from linnet.data import prepare
from linnet.data.card import REASONS

ENDLESS = "&" + "amp;#38;" * 40


def test_reasons_of_the_text_path_have_words():
    raised = set(re.findall(r'TextError\(\s*"(\w+)"', Path(linnet.text.__file__).read_text()))
    assert "nested_entities" in raised
    assert raised <= set(REASONS)


def test_a_row_of_nested_entities_is_dropped_and_accounted(tmp_path):
    rows = [
        f"the day is {'good' if i % 2 else 'bad'} number {i},{'pos' if i % 2 else 'neg'}"
        for i in range(40)
    ]
    source = tmp_path / "rows.csv"
    source.write_text("\n".join(["text,label", *rows, f"{ENDLESS},pos"]) + "\n")
    card = prepare(load_config(overrides={"data.source": str(source)}), tmp_path / "splits")
    assert card["accounting"]["dropped"] == {"nested_entities": 1}
    assert "nested too deeply" in (tmp_path / "splits" / "data_card.html").read_text()

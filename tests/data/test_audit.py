"""What the audit finds is what was planted, and where nothing was planted it finds nothing."""

import json
import random

import numpy as np
import pyarrow as pa
import pytest

from linnet.config import load_config
from linnet.data.audit.certain import LEVEL, is_near_certain, lower_bound
from linnet.data.audit.columns import examine_columns
from linnet.data.audit.distribution import examine_distribution
from linnet.data.audit.drift import examine_drift
from linnet.data.audit.examine import examine
from linnet.data.audit.language import examine_language
from linnet.data.audit.personal import examine_personal
from linnet.data.audit.sample import Sample
from linnet.data.audit.words import examine_words, tokens_of
from linnet.data.split.files import SplitWriter

NAMES = ("no", "yes")
WORDS = [f"word{number:x}" for number in range(300)]


def make_sample(labels, texts=None, **columns) -> Sample:
    texts = texts or [f"text {place}" for place in range(len(labels))]
    table = pa.table(
        {
            "text": texts,
            "label": labels,
            **{name: list(map(str, row)) for name, row in columns.items()},
        }
    )
    return Sample(table, np.eye(2, dtype=bool)[labels], NAMES, len(labels))


def verdicts(sample):
    return {column["name"]: column for column in examine_columns(sample)["columns"]}


def test_columns_that_know_the_label_are_found_and_others_not():
    draw = np.random.default_rng(0)
    label = draw.integers(0, 2, 4000)
    days = np.where(label == 1, draw.integers(0, 60, 4000), draw.integers(0, 80, 4000))
    found = verdicts(
        make_sample(
            label,
            date=[f"2009-{4 + day // 28:02}-{1 + day % 28:02}" for day in days],
            source=np.where(label == 1, "web", draw.choice(["web", "phone"], 4000)),
            noise=draw.integers(0, 9, 4000),
            number=draw.normal(size=4000),
            key=[f"k{place}" for place in range(4000)],
            flag=["NO_QUERY"] * 4000,
        )
    )
    assert {name: column["verdict"] for name, column in found.items()} == {
        "date": "leaks",
        "source": "leaks",
        "noise": "nothing",
        "number": "nothing",
        "key": "all_different",
        "flag": "constant",
    }
    assert found["date"]["part"]["label"] == "no"
    assert found["date"]["part"]["where"].startswith("from 2009-06-")
    part = found["source"]["part"]
    assert (part["where"], part["label"], part["share"]) == ("'phone'", "no", 1.0)


def test_columns_that_know_nothing_are_seldom_flagged():
    draw = np.random.default_rng(1)
    flagged = 0
    for _ in range(60):
        label = draw.integers(0, 2, 600)
        found = verdicts(
            make_sample(
                label,
                a=draw.integers(0, 4, 600),
                b=draw.normal(size=600),
                c=draw.integers(0, 200, 600),
            )
        )
        flagged += any(column["verdict"] in ("hints", "leaks") for column in found.values())
    assert flagged <= 4  # of 60 data sets; the level is one in a hundred


def sentences(count, seed):
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=10)) for _ in range(count)]


def test_a_planted_emoticon_is_found_and_chance_flags_nothing():
    label = np.arange(3000) % 2
    texts = sentences(3000, 1)
    assert examine_words(make_sample(label, texts))["near_certain"] == 0
    texts = [f"{text} :)" if place % 6 == 1 else text for place, text in enumerate(texts)]
    found = examine_words(make_sample(label, texts))
    assert found["near_certain"] == 1
    first = found["top"][0]
    assert (first["token"], first["label"], first["rows"], first["share"]) == (
        ":)",
        "yes",
        500,
        1.0,
    )


def test_no_name_link_or_number_is_shown():
    assert tokens_of("@someone see http://a.b/c 4155550123 =( !!! ok") == {
        "@user", "see", "<link>", "<number>", "=(", "!!", "ok",
    }  # fmt: skip


def test_the_bound_holds_at_its_level():
    draw = np.random.default_rng(2)
    hits = draw.binomial(200, 0.97, 20_000)
    above = lower_bound(hits, np.full(20_000, 200), 1) > 0.97
    assert above.mean() <= LEVEL + 3 * np.sqrt(LEVEL / 20_000)
    assert above.mean() > LEVEL / 10
    # Of a class that nearly all rows have, many rows in a row say nothing.
    assert not is_near_certain(np.array([0.97]), np.array([0.96]))[0]
    assert is_near_certain(np.array([0.97]), np.array([0.5]))[0]


def test_random_splits_are_alike_and_shifted_ones_not():
    draw = np.random.default_rng(3)
    differs = 0
    for seed in range(20):
        first, second = (
            make_sample(draw.integers(0, 2, 400), sentences(400, 2 * seed + k)) for k in (0, 1)
        )
        found = examine_distribution(first, second)
        differs += any(found[name]["differs"] for name in ("classes", "lengths", "words"))
    assert differs <= 1
    label = draw.integers(0, 2, 400)
    train = make_sample(label, sentences(400, 90))
    shifted = [
        text.replace("word1", "other") if place % 3 else text
        for place, text in enumerate(sentences(400, 91))
    ]
    assert examine_distribution(train, make_sample(label, shifted))["words"]["differs"]
    longer = [
        f"{text} {text}" if place % 2 else text for place, text in enumerate(sentences(400, 92))
    ]
    assert examine_distribution(train, make_sample(label, longer))["lengths"]["differs"]
    assert examine_distribution(train, make_sample((label | (draw.random(400) < 0.4)).astype(int)))[
        "classes"
    ]["differs"]


def test_drift_counts_rows_and_labels_by_time():
    label = np.arange(400) // 200
    dates = [f"2020-{1 + place // 40:02}-15" for place in range(400)]
    sample = make_sample(label, date=dates)
    empty = Sample(sample.table.slice(0, 0), sample.members[:0], NAMES, 0)
    found = examine_drift({"train": sample, "validation": empty, "test": empty}, "")
    assert found["column"] == "date"
    filled = [each for each in found["bins"] if each["rows"]]
    assert sum(each["rows"] for each in filled) == 400
    assert [each["labels"]["yes"] for each in filled] == [0.0] * (len(filled) // 2) + [1.0] * (
        len(filled) // 2
    )
    assert examine_drift({"train": make_sample(label)}, "") is None


def test_languages_are_told_apart():
    english = ["I really do not know what we should have for dinner tonight, do you?"] * 60
    german = ["Ich weiß wirklich nicht, was wir heute Abend zum Essen machen sollen."] * 40
    found = examine_language(make_sample(np.zeros(100, dtype=int), english + german))
    assert found["languages"] == {"en": 0.6, "de": 0.4}
    assert found["unsure"] + found["other"] == 0


def write_splits(folder, texts, labels=None, **more):
    for name in ("train", "validation", "test"):
        with SplitWriter(folder, name, ["text", "label"], NAMES, **more) as writer:
            column = labels or [place % 2 for place in range(len(texts))]
            kind = pa.list_(pa.int64()) if more else pa.int64()
            writer.write(pa.table({"text": texts, "label": pa.array(column, kind)}))


def test_personal_data_are_counted_as_they_would_be_masked(tmp_path):
    write_splits(
        tmp_path,
        [
            "mail a@b.org or c.d@e.com",
            "call +1 415 555 0123",
            "@me @you http://x.y",
            "in 2009 at 10:30",
        ],
    )
    assert examine_personal(tmp_path)["test"] == {
        "email": {"texts": 1, "occurrences": 2},
        "phone": {"texts": 1, "occurrences": 1},
        "handle": {"texts": 1, "occurrences": 2},
        "link": {"texts": 1, "occurrences": 1},
    }


HOSTILE = [
    "\u202e\u200bأهلا",
    "a" * 200_000,
    "@" * 50_000,
    ":)" * 20_000,
    "\U0001f600",
    "1" * 100_000,
    "é" * 5000,
]


@pytest.mark.parametrize("several", [False, True])
def test_the_whole_audit_takes_any_text_and_is_the_same_again(tmp_path, several, encoder):
    texts = HOSTILE + sentences(60, 5)
    labels = (
        [[place % 2] if place % 3 else [0, 1] for place in range(len(texts))] if several else None
    )
    write_splits(tmp_path, texts, labels, **({"multi_label": True} if several else {}))
    model = load_config(None, {"model.name_or_path": str(encoder)}).model
    found = examine(tmp_path, model, "")
    assert json.dumps(found, allow_nan=False) == json.dumps(
        examine(tmp_path, model, ""), allow_nan=False
    )
    assert found["tokens"]["splits"]["train"]["rows"] == len(texts)
    assert found["tokens"]["splits"]["train"]["long_words"] > 0
    assert "a" * 100 not in json.dumps(found)


def test_the_built_in_tokenizer_is_at_hand(tmp_path):
    write_splits(tmp_path, sentences(30, 6))
    found = examine(tmp_path, load_config(None, {"model.name_or_path": "linnet-mini"}).model, "")[
        "tokens"
    ]
    assert (found["tokenizer"], found["reason"]) == ("linnet-mini", "")
    assert found["splits"]["train"]["mean"] > 3


def test_without_a_tokenizer_the_reason_is_told(tmp_path):
    write_splits(tmp_path, sentences(30, 6))
    for name, reason in (
        ("auto", "The tokenizer of 'distilbert-base-uncased' is not on this machine yet"),
        ("scratch", "trained from nothing"),
        (str(tmp_path), "holds no tokenizer.json"),
        ("a b", "no folder"),
    ):
        found = examine(tmp_path, load_config(None, {"model.name_or_path": name}).model, "")
        assert found["tokens"]["splits"] == {}
        assert reason in found["tokens"]["reason"]

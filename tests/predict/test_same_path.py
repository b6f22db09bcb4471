"""Training and serving see the same ids, and for clean texts these are transformers' own."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import linnet
from linnet.config import load_config
from linnet.data import prepare, read_split
from linnet.errors import TextError
from linnet.export import export
from linnet.predict import Classifier
from linnet.text import Tokenizer, clean
from linnet.train import train

HOSTILE = [
    "plain words, and so on!",
    "I love it \U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f",
    "\u202eright to left\u202c \u0627\u0644\u0641\u064a\u0644\u0645 \u05d8\u05d5\u05d1",
    "zero\u200bwidth\u200djoin\ufefferus",
    "mojibake: caf\u00c3\u00a9 \u00e2\u20ac\u0153quote\u00e2\u20ac\u009d",
    "entities: &lt;b&gt; &amp;amp; &quot;x&quot; &#39; &#x27; &nbsp; &notanentity; &#0; &#xD800;",
    "x" * 1_000_000,
    "good " * 20_000,
    "\u4e2d\u6587\u5b57\u7b26 \u65e5\u672c\u8a9e \ud55c\uad6d\uc5b4",
    "combining: e\u0301 \u00e9 \u1e9b\u0323 Z\u0351\u036b\u0343\u036a\u0302a\u030al\u0334g\u0321o\u031b",
    "[CLS] [SEP] [PAD] [MASK] [UNK]",
    "tab\tnewline\r\nvertical\vform\fnel\x85ls\u2028ps\u2029",
    "control\x01\x02\x1b[31m bell\x07",
    "\U0010ffff\U000e0001 private \ue000 unassigned \U0003fffd",
]


class Recorder:
    """Stands between a classifier and its engine, and keeps the rows that go by."""

    def __init__(self, engine: Any):
        self.engine, self.rows = engine, []

    def run(self, input_ids: np.ndarray, attention_mask: np.ndarray) -> np.ndarray:
        for ids, seen in zip(input_ids, attention_mask, strict=True):
            self.rows.append(ids[seen == 1].tolist())
        return self.engine.run(input_ids, attention_mask)


def served_ids(classifier: Classifier, text: str) -> list[int]:
    recorder = Recorder(classifier.model._runner._engine)
    classifier.model._runner._engine = recorder
    try:
        classifier.predict([text])
    finally:
        classifier.model._runner._engine = recorder.engine
    (row,) = recorder.rows
    return row


@pytest.fixture(scope="module")
def classifier(bundle: Path) -> Classifier:
    return linnet.load(bundle)


@pytest.fixture(scope="module")
def trainers(checkpoint: Path) -> Tokenizer:
    return Tokenizer(checkpoint / "tokenizer.json", 64)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_serving_sees_what_training_does(
    classifier: Classifier, trainers: Tokenizer, text: str
) -> None:
    (encoding,) = trainers.encode([clean(text)])
    assert served_ids(classifier, text) == encoding.ids
    assert classifier.predict([text])[0].truncated == encoding.truncated


@settings(
    max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(st.text())
def test_serving_sees_what_training_does_for_any_text(
    classifier: Classifier, trainers: Tokenizer, text: str
) -> None:
    try:
        cleaned = clean(text)
    except TextError:
        with pytest.raises(TextError):
            served_ids(classifier, text)
        return
    assert served_ids(classifier, text) == trainers.encode([cleaned])[0].ids


PERSONAL = [
    "mail jane.doe@example.com or @jane_doe, phone 555-123-4567",
    "@a@b.social RT @x: me@y.org&amp;you@z.org",
    "entities hide it: jane&#64;example.com &#64;jane",
    "nothing of the kind",
    "@" * 20_000,
]


@pytest.mark.parametrize("text", PERSONAL, ids=range(len(PERSONAL)))
def test_serving_masks_what_training_did(
    tone_bundle: Path, tone_splits: Path, tone_checkpoint: Path, text: str
) -> None:
    mask = read_split(tone_splits, "train").mask
    assert mask == ("email", "handle")
    tokenizer = Tokenizer(tone_checkpoint / "tokenizer.json", 64)
    (encoding,) = tokenizer.encode([clean(text, mask)])
    (unmasked,) = tokenizer.encode([clean(text)])
    served = served_ids(linnet.load(tone_bundle), text)
    assert served == encoding.ids
    assert (served == unmasked.ids) == (text in PERSONAL[3:])


def test_a_mask_goes_from_the_settings_to_the_service(tmp_path: Path) -> None:
    """Prepare, train and export with a mask; what is served is what stands in the splits."""
    source = tmp_path / "rows.csv"
    words = {"positive": "good love", "negative": "bad hate"}
    rows = [
        (f"{words[label]} {n} a{n}@b.co call 555-123-{n:04}", label)
        for n in range(150)
        for label in words
    ]
    with source.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    overrides = {
        "data.source": str(source),
        "data.mask": ["phone", "email"],
        "model.name_or_path": "scratch",
    }
    config = load_config(
        overrides=overrides | {"model.max_length": 32, "train.learning_rate": 1e-3}
    )
    prepare(config, tmp_path / "splits")
    split = read_split(tmp_path / "splits", "train")
    assert split.mask == ("phone", "email")
    assert all("<email> call <phone>" in text for text in split.texts)
    record = train(config, tmp_path / "splits", tmp_path / "checkpoint")
    assert record["mask"] == ["phone", "email"]
    made = export(config, tmp_path / "checkpoint", tmp_path / "splits", tmp_path / "bundle")
    assert made.manifest.mask == ("phone", "email")
    tokenizer = Tokenizer(tmp_path / "checkpoint" / "tokenizer.json", 32)
    served = served_ids(linnet.load(made.path), "good love 7 a7@b.co call 555-123-0007")
    assert served == tokenizer.encode([clean("good love 7 <email> call <phone>")])[0].ids


def test_clean_texts_are_tokenised_as_transformers_does(
    classifier: Classifier, checkpoint: Path
) -> None:
    from transformers import AutoTokenizer

    reference = AutoTokenizer.from_pretrained(checkpoint)
    # transformers makes special tokens of the ones spelt out, by tokenizer_config.json, which is not served.
    for text in (clean(text) for text in HOSTILE if "[CLS]" not in text):
        expected = reference(text, truncation=True, max_length=64)["input_ids"]
        assert served_ids(classifier, text) == expected

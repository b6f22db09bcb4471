"""Any number of labels a text: the loss and the figures are the field's, and transformers loads what is left."""

import json

import numpy as np
import pyarrow as pa
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score
from torch.nn.functional import cross_entropy
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from linnet.data import read_split
from linnet.data.split.files import SplitWriter
from linnet.errors import DataError
from linnet.text import Tokenizer
from linnet.train import train
from linnet.train.encoder.find import find_encoder, load_classifier
from linnet.train.loop import Loop
from linnet.train.network.batches import batches, encode
from linnet.train.network.network import make_network
from linnet.train.objective import ClassificationObjective


@pytest.fixture(scope="module")
def record(tone_checkpoint):
    return json.loads((tone_checkpoint / "training.json").read_text())


def test_the_record_is_what_transformers_answers(tone_checkpoint, tone_splits, record):
    model = AutoModelForSequenceClassification.from_pretrained(tone_checkpoint).eval()
    assert model.config.problem_type == "multi_label_classification"
    split = read_split(tone_splits, "validation")
    rows = AutoTokenizer.from_pretrained(tone_checkpoint)(
        split.texts, padding=True, return_tensors="pt"
    )
    rows.pop("token_type_ids", None)
    with torch.no_grad():
        answer = model(**rows, labels=torch.tensor(split.labels, dtype=torch.float32))
    probabilities = answer.logits.sigmoid().numpy()
    f1s = {
        t: f1_score(split.labels, probabilities >= t, average="micro")
        for t in np.linspace(0.02, 0.98, 97)
    }
    predictions = probabilities >= max(f1s, key=f1s.__getitem__)
    best = record["history"][record["best_epoch"] - 1]
    assert best["eval_loss"] == pytest.approx(answer.loss.item(), abs=1e-5)
    assert best["eval_accuracy"] == pytest.approx(
        accuracy_score(split.labels, predictions), abs=0.02
    )
    assert max(f1s.values()) <= best["eval_f1"] + 1e-9
    assert best["eval_f1"] == pytest.approx(max(f1s.values()), abs=0.01)
    assert best["eval_f1"] == max(epoch["eval_f1"] for epoch in record["history"]) > 0.8


def test_the_record_says_what_the_texts_are(record):
    assert record["problem_type"] == "multi_label_classification"
    assert record["mask"] == ["email", "handle"]
    assert record["labels"] == ["praise", "blame", "weather", "film"]


def test_one_label_has_a_macro_f1(encoder, splits, settings):
    tokenizer = Tokenizer(encoder / "tokenizer.json", 64)
    learn, validation = (
        encode(read_split(splits, name), tokenizer) for name in ("train", "validation")
    )
    model = load_classifier(find_encoder(str(encoder)), ("negative", "positive"), tokenizer)
    recipe = settings(metric_for_best_model="eval_f1").train
    known = np.arange(tokenizer.vocab_size)
    network, _ = make_network(model, torch.float32, known, tokenizer.pad_id, recipe.seed)
    loop = Loop(ClassificationObjective(network, recipe, validation), recipe, learn)
    epoch = loop.run_epoch(lambda texts, loss: None)
    model.eval()
    logits, labels = [], []
    with torch.no_grad():
        for batch in batches(validation, np.arange(len(validation)), 64, model.device):
            input_ids, attention_mask = batch.padded(tokenizer.pad_id)
            logits.append(model(input_ids=input_ids, attention_mask=attention_mask).logits)
            labels.append(batch.labels)
    found, right = torch.cat(logits), torch.cat(labels)
    assert epoch.eval_f1 == pytest.approx(f1_score(right, found.argmax(dim=1), average="macro"))
    assert epoch.eval_loss == pytest.approx(cross_entropy(found, right).item(), abs=1e-5)
    assert loop.best is epoch


@pytest.mark.parametrize(
    "other", [{"multi_label": False}, {"multi_label": True, "mask": ("email",)}]
)
def test_splits_of_two_kinds_are_refused(tmp_path, settings, other):
    for name, kind in {"train": {"multi_label": True}, "validation": other, "test": other}.items():
        with SplitWriter(tmp_path, name, ["text", "label"], ["a", "b"], **kind) as writer:
            labels = pa.array([[0], []]) if kind["multi_label"] else pa.array([0, 1])
            writer.write(pa.table({"text": ["x", "y"], "label": labels}))
    with pytest.raises(
        DataError,
        match=r"are of different kinds: train has several labels .* prepare them again",
    ):
        train(settings(), tmp_path, tmp_path / "checkpoint")

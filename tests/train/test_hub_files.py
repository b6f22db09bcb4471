"""A checkpoint on the model hub: its pipeline in transformers, its model card, its tokenizer's settings."""

import json
import os
import subprocess

import numpy as np
import pytest
from huggingface_hub import ModelCard
from transformers import AutoTokenizer, pipeline

import linnet
from linnet.config import load_config
from linnet.predict import MultiLabel
from linnet.text import Tokenizer
from linnet.train import train
from linnet.train.hub_card import front_matter
from linnet.train.tokenizer_config import tokenizer_config

TEXTS = ["good day so love", "i hate the rain", "love " * 100, "日本 film"]
FORMER = "LINNET_TRANSFORMERS_450"  # path of a Python that has it


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory, splits, encoder):
    """A checkpoint that `linnet train` wrote."""
    overrides = {"model.name_or_path": str(encoder), "model.max_length": 64}
    overrides |= {"train.learning_rate": 2e-2, "train.num_train_epochs": 1}
    directory = tmp_path_factory.mktemp("hub") / "checkpoint"
    train(load_config(overrides=overrides), splits, directory)
    return directory


def probabilities(answers) -> list[dict[str, float]]:
    return [{item["label"]: item["score"] for item in answer} for answer in answers]


def test_a_pipeline_gives_linnets_labels_and_probabilities(tone_checkpoint, tone_bundle):
    classify = pipeline("text-classification", str(tone_checkpoint))
    classifier = linnet.load(tone_bundle)
    expected = MultiLabel().probabilities(classifier.logits(TEXTS))
    for batch_size in (1, 3):  # padded, too
        found = probabilities(classify(TEXTS, top_k=None, truncation=True, batch_size=batch_size))
        for row, answer in zip(expected, found, strict=True):
            assert set(answer) == set(classifier.labels)
            np.testing.assert_allclose(
                [answer[label] for label in classifier.labels], row, atol=1e-4
            )


def test_a_pipeline_of_one_label_gives_a_softmax(checkpoint):
    answers = probabilities(
        pipeline("text-classification", str(checkpoint))(TEXTS, top_k=None, truncation=True)
    )
    for answer in answers:
        assert set(answer) == {"negative", "positive"}
        assert sum(answer.values()) == pytest.approx(1.0, abs=1e-6)


def test_the_tokenizer_gives_what_the_model_takes(checkpoint):
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    assert tokenizer.is_fast
    assert list(tokenizer("good day")) == ["input_ids", "attention_mask"]
    assert tokenizer.model_max_length == 64
    assert tokenizer.pad_token == "[PAD]"


@pytest.mark.slow
def test_a_pipeline_of_transformers_4_50_gives_the_same(checkpoint, tmp_path):
    former = os.environ.get(FORMER)
    if not former:
        pytest.skip(
            "needs transformers 4.50: python -m venv OTHER && OTHER/bin/pip install "
            f"'transformers==4.50.*' torch && {FORMER}=OTHER/bin/python pytest -m slow {__file__}"
        )
    program = (
        "import json, sys, transformers; assert transformers.__version__.startswith('4.50.');"
        "classify = transformers.pipeline('text-classification', sys.argv[1]);"
        "print(json.dumps(classify(json.loads(sys.argv[2]), top_k=None, truncation=True)))"
    )
    command = [former, "-c", program, str(checkpoint), json.dumps(TEXTS)]
    # Without this package's own path, on which nothing is installed for that Python.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    expected = pipeline("text-classification", str(checkpoint))(TEXTS, top_k=None, truncation=True)
    for theirs, ours in zip(
        probabilities(json.loads(done.stdout.splitlines()[-1])),
        probabilities(expected),
        strict=True,
    ):
        assert theirs == pytest.approx(ours, abs=1e-5)


def test_settings_of_any_release_become_plain_ones(tmp_path, tokenizer_path):
    """As of transformers 5, whose lists and classes 4.50 does not read; and code of one's own."""
    own = {
        "tokenizer_class": "TokenizersBackend",
        "extra_special_tokens": ["[X]"],
        "auto_map": {"AutoTokenizer": ["theirs.Own", None]},
        "mask_token": {"content": "[MASK]", "lstrip": True},
        "cls_token": "[NOT THERE]",
        "model_max_length": 10**30,
    }
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(own))
    (tmp_path / "special_tokens_map.json").write_text(json.dumps({"sep_token": "[SEP]"}))
    assert tokenizer_config(tmp_path, Tokenizer(tokenizer_path, 48)) == {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": 48,
        "model_input_names": ["input_ids", "attention_mask"],
        "padding_side": "right",
        "truncation_side": "right",
        "clean_up_tokenization_spaces": False,
        "unk_token": "[UNK]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "pad_token": "[PAD]",
        "mask_token": "[MASK]",
    }


def test_the_model_card_has_metadata_that_the_hub_reads(checkpoint, encoder):
    text = (checkpoint / "README.md").read_text()
    card = ModelCard.load(checkpoint / "README.md")
    assert card.data.pipeline_tag == "text-classification"
    assert card.data.library_name == "transformers"
    measured = {result.metric_type: result.metric_value for result in card.data.eval_results}
    record = json.loads((checkpoint / "training.json").read_text())
    best = record["history"][record["best_epoch"] - 1]
    assert measured == {
        "accuracy": round(best["eval_accuracy"], 4),
        "f1": round(best["eval_f1"], 4),
    }
    assert all(result.dataset_split == "validation" for result in card.data.eval_results)
    assert str(encoder.parent) not in text  # a folder's path is private
    assert encoder.name in text


@pytest.mark.parametrize(
    "hostile",
    [
        "rows.csv\n---\nlicense: mit\n---\n",
        "a: b # c",
        "'\"\\ {x}: [y]",
        "日本\u202e\x00\ud800.csv",
        "- !!python/object:os.system",
        "",
        "..",
    ],
)
def test_no_name_forges_metadata(hostile):
    encoder = {"name": "an/encoder", "source": "hub"}
    block = front_matter(
        hostile or "x", "linnet", ["onnx"], encoder, hostile, "validation", {"accuracy": 0.5}
    )
    card = ModelCard(f"{block}\n# A model\n---\nlicense: mit\n---\n")
    assert card.data.license is None
    assert card.data.base_model == "an/encoder"
    (result,) = card.data.eval_results
    assert (result.metric_type, result.metric_value) == ("accuracy", 0.5)
    assert set(card.data.to_dict()) == {
        "base_model",
        "library_name",
        "model-index",
        "pipeline_tag",
        "tags",
    }


def test_a_card_without_metrics_is_a_card():
    block = front_matter("x", "linnet", [], None, "rows.csv", "validation", {})
    data = ModelCard(block).data
    assert data.eval_results is None and data.base_model is None

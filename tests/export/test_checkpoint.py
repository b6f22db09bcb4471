"""A checkpoint is loaded as data, or refused in a sentence that says what is wrong with it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from linnet.errors import ModelError
from linnet.export.checkpoint import load_checkpoint


@pytest.fixture
def copy(checkpoint: Path, tmp_path: Path) -> Path:
    """The checkpoint, to be spoilt."""
    shutil.copytree(checkpoint, tmp_path / "checkpoint")
    return tmp_path / "checkpoint"


def refusal(path: Path, max_length: int = 64) -> str:
    with pytest.raises(ModelError) as caught:
        load_checkpoint(path, max_length)
    return str(caught.value)


def edit_json(file: Path, change: Callable[[dict[str, Any]], None]) -> None:
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def test_it_is_loaded_to_be_judged(checkpoint):
    found = load_checkpoint(checkpoint, 64)
    assert found.labels == ("negative", "positive")
    assert found.model.dtype == torch.float32
    assert not found.model.training
    assert found.tokenizer.max_length == 64
    assert found.training is None


def test_loading_is_silent(checkpoint, capfd):
    load_checkpoint(checkpoint, 64)
    assert capfd.readouterr() == ("", "")


def test_half_precision_weights_are_read_as_float32(copy):
    weights = load_file(copy / "model.safetensors")
    save_file(
        {name: value.half() for name, value in weights.items()},
        copy / "model.safetensors",
        {"format": "pt"},
    )
    edit_json(copy / "config.json", lambda config: config.update(dtype="float16"))
    assert load_checkpoint(copy, 64).model.dtype == torch.float32


def test_the_training_record_is_read(copy):
    (copy / "training.json").write_text(
        '{"history": [], "settings": {"model": {"max_length": 64}}}'
    )
    assert load_checkpoint(copy, 64).training == {
        "history": [],
        "settings": {"model": {"max_length": 64}},
    }


@pytest.mark.parametrize("content", ["{", "", "[1]", "null"])
def test_a_broken_training_record(copy, content):
    (copy / "training.json").write_text(content)
    assert "training.json can't be read" in refusal(copy)


def test_another_length_than_it_was_trained_with(copy):
    (copy / "training.json").write_text('{"settings": {"model": {"max_length": 32}}}')
    assert "--set model.max_length=32" in refusal(copy)


def test_no_such_folder(tmp_path):
    assert "is not a checkpoint: it holds no config.json" in refusal(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_a_missing_file_is_named(copy, name):
    (copy / name).unlink()
    assert f"is not a checkpoint: it holds no {name}" in refusal(copy)


def test_pickled_weights_are_not_loaded(copy):
    (copy / "model.safetensors").unlink()
    torch.save({"code": print}, copy / "pytorch_model.bin")
    assert "Linnet loads no pickled weights" in refusal(copy)


def test_its_own_code_is_not_run(copy, tmp_path):
    (copy / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    edit_json(
        copy / "config.json",
        lambda config: config.update(
            model_type="evil",
            auto_map={"AutoConfig": "evil.C", "AutoModelForSequenceClassification": "evil.M"},
        ),
    )
    assert "can't be loaded" in refusal(copy)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"garbage", b"\xff" * 64])
def test_broken_weights(copy, content):
    (copy / "model.safetensors").write_bytes(content)
    assert "can't be loaded" in refusal(copy)


def test_truncated_weights(copy):
    weights = (copy / "model.safetensors").read_bytes()
    (copy / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    assert "can't be loaded" in refusal(copy)


@pytest.mark.parametrize("content", ["{", "[]", '{"model_type": "no_such_model"}'])
def test_a_broken_config(copy, content):
    (copy / "config.json").write_text(content)
    assert "can't be loaded" in refusal(copy)


def test_an_encoder_without_a_trained_head(encoder):
    message = refusal(encoder)
    assert "lacks trained weights for" in message
    assert "classifier.weight" in message


def test_weights_of_another_shape(copy):
    edit_json(copy / "config.json", lambda config: config.update(hidden_dim=48))
    assert "can't be loaded" in refusal(copy)


def test_a_tokenizer_of_another_model(copy):
    content = json.loads((copy / "tokenizer.json").read_text())
    content["model"]["vocab"] |= {f"word{i}": len(content["model"]["vocab"]) + i for i in range(50)}
    (copy / "tokenizer.json").write_text(json.dumps(content))
    assert "do not belong together" in refusal(copy)


def test_a_broken_tokenizer(copy):
    (copy / "tokenizer.json").write_text("{}")
    assert "Expected a tokenizer in" in refusal(copy)


def test_more_tokens_than_it_reads(checkpoint):
    message = refusal(checkpoint, 65)
    assert "can't read 65 tokens (its max_position_embeddings: 64)" in message


def test_another_kind_of_problem(copy):
    edit_json(copy / "config.json", lambda config: config.update(problem_type="regression"))
    assert "is a model for regression" in refusal(copy)


def test_the_config_says_how_many_labels_a_text_has(copy):
    assert not load_checkpoint(copy, 64).multi_label
    edit_json(
        copy / "config.json",
        lambda config: config.update(problem_type="multi_label_classification"),
    )
    assert load_checkpoint(copy, 64).multi_label


def test_labels_are_read_in_the_order_of_the_ids(copy):
    names = {"1": "second", "0": "first"}
    edit_json(
        copy / "config.json",
        lambda config: config.update(id2label=names, label2id={"first": 0, "second": 1}),
    )
    assert load_checkpoint(copy, 64).labels == ("first", "second")


def test_labels_are_cleaned_as_those_of_splits_are(copy):
    path = copy / "config.json"
    edit_json(path, lambda config: config.update(id2label={"0": "cafe\u0301\u200b", "1": " b"}))
    assert load_checkpoint(copy, 64).labels == ("caf\xe9", "b")
    edit_json(path, lambda config: config.update(id2label={"0": "b", "1": " b"}))
    assert "id2label of config.json has two names of one label: 'b' and ' b'" in refusal(copy)

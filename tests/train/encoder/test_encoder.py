"""Which encoders are taken, and what is said of those that aren't."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    BertForMaskedLM,
    DistilBertModel,
    RobertaConfig,
    RobertaModel,
)

from linnet.errors import ModelError
from linnet.text import Tokenizer
from linnet.train.encoder.find import find_encoder, load_classifier

LABELS = ("negative", "positive")
SHAPE = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}


@pytest.fixture
def copy(encoder, tmp_path):
    """A copy of the tiny encoder to break."""
    return shutil.copytree(encoder, tmp_path / "encoder")


@pytest.fixture(scope="session")
def size(tokenizer_path):
    """Tokens the tiny tokenizer knows."""
    return Tokenizer(tokenizer_path, 64).vocab_size


def load(folder, labels=LABELS, max_length=64):
    encoder = find_encoder(str(folder))
    return load_classifier(encoder, labels, encoder.tokenizer(max_length))


def edit_weights(folder, change):
    weights = load_file(folder / "model.safetensors")
    save_file(change(weights), folder / "model.safetensors", metadata={"format": "pt"})


def test_a_bare_encoder_gets_a_head_and_keeps_its_weights(encoder):
    model = load(encoder, ("a", "b", "c"))
    expected = DistilBertModel.from_pretrained(encoder).state_dict()
    found = model.base_model.state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert model.classifier.weight.shape == (3, 16)
    assert model.config.id2label == {0: "a", 1: "b", 2: "c"}


def test_nothing_is_said_of_the_new_head(encoder, capfd):
    load(encoder)
    assert capfd.readouterr() == ("", "")


def test_half_precision_weights_are_trained_in_float32(copy):
    edit_weights(copy, lambda weights: {name: tensor.half() for name, tensor in weights.items()})
    config = json.loads((copy / "config.json").read_text()) | {"dtype": "float16"}
    (copy / "config.json").write_text(json.dumps(config))
    assert {parameter.dtype for parameter in load(copy).parameters()} == {torch.float32}


def test_a_head_for_other_labels_is_replaced(encoder, copy):
    AutoModelForSequenceClassification.from_pretrained(encoder, num_labels=5).save_pretrained(copy)
    assert load(copy).classifier.weight.shape == (2, 16)


def test_a_head_for_as_many_labels_is_taken_over(encoder, copy):
    former = AutoModelForSequenceClassification.from_pretrained(encoder, num_labels=2)
    former.save_pretrained(copy)
    assert torch.equal(load(copy).classifier.weight, former.classifier.weight)


def test_an_encoder_without_its_pooler_is_taken(copy, size):
    BertForMaskedLM(BertConfig(**SHAPE, vocab_size=size)).save_pretrained(copy)
    assert load(copy).bert.pooler is not None


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_folder_that_lacks_a_file_is_refused(copy, file):
    (copy / file).unlink()
    with pytest.raises(ModelError, match=f"holds no {file}") as caught:
        find_encoder(str(copy))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "model.safetensors"])
def test_each_of_its_files_is_told_apart(copy, file):
    before = find_encoder(str(copy)).identity()
    with (copy / file).open("ab") as stream:
        stream.write(b" ")
    after = find_encoder(str(copy)).identity()
    assert {
        name for name in after["sha256"] if after["sha256"][name] != before["sha256"][name]
    } == {file}


def test_a_name_that_no_folder_can_have_is_a_sentence():
    with pytest.raises(ModelError, match="File name too long"):
        find_encoder("x" * 300)


def test_pickled_weights_are_refused(copy):
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    with pytest.raises(ModelError, match="pickles, which can run code"):
        find_encoder(str(copy))


def test_missing_weights_of_the_encoder_are_refused(copy):
    edit_weights(
        copy,
        lambda weights: {name: tensor for name, tensor in weights.items() if "q_lin" not in name},
    )
    with pytest.raises(ModelError, match=r"lacks 2 of the weights .*q_lin\.bias"):
        load(copy)


def test_weights_of_another_shape_are_refused(copy):
    def shorten(weights):
        return {
            name: tensor[:8] if name.endswith("ffn.lin1.bias") else tensor
            for name, tensor in weights.items()
        }

    edit_weights(copy, shorten)
    with pytest.raises(ModelError, match=r"lacks 1 of the weights .*ffn\.lin1\.bias"):
        load(copy)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("model.safetensors", b"not weights"),
        ("config.json", b"{"),
        ("config.json", b'{"model_type": "no-such-architecture"}'),
        ("tokenizer.json", b"{}"),
    ],
)
def test_broken_files_are_refused(copy, file, content):
    (copy / file).write_bytes(content)
    with pytest.raises(ModelError):
        load(copy)


def test_more_tokens_than_positions_are_refused(encoder):
    with pytest.raises(
        ModelError, match=r"model.max_length is 65, but the encoder .* reads 64 tokens at most"
    ):
        load(encoder, max_length=65)


def test_positions_that_roberta_does_not_use_are_not_counted(copy, size):
    RobertaModel(
        RobertaConfig(**SHAPE, vocab_size=size, max_position_embeddings=34, pad_token_id=1)
    ).save_pretrained(copy)
    model = load(copy, max_length=32)
    ids = torch.full((1, 32), 5)
    assert model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.shape == (1, 2)
    with pytest.raises(ModelError, match="reads 32 tokens at most"):
        load(copy, max_length=33)


def test_a_tokenizer_with_more_tokens_than_embeddings_is_refused(copy, size):
    content = json.loads((copy / "tokenizer.json").read_text())
    content["model"]["vocab"]["beyond"] = size
    (copy / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(
        ModelError, match=f"knows {size + 1} tokens, but the encoder has embeddings for {size}"
    ):
        load(copy)

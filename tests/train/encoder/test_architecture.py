"""What is no encoder is refused by its config.json alone; an older tokenizer's files are converted."""

import json
import shutil

import pytest
from transformers import BertConfig, BertModel, BertTokenizer, GPT2Config, RobertaConfig

from linnet.config import load_config
from linnet.errors import ModelError
from linnet.text import Tokenizer
from linnet.train import check_encoder
from linnet.train.encoder.architecture import check_architecture
from linnet.train.encoder.find import find_encoder
from linnet.train.encoder.tokenizer_files import conversion


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        (GPT2Config().to_dict(), "a decoder (gpt2)"),
        ({"model_type": "llama", "pad_token_id": 0}, "a decoder (llama)"),
        ({"model_type": "qwen3"}, "a decoder (qwen3)"),
        ({"model_type": "opt"}, "a decoder (opt)"),
        ({"model_type": "bert", "is_decoder": True}, "a decoder (bert)"),
        ({"model_type": "xlnet"}, "an XLNet"),
        ({"model_type": "t5"}, "an encoder-decoder (t5)"),
        ({"model_type": "bart"}, "an encoder-decoder (bart)"),
        ({"model_type": "marian", "is_encoder_decoder": True}, "an encoder-decoder (marian)"),
        ({"model_type": "vit"}, "a model of the type 'vit'"),
        ({"model_type": "my-own"}, "a model of the type 'my-own'"),
        ({}, "no model_type"),
    ],
)
def test_what_is_no_encoder_is_refused_with_what_to_take_instead(tmp_path, config, kind):
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError) as caught:
        check_architecture("some/model", tmp_path)
    message = str(caught.value)
    assert kind in message and "some/model" in message
    assert "Take an encoder of the BERT kind" in message and "linnet-mini" in message
    assert "\n" not in message


@pytest.mark.parametrize("config", [BertConfig(), RobertaConfig(), BertConfig(use_cache=True)])
def test_encoders_pass(tmp_path, config):
    config.save_pretrained(tmp_path)
    check_architecture("encoder", tmp_path)


def test_a_decoder_is_refused_before_anything_else_is_read(tmp_path):
    GPT2Config().save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"a decoder \(gpt2\)"):
        check_encoder(load_config(overrides={"model.name_or_path": str(tmp_path)}))


@pytest.fixture
def vocabulary_only(encoder, tmp_path):
    """A BERT as older models are: a vocab.txt in place of tokenizer.json."""
    folder = tmp_path / "older"
    tokens = Tokenizer(encoder / "tokenizer.json", 64)
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    size = tokens.vocab_size
    BertModel(BertConfig(**shape, intermediate_size=32, vocab_size=size)).save_pretrained(folder)
    vocabulary = json.loads((encoder / "tokenizer.json").read_text())["model"]["vocab"]
    words = sorted(vocabulary, key=vocabulary.__getitem__)
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    settings = {"tokenizer_class": "BertTokenizer", "do_lower_case": True}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


def test_a_vocabulary_is_converted_and_it_is_said(vocabulary_only, encoder):
    before = sorted(file.name for file in vocabulary_only.iterdir())
    found = find_encoder(str(vocabulary_only))
    assert "holds no tokenizer.json: transformers made one" in found.note
    texts = ["Good day, my film!", "unheard of", "日本"]
    ours = [encoding.ids for encoding in found.tokenizer(64).encode(texts)]
    assert ours == [
        encoding.ids for encoding in Tokenizer(encoder / "tokenizer.json", 64).encode(texts)
    ]
    theirs = BertTokenizer.from_pretrained(vocabulary_only)
    assert ours == theirs(texts)["input_ids"]
    assert set(found.identity()["sha256"]) == {"config.json", "tokenizer.json", "model.safetensors"}
    assert sorted(file.name for file in vocabulary_only.iterdir()) == before  # not written into


def test_files_that_no_fast_tokenizer_can_be_made_of_are_refused(vocabulary_only):
    (vocabulary_only / "vocab.txt").rename(vocabulary_only / "spiece.model")
    settings = {"tokenizer_class": "XLMRobertaTokenizer"}
    (vocabulary_only / "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(ModelError, match=r"holds no tokenizer\.json") as caught:
        find_encoder(str(vocabulary_only))
    assert "\n" not in str(caught.value)


def test_a_folder_without_any_vocabulary_says_what_is_expected(vocabulary_only):
    (vocabulary_only / "vocab.txt").unlink()
    with pytest.raises(ModelError, match=r"holds no tokenizer\.json, nor a vocabulary"):
        find_encoder(str(vocabulary_only))


def test_the_command_that_is_told_makes_a_tokenizer(vocabulary_only, tmp_path):
    copy = shutil.copytree(vocabulary_only, tmp_path / "copy")
    command = conversion(str(copy))
    assert command.startswith('python -c "') and command.endswith('"')
    exec(command[len('python -c "') : -1])
    assert find_encoder(str(copy)).note == ""

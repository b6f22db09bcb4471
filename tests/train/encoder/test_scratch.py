"""The encoder made from nothing."""

import json

import pytest
import torch

from linnet.config import load_config
from linnet.data import read_split
from linnet.errors import ConfigError
from linnet.text import Tokenizer
from linnet.train import train
from linnet.train.encoder.find import load_classifier
from linnet.train.encoder.scratch import ALPHABET_SIZE, make_encoder
from linnet.train.encoder.word_pieces import SPECIAL


def shape(**more):
    return load_config(
        overrides={"model.max_length": 32} | {f"model.{key}": value for key, value in more.items()}
    ).model


def vocabulary(folder):
    return json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]


def test_equal_texts_give_an_equal_vocabulary(tmp_path, splits):
    texts = [*read_split(splits, "train").texts, "élan naïve 日本 🙂🙂 don't"]
    written = set()
    for number in range(5):
        folder = tmp_path / str(number)
        folder.mkdir()
        make_encoder(texts, shape(), folder)
        written.add((folder / "tokenizer.json").read_bytes())
    assert len(written) == 1


def test_what_it_writes_is_an_encoder(tmp_path):
    texts = ["A good film, isn't it?", "A bad film. 🙂"] * 5
    encoder = make_encoder(texts, shape(), tmp_path)
    words = vocabulary(tmp_path)
    assert list(words)[:5] == SPECIAL
    assert sorted(words.values()) == list(range(len(words)))
    assert {"film", "good", "🙂", "?"} <= set(words)
    tokenizer = encoder.tokenizer(32)
    assert tokenizer.pad_id == 0
    (encoding,) = tokenizer.encode(["GOOD film 🙂 unknown☃"])
    pieces = {number: piece for piece, number in words.items()}
    assert [pieces[i] for i in encoding.ids] == ["[CLS]", "good", "film", "🙂", "[UNK]", "[SEP]"]
    model = load_classifier(encoder, ("no", "yes"), tokenizer)
    assert model.config.max_position_embeddings == 32
    assert model(input_ids=torch.tensor([encoding.ids])).logits.shape == (1, 2)


def test_a_vocabulary_keeps_its_size_whatever_the_texts(tmp_path):
    texts = [
        "".join(chr(0x4E00 + i) for i in range(start, start + 100)) for start in range(0, 5000, 100)
    ]
    make_encoder(
        [*texts, *(f"word{i} word{i}" for i in range(9000))], shape(vocab_size=5000), tmp_path
    )
    words = vocabulary(tmp_path)
    assert len(words) == 5000
    assert sum(len(word) == 1 for word in words) <= ALPHABET_SIZE


def test_its_layers_and_width_are_settings(tmp_path):
    encoder = make_encoder(["good day"] * 5, shape(num_hidden_layers=3, hidden_size=64), tmp_path)
    config = load_classifier(encoder, ("no", "yes"), encoder.tokenizer(32)).config
    assert (config.n_layers, config.dim, config.n_heads, config.hidden_dim) == (3, 64, 2, 256)
    with pytest.raises(
        ConfigError, match=r"model\.hidden_size  Input should be a multiple of 32 \(got 100\)"
    ):
        shape(hidden_size=100)


@pytest.mark.timeout(600)
def test_training_from_nothing_learns_and_says_so(splits, tmp_path):
    overrides = {
        "model.name_or_path": "scratch",
        "model.max_length": 32,
        "train.learning_rate": 3e-3,
    }
    record = train(load_config(overrides=overrides), splits, tmp_path / "one")
    train(load_config(overrides=overrides), splits, tmp_path / "two")
    assert record["encoder"]["source"] == record["encoder"]["name"] == "scratch"
    assert record["history"][record["best_epoch"] - 1]["eval_accuracy"] > 0.75
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert not [entry for entry in (tmp_path / "one").iterdir() if entry.is_dir()]
    assert Tokenizer(tmp_path / "one" / "tokenizer.json", 32).vocab_size == len(
        vocabulary(tmp_path / "one")
    )

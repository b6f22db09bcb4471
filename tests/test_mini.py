"""The built-in encoder: its size, its files, and that it is what `transformers` and the packed network take."""

import json
import shutil

import numpy as np
import pytest
import tokenizers
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from transformers import AutoModel, AutoTokenizer

from linnet import mini
from linnet.errors import ModelError, TextError
from linnet.text import Tokenizer, clean
from linnet.train.encoder.find import find_encoder, load_classifier
from linnet.train.network.batches import Batch
from linnet.train.network.functions import Layout
from linnet.train.network.packed import Packed, fits

MAX_PARAMETERS = 10_000_000
MAX_BYTES = 16_000_000
POSITIONS = 128
PLAIN = tokenizers.Tokenizer.from_file(str(mini.FOLDER / "tokenizer.json"))
HOSTILE = [
    "a" * 1_000_000,
    "\u202e\u200bأهلا",
    "é" * 5000,
    "🙂" * 300,
    "[MASK] [PAD]",
    "##ing",
    "日本語のテキスト",
    "!" * 10_000,
    "\ufffd",
]


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer(mini.FOLDER / "tokenizer.json", POSITIONS)


@pytest.fixture(scope="module")
def model():
    return AutoModel.from_pretrained(mini.FOLDER, local_files_only=True).eval()


def shipped():
    return sorted(path for path in mini.FOLDER.iterdir() if path.suffix != ".py" and path.is_file())


def test_it_is_as_small_as_was_promised():
    weights = load_file(mini.FOLDER / "model.safetensors")
    assert sum(value.numel() for value in weights.values()) <= MAX_PARAMETERS
    assert sum(path.stat().st_size for path in shipped()) <= MAX_BYTES
    assert all(value.isfinite().all() for value in weights.values())


def test_nothing_is_shipped_but_what_is_checked_and_its_card():
    digests = json.loads((mini.FOLDER / mini.DIGESTS).read_text())
    assert [path.name for path in shipped()] == sorted([*digests, mini.DIGESTS, "README.md"])
    mini.check_files()


def test_the_card_says_what_it_is_made_of():
    card = (mini.FOLDER / "README.md").read_text()
    parameters = sum(
        value.numel() for value in load_file(mini.FOLDER / "model.safetensors").values()
    )
    assert f"{parameters:,} parameters" in card
    assert "license: apache-2.0" in card
    assert "{" not in card


@pytest.mark.parametrize("damage", ["changed", "missing", "digests"])
def test_damaged_files_are_refused(tmp_path, monkeypatch, damage):
    folder = shutil.copytree(mini.FOLDER, tmp_path / "mini")
    monkeypatch.setattr(mini, "FOLDER", folder)
    find_encoder(mini.NAME)
    if damage == "changed":
        with (folder / "model.safetensors").open("r+b") as file:
            file.seek(1_000_000)
            file.write(b"\x00\x01")
    else:
        (folder / {"missing": "tokenizer.json", "digests": mini.DIGESTS}[damage]).unlink()
    with pytest.raises(
        ModelError,
        match=r"The built-in encoder linnet-mini is incomplete .* pip install --force-reinstall",
    ):
        find_encoder(mini.NAME)


def test_transformers_and_the_packed_network_read_it_alike(tokenizer):
    encoder = find_encoder(mini.NAME)
    classifier = load_classifier(encoder, ("no", "yes"), tokenizer).eval()
    assert classifier.config.model_type == "distilbert"
    assert fits(classifier)
    texts = ["good morning world!", "i hate rain", "Why is the bus late again?? @home :(", "x"]
    rows = [encoding.ids for encoding in tokenizer.encode(texts)]
    expected = torch.cat([classifier(input_ids=torch.tensor([row])).logits for row in rows])
    packed = Packed(classifier, torch.float32, np.arange(tokenizer.vocab_size), 0)
    layout = Layout(np.array([len(row) for row in rows]), torch.device("cpu"))
    ids = torch.tensor([number for row in rows for number in row])
    found = packed(Batch(np.arange(len(rows)), ids, layout, torch.zeros(len(rows))), False)
    assert torch.allclose(found, expected, atol=1e-4)


def test_transformers_tokenises_as_linnet_does(tokenizer):
    other = AutoTokenizer.from_pretrained(mini.FOLDER, local_files_only=True)
    texts = [clean(text) for text in ["Good morning, WORLD!", "naïve café 🙂", *HOSTILE]]
    ours = [encoding.ids for encoding in tokenizer.encode(texts)]
    assert other(texts, truncation=True)["input_ids"] == ours


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_are_read_within_bounds(tokenizer, text):
    (encoding,) = tokenizer.encode([clean(text)])
    assert 2 <= len(encoding.ids) <= POSITIONS
    assert 0 <= min(encoding.ids) <= max(encoding.ids) < tokenizer.vocab_size


@settings(deadline=None)
@given(st.text())
def test_any_text_is_refused_or_read(tokenizer, text):
    try:
        cleaned = clean(text)
    except TextError:
        return
    (encoding,) = tokenizer.encode([cleaned])
    assert 2 <= len(encoding.ids) <= POSITIONS
    assert max(encoding.ids) < tokenizer.vocab_size


@given(st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=90))
def test_plain_words_come_back_whole(word):
    assert PLAIN.decode(PLAIN.encode(word).ids) == word


def test_it_has_learned_what_texts_mean(model, tokenizer):
    texts = [
        "i love this song so much",
        "this music is great",
        "my flight is delayed again",
        "stuck at the airport",
    ]
    rows = [torch.tensor([encoding.ids]) for encoding in tokenizer.encode(texts)]
    with torch.no_grad():
        states = torch.stack([model(input_ids=row).last_hidden_state[0].mean(0) for row in rows])
    alike = torch.nn.functional.cosine_similarity(states[:, None], states[None], dim=-1)
    assert min(alike[0, 1], alike[2, 3]) > alike[:2, 2:].max() + 0.1

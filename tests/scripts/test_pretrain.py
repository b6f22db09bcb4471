"""The script that made linnet-mini, on a tiny teacher: what it reads, what it writes, and that it can be killed."""

import json
import random
import shutil
import signal
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pyarrow as pa
import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import AutoModel, DistilBertConfig, DistilBertModel

from linnet.data.split.files import SplitWriter

SCRIPT = Path(__file__).parents[2] / "scripts" / "pretrain.py"
FILES = (
    "config.json",
    "digests.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
)
WORDS = "sun rain day night love hate film song bus train good bad the a is was not very".split()
HELD_OUT = ["A lovely secret sentence", "another hidden phrase!"]


def write_split(folder, name, texts):
    folder.mkdir(parents=True, exist_ok=True)
    with SplitWriter(folder, name, ["text", "label"], ["no", "yes"]) as writer:
        writer.write(pa.table({"text": texts, "label": pa.array([0] * len(texts), pa.int64())}))


@pytest.fixture(scope="module")
def work(tmp_path_factory, encoder):
    """Two splits folders, of which the second holds out a text that the first learns from, and a teacher."""
    folder = tmp_path_factory.mktemp("pretrain")
    draw = random.Random(0)
    texts = [
        " ".join(draw.choices(WORDS, k=draw.randint(3, 9))) + f", {number}" for number in range(600)
    ]
    for name, split in {
        "train": [*texts, *HELD_OUT, "x " * 200],
        "validation": ["v"],
        "test": ["w"],
    }.items():
        write_split(folder / "full", name, split)
    for name, split in {
        "train": texts[:9],
        "validation": [HELD_OUT[0].upper()],
        "test": [f"@you {HELD_OUT[1]}"],
    }.items():
        write_split(folder / "few", name, split)
    teacher = folder / "teacher"
    shutil.copytree(encoder, teacher)
    vocabulary = Tokenizer.from_file(str(teacher / "tokenizer.json")).get_vocab_size()
    torch.manual_seed(0)
    shape = {
        "dim": 16,
        "n_layers": 3,
        "n_heads": 2,
        "hidden_dim": 32,
        "max_position_embeddings": 512,
    }
    DistilBertModel(DistilBertConfig(vocab_size=vocabulary, **shape)).save_pretrained(teacher)
    return folder


def flags(work, out, steps, *others):
    places = [
        "--splits",
        work / "full",
        "--exclude",
        work / "few",
        "--teacher",
        work / "teacher",
        "--out",
        out,
    ]
    shape = [
        "--layers",
        "0",
        "2",
        "--vocabulary-size",
        "200",
        "--batch-size",
        "8",
        "--learning-rate",
        "1e-2",
    ]
    rest = [
        "--about-teacher",
        "a tiny one",
        "--threads",
        "1",
        "--save-steps",
        "5",
        "--steps",
        steps,
    ]
    return [str(part) for part in (*places, *shape, *rest, *others)]


@pytest.fixture(scope="module")
def pretrain():
    """The script, as a module."""
    spec = spec_from_file_location("pretrain", SCRIPT)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def done(work, pretrain):
    """What a run of 60 steps wrote, and its losses."""
    pretrain.main(flags(work, work / "done", 60))
    return work / "done", json.loads((work / "done" / "state" / "state.json").read_text())[
        "history"
    ]


def test_what_is_like_a_held_out_text_is_left_out(work, pretrain):
    texts, counts = pretrain.corpus(work / "full", [work / "few"], seed=0)
    assert counts == {"train_texts": 603, "left_out": 2, "corpus": 601}
    assert not set(texts) & set(HELD_OUT)
    assert texts != pretrain.corpus(work / "full", [work / "few"], seed=1)[0]


def test_it_learns(done):
    _, history = done
    assert [row["step"] for row in history] == list(range(5, 65, 5))
    assert all(history[-1][part] < 0.8 * history[0][part] for part in ("words", "text"))


def test_what_it_writes_is_an_encoder_with_its_card(done):
    folder = done[0] / "encoder"
    assert sorted(path.name for path in folder.iterdir()) == sorted([*FILES, "README.md"])
    weights = load_file(folder / "model.safetensors")
    assert {value.dtype for value in weights.values()} == {torch.float16}
    model = AutoModel.from_pretrained(folder, local_files_only=True)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert (model.config.n_layers, model.config.dropout, model.config.max_position_embeddings) == (
        2,
        0.1,
        128,
    )
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert {"sun", "love", "train"} <= set(tokenizer.get_vocab())
    assert tokenizer.get_vocab_size() == model.config.vocab_size <= 200
    card = (folder / "README.md").read_text()
    parameters = sum(value.numel() for value in weights.values())
    for words in (
        f"{parameters:,} parameters",
        "| left out",
        "| 2 |",
        "| 601 |",
        "seed 42",
        "60 steps of 8 texts",
    ):
        assert words in card
    assert "{" not in card


def test_killed_it_goes_on_to_the_same_bytes(work, pretrain, done):
    out = work / "killed"
    command = [sys.executable, SCRIPT, *flags(work, out, 60)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if '"step": 10' in line:
                process.kill()
    assert process.returncode == -signal.SIGKILL
    pretrain.main(flags(work, out, 60))
    for name in FILES:
        assert (out / "encoder" / name).read_bytes() == (done[0] / "encoder" / name).read_bytes(), (
            name
        )


def test_a_run_with_other_settings_is_not_gone_on_with(work, pretrain, done):
    with pytest.raises(SystemExit, match=r"is of a run with .*'seed': 42.* not .*'seed': 7"):
        pretrain.main(flags(work, done[0], 70, "--seed", "7"))


def test_the_end_stays_when_the_rate_has_begun_to_fall(work, pretrain, done):
    with pytest.raises(SystemExit, match="is falling to 0 at step 60: keep --steps"):
        pretrain.main(flags(work, done[0], 70))


def test_a_corpus_that_is_too_short_is_said(work, pretrain, tmp_path):
    with pytest.raises(SystemExit, match="The corpus ends after 75 steps"):
        pretrain.main(flags(work, tmp_path, 900))


def test_a_teacher_that_cuts_words_otherwise_is_refused(work, pretrain, tmp_path):
    teacher = shutil.copytree(work / "teacher", tmp_path / "teacher")
    other = Tokenizer.from_file(str(teacher / "tokenizer.json"))
    other.pre_tokenizer = WhitespaceSplit()
    other.save(str(teacher / "tokenizer.json"))
    with pytest.raises(
        SystemExit, match="Expected a teacher with the tokenizer of BERT's uncased models"
    ):
        pretrain.main(flags(work, tmp_path / "out", 5, "--teacher", str(teacher)))

"""benchmarks/techniques.py: what it adds to a run is what it says, and it compares runs as a person would run it."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, DistilBertConfig

from linnet.config import load_config
from linnet.train.batches import Batch, Encoded
from linnet.train.functions import Layout
from linnet.train.packed import Packed

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "techniques.py"
LENGTHS = [3, 5, 4]
VALIDATION = Encoded("validation", np.zeros(2, np.int32), np.array([0, 2]), np.array([0]), 0)


@pytest.fixture(scope="module")
def techniques():
    spec = importlib.util.spec_from_file_location("techniques_benchmark", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture
def model(encoder):
    torch.manual_seed(3)
    return AutoModelForSequenceClassification.from_pretrained(encoder, num_labels=2, dtype=torch.float32)


def network_of(kind, model):
    return kind(model, torch.float32, np.arange(model.config.vocab_size), 0)


def a_batch(lengths=LENGTHS):
    ids = torch.arange(sum(lengths)) % 7
    labels = torch.arange(len(lengths)) % 2
    return Batch(np.arange(len(lengths)), ids, Layout(np.array(lengths), torch.device("cpu")), labels)


def test_the_mean_of_all_tokens_is_what_the_head_reads(techniques, model):
    batch = a_batch()
    model.eval()
    input_ids, mask = batch.padded(0)
    with torch.no_grad():
        states = model.distilbert(input_ids=input_ids, attention_mask=mask).last_hidden_state
        mean = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        expected = model.classifier(torch.relu(model.pre_classifier(mean)))
        found = network_of(techniques.MeanPooled, model)(batch, False)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(found, network_of(Packed, model)(batch, False), atol=1e-4)


@pytest.mark.parametrize("kind", ["RDrop", "Consistent"])
def test_readings_that_do_not_differ_cost_what_one_does(techniques, model, kind, monkeypatch):
    monkeypatch.setattr(techniques, "DELETED", 0.0)
    network, settings = network_of(Packed, model), load_config(None).train
    network.rate = network.attention_rate = model.config.seq_classif_dropout = 0.0
    batch = a_batch()
    plain, twice = (
        cls(network, settings, VALIDATION).loss(batch) for cls in (techniques.Classify, getattr(techniques, kind))
    )
    torch.testing.assert_close(twice, plain)


def test_readings_that_differ_cost_half_of_how_far_they_are_apart(techniques, model):
    with torch.no_grad():
        model.classifier.weight *= 1000  # answers that differ by much
    network, settings = network_of(Packed, model), load_config(None).train
    network.rate = network.attention_rate = model.config.seq_classif_dropout = 0.5
    task, batch = techniques.RDrop(network, settings, VALIDATION), a_batch([9] * 8)
    state = network.masks.state
    loss = task.loss(batch)
    network.masks.state = state
    doubled = Batch(
        np.arange(16), batch.ids.repeat(2), Layout(np.full(16, 9), batch.ids.device), batch.labels.repeat(2)
    )
    ones, others = network(doubled, True).double().softmax(1).split(8)
    rows = torch.arange(8)
    told = -(ones[rows, batch.labels].log() + others[rows, batch.labels].log())
    apart = ((ones - others) * (ones / others).log()).sum(1)  # both divergences
    paper = told + techniques.WEIGHT * apart / 2  # of a text; the mean of two readings is half of it
    assert apart.sum() > 0.1 * told.sum()  # or another weight would pass
    torch.testing.assert_close(loss.double(), paper.sum() / 2, rtol=1e-4, atol=1e-5)


def test_the_second_reading_keeps_first_and_last_and_lacks_some(techniques, model, monkeypatch):
    batch = a_batch([2, 3, 40, 2])
    torch.manual_seed(0)
    again = techniques.Consistent(network_of(Packed, model), load_config(None).train, VALIDATION).again(batch)
    lengths = again.layout.lengths
    assert lengths[0] == lengths[3] == 2
    assert 30 <= lengths[2] < 40
    assert lengths.sum() == len(again.ids)
    starts, ends = np.cumsum(lengths) - lengths, np.cumsum(lengths) - 1
    before = batch.layout.lengths
    assert torch.equal(again.ids[starts], batch.ids[np.cumsum(before) - before])
    assert torch.equal(again.ids[ends], batch.ids[np.cumsum(before) - 1])
    monkeypatch.setattr(techniques, "DELETED", 1.0)
    least = techniques.Consistent(network_of(Packed, model), load_config(None).train, VALIDATION).again(batch)
    assert least.layout.lengths.tolist() == [2, 2, 2, 2]
    assert least.ids.tolist() == [int(batch.ids[i]) for i in (0, 1, 2, 4, 5, 44, 45, 46)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_step_is_smaller_the_lower_the_layer(techniques, model, dtype):
    deep = DistilBertConfig(vocab_size=32, dim=16, hidden_dim=32, n_heads=2, n_layers=3, max_position_embeddings=16)
    model = AutoModelForSequenceClassification.from_config(deep)
    weights = Packed(model, dtype, np.arange(32), 0).weights
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    for buffer in weights.buffers:
        buffer.grad.fill_(1.0)
    techniques.LayerWise(weights, 0.1).step(1e-2, torch.tensor(1.0))
    decay = techniques.LAYER_DECAY
    expected = {
        "distilbert.embeddings.word_embeddings.weight": decay**3,
        "distilbert.transformer.layer.0.ffn.lin1.weight": decay**2,
        "distilbert.transformer.layer.1.attention.q_lin.weight": decay,
        "distilbert.transformer.layer.2.ffn.lin2.weight": 1.0,
        "classifier.weight": 1.0,
    }
    after = dict(model.named_parameters())
    for name, share in expected.items():
        step = share * 1e-2 * (1 + 0.1 * before[name])  # Adam's first, and the decay's
        torch.testing.assert_close(before[name] - after[name], step, rtol=1e-3, atol=1e-6)
    for buffer in weights.buffers:
        assert torch.equal(buffer.copy, buffer.master.to(buffer.copy.dtype))


def test_the_mean_is_of_the_last_epochs_weights(techniques, model):
    weights = Packed(model, torch.bfloat16, np.arange(model.config.vocab_size), 0).weights
    loop = SimpleNamespace(weights=weights, steps=6, steps_per_epoch=3, state=SimpleNamespace(step=0))
    mean = techniques.Mean(loop)
    for loop.state.step in range(1, 7):
        for buffer in weights.buffers:
            buffer.master.fill_(2.0**loop.state.step)
        mean.on_step(16, 0.5)
    mean.apply()
    for buffer in weights.buffers:
        assert torch.equal(buffer.master, torch.full_like(buffer.master, (16 + 32 + 64) / 3))
        assert torch.equal(buffer.copy, buffer.master.to(buffer.copy.dtype))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_it_compares_the_seeds_and_keeps_what_was_run(tmp_path, splits):
    command = [sys.executable, SCRIPT, "--splits", splits, "--model", "linnet-mini", "--rows", "40", "--seeds", "2"]
    command += ["--run", tmp_path / "run", "--out", tmp_path / "results.json"]
    command += ["--jobs", "2"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}

    def run(*names):
        told = [*command, "--techniques", *names]
        done = subprocess.run(told, capture_output=True, text=True, cwd=tmp_path, env=environment)
        assert done.returncode == 0, done.stderr
        return done, json.loads((tmp_path / "results.json").read_text())

    run("consistency")
    done, results = run("layer-wise")
    assert "layer-wise, seed 2" in done.stdout
    assert "plain, seed 1" not in done.stdout  # it was kept
    plain, *others = results["lines"]
    assert [line["technique"] for line in others] == ["averaged", "layer-wise", "consistency"]
    for line in others:
        gains = np.subtract(line["accuracy"], plain["accuracy"])
        assert line["gains"] == pytest.approx(gains)
        assert line["gain"]["value"] == pytest.approx(gains.mean())
        assert line["gain"]["low"] <= line["gain"]["value"] <= line["gain"]["high"]
    other = subprocess.run([*command, "--rows", "30"], capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert other.returncode == 1
    assert "plain-1.json was made with other rows. Choose another --run." in other.stderr

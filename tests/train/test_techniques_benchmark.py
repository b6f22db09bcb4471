"""benchmarks/techniques.py: what it adds to a run is what it says, and it compares runs as a person would run it."""

import importlib
import json
import math
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


@pytest.fixture
def recipes(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPT.parent)
    return importlib.import_module("recipes")


@pytest.fixture
def techniques(recipes):
    return importlib.import_module("techniques")


@pytest.fixture
def model(encoder):
    torch.manual_seed(3)
    return AutoModelForSequenceClassification.from_pretrained(
        encoder, num_labels=2, dtype=torch.float32
    )


def network_of(kind, model):
    return kind(model, torch.float32, np.arange(model.config.vocab_size), 0)


def a_batch(lengths=LENGTHS):
    ids = torch.arange(sum(lengths)) % 7
    labels = torch.arange(len(lengths)) % 2
    return Batch(
        np.arange(len(lengths)), ids, Layout(np.array(lengths), torch.device("cpu")), labels
    )


def test_the_mean_of_all_tokens_is_what_the_head_reads(recipes, model):
    batch = a_batch()
    model.eval()
    input_ids, mask = batch.padded(0)
    with torch.no_grad():
        states = model.distilbert(input_ids=input_ids, attention_mask=mask).last_hidden_state
        mean = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        expected = model.classifier(torch.relu(model.pre_classifier(mean)))
        found = network_of(recipes.MeanPooled, model)(batch, False)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(found, network_of(Packed, model)(batch, False), atol=1e-4)


@pytest.mark.parametrize("kind", ["RDrop", "Consistent"])
def test_readings_that_do_not_differ_cost_what_one_does(recipes, model, kind, monkeypatch):
    monkeypatch.setattr(recipes, "DELETED", 0.0)
    network, settings = network_of(Packed, model), load_config(None).train
    network.rate = network.attention_rate = model.config.seq_classif_dropout = 0.0
    batch = a_batch()
    plain, twice = (
        cls(network, settings, VALIDATION).loss(batch)
        for cls in (recipes.Classify, getattr(recipes, kind))
    )
    torch.testing.assert_close(twice, plain)


def test_readings_that_differ_cost_half_of_how_far_they_are_apart(recipes, model):
    with torch.no_grad():
        model.classifier.weight *= 1000  # answers that differ by much
    network, settings = network_of(Packed, model), load_config(None).train
    network.rate = network.attention_rate = model.config.seq_classif_dropout = 0.5
    task, batch = recipes.RDrop(network, settings, VALIDATION), a_batch([9] * 8)
    state = network.masks.state
    loss = task.loss(batch)
    network.masks.state = state
    doubled = Batch(
        np.arange(16),
        batch.ids.repeat(2),
        Layout(np.full(16, 9), batch.ids.device),
        batch.labels.repeat(2),
    )
    ones, others = network(doubled, True).double().softmax(1).split(8)
    rows = torch.arange(8)
    told = -(ones[rows, batch.labels].log() + others[rows, batch.labels].log())
    apart = ((ones - others) * (ones / others).log()).sum(1)  # both divergences
    paper = told + recipes.WEIGHT * apart / 2  # of a text; the mean of two readings is half of it
    assert apart.sum() > 0.1 * told.sum()  # or another weight would pass
    torch.testing.assert_close(loss.double(), paper.sum() / 2, rtol=1e-4, atol=1e-5)


def test_the_second_reading_keeps_first_and_last_and_lacks_some(recipes, model, monkeypatch):
    batch = a_batch([2, 3, 40, 2])
    torch.manual_seed(0)
    again = recipes.Consistent(
        network_of(Packed, model), load_config(None).train, VALIDATION
    ).again(batch)
    lengths = again.layout.lengths
    assert lengths[0] == lengths[3] == 2
    assert 30 <= lengths[2] < 40
    assert lengths.sum() == len(again.ids)
    starts, ends = np.cumsum(lengths) - lengths, np.cumsum(lengths) - 1
    before = batch.layout.lengths
    assert torch.equal(again.ids[starts], batch.ids[np.cumsum(before) - before])
    assert torch.equal(again.ids[ends], batch.ids[np.cumsum(before) - 1])
    monkeypatch.setattr(recipes, "DELETED", 1.0)
    least = recipes.Consistent(
        network_of(Packed, model), load_config(None).train, VALIDATION
    ).again(batch)
    assert least.layout.lengths.tolist() == [2, 2, 2, 2]
    assert least.ids.tolist() == [int(batch.ids[i]) for i in (0, 1, 2, 4, 5, 44, 45, 46)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_step_is_smaller_the_lower_the_layer(recipes, model, dtype):
    deep = DistilBertConfig(
        vocab_size=32, dim=16, hidden_dim=32, n_heads=2, n_layers=3, max_position_embeddings=16
    )
    model = AutoModelForSequenceClassification.from_config(deep)
    weights = Packed(model, dtype, np.arange(32), 0).weights
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    for buffer in weights.buffers:
        buffer.grad.fill_(1.0)
    recipes.LayerWise(weights, 0.1).step(1e-2, torch.tensor(1.0))
    decay = recipes.LAYER_DECAY
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


def run_of(model):
    weights = Packed(model, torch.bfloat16, np.arange(model.config.vocab_size), 0).weights
    return SimpleNamespace(weights=weights, steps=60, steps_per_epoch=30)


def mean_after(loop, mean, values):
    """The mean of weights that have these values after the steps, which is put in their place."""
    for step, value in enumerate(values, 1):
        for buffer in loop.weights.buffers:
            buffer.master.fill_(value)
        mean.add(step)
    mean.apply()
    found = {
        float(value)
        for buffer in loop.weights.buffers
        for value in (buffer.master.min(), buffer.master.max())
    }
    for buffer in loop.weights.buffers:
        assert torch.equal(buffer.copy, buffer.master.to(buffer.copy.dtype))
    assert max(found) - min(found) < 1e-4 * max(found)
    return max(found)


def test_the_mean_is_of_the_last_epochs_weights(recipes, model):
    loop = run_of(model)
    values = [step**2 for step in range(1, 61)]
    assert mean_after(loop, recipes.of_last_epoch(loop), values) == pytest.approx(
        np.mean(values[30:]), rel=1e-5
    )


def test_the_moving_mean_is_of_every_tenth_step(recipes, model):
    loop = run_of(model)
    values = [step**2 for step in range(1, 61)]
    told = total = 0.0
    for value in values[recipes.EVERY - 1 :: recipes.EVERY]:
        told = recipes.MOVING * told + (1 - recipes.MOVING) * value
        total = recipes.MOVING * total + (1 - recipes.MOVING)
    assert mean_after(loop, recipes.moving(loop), values) == pytest.approx(told / total, rel=1e-5)
    assert total < 0.5  # or it would not matter that its start is corrected


@pytest.mark.parametrize("share", [1.0, 0.75, 0.5, 0.1])
def test_the_rate_falls_along_a_cosine(recipes, model, share):
    rate = recipes.RECIPE["train.learning_rate"]
    weights = Packed(model, torch.float32, np.arange(model.config.vocab_size), 0).weights
    for buffer in weights.buffers:
        buffer.grad.fill_(1.0)
        buffer.master.zero_()
    recipes.Cosine(weights, 0.0).step(share * rate, torch.tensor(1.0))
    expected = rate * (1 + math.cos(math.pi * (1 - share))) / 2
    for buffer in weights.buffers:
        assert float(-buffer.master.mean()) == pytest.approx(expected, rel=1e-3)


def hiding(recipes, model, dtype=torch.float32):
    model.words_head = recipes.WordsHead(model.config.hidden_size, model.config.vocab_size)
    network = Packed(model, dtype, np.arange(model.config.vocab_size), 0)
    task = recipes.Hidden(network, load_config(None).train, VALIDATION)
    task.mask = 4
    return task


def test_words_are_hidden_and_no_ends(recipes, model):
    torch.manual_seed(0)
    task = hiding(recipes, model)
    batch = a_batch([2, 3, 4000, 1])
    hidden = task.hide(batch)
    ends = np.cumsum(batch.layout.lengths)
    assert not hidden[ends - 1].any()
    assert not hidden[ends - batch.layout.lengths].any()
    assert float(hidden.float().mean()) == pytest.approx(recipes.HIDDEN, abs=0.03)


def test_most_hidden_words_are_read_as_the_mask(recipes, model):
    torch.manual_seed(0)
    task = hiding(recipes, model)
    model.distilbert.embeddings.word_embeddings.weight.data = torch.zeros(1000, 1)
    ids = torch.full((20_000,), 7)
    read = task.disguise(ids)
    shares = [float((read == value).float().mean()) for value in (task.mask, 7)]
    assert shares == pytest.approx([0.8, 0.1], abs=0.015)
    others = read[(read != task.mask) & (read != 7)]
    assert len(others.unique()) > 700
    assert int(others.max()) < 1000


def test_hidden_words_cost_what_transformers_says_and_teach_the_embeddings_both_ways(
    recipes, model, monkeypatch
):
    task, batch = hiding(recipes, model), a_batch([5, 4, 6])
    batch.ids.add_(1)  # transformers learns nothing of the padding token, 0, as an input
    task.network.rate = task.network.attention_rate = 0.0
    with torch.no_grad():
        model.words_head.bias.normal_()  # it begins as nothing, which would not be missed
    hidden = torch.zeros(15, dtype=torch.bool)
    hidden[[1, 3, 7, 12]] = True
    monkeypatch.setattr(task, "hide", lambda batch: hidden)
    monkeypatch.setattr(task, "disguise", lambda ids: torch.full_like(ids, task.mask))
    task.network.weights.zero_grad()
    loss = task.loss(batch)
    loss.backward()
    found = model.distilbert.embeddings.word_embeddings.weight.grad.clone()
    table = model.distilbert.embeddings.word_embeddings.weight
    table.grad = None
    model.eval()
    input_ids, mask = batch.padded(0)
    places = torch.zeros_like(input_ids, dtype=torch.bool)
    places[mask.bool()] = hidden
    states = model.distilbert(
        input_ids=input_ids.masked_fill(places, task.mask), attention_mask=mask
    )
    logits = model.words_head(states.last_hidden_state[places]) @ table.T + model.words_head.bias
    expected = torch.nn.functional.cross_entropy(logits, batch.ids[hidden]) * len(batch)
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-5)
    expected.backward()
    torch.testing.assert_close(found, table.grad, rtol=1e-3, atol=1e-5)


def test_a_batch_without_a_hidden_word_costs_nothing(recipes, model):
    assert float(hiding(recipes, model).loss(a_batch([2, 1])).detach()) == 0.0


def test_the_encoder_is_taken_over_and_the_head_is_not(techniques, encoder):
    torch.manual_seed(3)
    one, other = (
        AutoModelForSequenceClassification.from_pretrained(
            encoder, num_labels=2, dtype=torch.float32
        )
        for _ in range(2)
    )
    head, learnt = one.classifier.weight.detach().clone(), other.distilbert.state_dict()
    for value in learnt.values():
        value += 1
    techniques._take_encoder(one, other.state_dict() | {"words_head.bias": torch.zeros(3)})
    assert torch.equal(one.classifier.weight, head)
    for name, value in one.distilbert.state_dict().items():
        assert torch.equal(value, learnt[name])


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_it_compares_the_seeds_and_keeps_what_was_run(tmp_path, splits):
    command = [
        sys.executable,
        SCRIPT,
        "--splits",
        splits,
        "--model",
        "linnet-mini",
        "--rows",
        "40",
        "--seeds",
        "2",
    ]
    command += ["--run", tmp_path / "run", "--out", tmp_path / "results.json"]
    command += ["--jobs", "2"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}

    def run(*names):
        told = [*command, "--techniques", *names]
        done = subprocess.run(told, capture_output=True, text=True, cwd=tmp_path, env=environment)
        assert done.returncode == 0, done.stderr
        return done, json.loads((tmp_path / "results.json").read_text())

    run("consistency")
    done, results = run("layer-wise", "adapt")
    assert "layer-wise, seed 2" in done.stdout
    assert "adapt, seed 1, before: Epoch(epoch=2" in done.stdout
    assert "plain, seed 1" not in done.stdout  # it was kept
    plain, *others = results["lines"]
    assert [line["technique"] for line in others] == [
        "averaged",
        "moving",
        "layer-wise",
        "consistency",
        "adapt",
    ]
    for line in others:
        gains = np.subtract(line["accuracy"], plain["accuracy"])
        assert line["gains"] == pytest.approx(gains)
        assert line["gain"]["value"] == pytest.approx(gains.mean())
        assert line["gain"]["low"] <= line["gain"]["value"] <= line["gain"]["high"]
    consistency = tmp_path / "run" / "consistency-1.json"
    consistency.write_text(consistency.read_text().replace("weight 1, ", "weight 2, "))
    other = subprocess.run(
        [*command, "--techniques", "plain"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
    )
    assert "consistency-1.json was made with other technique." in other.stderr
    consistency.unlink()
    (splits.parent / "none").mkdir()
    other = subprocess.run([*map(str, command), "--splits", splits.parent / "none", "--run", tmp_path / "other"],
                           capture_output=True, text=True, cwd=tmp_path, env=environment)  # fmt: skip
    assert other.returncode == 1
    assert "No such split" in other.stderr
    assert "with seed 1 ended with exit code 1; it says why above." in other.stderr
    assert "Traceback" not in other.stderr
    other = subprocess.run(
        [*command, "--rows", "30"], capture_output=True, text=True, cwd=tmp_path, env=environment
    )
    assert other.returncode == 1
    assert "plain-1.json was made with other rows. Choose another --run." in other.stderr

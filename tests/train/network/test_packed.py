"""A packed network answers and learns as transformers does on padded texts."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from linnet.train.network.batches import Batch
from linnet.train.network.functions import DropoutMasks, Layout
from linnet.train.network.network import Padded, make_network
from linnet.train.network.packed import Packed

CPU = torch.device("cpu")
VOCABULARY = 40


def make(kind, dropout=0.0):
    torch.manual_seed(1)
    if kind == "distilbert":
        rates = {"dropout": dropout, "attention_dropout": dropout, "seq_classif_dropout": dropout}
        shape = {"dim": 24, "n_layers": 3, "n_heads": 3, "hidden_dim": 40}
        model = DistilBertForSequenceClassification(
            DistilBertConfig(vocab_size=VOCABULARY, **shape, **rates)
        )
    else:
        config, cls = {
            "bert": (BertConfig, BertForSequenceClassification),
            "roberta": (RobertaConfig, RobertaForSequenceClassification),
        }[kind]
        shape = {
            "hidden_size": 24,
            "num_hidden_layers": 3,
            "num_attention_heads": 3,
            "intermediate_size": 40,
        }
        rates = {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
        model = cls(config(vocab_size=VOCABULARY, **shape, **rates))
    with torch.no_grad():  # such weights tell a forgotten term apart
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return model


def make_batch(lengths, seed=0):
    draw = np.random.default_rng(seed)
    ids = torch.from_numpy(draw.integers(3, VOCABULARY, sum(lengths)))
    labels = torch.from_numpy(draw.integers(0, 2, len(lengths)))
    return Batch(np.arange(len(lengths)), ids, Layout(np.asarray(lengths, np.int64), CPU), labels)


def within(batch, vocabulary):
    return Batch(
        batch.rows,
        torch.from_numpy(np.searchsorted(vocabulary, batch.ids.numpy())),
        batch.layout,
        batch.labels,
    )


@pytest.mark.parametrize("kind", ["distilbert", "bert", "roberta"])
@pytest.mark.parametrize("lengths", [[1], [5, 5], [9, 1, 4, 2, 13]])
def test_logits_and_gradients_are_those_of_transformers(kind, lengths):
    reference, batch = make(kind), make_batch(lengths)
    known = np.unique(batch.ids.numpy())
    network, vocabulary = make_network(make(kind), torch.float32, known, 1, 0)
    assert isinstance(network, Padded if kind == "roberta" else Packed)
    input_ids, attention_mask = batch.padded(1)
    expected = reference(input_ids=input_ids, attention_mask=attention_mask).logits
    cross_entropy(expected, batch.labels).backward()
    logits = network(batch if vocabulary is None else within(batch, vocabulary), True)
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-4)
    network.weights.zero_grad()
    cross_entropy(logits, batch.labels).backward()
    norm = torch.nn.utils.get_total_norm(
        [p.grad for p in reference.parameters() if p.grad is not None]
    )
    assert network.weights.norm().item() == pytest.approx(norm.item(), rel=1e-4)
    # One plain step down the gradient tells of each weight's own.
    for buffer in network.weights.buffers:
        buffer.master -= 0.1 * buffer.grad
    found = network.weights.state_dict()
    for name, parameter in reference.named_parameters():
        moved = parameter if parameter.grad is None else parameter - 0.1 * parameter.grad
        torch.testing.assert_close(found[name], moved.detach(), atol=1e-5, rtol=1e-4, msg=name)


@pytest.mark.parametrize("kind", ["distilbert", "bert"])
def test_bfloat16_is_near(kind):
    batch = make_batch([9, 1, 4, 2, 13])
    single, half = (
        Packed(make(kind), dtype, np.arange(VOCABULARY), 0)
        for dtype in (torch.float32, torch.bfloat16)
    )
    gradients = []
    for network in (single, half):
        network.weights.zero_grad()
        logits = network(batch, True)
        cross_entropy(logits, batch.labels).backward()
        gradients.append(torch.cat([buffer.grad.float() for buffer in network.weights.buffers]))
        torch.testing.assert_close(logits, single(batch, False), atol=0.05, rtol=0.05)
    assert torch.nn.functional.cosine_similarity(*gradients, dim=0) > 0.99


@pytest.mark.parametrize("kind", ["distilbert", "bert"])
def test_dropout_is_there_in_training_alone_and_its_mean_is_that_of_transformers(kind):
    lengths, times = [6, 3], 1000
    batch, reference = make_batch(lengths), make(kind, dropout=0.3)
    network = Packed(make(kind, dropout=0.3), torch.float32, np.arange(VOCABULARY), 0)
    rows = np.arange(times * len(lengths))
    many = Batch(
        rows,
        batch.ids.repeat(times),
        Layout(np.tile(lengths, times), CPU),
        batch.labels.repeat(times),
    )
    input_ids, attention_mask = batch.padded(1)
    with torch.no_grad():
        calm = reference.eval()(input_ids=input_ids, attention_mask=attention_mask).logits
        torch.testing.assert_close(network(batch, False), calm, atol=1e-5, rtol=1e-4)
        reference.train()
        input_ids, attention_mask = input_ids.repeat(times, 1), attention_mask.repeat(times, 1)
        ours = network(many, True).view(times, *calm.shape)
        theirs = reference(input_ids=input_ids, attention_mask=attention_mask).logits.view(
            times, *calm.shape
        )
    for moment in (ours.mean(0), ours.std(0)), (theirs.mean(0), theirs.std(0)):
        assert moment[1].min() > 0.01
    noise = theirs.std(0) / times**0.5
    assert ((ours.mean(0) - theirs.mean(0)).abs() < 6 * noise).all()
    torch.testing.assert_close(ours.std(0), theirs.std(0), rtol=0.16, atol=0)


@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=6), width=st.integers(1, 3))
@settings(max_examples=50, deadline=None)
def test_a_layout_knows_every_row(lengths, width):
    layout = Layout(np.array(lengths), CPU)
    assert max(lengths) <= layout.shape[1] < max(lengths) + 8
    rows = torch.arange(sum(lengths) * width).view(-1, width)
    grid = rows.index_select(0, layout.rows).view(*layout.shape, width)
    for number, start in enumerate(layout.starts.tolist()):
        assert torch.equal(grid[number, : lengths[number]], rows[start : start + lengths[number]])
        assert layout.penalty[number].isinf().sum() == layout.shape[1] - lengths[number]
    assert torch.equal(grid.view(-1, width).index_select(0, layout.places), rows)


def test_masks_keep_the_share_they_should_and_are_the_same_again():
    drawn = [DropoutMasks(7).draw((400, 500), 0.1, torch.zeros(())) for _ in range(2)]
    assert torch.equal(*drawn)
    assert drawn[0].unique().tolist() == [0.0, 1.0]
    assert abs(drawn[0].mean().item() - 0.9) < 6 * (0.09 / 200_000) ** 0.5

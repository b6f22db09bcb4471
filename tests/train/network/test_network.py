"""A model of an architecture that is not known here learns as it does in torch."""

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers import BigBirdConfig, BigBirdForSequenceClassification

from linnet.config import load_config
from linnet.data import read_split
from linnet.text import Tokenizer
from linnet.train.loop import Loop
from linnet.train.network.batches import batch, encode
from linnet.train.network.network import Padded, make_network
from linnet.train.network.optimizer import learning_rate
from linnet.train.objective import ClassificationObjective

RATE, DECAY, STEPS, SIZE = 1e-2, 0.5, 6, 16
POOLER = [
    "bert.pooler.weight",
    "bert.pooler.bias",
]  # BigBird has one, and its head does not read it


@pytest.fixture
def learn(encoder, splits):
    return encode(read_split(splits, "train"), Tokenizer(encoder / "tokenizer.json", 64))


@pytest.fixture
def make_model(encoder):
    def make():
        torch.manual_seed(1)
        return BigBirdForSequenceClassification(
            BigBirdConfig(
                vocab_size=Tokenizer(encoder / "tokenizer.json", 64).vocab_size,
                hidden_size=16,
                num_hidden_layers=1,
                num_attention_heads=2,
                intermediate_size=16,
                max_position_embeddings=64,
                attention_type="original_full",
                hidden_dropout_prob=0.0,
                attention_probs_dropout_prob=0.0,
            )
        )

    return make


def test_weights_that_no_loss_reaches_stay_as_in_torch(make_model, learn):
    recipe = {"learning_rate": RATE, "weight_decay": DECAY, "num_train_epochs": 1}
    settings = load_config(overrides={f"train.{key}": value for key, value in recipe.items()}).train
    example = batch(learn, np.arange(SIZE), torch.device("cpu"))
    network, vocabulary = make_network(
        make_model(), torch.float32, np.unique(learn.ids), 0, 3, example
    )
    assert isinstance(network, Padded)
    assert vocabulary is None
    assert network.weights.frozen == POOLER
    loop = Loop(ClassificationObjective(network, settings, learn), settings, learn)
    order = torch.randperm(
        len(learn), generator=torch.Generator().manual_seed(settings.seed)
    ).numpy()

    model = make_model()
    before = {name: value.clone() for name, value in model.named_parameters()}
    named = dict(model.named_parameters())
    free = {name for name in named if name.endswith("bias") or "LayerNorm" in name}
    groups = [
        {"params": [named[name] for name in named if name not in free], "weight_decay": DECAY},
        {"params": [named[name] for name in free], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=RATE)
    for step in range(STEPS):
        rows = order[step * SIZE : (step + 1) * SIZE]
        loop._step(rows)
        part = batch(learn, rows, torch.device("cpu"))
        ids, mask = part.padded(0)
        cross_entropy(model(input_ids=ids, attention_mask=mask).logits, part.labels).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(settings, step, loop.steps)
        optimizer.step()
        optimizer.zero_grad()

    found = network.weights.state_dict()
    assert set(found) == set(model.state_dict())
    for name, expected in model.named_parameters():
        torch.testing.assert_close(found[name], expected.detach(), atol=1e-5, rtol=1e-4, msg=name)
    for name in POOLER:
        assert torch.equal(found[name], before[name])


def test_without_an_example_all_weights_are_trained(make_model):
    assert Padded(make_model(), torch.float32, 0).weights.frozen == []

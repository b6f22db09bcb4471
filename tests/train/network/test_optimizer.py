"""Our recipe is that of `transformers.Trainer`."""

import pytest
import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    Trainer,
    get_linear_schedule_with_warmup,
)

from linnet.config import load_config
from linnet.train.network.optimizer import AdamW, learning_rate
from linnet.train.network.weights import Weights, exempt


def recipe(**settings):
    return load_config(overrides={f"train.{key}": value for key, value in settings.items()}).train


@pytest.mark.parametrize(
    "model",
    [
        DistilBertForSequenceClassification(
            DistilBertConfig(vocab_size=30, dim=8, n_layers=2, n_heads=2, hidden_dim=8)
        ),
        BertForSequenceClassification(
            BertConfig(
                vocab_size=30,
                hidden_size=8,
                num_hidden_layers=2,
                num_attention_heads=2,
                intermediate_size=8,
            )
        ),
    ],
    ids=["distilbert", "bert"],
)
def test_the_same_weights_decay(model):
    names = {name for name, _ in model.named_parameters()}
    assert names - exempt(model) == set(Trainer.get_decay_parameter_names(None, model))


@pytest.mark.parametrize("warmup_ratio", [0.0, 0.1, 1.0])
def test_the_learning_rate_takes_the_same_course(warmup_ratio):
    settings, steps = recipe(warmup_ratio=warmup_ratio, learning_rate=1e-3), 20
    theirs = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=1e-3)
    expected = get_linear_schedule_with_warmup(theirs, round(warmup_ratio * steps), steps)
    for step in range(steps):
        assert [learning_rate(settings, step, steps)] == pytest.approx(expected.get_last_lr())
        theirs.step()
        expected.step()
    assert learning_rate(settings, steps, steps) == 0.0


def test_it_is_torchs_adamw_and_clipping():
    torch.manual_seed(0)
    ours, theirs = (
        torch.nn.Sequential(torch.nn.Linear(7, 5), torch.nn.LayerNorm(5)) for _ in range(2)
    )
    theirs.load_state_dict(ours.state_dict())
    weights = Weights(ours)
    optimizer = AdamW(weights, 0.1)
    groups = [
        {"params": [theirs[0].weight], "weight_decay": 0.1},
        {"params": [theirs[0].bias, *theirs[1].parameters()], "weight_decay": 0.0},
    ]
    expected = torch.optim.AdamW(groups)
    for number in range(5):
        rows, rate = torch.randn(3, 7), 1e-2 / (number + 1)
        weights.zero_grad()
        for model in (ours, theirs):
            model(rows).square().sum().backward()
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), 1.0)
        for group in expected.param_groups:
            group["lr"] = rate
        expected.step()
        expected.zero_grad()
        optimizer.step(rate, weights.norm().clamp(min=1.0))
        for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(mine, other, atol=1e-6, rtol=1e-5)

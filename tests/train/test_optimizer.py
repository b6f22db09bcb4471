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
from linnet.train.optimizer import make_optimizer, make_scheduler


def recipe(**settings):
    return load_config(overrides={f"train.{key}": value for key, value in settings.items()}).train


@pytest.mark.parametrize(
    "model",
    [
        DistilBertForSequenceClassification(
            DistilBertConfig(vocab_size=30, dim=8, n_layers=2, n_heads=2, hidden_dim=8)
        ),
        BertForSequenceClassification(
            BertConfig(vocab_size=30, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=8)
        ),
    ],
    ids=["distilbert", "bert"],
)
def test_the_same_weights_decay(model):
    expected = set(Trainer.get_decay_parameter_names(None, model))
    decaying, free = make_optimizer(model, recipe(weight_decay=0.01)).param_groups
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert {names[id(parameter)] for parameter in decaying["params"]} == expected
    assert {names[id(parameter)] for parameter in free["params"]} == set(names.values()) - expected
    assert (decaying["weight_decay"], free["weight_decay"]) == (0.01, 0.0)


@pytest.mark.parametrize("warmup_ratio", [0.0, 0.1, 1.0])
def test_the_learning_rate_takes_the_same_course(warmup_ratio):
    settings, steps = recipe(warmup_ratio=warmup_ratio, learning_rate=1e-3), 20
    ours, theirs = (torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=1e-3) for _ in range(2))
    schedule = make_scheduler(ours, settings, steps)
    expected = get_linear_schedule_with_warmup(theirs, round(warmup_ratio * steps), steps)
    for _ in range(steps):
        assert schedule.get_last_lr() == pytest.approx(expected.get_last_lr())
        for part in (ours, schedule, theirs, expected):
            part.step()
    assert schedule.get_last_lr() == [0.0]

"""The formula, against torch's own count."""

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from linnet.train.network.flops import Flops

SHAPE = {
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 3,
    "intermediate_size": 40,
}
MODELS = [
    (
        DistilBertForSequenceClassification,
        DistilBertConfig(vocab_size=50, dim=24, n_layers=3, n_heads=3, hidden_dim=40),
    ),
    (BertForSequenceClassification, BertConfig(vocab_size=50, **SHAPE)),
    (RobertaForSequenceClassification, RobertaConfig(vocab_size=50, **SHAPE)),
]


@pytest.mark.parametrize(("kind", "config"), MODELS, ids=["distilbert", "bert", "roberta"])
@pytest.mark.parametrize(("rows", "length"), [(1, 5), (4, 17)])
def test_it_is_what_torch_counts(kind, config, rows, length):
    config._attn_implementation = "eager"  # torch does not count the fused attention of CPUs
    model = kind(config)
    ids = torch.randint(5, 50, (rows, length))
    with FlopCounterMode(display=False) as counter:
        model(input_ids=ids, labels=torch.zeros(rows, dtype=torch.int64)).loss.backward()
    assert Flops.of(model).step(np.full(rows, length)) == counter.get_total_flops()

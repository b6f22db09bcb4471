"""Splits as token ids, and batches of them."""

from itertools import chain

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linnet.data import Split
from linnet.errors import DataError, LabelError
from linnet.text import Tokenizer
from linnet.train.network.batches import batches, encode

CPU = torch.device("cpu")


def make_split(texts, labels, names=("no", "yes")):
    return Split("train", list(texts), np.asarray(labels, np.int64), tuple(names))


@given(
    texts=st.lists(st.text("goodbay !é", min_size=1, max_size=40), min_size=1, max_size=30),
    size=st.integers(1, 9),
    seed=st.integers(0, 99),
)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_batches_hold_every_text_once_in_order(tokenizer_path, texts, size, seed):
    tokenizer = Tokenizer(tokenizer_path, 12)
    split = make_split(texts, [len(text) % 2 for text in texts])
    expected = tokenizer.encode(texts)
    encoded = encode(split, tokenizer)
    assert encoded.truncated == sum(encoding.truncated for encoding in expected)
    assert encoded.lengths.tolist() == [len(encoding.ids) for encoding in expected]
    order = np.random.default_rng(seed).permutation(len(texts))
    rows, labels = [], []
    for batch in batches(encoded, order, size, CPU):
        assert len(batch) <= size
        input_ids, attention_mask = batch.padded(tokenizer.pad_id)
        assert input_ids.shape[1] == attention_mask.sum(dim=1).max()
        assert (input_ids[attention_mask == 0] == tokenizer.pad_id).all()
        found = [
            row[mask == 1].tolist() for row, mask in zip(input_ids, attention_mask, strict=True)
        ]
        assert list(chain(*found)) == batch.ids.tolist()
        rows += found
        labels += batch.labels.tolist()
    assert rows == [expected[i].ids for i in order]
    assert labels == split.labels[order].tolist()


@pytest.mark.parametrize("label", [-1, 2])
def test_a_label_without_a_name_is_refused(tokenizer_path, label):
    split = make_split(["good", "bad"], [0, label])
    with pytest.raises(
        LabelError, match=f"Row 1 of the train split has the label {label}, .* 0 to 1"
    ):
        encode(split, Tokenizer(tokenizer_path, 12))


def test_a_split_without_rows_is_refused(tokenizer_path):
    with pytest.raises(DataError, match="holds no rows"):
        encode(make_split([], []), Tokenizer(tokenizer_path, 12))

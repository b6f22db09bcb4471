"""The loop, against one written out with plain torch and transformers."""

import math
from itertools import chain

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers import AutoModelForSequenceClassification, get_linear_schedule_with_warmup

from linnet.config import load_config
from linnet.data import read_split
from linnet.errors import TrainingError
from linnet.text import Tokenizer
from linnet.train.distributed import Group
from linnet.train.encoder.find import find_encoder
from linnet.train.loop import Epoch, Loop
from linnet.train.network.batches import encode
from linnet.train.network.network import make_network
from linnet.train.objective import ClassificationObjective
from linnet.train.train import make_loop as make_loop_of
from linnet.train.training_data import Labels, TrainingData

ROWS, SIZE, EPOCHS, RATE = 60, 16, 2, 1e-2


@pytest.fixture
def make_loop(encoder, splits):
    """A loop over a part of the splits, its encoder without dropout."""

    def make(**train):
        tokenizer = Tokenizer(encoder / "tokenizer.json", 64)
        overrides = {"num_train_epochs": EPOCHS, "learning_rate": RATE} | train
        settings = load_config(
            overrides={f"train.{key}": value for key, value in overrides.items()}
        ).train
        learn, validation = (
            encode(part(splits), tokenizer),
            encode(read_split(splits, "validation"), tokenizer),
        )
        known = np.unique(np.concatenate([learn.ids, validation.ids])).astype(np.int64)
        network, _ = make_network(
            make_model(encoder), torch.float32, known, tokenizer.pad_id, settings.seed
        )
        task = ClassificationObjective(network, settings, validation.within(known))
        return Loop(task, settings, learn.within(known))

    return make


def part(splits):
    split = read_split(splits, "train")
    return type(split)(split.name, split.texts[:ROWS], split.labels[:ROWS], split.label_names)


def make_model(encoder):
    torch.manual_seed(3)
    return AutoModelForSequenceClassification.from_pretrained(
        encoder, num_labels=2, dropout=0.0, attention_dropout=0.0, seq_classif_dropout=0.0
    )


def ignore(texts, loss):
    pass


def test_it_is_the_reference_recipe(make_loop, encoder, splits):
    loop = make_loop()
    while loop.stop_reason is None:
        loop.run_epoch(ignore)

    model, split, tokenizer = (
        make_model(encoder),
        part(splits),
        Tokenizer(encoder / "tokenizer.json", 64),
    )
    parameters = dict(model.named_parameters())
    exempt = {
        name
        for name in parameters
        if name.endswith("bias") or "layer_norm" in name or "LayerNorm" in name
    }
    decaying = [parameter for name, parameter in parameters.items() if name not in exempt]
    free = [parameters[name] for name in exempt]
    groups = [{"params": decaying, "weight_decay": 0.01}, {"params": free, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=RATE)
    steps = EPOCHS * math.ceil(ROWS / SIZE)
    schedule = get_linear_schedule_with_warmup(optimizer, 0, steps)
    generator = torch.Generator().manual_seed(42)
    losses = []
    for _ in range(EPOCHS):
        total = 0.0
        for chosen in torch.randperm(ROWS, generator=generator).split(SIZE):
            rows = [
                torch.tensor(encoding.ids)
                for encoding in tokenizer.encode([split.texts[i] for i in chosen])
            ]
            ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
            mask = torch.nn.utils.rnn.pad_sequence(
                [torch.ones_like(row) for row in rows], batch_first=True
            )
            loss = cross_entropy(
                model(input_ids=ids, attention_mask=mask).logits, torch.tensor(split.labels[chosen])
            )
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            total += loss.item() * len(chosen)
        losses.append(total / ROWS)

    assert [epoch.train_loss for epoch in loop.state.history] == pytest.approx(losses, abs=1e-5)
    assert loop.state.step == steps
    found = loop.weights.state_dict()
    for name, expected in model.state_dict().items():
        torch.testing.assert_close(found[name], expected, atol=1e-4, rtol=1e-3, msg=name)


def test_every_epoch_meets_every_text_in_a_new_order(make_loop, monkeypatch):
    loop = make_loop()
    seen = []
    loss = loop.task.loss

    def watch(batch):
        seen.append(batch.rows.tolist())
        return loss(batch)

    monkeypatch.setattr(loop.task, "loss", watch)
    loop.run_epoch(ignore)
    loop.run_epoch(ignore)
    first, second = (
        list(chain(*seen[: loop.steps_per_epoch])),
        list(chain(*seen[loop.steps_per_epoch :])),
    )
    assert sorted(first) == sorted(second) == list(range(ROWS))
    assert first != second


def test_gradients_are_clipped_to_the_norm(make_loop, monkeypatch):
    loop = make_loop(max_grad_norm=1e-3)
    norms = []
    step = loop.optimizer.step

    def watch(rate, divisor):
        norms.append(loop.weights.norm() / divisor)
        step(rate, divisor)

    monkeypatch.setattr(loop.optimizer, "step", watch)
    loop.run_epoch(ignore)
    assert norms == pytest.approx([1e-3] * loop.steps_per_epoch, rel=1e-4)


def test_several_batches_make_a_step(make_loop):
    at_once, in_parts = (
        make_loop(),
        make_loop(per_device_train_batch_size=4, gradient_accumulation_steps=4),
    )
    epochs = [loop.run_epoch(ignore) for loop in (at_once, in_parts)]
    assert at_once.state.step == in_parts.state.step
    assert epochs[0].train_loss == pytest.approx(epochs[1].train_loss, abs=1e-6)
    for name, expected in at_once.weights.state_dict().items():
        torch.testing.assert_close(
            in_parts.weights.state_dict()[name], expected, atol=1e-4, rtol=1e-3, msg=name
        )


def test_a_step_that_fails_leaves_the_weights_as_they_were(make_loop):
    loop = make_loop()
    with torch.no_grad():
        loop.task.network.model.classifier.bias[0] = math.nan
    before = {name: tensor.clone() for name, tensor in loop.weights.state_dict().items()}
    with pytest.raises(
        TrainingError, match=r"At step 1 \(epoch 1\) the loss is nan .* The batch was rows \d+, "
    ):
        loop.run_epoch(ignore)
    for name, tensor in loop.weights.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0, equal_nan=True)


def test_a_validation_loss_that_is_no_number_ends_the_run(make_loop):
    loop = make_loop()

    def spoil(texts, loss):
        if loop.state.epoch_step == loop.steps_per_epoch:
            with torch.no_grad():
                loop.task.network.model.classifier.bias[0] = math.nan

    with pytest.raises(
        TrainingError,
        match=r"After epoch 1 the validation loss is nan, .* Lower train\.learning_rate",
    ):
        loop.run_epoch(spoil)
    assert not loop.state.history


@pytest.mark.parametrize(
    ("metric", "epochs", "patience", "best", "reason"),
    [
        ("eval_accuracy", [(0.5, 0.7), (0.4, 0.8)], 1, 2, None),
        ("eval_accuracy", [(0.5, 0.7), (0.4, 0.7)], 1, 1, "no better eval_accuracy for 1 epoch"),
        ("eval_loss", [(0.5, 0.7), (0.4, 0.7)], 1, 2, None),
        ("eval_loss", [(0.5, 0.7), (0.6, 0.8)], 1, 1, "no better eval_loss for 1 epoch"),
        ("eval_loss", [(0.5, 0.7), (0.6, 0.8)], 2, 1, None),
        (
            "eval_loss",
            [(0.5, 0.7), (0.6, 0.8), (0.7, 0.8)],
            2,
            1,
            "no better eval_loss for 2 epochs",
        ),
        (
            "eval_accuracy",
            [(0.5, 0.7), (0.6, 0.8), (0.7, 0.9), (0.8, 0.8)],
            1,
            3,
            "all 4 epochs done",
        ),
        ("eval_accuracy", [], 1, None, None),
    ],
)
def test_when_it_stops_and_which_epoch_is_best(make_loop, metric, epochs, patience, best, reason):
    loop = make_loop(
        metric_for_best_model=metric, early_stopping_patience=patience, num_train_epochs=4
    )
    loop.state.history += [
        Epoch(i, 0.5, loss, accuracy, accuracy, 1e-3)
        for i, (loss, accuracy) in enumerate(epochs, 1)
    ]
    assert loop.stop_reason == reason
    if best:
        assert loop.best.epoch == best


def test_rare_classes_count_more_if_balanced(encoder, splits, settings, tmp_path, write_splits):
    rows = {name: list(zip(read_split(splits, name).texts, read_split(splits, name).labels.tolist(), strict=True))
            for name in ("train", "validation", "test")}  # fmt: skip
    rare = [row for row in rows["train"] if row[1] == 1][:25] + [
        row for row in rows["train"] if row[1] == 0
    ]
    names = {name: ["negative", "positive"] for name in rows}
    folder = write_splits(tmp_path / "splits", names, rows | {"train": rare})
    recalled = {}
    for weight in ("none", "balanced"):
        config = settings(class_weight=weight, num_train_epochs=2)
        learn, validate = (read_split(folder, name) for name in ("train", "validation"))
        started = find_encoder(str(encoder))
        loop, _ = make_loop_of(
            config, TrainingData(folder, learn, validate, started, Labels(learn)), started, Group()
        )
        loop.run_epoch(ignore)
        loop.run_epoch(ignore)
        answers = loop.task.logits(loop.task.validation).argmax(axis=1)
        recalled[weight] = (answers[validate.labels == 1] == 1).mean()
    assert recalled["balanced"] > recalled["none"]
    weights = loop.task.class_weights[torch.tensor(learn.labels)]
    assert weights.mean().item() == pytest.approx(1.0)

"""Which number format training computes in: the one asked for, or the faster one here, and the record says why."""

import pytest
import torch

from linnet.train import train
from linnet.train.network import precision
from linnet.train.network.precision import choose_precision

CPU = torch.device("cpu")


@pytest.mark.parametrize(("asked", "name"), [(True, "bf16"), (False, "fp32")])
def test_what_was_asked_for_is_taken(asked, name):
    chosen = choose_precision(asked, 768, CPU)
    assert chosen.name == name
    assert chosen.reason == f"train.bf16 = {str(asked).lower()}"


@pytest.mark.parametrize(("half", "name"), [(0.5, "bf16"), (0.9, "fp32"), (50.0, "fp32")])
def test_bfloat16_is_taken_where_it_is_worth_it(monkeypatch, half, name):
    seconds = {torch.float32: 1.0, torch.bfloat16: half}
    monkeypatch.setattr(precision, "_seconds", lambda width, dtype, device: seconds[dtype])
    chosen = choose_precision("auto", 768, CPU)
    assert chosen.name == name
    assert f"{1 / half:.1f} times as fast in bf16 as in fp32" in chosen.reason


def test_it_is_measured_here():
    chosen = choose_precision("auto", 256, CPU)
    times = float(chosen.reason.split(" times")[0].split()[-1])
    assert (chosen.name == "bf16") == (times >= precision.WORTH) or times == pytest.approx(
        precision.WORTH, abs=0.06
    )


def test_a_narrow_model_is_not_measured(monkeypatch):
    monkeypatch.setattr(precision, "_seconds", None)
    assert choose_precision("auto", precision.NARROW, CPU).name == "fp32"


def test_the_record_says_what_it_was_and_why(splits, settings, tmp_path):
    record = train(settings(bf16=True, num_train_epochs=1), splits, tmp_path / "checkpoint")
    assert record["precision"] == "bf16"
    assert record["precision_reason"] == "train.bf16 = true"
